"""``carnet calendar``: schedules of prevention, and the proof that the engine reads them right."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from carnet.calendar.conformance import Outcome, Tally
    from carnet.cli.workspace import Workspace

LOAD_EXAMPLE = """\
\b
Example:
  carnet calendar check schedules/fr-2027/
  carnet calendar load schedules/fr-2027/
  carnet calendar recompute
"""
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EXAMPLE = """\
\b
Example:
  carnet calendar conformance cases.csv --schedule supporting-data-4.64/
"""


@click.group()
def calendar() -> None:
    """Check and load schedules of prevention."""


@calendar.command(epilog=LOAD_EXAMPLE)
@click.argument("folder", type=FOLDER, metavar="DIR")
def check(folder: Path) -> None:
    """Check a schedule of rules and its cases, without loading it.

    DIR holds its YAML files, which docs/schedules.md explains, and perhaps cases.csv, a table of
    persons and of what is then asked of them (docs/calendar-cases.md).
    """
    from carnet.calendar.cases import BadCase, read_cases, run
    from carnet.calendar.items import Calendar
    from carnet.calendar.rule_files import load_rules
    from carnet.calendar.tree import BrokenSchedule
    from carnet.cli.printing import printable
    from carnet.errors import UserMistake

    try:
        made = Calendar(load_rules(folder))
        table = folder / "cases.csv"
        outcomes = []
        if table.exists():
            with table.open(encoding="utf-8-sig", newline="") as file:
                outcomes = list(run(read_cases(file), made))
    except (BrokenSchedule, BadCase, UnicodeDecodeError) as error:
        raise UserMistake(printable(str(error))) from error
    book = made.book
    click.echo(
        f"{printable(book.name)} {printable(book.version)}: {len(book.rules)} rules,"
        f" {len(made.compiled.occurrences)} occurrences, {len(book.acts)} acts,"
        f" {len(book.facts)} facts."
    )
    wrong = [outcome for outcome in outcomes if outcome.differences]
    for outcome in wrong:
        click.echo(f"\n{printable(f'{outcome.case.id} {outcome.case.rule}: {outcome.case.title}')}")
        for name, expected, found in outcome.differences:
            click.echo(f"  {name}: expected {expected or 'none'}, is {found or 'none'}")
        for why in outcome.why:
            click.echo(f"    {printable(why)}")
    if outcomes:
        click.echo(f"{len(outcomes) - len(wrong)} of {len(outcomes)} cases agree.")
    if wrong:
        raise UserMistake(f"{len(wrong)} cases do not agree with the rules.")


@calendar.command(epilog=LOAD_EXAMPLE)
@click.argument("folder", type=FOLDER, metavar="DIR")
def load(folder: Path) -> None:
    """Put a schedule of rules in force, whole or not at all.

    Every calendar is computed by it from now on. Running servers then tell holders what it changed
    for them; `carnet calendar recompute` does so at once.
    """
    from carnet.calendar.tree import BrokenSchedule
    from carnet.cli.console import with_stores
    from carnet.cli.printing import printable
    from carnet.errors import UserMistake
    from carnet.prevention import books

    try:
        files = books.read_files(folder)
        books.calendar_of(books.digest_of(files), files)  # refused before anything is opened
    except BrokenSchedule as error:
        raise UserMistake(printable(str(error))) from error

    async def act(opened: Workspace) -> tuple[str, bool]:
        async with opened.database.write() as work:
            _, made, is_new = await books.load(work, files)
        return f"{made.book.name} {made.book.version}", is_new

    name, is_new = with_stores(act)
    click.echo(f"{printable(name)} is in force" + ("." if is_new else " already."))


@calendar.command(epilog=LOAD_EXAMPLE)
def recompute() -> None:
    """Compute everybody's calendar, and tell what has changed.

    It is computed by the schedule in force. A running server does it by itself. Interrupted, it
    goes on where it was the next time.
    """
    from carnet.cli.console import with_stores
    from carnet.cli.progress import telling

    async def act(opened: Workspace) -> int:
        from carnet.prevention.reminders import BATCH, look

        done = 0
        with telling("Computing") as told:
            while True:
                async with opened.database.write() as work:
                    found = await look(work, BATCH)
                if not found:
                    return done
                done += found
                told(f"{done} calendars")

    click.echo(f"{with_stores(act)} calendars were computed.")


@calendar.command(epilog=EXAMPLE)
@click.argument(
    "cases", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="CASES.csv"
)
@click.option(
    "--schedule",
    "folder",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The schedule's files.",
)
@click.option("--json", "is_json", is_flag=True, help="Write one JSON object.")
def conformance(cases: Path, folder: Path, is_json: bool) -> None:
    """Run public test cases and list every mismatch with its why.

    CASES.csv is a table of the CDC's test cases (CDSi). The counts say how many cases agree in the
    series status, the evaluation of every dose, and the earliest, recommended and past-due dates.
    """
    from carnet.calendar.conformance import BadCase, read_cases, run, tallies
    from carnet.calendar.loading import load
    from carnet.calendar.tree import BrokenSchedule
    from carnet.cli.printing import printable
    from carnet.errors import UserMistake

    try:
        schedule = load(folder)
        with cases.open(encoding="utf-8-sig", newline="") as file:
            outcomes = list(run(read_cases(file, schedule), schedule))
    except (BrokenSchedule, BadCase, UnicodeDecodeError) as error:
        raise UserMistake(printable(str(error))) from error
    counted = tallies(outcomes)
    if is_json:
        click.echo(json.dumps(_shape(outcomes, counted), indent=2))
        return
    for line in _table(counted):
        click.echo(line)
    for outcome in outcomes:
        if outcome.mismatches:
            click.echo("")
            for line in _told(outcome):
                click.echo(printable(line))


def _table(counted: Mapping[str, Tally]) -> list[str]:
    from carnet.calendar.conformance import CHECKS

    lines = [f"{'vaccine group':24}{'cases':>7}{'agree':>7}" + "".join(f"{c:>13}" for c in CHECKS)]
    total = [0] * (2 + len(CHECKS))
    for name, tally in counted.items():
        row = [tally.cases, tally.agreeing, *(tally.checks[check] for check in CHECKS)]
        total = [a + b for a, b in zip(total, row, strict=True)]
        lines.append(_row(name, row))
    lines.append(_row("all", total))
    share = 100 * total[1] / total[0] if total[0] else 0.0
    lines.append(f"{total[1]} of {total[0]} cases agree in full ({share:.2f} %)")
    return lines


def _row(name: str, numbers: Sequence[int]) -> str:
    first = "".join(f"{number:>7}" for number in numbers[:2])
    return f"{name:24}{first}" + "".join(f"{number:>13}" for number in numbers[2:])


def _told(outcome: Outcome) -> list[str]:
    case = outcome.case
    lines = [f"{case.id} {case.group}: {case.title}"]
    for each in outcome.mismatches:
        lines.append(
            f"  {each.check}: expected {each.expected or 'none'}, is {each.found or 'none'}"
        )
    return lines + [f"    {why}" for why in outcome.why]


def _shape(outcomes: Sequence[Outcome], counted: Mapping[str, Tally]) -> dict[str, object]:
    return {
        "groups": {name: asdict(tally) for name, tally in counted.items()},
        "mismatches": [
            {
                "id": outcome.case.id,
                "group": outcome.case.group,
                "checks": [asdict(each) for each in outcome.mismatches],
                "why": list(outcome.why),
            }
            for outcome in outcomes
            if outcome.mismatches
        ],
    }
