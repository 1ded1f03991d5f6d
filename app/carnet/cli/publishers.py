"""``carnet publisher``: machine credentials of software that feeds records."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace
    from carnet.store.database import Work

ADD_EXAMPLE = """\
\b
Example:
  carnet publisher add "Boréal LIS 4" --may-register-persons
"""
REVOKE_EXAMPLE = """\
\b
Example:
  carnet publisher revoke "Boréal LIS 4"
"""


@click.group()
def publisher() -> None:
    """Register software that feeds records, and revoke it."""


@publisher.command(epilog=ADD_EXAMPLE)
@click.argument("name")
@click.option("--organization", type=click.UUID, metavar="ID", help="Whose software it is.")
@click.option(
    "--may-register-persons", is_flag=True, help="Let it open records of people not known yet."
)
def add(name: str, organization: UUID | None, may_register_persons: bool) -> None:
    """Register a publisher and print its secret. It is shown this once."""
    from carnet.cli.console import CONSOLE, with_stores
    from carnet.people.registers import register_publisher

    async def act(opened: Workspace) -> str:
        async with opened.database.write() as work:
            made = await register_publisher(
                CONSOLE,
                work,
                name,
                organization_id=organization,
                may_register_persons=may_register_persons,
            )
        return made.secret

    click.echo(with_stores(act))


@publisher.command("list")
def list_() -> None:
    """List publishers: id, since when, until when, name."""
    from sqlalchemy import select

    from carnet.cli.console import with_stores
    from carnet.cli.printing import printable
    from carnet.people.tables import Publisher

    async def act(opened: Workspace) -> list[Publisher]:
        async with opened.database.read() as work:
            rows = await work.session.scalars(select(Publisher).order_by(Publisher.id))
            return list(rows)

    for row in with_stores(act):
        until = f"revoked {row.revoked_at:%Y-%m-%d}" if row.revoked_at else "active"
        click.echo(f"{row.id}  {row.created_at:%Y-%m-%d}  {until:18}  {printable(row.name)}")


@publisher.command(epilog=REVOKE_EXAMPLE)
@click.argument("name")
def revoke(name: str) -> None:
    """End the publisher of this NAME or id, for good. What it fed stays."""
    from carnet.cli.console import CONSOLE, with_stores
    from carnet.people.registers import revoke_publisher

    async def act(opened: Workspace) -> None:
        async with opened.database.write() as work:
            await revoke_publisher(CONSOLE, work, await _id_of(work, name))

    with_stores(act)
    click.echo("Revoked.")


@publisher.command()
@click.argument("name")
def renew(name: str) -> None:
    """Print a new secret for this NAME or id. The old one ends."""
    from carnet.cli.console import CONSOLE, with_stores
    from carnet.people.registers import renew_publisher_secret

    async def act(opened: Workspace) -> str:
        async with opened.database.write() as work:
            made = await renew_publisher_secret(CONSOLE, work, await _id_of(work, name))
        return made.secret

    click.echo(with_stores(act))


async def _id_of(work: Work, name: str) -> UUID:
    from sqlalchemy import select

    from carnet.errors import UserMistake
    from carnet.people.tables import Publisher

    try:
        return UUID(name)
    except ValueError:
        found = await work.session.scalar(select(Publisher.id).where(Publisher.name == name))
    if found is None:
        raise UserMistake("No publisher has this name; see `carnet publisher list`.")
    return found
