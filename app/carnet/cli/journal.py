"""``carnet journal``: proves that nobody removed, changed or reordered what was done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from carnet.errors import UserMistake

if TYPE_CHECKING:
    from carnet.access.verifying import Verification
    from carnet.cli.workspace import Workspace
    from carnet_crypto.treehead import TreeHead

VERIFY_EXAMPLES = """\
\b
Examples:
  carnet journal verify
  carnet journal head > head-2026-11-23.json     keep it where the server cannot write
  carnet journal verify --head head-2026-11-23.json
"""


@click.group()
def journal() -> None:
    """Verify the access journal, and take its signed head."""


@journal.command("verify", epilog=VERIFY_EXAMPLES)
@click.option(
    "--head",
    type=click.Path(path_type=Path),
    help="A head that was kept elsewhere: the journal must extend it.",
)
def verify(head: Path | None) -> None:
    """Prove that the journal is whole; exits with 1 when it is not.

    Every entry is hashed again, and leaves, tree, signed heads and numbers must agree with it.
    Who can write the whole database and the signing key could make a shorter journal anew: only a
    head that was kept elsewhere proves that nothing was cut off at the end.
    """
    from carnet.access.verifying import verify as verify_all
    from carnet.cli.console import with_stores
    from carnet.cli.progress import telling

    saved = _saved(head) if head is not None else None

    async def act(opened: Workspace) -> Verification:
        if saved is not None and not opened.signer.has_signed(saved):
            raise UserMistake(f"{head} was not signed by this server's key.")
        with telling("Verifying") as told:
            return await verify_all(
                opened.database,
                opened.signer,
                saved,
                lambda done, all_: told(f"{done:,} of {all_:,} entries"),
            )

    found = with_stores(act)
    for finding in found.findings:
        click.echo(f"{finding.problem.value}: {finding.message}")
    if found.further:
        click.echo(f"… and {found.further:,} more.")
    if not found.is_whole:
        raise UserMistake("The journal is not whole.")
    waiting = f", {found.waiting:,} wait to be sealed" if found.waiting else ""
    click.echo(
        f"The journal is whole: {found.entries:,} entries{waiting}; head of size {found.size:,},"
        f" root {found.root.hex()}"
    )


HEAD_EXAMPLE = """\
\b
Example:
  carnet journal head > head-2026-11-23.json
"""


@journal.command("head", epilog=HEAD_EXAMPLE)
def head() -> None:
    """Print the newest signed head. Keep it elsewhere, for `carnet journal verify --head`."""
    import json

    from carnet.access.sealing import LOG
    from carnet.cli.console import with_stores
    from carnet.store.transparency import latest_head
    from carnet_crypto.headfile import head_to_json

    async def act(opened: Workspace) -> str:
        async with opened.database.read() as work:
            found = await latest_head(work, LOG)
        if found is None:
            raise UserMistake("The journal has no entry yet.")
        return json.dumps(head_to_json(found, opened.signer.public_key))

    click.echo(with_stores(act))


def _saved(path: Path) -> TreeHead:
    from carnet_crypto.headfile import NotAHead, read_head

    try:
        found, _ = read_head(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserMistake(f"{path} cannot be read: {error.strerror}.") from None
    except (NotAHead, UnicodeDecodeError):
        raise UserMistake(f"{path} holds no head of `carnet journal head`.") from None
    return found
