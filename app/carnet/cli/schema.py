"""``carnet schema``: the GraphQL schema as text."""

from __future__ import annotations

from pathlib import Path

import click

from carnet.cli.faults import FAILED, tell

EXAMPLES = """\
\b
Examples:
  carnet schema > schema.graphql
  carnet schema --check
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--check",
    is_flag=True,
    help="Print nothing; fail when the file differs, or would break clients of the last release.",
)
@click.option(
    "--releases",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("releases"),
    show_default=True,
    metavar="DIR",
    help="The schemas of past releases, and breaking.txt.",
)
@click.option("--write", is_flag=True, help="Write the file.")
@click.argument(
    "path", type=click.Path(dir_okay=False, path_type=Path), default=Path("schema.graphql")
)
def schema(check: bool, write: bool, releases: Path, path: Path) -> int:
    """Print, write or check the GraphQL schema in PATH.

    A change that could break a client of the last release is declared in breaking.txt, in the very
    words of the check.
    """
    from carnet_graphql.schema import schema as build
    from carnet_graphql.schema_changes import undeclared
    from carnet_graphql.schema_text import schema_text

    if check and write:
        raise click.UsageError("--check and --write exclude each other.")
    text = schema_text(build())
    if write:
        path.write_text(text, encoding="utf-8")
    elif check:
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            tell(f"{path} is not the schema of this code; run `carnet schema --write`.")
            return FAILED
        number, missing, needless = undeclared(releases, text)
        for line in missing:
            tell(f"since {number}, not declared in breaking.txt: {line}")
        for line in needless:
            tell(f"declared in breaking.txt, but not so since {number}: {line}")
        if missing or needless:
            return FAILED
    else:
        click.echo(text, nl=False)
    return 0
