"""``carnet notifications``: whether what goes out by e-mail and Web Push gets through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace
    from carnet.notifications.channels import Channels
    from carnet.notifications.counting import Standing
    from carnet.notifications.sending import Outcome

TEST_EXAMPLE = """\
\b
Example:
  CARNET_SMTP_URL=smtp+starttls://carnet:PASSWORD@mail.example.org:587 \\
  CARNET_MAIL_FROM=carnet@example.org CARNET_PUBLIC_URL=https://carnet.example.org/ \\
    carnet notifications test --email you@example.org
"""
STATUS_EXAMPLE = """\
\b
Example:
  carnet notifications status
"""


@click.group()
def notifications() -> None:
    """Try sending e-mails, and see how what goes out stands.

    \b
    E-mail is on with CARNET_SMTP_URL, CARNET_MAIL_FROM and CARNET_PUBLIC_URL; Web Push with
    CARNET_VAPID_KEY_FILE and CARNET_PUBLIC_URL, and in development by itself. A running server
    sends what is queued; what fails for now is tried again for three days.
    """


@notifications.command(epilog=TEST_EXAMPLE)
@click.option("--email", required=True, metavar="ADDRESS", help="Send a test message there.")
@click.option(
    "--locale", type=click.Choice(["fr", "en"]), default="fr", help="Language of the message."
)
def test(email: str, locale: str) -> None:
    """Send a message at once, and say what the mail server answers.

    Nothing is queued or written, and no database is needed.
    """
    from carnet.cli.faults import wait_for
    from carnet.errors import UserMistake
    from carnet.notifications.addresses import mail_address
    from carnet.notifications.channels import Channels
    from carnet.notifications.sending import Sent
    from carnet.settings import Settings

    channels = Channels.open(Settings.from_env())
    outcome = wait_for(_send(channels, mail_address(email), locale))
    if not isinstance(outcome, Sent):
        raise UserMistake(f"The mail server did not take the message: {outcome.error}.")
    click.echo("The mail server took the message; see whether it is in the mailbox.")


async def _send(channels: Channels, address: str, locale: str) -> Outcome:
    from uuid import uuid4

    from carnet.errors import UserMistake
    from carnet.notifications.sending import ChannelDown, Parcel
    from carnet.notifications.tables import Locale
    from carnet.notifications.texts import trial_text

    if channels.mail is None:
        raise UserMistake("E-mail is off: set CARNET_SMTP_URL, such as smtps://user:password@host.")
    id_ = uuid4()
    try:
        async with channels.mail.run() as run:
            return await run.send(Parcel(id_, id_, trial_text(Locale(locale)), address))
    except ChannelDown as down:
        raise UserMistake(f"The mail server cannot be used: {down.error}.") from None


@notifications.command(epilog=STATUS_EXAMPLE)
def status() -> None:
    """Show which channels are on and what waits.

    Also what became of what was sent in the last seven days.

    Names no person and no address.
    """
    from carnet.cli.console import CONSOLE, with_stores
    from carnet.notifications.counting import standing
    from carnet.notifications.tables import Channel

    async def act(opened: Workspace) -> list[str]:
        lines = []
        for channel in Channel:
            async with opened.database.read() as work:
                found = await standing(CONSOLE, work, channel)
            lines += _lines(channel.value, opened.channels.is_on(channel), found)
        push = opened.channels.push
        if push is not None:
            lines.append(f"Public VAPID key: {push.key.public_key}")
        return lines

    click.echo("\n".join(with_stores(act)))


def _lines(name: str, is_on: bool, found: Standing) -> list[str]:
    oldest = f", the oldest since {found.oldest_at:%Y-%m-%d %H:%M} UTC" if found.oldest_at else ""
    return [
        f"{name}: {'on' if is_on else 'off'}",
        f"  reaches {found.destinations}; {found.undeliverable} undeliverable",
        f"  waiting: {found.queued}{oldest}; {found.failed_before} of them failed before",
        f"  sent {found.sent}, refused {found.refused}, given up {found.given_up}",
        *(f"    {error}: {count}" for error, count in found.failures.items()),
    ]
