"""``carnet-client edit``, ``retract``, ``acknowledge`` and ``members``."""

from __future__ import annotations

import click

from carnet_client.cli.profile import with_messenger
from carnet_client.cli.showing import plain
from carnet_client.messenger import Messenger
from carnet_crypto.secret.content import Verdict

VERDICTS = {"noted": Verdict.TAKEN_NOTE, "agree": Verdict.AGREED, "disagree": Verdict.DISAGREED}
MEMBERS_EXAMPLES = """\
\b
Examples:
  carnet-client members 4f09c1
  carnet-client members 4f09c1 --add "Karim HADDAD"
"""
ACKNOWLEDGE_EXAMPLES = """\
\b
Example:
  carnet-client acknowledge 4f09c1 5 agree --note "To be seen in June"
"""
RETRACT_EXAMPLES = """\
\b
Example:
  carnet-client retract 4f09c1 5
"""
EDIT_EXAMPLES = """\
\b
Example:
  carnet-client edit 4f09c1 5 "At ten, not at nine"
"""


@click.command(epilog=EDIT_EXAMPLES)
@click.argument("thread")
@click.argument("message")
@click.argument("text")
def edit(thread: str, message: str, text: str) -> None:
    """Replace the words of a MESSAGE of yours, by its number.

    Everybody sees that you did, and who has read the former words may have kept them.
    """

    async def act(messenger: Messenger) -> None:
        conversation = await messenger.thread(thread)
        await conversation.edit(conversation.message(message), text)

    with_messenger(act)
    click.echo("Edited.")


@click.command(epilog=RETRACT_EXAMPLES)
@click.argument("thread")
@click.argument("message")
def retract(thread: str, message: str) -> None:
    """Take a MESSAGE of yours back, by its number.

    The server erases it. Who has read it may have kept it.
    """

    async def act(messenger: Messenger) -> None:
        conversation = await messenger.thread(thread)
        await conversation.retract(conversation.message(message))

    with_messenger(act)
    click.echo("Taken back.")


@click.command(epilog=ACKNOWLEDGE_EXAMPLES)
@click.argument("thread")
@click.argument("message")
@click.argument("verdict", type=click.Choice(sorted(VERDICTS)))
@click.option("--note", default="", help="A sentence beside it.")
def acknowledge(thread: str, message: str, verdict: str, note: str) -> None:
    """Say of a MESSAGE that you noted it, agree or disagree.

    MESSAGE is its number. What you say is signed as your act.
    """

    async def act(messenger: Messenger) -> None:
        conversation = await messenger.thread(thread)
        found = conversation.message(message)
        await conversation.acknowledge(found, VERDICTS[verdict], note)

    with_messenger(act)
    click.echo("Acknowledged.")


@click.command(epilog=MEMBERS_EXAMPLES)
@click.argument("thread")
@click.option("--add", metavar="NAME", help="Let somebody in.")
@click.option("--without-history", is_flag=True, help="With --add: not what was written before.")
@click.option("--remove", metavar="NAME", help="Put somebody out.")
@click.option("--trust", is_flag=True, help="Say that the last change is right; see above.")
@click.option("--leave", is_flag=True, help="Go yourself.")
@click.option("--close", is_flag=True, help="End the exchanges; only who manages it may.")
def members(
    thread: str,
    add: str | None,
    without_history: bool,
    remove: str | None,
    trust: bool,
    leave: bool,
    close: bool,
) -> None:
    """List who is in a conversation, and change it.

    Where the last change was made by a device that was revoked since, nothing is written before
    somebody who knew of it wrote, or you have looked at the list and said --trust.
    """

    async def act(messenger: Messenger) -> None:
        conversation = await messenger.thread(thread)
        if trust:
            await conversation.trust_last_change()
        if add is not None:
            added = await messenger.find(add)
            await conversation.add(added.id, with_history=not without_history)
        if remove is not None:
            await conversation.remove((await messenger.find(remove)).id)
        if close:
            await conversation.close()
        if leave:
            await conversation.leave()
            click.echo("You have left.")
            return
        await messenger.people()
        for account in conversation.members:
            you = " (you)" if account == conversation.account else ""
            verified = "  verified" if messenger.is_verified(account) else ""
            role = conversation.role(account).name.lower()
            click.echo(f"{role:9} {plain(messenger.name(account))}{you}{verified}")

    with_messenger(act)
