"""schema.graphql at the root is the schema, as the server has it, and says what everything means."""

from collections.abc import Iterator
from pathlib import Path

from graphql import (
    GraphQLEnumType,
    GraphQLNamedType,
    build_client_schema,
    build_schema,
    introspection_from_schema,
    is_enum_type,
    is_introspection_type,
    is_specified_scalar_type,
)

from carnet_graphql.schema import schema
from carnet_graphql.schema_text import schema_text
from carnet_graphql.value_texts import VALUE_TEXTS

FILE = Path(__file__).parents[2] / "schema.graphql"


def test_the_file_is_the_schema() -> None:
    assert FILE.read_text() == schema_text(schema()), "run: carnet schema --write"


def described(kind: GraphQLNamedType) -> Iterator[tuple[str, str | None]]:
    """Yield everything of a type that can have a description, and the description."""
    yield kind.name, kind.description
    if isinstance(kind, GraphQLEnumType):
        for name, value in kind.values.items():
            yield f"{kind.name}.{name}", value.description
    for name, field in getattr(kind, "fields", {}).items():  # input fields too
        yield f"{kind.name}.{name}", field.description
        for argument_name, argument in getattr(field, "args", {}).items():
            yield f"{kind.name}.{name}({argument_name})", argument.description


def test_every_type_field_argument_and_value_is_described() -> None:
    found = build_schema(FILE.read_text())
    parts = [
        part
        for kind in found.type_map.values()
        if not is_introspection_type(kind) and not is_specified_scalar_type(kind)
        for part in described(kind)
    ]
    parts += [(f"@{directive.name}", directive.description) for directive in found.directives]
    assert [name for name, text in parts if not (text or "").strip()] == []
    assert len(parts) > 1500


def test_introspection_tells_the_same_descriptions() -> None:
    told = build_client_schema(introspection_from_schema(schema()._schema))
    written = build_schema(FILE.read_text())
    for name, kind in written.type_map.items():
        if not is_introspection_type(kind) and not is_specified_scalar_type(kind):
            assert dict(described(told.type_map[name])) == dict(described(kind))


def test_no_text_is_of_a_value_that_is_not_there() -> None:
    found = build_schema(FILE.read_text()).type_map
    for name, texts in VALUE_TEXTS.items():
        kind = found[name]
        assert is_enum_type(kind) and set(kind.values) == set(texts)
