"""A change of the schema that breaks clients of the last release is declared, or refused."""

from __future__ import annotations

from pathlib import Path

from graphql import build_schema, print_schema

from carnet_graphql.schema import schema
from carnet_graphql.schema_text import schema_text

TEXT = schema_text(schema())


def test_what_breaks_clients_is_refused_until_it_is_declared(carnet, tmp_path: Path) -> None:
    file, releases = tmp_path / "schema.graphql", tmp_path / "releases"
    file.write_text(TEXT)
    releases.mkdir()

    def check():
        return carnet("schema", "--check", "--releases", str(releases), str(file))

    assert check().code == 0  # there is no release yet
    (releases / "0.9.0.graphql").write_text("type Query { never: Int }")
    released = TEXT + "\nextend type Record { weight: Int }\n"
    (releases / "0.10.0.graphql").write_text(released)
    refused = check()
    assert refused.code == 1
    said = "FIELD_REMOVED: Field Record.weight was removed."
    assert refused.line == f"since 0.10.0, not declared in breaking.txt: {said}"
    (releases / "breaking.txt").write_text(f"# see the changelog\n{said}\n")
    assert check().code == 0
    (releases / "0.10.0.graphql").write_text(TEXT)
    needless = check()
    assert needless.code == 1
    assert needless.line == f"declared in breaking.txt, but not so since 0.10.0: {said}"


def test_what_only_adds_breaks_nobody(carnet, tmp_path: Path) -> None:
    file = tmp_path / "schema.graphql"
    file.write_text(TEXT)
    older = build_schema(TEXT)
    del older.type_map["Record"].fields["prevention"]  # type: ignore[attr-defined]
    (tmp_path / "1.0.0.graphql").write_text(print_schema(older))
    assert carnet("schema", "--check", "--releases", str(tmp_path), str(file)).code == 0
