"""``carnet-client devices`` and ``pair``."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import click
import segno

from carnet_client.cli.profile import with_messenger
from carnet_client.errors import UserMistake
from carnet_client.messenger import Messenger
from carnet_crypto.device import Device
from carnet_crypto.kinds import RevocationReason

PAIR_EXAMPLES = """\
\b
Examples:
  carnet-client pair --join
  carnet-client pair --admit
"""


def qr_text(text: str) -> str:
    """Return a QR code as lines of blocks, for a terminal."""
    drawn = io.StringIO()
    segno.make_qr(text, error="m").terminal(drawn, border=2, compact=True)
    return drawn.getvalue()


@click.command()
@click.option("--revoke", metavar="DEVICE", help="Take it from your account, as lost.")
@click.option("--accept", metavar="DEVICE", help="Say that one you did not add here is yours.")
@click.option("--stolen", is_flag=True, help="With --revoke: it was stolen.")
def devices(revoke: str | None, accept: str | None, stolen: bool) -> None:
    """List your devices, revoke one, or accept one. DEVICE is the beginning of its id."""

    async def act(messenger: Messenger) -> None:
        found = await messenger.devices()
        if revoke is not None:
            reason = RevocationReason.STOLEN if stolen else RevocationReason.LOST
            await messenger.revoke_device(_one(found, revoke).id, reason)
            found = await messenger.devices()
        if accept is not None:
            await messenger.accept_device(_one(found, accept).id)
        for device in found:
            here = " (this one)" if messenger.is_this_device(device.id) else ""
            state = "revoked" if device.revoked_in is not None else device.flag.name.lower()
            click.echo(f"{bytes(device.id).hex()[:12]}  {state:10}{_until(device)}{here}")

    with_messenger(act)


@click.command(epilog=PAIR_EXAMPLES)
@click.option("--join", "is_new", is_flag=True, help="On the new device.")
@click.option("--admit", "is_old", is_flag=True, help="On a device that you have.")
@click.option("--qr", is_flag=True, help="Show or scan a QR code instead of comparing digits.")
def pair(is_new: bool, is_old: bool, qr: bool) -> None:
    """Add this device to your account, or another one from here.

    Sign in on the new device, then run `pair --join` there and `pair --admit` here. Both show
    twelve digits; say yes only where they are the same. With --qr the new device shows a code, and
    this one is given what it holds: scanned, or pasted.
    """
    if is_new == is_old:
        raise click.UsageError("Say --join on the new device, or --admit on one that you have.")

    async def ask(digits: str) -> bool:
        click.echo("\nBoth devices have to show these digits:\n")
        click.secho(f"    {digits}\n", bold=True)
        return click.confirm("Does the other one show the same?", err=True)

    async def join(messenger: Messenger) -> None:
        joining = messenger.join()
        if not qr:
            click.echo("Now run `carnet-client pair --admit` on a device that you have.", err=True)
            await joining.by_digits(ask)
            return
        click.echo(qr_text(joining.qr))
        click.echo(joining.qr)
        await joining.by_answer(click.prompt("What the other device shows in return", err=True))

    async def admit(messenger: Messenger) -> None:
        admitting = messenger.admit()
        if not qr:
            await admitting.by_digits(ask)
            return
        answer = await admitting.scan(click.prompt("What the new device shows", err=True))
        click.echo(qr_text(answer))
        click.echo(answer)
        await admitting.finish()

    with_messenger(join if is_new else admit)
    click.echo("The device is one of your account.")


def _one(devices: list[Device], prefix: str) -> Device:
    found = [device for device in devices if bytes(device.id).hex().startswith(prefix.lower())]
    if not prefix or len(found) != 1:
        raise UserMistake("You have no such device.")
    return found[0]


def _until(device: Device) -> str:
    if not device.not_after:
        return ""
    end = datetime.fromtimestamp(device.not_after / 1000, UTC)
    return f" until {end:%Y-%m-%d}"
