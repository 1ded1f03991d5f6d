"""``carnet account``: ways to sign in. They are made here only, never over the network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from uuid import UUID

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace
    from carnet.people.passwords import PasswordHash
    from carnet.people.tables import AccountKind
    from carnet.store.database import Work

ADD_EXAMPLES = """\
\b
Examples:
  carnet account add sophie.bernard --professional 10101234564
  carnet account add ops --operator --no-password \\
      --identity https://id.example/realms/staff 5c1d0f3a
"""
DISABLE_EXAMPLE = """\
\b
Example:
  carnet account disable sophie.bernard
"""
CUT_OFF_EXAMPLE = """\
\b
Example:
  carnet account cut-off sophie.bernard --reason COMPROMISED
"""
RESTORE_EXAMPLE = """\
\b
Example:
  carnet account restore sophie.bernard
"""


@click.group()
def account() -> None:
    """Make and close ways to sign in."""


@account.command(epilog=ADD_EXAMPLES)
@click.argument("login")
@click.option("--person", metavar="NUMBER", help="Opens the record of who has this number.")
@click.option("--professional", metavar="RPPS", help="Acts as this professional.")
@click.option("--operator", is_flag=True, help="Runs the service; sees no health data.")
@click.option(
    "--password/--no-password",
    "has_password",
    default=True,
    help="Ask for a password (from a terminal hidden, else one line of stdin).",
)
@click.option(
    "--identity",
    nargs=2,
    metavar="ISSUER SUBJECT",
    help="Also sign in through this identity provider, as this subject.",
)
def add(
    login: str,
    person: str | None,
    professional: str | None,
    operator: bool,
    has_password: bool,
    identity: tuple[str, str] | None,
) -> None:
    """Make an account and print its id.

    It is a person's, a professional's or an operator's.
    """
    from carnet.cli.console import CONSOLE, with_stores
    from carnet.people.accounts import create_account, link_identity

    if sum((person is not None, professional is not None, operator)) != 1:
        raise click.UsageError("Say whose it is: --person, --professional or --operator.")
    password = _asked_password() if has_password else None

    async def act(opened: Workspace) -> UUID:
        hashed = await _hashed(password, login) if password is not None else None
        async with opened.database.write() as work:
            kind, owner_id = await _owner(work, person, professional)
            made = await create_account(CONSOLE, work, kind, owner_id, login=login, password=hashed)
            if identity is not None:
                issuer, subject = identity
                await link_identity(CONSOLE, work, made, issuer=issuer, subject=subject)
        return made

    click.echo(with_stores(act))


@account.command(epilog=DISABLE_EXAMPLE)
@click.argument("login")
def disable(login: str) -> None:
    """Close the account of this LOGIN or id; its sessions end at once."""
    from carnet.cli.console import CONSOLE, with_stores
    from carnet.people.accounts import disable_account

    async def act(opened: Workspace) -> None:
        async with opened.database.write() as work:
            await disable_account(CONSOLE, work, await _account(work, login))

    with_stores(act)
    click.echo("Disabled.")


@account.command("cut-off", epilog=CUT_OFF_EXAMPLE)
@click.argument("login")
@click.option(
    "--reason",
    type=click.Choice(["VOLUME", "COMPROMISED", "LEFT", "OTHER"]),
    default="OTHER",
    help="Why, for the technical log.",
)
def cut_off(login: str, reason: str) -> None:
    """End the access of this LOGIN or id at once. It is written down; see restore."""
    from carnet.access.cutting import CutOffReason, cut_off
    from carnet.cli.console import CONSOLE, with_stores

    async def act(opened: Workspace) -> None:
        async with opened.database.write() as work:
            await cut_off(CONSOLE, work, await _account(work, login), CutOffReason(reason))

    with_stores(act)
    click.echo("Cut off.")


@account.command(epilog=RESTORE_EXAMPLE)
@click.argument("login")
def restore(login: str) -> None:
    """Open the account of this LOGIN or id again. Its owner signs in anew."""
    from carnet.access.cutting import restore
    from carnet.cli.console import CONSOLE, with_stores

    async def act(opened: Workspace) -> None:
        async with opened.database.write() as work:
            await restore(CONSOLE, work, await _account(work, login))

    with_stores(act)
    click.echo("Restored.")


@account.command()
@click.argument("login")
def password(login: str) -> None:
    """Set a new password for the account of this LOGIN. Its sessions end."""
    from carnet.cli.console import CONSOLE, with_stores
    from carnet.people.accounts import set_password

    secret = _asked_password()

    async def act(opened: Workspace) -> None:
        hashed = await _hashed(secret, login)
        async with opened.database.write() as work:
            await set_password(CONSOLE, work, await _account(work, login), hashed)

    with_stores(act)
    click.echo("Changed.")


def _asked_password() -> str:
    if sys.stdin.isatty():
        secret: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return secret
    return sys.stdin.readline().rstrip("\r\n")


async def _hashed(secret: str, login: str) -> PasswordHash:
    from carnet.people.passwords import Passwords

    passwords = Passwords(workers=1)
    try:
        return await passwords.hash(secret, login=login)
    finally:
        passwords.close()


async def _owner(
    work: Work, person: str | None, professional: str | None
) -> tuple[AccountKind, UUID | None]:
    from carnet.people.tables import AccountKind

    if person is not None:
        return AccountKind.PATIENT, await _person(work, person)
    if professional is not None:
        return AccountKind.PROFESSIONAL, await _professional(work, professional)
    return AccountKind.OPERATOR, None


async def _person(work: Work, number: str) -> UUID:
    from sqlalchemy import select

    from carnet.errors import UserMistake
    from carnet.people.tables import PersonIdentifier

    statement = select(PersonIdentifier.person_id).where(
        PersonIdentifier.value == "".join(number.split()).upper(), PersonIdentifier.is_national
    )
    found = set(await work.session.scalars(statement))
    if len(found) != 1:
        raise UserMistake("No person is registered with this national number.")
    return found.pop()


async def _professional(work: Work, rpps: str) -> UUID:
    from sqlalchemy import select

    from carnet.errors import UserMistake
    from carnet.people.tables import Professional

    found = await work.session.scalar(select(Professional.id).where(Professional.rpps == rpps))
    if found is None:
        raise UserMistake("No professional is registered with this RPPS number.")
    return found


async def _account(work: Work, login: str) -> UUID:
    from sqlalchemy import select

    from carnet.errors import UserMistake
    from carnet.people.accounts import normalized_login
    from carnet.people.tables import Account

    try:
        return UUID(login)
    except ValueError:
        statement = select(Account.id).where(Account.login == normalized_login(login))
        found = await work.session.scalar(statement)
    if found is None:
        raise UserMistake("No account has this login.")
    return found
