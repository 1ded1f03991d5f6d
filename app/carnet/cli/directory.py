"""``carnet organization`` and ``carnet professional``: the registers that others refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace
    from carnet.people.tables import Organization

ORGANIZATION_EXAMPLE = """\
\b
Example:
  carnet organization add "Centre hospitalier des Tilleuls" \\
      --identifier urn:oid:1.2.250.1.71.4.2.2 1750000123
"""
PROFESSIONAL_EXAMPLE = """\
\b
Example:
  carnet professional add 10101234564 BERNARD Sophie --profession 10 --speciality SM26
"""


@click.group()
def organization() -> None:
    """Register hospitals, practices and laboratories."""


@organization.command("add", epilog=ORGANIZATION_EXAMPLE)
@click.argument("name")
@click.option(
    "--identifier",
    nargs=2,
    metavar="SYSTEM VALUE",
    help="Its number: who gave it (a URI) and the number. The same number is registered once.",
)
@click.option(
    "--facility-type",
    metavar="CODE",
    help="XDS healthcareFacilityTypeCode (JDV_J02): SA01 is a public hospital.",
)
@click.option(
    "--regulation-centre", is_flag=True, help="Its doctors regulate emergency calls (Samu)."
)
def add_organization(
    name: str,
    identifier: tuple[str, str] | None,
    facility_type: str | None,
    regulation_centre: bool,
) -> None:
    """Register an establishment and print its id."""
    from carnet.cli.console import CONSOLE, with_stores
    from carnet.cli.printing import printable
    from carnet.errors import UserMistake
    from carnet.people.registers import register_organization
    from carnet.terminology.queries import is_facility_type
    from carnet.values import Identifier

    async def act(opened: Workspace) -> UUID:
        async with opened.database.write() as work:
            if facility_type is not None and not await is_facility_type(work, facility_type):
                raise UserMistake(
                    f"{printable(facility_type)} is no type of establishment; they are in the"
                    " value set JDV_J02-XdsHealthcareFacilityTypeCode-CISIS of France's health"
                    " agency, such as SA01 or SA07. A newer one: `carnet terminology load`."
                )
            return await register_organization(
                CONSOLE,
                work,
                name,
                identifier=Identifier(*identifier) if identifier else None,
                facility_type_code=facility_type,
                is_regulation_centre=regulation_centre,
            )

    click.echo(with_stores(act))


@organization.command("list")
def list_organizations() -> None:
    """List establishments: id and name."""
    from sqlalchemy import select

    from carnet.cli.console import with_stores
    from carnet.cli.printing import printable
    from carnet.people.tables import Organization

    async def act(opened: Workspace) -> list[Organization]:
        async with opened.database.read() as work:
            rows = await work.session.scalars(select(Organization).order_by(Organization.id))
            return list(rows)

    for row in with_stores(act):
        click.echo(f"{row.id}  {printable(row.name)}")


@click.group()
def professional() -> None:
    """Enter health professionals in the register."""


@professional.command("add", epilog=PROFESSIONAL_EXAMPLE)
@click.argument("rpps")
@click.argument("family_name")
@click.argument("given_name")
@click.option("--profession", required=True, metavar="CODE", help="TRE_G15: 10 is a physician.")
@click.option("--speciality", metavar="CODE", help="TRE_R38: SM26 is a general practitioner.")
@click.option("--organization", type=click.UUID, metavar="ID", help="Where they practise.")
def add_professional(
    rpps: str,
    family_name: str,
    given_name: str,
    profession: str,
    speciality: str | None,
    organization: UUID | None,
) -> None:
    """Enter a professional, or bring their entry up to date.

    Prints the id of the entry with this RPPS. An entry opens nothing by itself; see
    `carnet account add`.
    """
    from carnet.cli.console import CONSOLE, with_stores
    from carnet.people.registers import register_professional

    async def act(opened: Workspace) -> UUID:
        async with opened.database.write() as work:
            return await register_professional(
                CONSOLE,
                work,
                rpps=rpps,
                family_name=family_name,
                given_name=given_name,
                profession_code=profession,
                speciality_code=speciality,
                organization_id=organization,
            )

    click.echo(with_stores(act))
