"""How many persons a second the prevention calendar assesses, on one core.

    .venv/bin/python bench/bench_calendar.py [--smoke] [--persons N]

The schedule is the CDC's supporting data and the histories are those of its public test cases,
each given to people of many birth dates: the whole schedule is asked of everybody, every dose is
evaluated and every vaccine group forecast. Needs the sample files: ``CARNET_SAMPLES``, else
``../shared/data``.
"""

import argparse
import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

from carnet.calendar.conformance import Case, read_cases
from carnet.calendar.dates import iso
from carnet.calendar.engine import Engine
from carnet.calendar.facts import Person, Written
from carnet.calendar.items import Calendar, Holder
from carnet.calendar.loading import load
from carnet.calendar.rule_files import SHIPPED, load_rules

SAMPLES = Path(os.environ.get("CARNET_SAMPLES") or Path(__file__).parents[2] / "shared" / "data")
FOLDER = SAMPLES / "cdsi"
ACTS = (
    "DTP",
    "DTCAP",
    "HIB",
    "HEPB",
    "PNEUMOCOCCAL",
    "MMR",
    "INFLUENZA",
    "FIT",
    "CHILD_EXAMINATION",
)
AS_OF = date(2025, 11, 10).toordinal()


def people(cases: list[Case], number: int) -> Iterator[tuple[Person, tuple[Written, ...]]]:
    """Yield `number` persons: the cases' own, each born and vaccinated some days earlier."""
    for n in range(number):
        case = cases[n % len(cases)]
        back = n // len(cases) * 7
        history = tuple(
            replace(dose, given_on=iso(date.fromisoformat(dose.given_on).toordinal() - back))
            for dose in case.history
        )
        yield replace(case.person, born_on=case.person.born_on - back), history


def people_by_year(cases: list[Case], number: int) -> Iterator[tuple[Person, tuple[Written, ...]]]:
    """The same as if only those born on 1 January were asked; no two histories are alike."""
    for n in range(number):
        case = cases[n % len(cases)]
        born = date.fromordinal(case.person.born_on)
        back = case.person.born_on - date(born.year, 1, 1).toordinal()
        given = [date.fromisoformat(dose.given_on).toordinal() for dose in case.history]
        history = tuple(
            replace(dose, given_on=iso(day - back - n // len(cases)))
            for dose, day in zip(case.history, given, strict=True)
        )
        yield replace(case.person, born_on=case.person.born_on - back), history


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=20_000)
    parser.add_argument("--smoke", action="store_true", help="a few persons, to see that it runs")
    given = parser.parse_args()
    number = 50 if given.smoke else given.persons
    started = time.perf_counter()
    schedule = load(FOLDER / "supporting-data-4.64")
    print(f"schedule loaded in {time.perf_counter() - started:.2f} s")
    with (FOLDER / "cdsi_healthy_v4.45_odd.csv").open(encoding="utf-8-sig", newline="") as file:
        cases = list(read_cases(file, schedule))
    persons = list(people(cases, number))
    doses = sum(len(history) for _, history in persons)
    print(f"{number} persons, {doses} doses, {len(schedule.groups)} vaccine groups; one core")
    told("nothing remembered", Engine(schedule, remembered=0), persons)
    told("as they come", Engine(schedule), persons)
    by_birth = sorted(people_by_year(cases, number), key=lambda one: one[0].born_on)
    told("by day of birth, 1 in 365", Engine(schedule), by_birth)
    french(number)


def french(number: int) -> None:
    """Assess people by the French schedule: 60 of each birth date in their order, then one."""
    book = load_rules(SHIPPED / "fr")
    print(f"French schedule: {len(book.rules)} rules, 9 acts a person")
    for what, of_day in (("by day of birth, 60 a day", 60), ("each of a day of their own", 1)):
        chance = random.Random(1)  # noqa: S311 — no secret
        given: list[tuple[Holder, list[Written]]] = []
        for n in range(number):
            born = AS_OF - 95 * 365 * (n // of_day) * of_day // number
            history = [
                Written(iso(chance.randint(born, AS_OF)), chance.choice(ACTS))
                for _ in range(chance.choice((0, 6, 12, 18)))
            ]
            given.append((Holder(born, chance.choice("FM")), history))
        calendar = Calendar(book)
        started = time.process_time()
        for holder, history in given:
            calendar.assess(holder, history, AS_OF)
        spent = time.process_time() - started
        print(f"{what:36}{number / spent:>10,.0f} persons/s")


def told(what: str, engine: Engine, persons: list[tuple[Person, tuple[Written, ...]]]) -> None:
    """Assess everybody and print how many persons a second that was."""
    started = time.process_time()
    for person, history in persons:
        engine.assess(person, history, AS_OF)
    spent = time.process_time() - started
    print(f"{what:36}{len(persons) / spent:>10,.0f} persons/s")


if __name__ == "__main__":
    main()
