"""``carnet statistics``: the operators' counts, for people, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from carnet.cli.workspace import Workspace
    from carnet.statistics.rules import Share

EXAMPLES = """\
\b
Examples:
  carnet statistics
  carnet statistics --from 2026-01 --to 2026-12 --csv > 2026.csv
"""
SUPPRESSED = "fewer than 11, or kept back"
COLUMNS = ("metric", "month", "group", "count", "isSuppressed", "registered", "share")


@dataclass(frozen=True, slots=True)
class Line:
    """One count. ``group`` is a state, category, profession or type of facility."""

    metric: str
    month: str | None
    group: str | None
    count: int | None
    registered: int | None = None
    share: float | None = None

    def shape(self) -> dict[str, object]:
        """Return the line as JSON has it."""
        values = (
            self.metric,
            self.month,
            self.group,
            self.count,
            self.count is None,
            self.registered,
            self.share,
        )
        return dict(zip(COLUMNS, values, strict=True))


@click.command(epilog=EXAMPLES)
@click.option("--from", "first", metavar="MONTH", help="First month; by default a year back.")
@click.option("--to", "last", metavar="MONTH", help="Last month; by default the present one.")
@click.option("--json", "is_json", is_flag=True, help="Write one JSON object.")
@click.option("--csv", "is_csv", is_flag=True, help="Write a table for spreadsheets.")
def statistics(first: str | None, last: str | None, is_json: bool, is_csv: bool) -> None:
    """Count records, documents and who feeds them.

    A count below 11 is suppressed, and with it others that would give it away.
    """
    from carnet.cli.console import with_stores

    if is_json and is_csv:
        raise click.UsageError("--json and --csv exclude each other.")

    async def act(opened: Workspace) -> tuple[datetime | None, list[Line]]:
        return await _read(opened, first, last)

    as_of, lines = with_stores(act)
    if is_json:
        moment = as_of.isoformat() if as_of else None
        click.echo(json.dumps({"asOf": moment, "counts": [line.shape() for line in lines]}))
    elif is_csv:
        click.echo(_table(lines), nl=False)
    else:
        click.echo(_text(as_of, lines))


async def _read(
    opened: Workspace, first: str | None, last: str | None
) -> tuple[datetime | None, list[Line]]:
    from carnet.cli.console import CONSOLE
    from carnet.statistics import queries, rules
    from carnet.values import PartialDate

    start = PartialDate.parse(first) if first else None
    end = PartialDate.parse(last) if last else None
    async with opened.database.read() as work:
        months = rules.months(work.now, start, end)
        records = await queries.records_by_state(CONSOLE, work)
        lines = [Line("records", None, state.value, n) for state, n in records.cells.items()]
        lines.append(Line("records", None, None, records.total))
        for item in await queries.activations(CONSOLE, work, months):
            lines.append(Line("activations", item.month, None, item.count))
        for month in await queries.documents(CONSOLE, work, months):
            for category, count in month.counts.cells.items():
                lines.append(Line("documents", month.month, category.value, count))
            lines.append(Line("documents", month.month, None, month.counts.total))
        for share in await queries.feeding_professionals(CONSOLE, work):
            lines.append(_share("feeding professionals", share))
        for share in await queries.feeding_organizations(CONSOLE, work):
            lines.append(_share("feeding organizations", share))
        return await queries.as_of(CONSOLE, work), lines


def _share(metric: str, share: Share) -> Line:
    ratio = share.ratio
    part = None if ratio is None else round(float(ratio), 4)
    return Line(metric, None, share.group, share.feeding, share.registered, part)


def _table(lines: list[Line]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(line.shape() for line in lines)
    return text.getvalue()


def _text(as_of: datetime | None, lines: list[Line]) -> str:
    """Return the counts under headings; of months only those that have something to show."""
    told = [f"Counted until {as_of:%Y-%m-%d %H:%M} UTC." if as_of else "Nothing is counted yet."]
    heading = ""
    for line in lines:
        if line.month is not None and line.count is None:
            continue
        if line.metric != heading:
            heading = line.metric
            told += ["", heading.capitalize()]
        unnamed = "all" if line.registered is None else "unknown"
        name = " ".join(part for part in (line.month, line.group or unnamed) if part)
        told.append(f"  {name:<32} {_number(line)}")
    return "\n".join(told)


def _number(line: Line) -> str:
    shown = SUPPRESSED if line.count is None else str(line.count)
    if line.registered is None:
        return shown
    percent = "" if line.share is None else f" ({line.share:.0%})"
    return f"{shown} of {line.registered}{percent}"
