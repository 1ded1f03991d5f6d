"""The schema as text: what ``schema.graphql`` at the repository's root holds."""

from __future__ import annotations

import strawberry
from graphql import build_schema, lexicographic_sort_schema, print_schema


def schema_text(schema: strawberry.Schema) -> str:
    """Return the schema in SDL, sorted by name, ending in a newline.

    The text is sorted, not the schema: Strawberry's own ``sort_schema`` breaks every union at
    run time (strawberry-graphql 0.341).
    """
    return print_schema(lexicographic_sort_schema(build_schema(schema.as_str()))) + "\n"
