"""schema.graphql at the root is the schema, as the server has it."""

from pathlib import Path

from graphql import build_schema, is_introspection_type

from carnet_graphql.schema import schema
from carnet_graphql.schema_text import schema_text

FILE = Path(__file__).parents[2] / "schema.graphql"


def test_the_file_is_the_schema() -> None:
    assert FILE.read_text() == schema_text(schema()), "run: carnet schema --write"


def test_every_type_field_and_argument_is_described() -> None:
    found = build_schema(FILE.read_text())
    missing = []
    for name, kind in found.type_map.items():
        if is_introspection_type(kind) or name in {"String", "Int", "Float", "Boolean", "ID"}:
            continue
        if not kind.description:
            missing.append(name)
        for field_name, field in getattr(kind, "fields", {}).items():
            if not field.description:
                missing.append(f"{name}.{field_name}")
            for argument_name, argument in getattr(field, "args", {}).items():
                if not argument.description and argument_name not in {"input", "id", "ids"}:
                    missing.append(f"{name}.{field_name}({argument_name})")
    assert missing == []
