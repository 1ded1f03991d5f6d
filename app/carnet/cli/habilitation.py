"""``carnet habilitation``: what each profession may do with each type of document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace

LOAD_EXAMPLE = """\
\b
Example:
  carnet habilitation load matrix.csv

\b
matrix.csv (or .tsv):
  profession,type,level
  10,*,READ_WRITE
  60,11502-2,READ
"""


@click.group()
def habilitation() -> None:
    """Load and list the habilitation matrix."""


@habilitation.command("load", epilog=LOAD_EXAMPLE)
@click.argument("file", type=click.Path(path_type=Path))
def load(file: Path) -> None:
    """Put a matrix in the place of the one that stands.

    A sample stands first.

    FILE has the columns profession (TRE_G15), type (of the document; * for every other, PROFILE
    for the medical profile) and level (NONE, READ or READ_WRITE). It is taken whole or not at
    all, and decides from then on.
    """
    from carnet.access.habilitations import load_matrix, read_matrix
    from carnet.cli.console import CONSOLE, with_stores

    cells = read_matrix(file)

    async def act(opened: Workspace) -> int:
        async with opened.database.write() as work:
            return await load_matrix(CONSOLE, work, cells, file.name)

    count = with_stores(act)
    professions = len({cell.profession_code for cell in cells})
    click.echo(f"Loaded {count} cells for {professions} professions.")


LIST_EXAMPLE = """\
\b
Example:
  carnet habilitation list --profession 60
"""


@habilitation.command("list", epilog=LIST_EXAMPLE)
@click.option("--profession", metavar="CODE", help="Only this one (TRE_G15).")
def list_(profession: str | None) -> None:
    """List the matrix: profession, type, level, and its source."""
    from sqlalchemy import select

    from carnet.access.tables import Habilitation
    from carnet.cli.console import with_stores
    from carnet.cli.printing import printable

    async def act(opened: Workspace) -> list[Habilitation]:
        statement = select(Habilitation).order_by(
            Habilitation.profession_code, Habilitation.type_code
        )
        if profession is not None:
            statement = statement.where(Habilitation.profession_code == profession)
        async with opened.database.read() as work:
            return list(await work.session.scalars(statement))

    for row in with_stores(act):
        cells = (row.profession_code, row.type_code, row.level.value, row.source)
        click.echo("\t".join(printable(cell) for cell in cells))
