"""``carnet sandbox``: the invented people, and the clock that makes months pass."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace

UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
}
_SPAN = re.compile(r"(?:\d{1,5}[wdhm])+", re.ASCII)
_PART = re.compile(r"(\d{1,5})([wdhm])", re.ASCII)

LOAD_EXAMPLE = """\
\b
Example:
  carnet sandbox load
"""
CLOCK_EXAMPLES = """\
\b
Examples:
  carnet sandbox clock
  carnet sandbox clock --advance 6w
  carnet sandbox clock --advance 1d12h
"""


class Span(click.ParamType[timedelta]):
    """A length of time: weeks, days, hours and minutes, like ``6w`` or ``1d12h``."""

    name = "span"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read a span."""
        if isinstance(value, timedelta):
            return value
        text = str(value)
        if _SPAN.fullmatch(text) is None:
            self.fail(f"{text!r} is no span; write 6w, 10d, 3h or 1d12h.", param, ctx)
        return sum((int(n) * UNITS[unit] for n, unit in _PART.findall(text)), timedelta())


@click.group()
def sandbox() -> None:
    """Look after the sandbox: its people and its clock. Not for production."""


@sandbox.command(epilog=LOAD_EXAMPLE)
def load() -> None:
    """Load the sandbox's people, or repair them. Publishers get new secrets."""
    from carnet.cli.console import refuse_production, with_stores

    refuse_production()

    async def act(opened: Workspace) -> None:
        from carnet.cli.filling import fill

        await fill(opened, again=True)

    with_stores(act)
    click.echo("The sandbox is loaded.")


@sandbox.command(epilog=CLOCK_EXAMPLES)
@click.option("--advance", type=Span(), metavar="SPAN", help="Move it on: 6w, 10d, 3h, 30m.")
def clock(advance: timedelta | None) -> None:
    """Show the sandbox's time, or move it forward.

    A running server follows within a second.

    Time does not go back: start afresh with another CARNET_DATA_DIR.
    """
    from carnet.cli.console import refuse_production, with_stores
    from carnet.store.clock import move

    refuse_production()

    async def act(opened: Workspace) -> datetime:
        if advance is not None:
            async with opened.database.write() as work:
                await move(work, advance)
        return opened.database.clock.now() + (advance or timedelta())

    now = with_stores(act)
    click.echo(f"In the sandbox it is {now:%A %Y-%m-%d %H:%M} UTC.")
