"""``carnet-client attach`` and ``save``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from carnet_client.attachments import Progress
from carnet_client.cli.profile import with_messenger
from carnet_client.cli.threads import expiry
from carnet_client.errors import UserMistake
from carnet_client.messenger import Messenger

SAVE_EXAMPLES = """\
\b
Examples:
  carnet-client save 4f09c1 5 --to ~/Documents
  carnet-client save 4f09c1 5 --record own --title "Scanner"
"""
ATTACH_EXAMPLES = """\
\b
Example:
  carnet-client attach 4f09c1 scan.pdf --text "Of yesterday"
"""


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show a bar on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bar(
        *columns, TransferSpeedColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield show


@click.command(epilog=ATTACH_EXAMPLES)
@click.argument("thread")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option("--document", metavar="ID", help="A document of the record instead of a file.")
@click.option("--text", default="", help="Words beside it.")
@click.option("--expires-in", type=float, metavar="HOURS", help="Gone after so many hours.")
def attach(
    thread: str, file: Path | None, document: str | None, text: str, expires_in: float | None
) -> None:
    """Send FILE, or a document of the record, to a conversation.

    It is sealed as it is read, whatever its size; its name and kind are sealed with the message.
    """
    if (file is None) == (document is None):
        raise click.UsageError("Say which file, or --document ID.")
    until = expiry(expires_in)

    async def act(messenger: Messenger) -> int:
        conversation = await messenger.thread(thread)
        with progress("Sealing and sending") as show:
            if document is not None:
                return await conversation.attach_document(document, text, show)
            if file is None:
                raise UserMistake("There is no file.")
            return await conversation.attach(file, text, progress=show, expires_at=until)

    click.echo(f"Sent as #{with_messenger(act)}.")


@click.command(epilog=SAVE_EXAMPLES)
@click.argument("thread")
@click.argument("message")
@click.option("--file", "number", type=click.IntRange(1, 16), default=1, help="Which of its files.")
@click.option(
    "--to",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Folder to save it in.",
)
@click.option("--record", metavar="ID", help="Put it into this record instead; `own` is yours.")
@click.option("--category", default="PERSONAL", help="With --record: the folder of the record.")
@click.option("--title", help="With --record: its title there.")
def save(
    thread: str,
    message: str,
    number: int,
    folder: Path,
    record: str | None,
    category: str,
    title: str | None,
) -> None:
    """Save a file of MESSAGE.

    MESSAGE is its number, or eight or more digits of its id. Nothing gets a name before all of it
    is verified, and nothing is written over. In a record the server can read it, as every document
    there.
    """

    async def act(messenger: Messenger) -> str:
        conversation = await messenger.thread(thread)
        found = conversation.message(message)
        with progress("Opening and saving") as show:
            if record is None:
                return str(await conversation.save(found, folder, number - 1, show))
            target = record
            if record == "own":
                target = (await messenger.viewer()).record_id or ""
            return await conversation.save_into_record(
                found, target, category.upper(), title, number - 1, show
            )

    click.echo(with_messenger(act))
