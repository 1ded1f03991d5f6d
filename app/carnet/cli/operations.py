"""``carnet operations``: the registries of operations that front ends are built with."""

from __future__ import annotations

from pathlib import Path

import click

from carnet.errors import UserMistake

CHECK_EXAMPLE = """\
\b
Example:
  carnet operations check generated/persisted-documents.json relay/trusted.json
"""


@click.group()
def operations() -> None:
    """Check registries of trusted documents."""


@operations.command("check", epilog=CHECK_EXAMPLE)
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> None:
    """Hold registries against this version's schema.

    FILE is what relay-compiler and graphql-codegen write: an object of SHA-256 and text. Every hash
    has to be its text's, and every operation valid here and within the bounds of one document.
    """
    from carnet_graphql.operations.trusted import TrustedDocuments
    from carnet_graphql.schema import schema

    served = schema(introspection=False).operations
    wrong = 0
    for file in files:
        documents = TrustedDocuments.load([file])
        for digest, text in documents:
            found = served.read(text, None)
            if isinstance(found, list):
                wrong += 1
                click.echo(f"{file}: {digest[:12]}…: {found[0].message}", err=True)
        click.echo(f"{file}: {len(documents)} operations.")
    if wrong:
        raise UserMistake(f"Operations that this version cannot run: {wrong}.")
