"""A GraphQL request, read strictly from whatever JSON came, by every transport."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Self

from carnet.errors import ValidationFailed

# U+0000 as a GraphQL string writes it. PostgreSQL text cannot hold it.
ESCAPED_NUL = re.compile(r"\\u(0000|\{0+\})")


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client asks to run."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None

    @classmethod
    def of(cls, shape: object) -> Self:
        """Read a JSON value.

        Raises:
            ValidationFailed: it is not a GraphQL request.
        """
        if isinstance(shape, list):
            raise ValidationFailed("Send one operation; batches are not served.")
        if not isinstance(shape, dict):
            raise ValidationFailed("The body is a JSON object with query and variables.")
        query, variables = shape.get("query"), shape.get("variables")
        operation_name = shape.get("operationName")
        if not isinstance(query, str) or not query.strip():
            raise ValidationFailed("query is a GraphQL document.")
        if not isinstance(variables, dict | None):
            raise ValidationFailed("variables is an object.")
        if not isinstance(operation_name, str | None):
            raise ValidationFailed("operationName is a string.")
        if not isinstance(shape.get("extensions"), dict | None):
            raise ValidationFailed("extensions is an object.")
        if ESCAPED_NUL.search(query) or has_nul(shape):
            raise ValidationFailed("Text may not hold the character U+0000.")
        return cls(query, variables, operation_name)


def has_nul(value: Any) -> bool:
    """Tell whether any text within the JSON value holds U+0000."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str) and "\0" in item:
            return True
        if isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False
