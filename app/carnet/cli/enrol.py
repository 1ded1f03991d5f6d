"""``carnet enrol``: gives a whole population its records, from a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from carnet.cli.faults import FAILED

if TYPE_CHECKING:
    from collections import Counter

    from carnet.cli.enrolling import Enroller
    from carnet.cli.workspace import Workspace

EPILOG = """\
\b
Columns (UTF-8, comma or semicolon, a header; in any order):
  ins                national health number (required)
  ins_oid            its OID; default: INS-NIR, 1.2.250.1.213.1.4.8
  birth_family_name  family name at birth (required)
  used_family_name   family name in use, where it is another
  given_names        given names, spaces between (required)
  birth_date         YYYY-MM-DD, YYYY-MM or YYYY (required)
  sex                F, M, FEMALE, MALE, OTHER, UNKNOWN, 1 (male) or 2 (female)
  birth_place        INSEE code of the place of birth
  representative_1   national number of a minor's parent, of the same OID
  representative_2   national number of the other parent

\b
Examples:
  carnet enrol population.csv --dry-run
  carnet enrol population.csv --codes letters.csv --rejects rejects.csv
"""
OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--codes", type=OUTPUT, metavar="OUT.csv", help="Write ins, code and opens_on, for letters."
)
@click.option(
    "--rejects", type=OUTPUT, metavar="OUT.csv", help="Write rows not taken, with line and reason."
)
@click.option("--dry-run", is_flag=True, help="Try it and change nothing; parents are not tried.")
@click.option(
    "--after-deletion",
    is_flag=True,
    help="Make fresh records also for people who had theirs deleted.",
)
def enrol(
    file: Path, codes: Path | None, rejects: Path | None, dry_run: bool, after_deletion: bool
) -> int:
    """Give the people in FILE records that open in six weeks.

    Until then they can object. Who has a record keeps it, so the same file again changes nothing,
    and a command that was killed goes on where it stopped. Codes and rejects hold personal data:
    only you can read them.
    """
    from carnet.cli.console import with_stores
    from carnet.cli.enrolling import Enroller
    from carnet.cli.population import Population
    from carnet.cli.progress import progress

    if dry_run and codes is not None:
        raise click.UsageError("A dry run makes no codes: leave out --codes.")
    population = Population(file)

    async def act(opened: Workspace) -> Enroller:
        enroller = Enroller(
            opened,
            population,
            codes=codes,
            rejects=rejects,
            is_trial=dry_run,
            after_deletion=after_deletion,
        )
        if enroller.resumed_at:
            click.echo(f"Going on after row {enroller.resumed_at}.", err=True)
        passes = 2 if population.has_representatives and not dry_run else 1
        with progress("Enrolling", population.lines * passes) as shown:
            await enroller.run(shown)
        return enroller

    enroller = with_stores(act)
    return _report(enroller, is_trial=dry_run, has_rejects_file=rejects is not None)


def _report(enroller: Enroller, *, is_trial: bool, has_rejects_file: bool) -> int:
    """Print numbers only: no line of the file is ever shown."""
    counts = enroller.counts
    verb = "Would enrol" if is_trial else "Enrolled"
    click.echo(f"{verb} {counts['ENROLLED']}; {counts['KNOWN']} had a record already.")
    if counts["PARENT"]:
        click.echo(f"Linked {counts['PARENT']} parents to their children.")
    if counts["WRONG_KEY"]:
        click.echo(f"{counts['WRONG_KEY']} numbers have a wrong key; they were taken.")
    rejected = _rejected(counts)
    if not rejected:
        return 0
    total = sum(rejected.values())
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(rejected.items()))
    click.echo(f"Rejected {total}: {reasons}.", err=True)
    if not has_rejects_file:
        for line, reason in enroller.first_rejects:
            click.echo(f"  line {line}: {reason.value}", err=True)
    return FAILED


def _rejected(counts: Counter[str]) -> dict[str, int]:
    from carnet.cli.population import Reason

    return {reason.value: counts[reason.value] for reason in Reason if counts[reason.value]}
