"""``carnet-client operations``: what this client sends, for servers that run nothing else."""

from __future__ import annotations

import json

import click

EXAMPLE = """\
\b
Example, for an operator of the server:
  carnet-client operations > terminal.json
  export CARNET_TRUSTED_DOCUMENTS=registry.json:terminal.json
"""


@click.command("operations", epilog=EXAMPLE)
def operations() -> None:
    """Print a registry of the operations that this client sends.

    It is a JSON object of SHA-256 and text, as relay-compiler and graphql-codegen write them.
    """
    from carnet_client.operations import registry

    click.echo(json.dumps(registry(), indent=2))
