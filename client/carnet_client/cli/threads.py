"""``carnet-client threads``, ``open``, ``read``, ``send`` and ``follow``."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import click

from carnet_client.cli.profile import with_messenger
from carnet_client.cli.showing import lines_of, plain
from carnet_client.conversation import Conversation
from carnet_client.core import now_ms
from carnet_client.errors import UserMistake
from carnet_client.events import Alarm, Connected, Disconnected, ThreadChanged
from carnet_client.messenger import Messenger
from carnet_crypto.values import ThreadId

SHORT = 10  # hexadecimal digits of a thread's id that tell it from others
FOLLOW_EXAMPLES = """\
\b
Examples:
  carnet-client follow
  carnet-client follow 4f09c1
"""
SEND_EXAMPLES = """\
\b
Examples:
  carnet-client send 4f09c1 "Bonjour"
  carnet-client send 4f09c1 - < letter.txt
"""
READ_EXAMPLES = """\
\b
Example:
  carnet-client read 4f09c1
"""
OPEN_EXAMPLES = """\
\b
Examples:
  carnet-client open "Camille MOREAU"
  carnet-client open FAURE BERNARD
"""


@click.command()
@click.option("--most", type=click.IntRange(1, 1000), default=50, help="How many.")
def threads(most: int) -> None:
    """List your conversations, the latest first."""

    async def act(messenger: Messenger) -> None:
        await messenger.people()
        own = {info.id for info in (await messenger.viewer()).accounts}
        found = await messenger.threads(most)
        if not found:
            _ = messenger.account  # who has not enrolled is told so, and not that there are none
        for info in found:
            others = [plain(messenger.name(m.id)) for m in info.members if m.id not in own]
            unread = f"  {info.unread} unread" if info.unread else ""
            closed = "" if info.is_open else "  closed"
            id_ = bytes(info.id).hex()[:SHORT]
            click.echo(f"{id_}  {', '.join(others) or 'nobody else'}{unread}{closed}")

    with_messenger(act)


@click.command("open", epilog=OPEN_EXAMPLES)
@click.argument("names", nargs=-1, required=True)
@click.option("--as", "as_", metavar="NAME", help="As a child or team whose account is here.")
def open_(names: tuple[str, ...], as_: str | None) -> None:
    """Begin a conversation with NAMES, and print its id.

    A professional begins one with a patient or a colleague; a patient with a professional who
    wrote to them before. NAMES are names or register numbers, as `people` lists them.
    """

    async def act(messenger: Messenger) -> ThreadId:
        account = None if as_ is None else (await messenger.acting(as_)).id
        members = [await messenger.find(name) for name in names]
        return (await messenger.open_thread(members, account)).id

    click.echo(bytes(with_messenger(act)).hex())


@click.command(epilog=READ_EXAMPLES)
@click.argument("thread")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each message.")
@click.option("--no-receipt", is_flag=True, help="Do not tell the others that you have read it.")
def read(thread: str, as_json: bool, no_receipt: bool) -> None:
    """Print a conversation. THREAD is its id, or the beginning of it."""

    async def act(messenger: Messenger) -> None:
        await messenger.people()
        conversation = await messenger.thread(thread)
        for message in conversation.messages:
            if as_json:
                click.echo(json.dumps(_shape(messenger, conversation, message.number)))
            else:
                click.echo("\n".join(lines_of(messenger, conversation, message)))
        if conversation.is_open:
            await conversation.mark_read(tell=not no_receipt)

    with_messenger(act)


def _shape(messenger: Messenger, conversation: Conversation, number: int) -> dict[str, object]:
    message = next(m for m in conversation.messages if m.number == number)
    return {
        "id": bytes(message.id).hex(),
        "number": message.number,
        "author": messenger.name(message.author),
        "isOwn": message.author == conversation.account,
        "sentAt": message.sent_at,
        "text": message.text,
        "isEdited": message.is_edited,
        "isRetracted": message.is_retracted,
        "missing": message.missing,
        "files": [
            {"name": file.name, "mime": file.mime, "size": file.plain_bytes}
            for file in message.files
        ],
        "readBy": sorted(messenger.name(account) for account in message.read_by),
    }


@click.command(epilog=SEND_EXAMPLES)
@click.argument("thread")
@click.argument("text")
@click.option("--expires-in", type=float, metavar="HOURS", help="Gone after so many hours.")
def send(thread: str, text: str, expires_in: float | None) -> None:
    """Send TEXT to a conversation; - reads it from standard input."""
    words = sys.stdin.read() if text == "-" else text
    until = expiry(expires_in)

    async def act(messenger: Messenger) -> int:
        return await (await messenger.thread(thread)).send(words.rstrip("\n"), until)

    click.echo(f"Sent as #{with_messenger(act)}.")


def expiry(hours: float | None) -> int:
    """Return when something that lasts so many hours ends; 0 for never."""
    if hours is None:
        return 0
    if not 0 < hours <= 24 * 3650:
        raise UserMistake("Say more than 0 hours, and at most ten years.")
    return now_ms() + int(timedelta(hours=hours).total_seconds() * 1000)


@click.command(epilog=FOLLOW_EXAMPLES)
@click.argument("thread", required=False)
def follow(thread: str | None) -> None:
    """Print messages as they come, of one conversation or of all. Ctrl-C ends it."""

    async def act(messenger: Messenger) -> None:
        await messenger.people()
        printed: dict[ThreadId, set[bytes]] = {}
        first = None if thread is None else await messenger.thread(thread)
        is_away = False
        async for event in messenger.follow():
            match event:
                case Connected():
                    is_away = False
                    click.echo("Following.", err=True)
                    known = [first] if first is not None else await _all(messenger)
                    for conversation in known:
                        _print_new(messenger, conversation, printed, say=first is not None)
                case Disconnected() if not is_away:
                    is_away = True
                    click.echo("The server does not answer; trying again.", err=True)
                case ThreadChanged(thread=id_) if first is None or id_ == first.id:
                    conversation = await messenger.thread(id_)
                    _print_new(messenger, conversation, printed, say=True)
                case Alarm():
                    click.secho(f"ALARM: {event.message}", fg="red", bold=True, err=True)

    with_messenger(act)


async def _all(messenger: Messenger) -> list[Conversation]:
    found = []
    for info in await messenger.threads():
        found.append(await messenger.thread(info.id))
    return found


def _print_new(
    messenger: Messenger,
    conversation: Conversation,
    printed: dict[ThreadId, set[bytes]],
    *,
    say: bool,
) -> None:
    seen = printed.setdefault(conversation.id, set())
    for message in conversation.messages:
        if bytes(message.id) not in seen and say:
            id_ = bytes(conversation.id).hex()[:SHORT]
            click.echo("\n".join([f"{id_}", *lines_of(messenger, conversation, message)]))
        seen.add(bytes(message.id))
    sys.stdout.flush()
