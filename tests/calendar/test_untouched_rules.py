"""What is answered without the engine is what the engine answers."""

from __future__ import annotations

import random
from datetime import date

import pytest

from carnet.calendar.facts import Observation, Written
from carnet.calendar.items import Calendar, Holder, Pregnancy, _Ask, _concerns, _of_this_season
from carnet.calendar.rule_files import SHIPPED, load_rules

BOOK = load_rules(SHIPPED / "fr")


class Asking(Calendar):
    """Asks the engine for everything."""

    def _made(self, born_on: int, sex: str, as_of: int, deciding: frozenset[str]):  # type: ignore[no-untyped-def]
        like = Holder(born_on, sex)
        return [
            (occurrence, _Ask.ENGINE)
            for occurrence in _of_this_season(self._born, as_of)
            if _concerns(occurrence, like, deciding, as_of)
        ]


QUICK, ASKING = Calendar(BOOK), Asking(BOOK)
ACTS, FACTS = sorted(BOOK.acts), sorted(BOOK.facts)


def person(chance: random.Random, as_of: int) -> tuple[Holder, list[Written]]:
    born = as_of - int(chance.choice((800, 8000, 36000)) * chance.random())
    facts = tuple(
        Observation(code, chance.choice((None, chance.randint(born, as_of))))
        for code in chance.sample(FACTS, chance.choice((0, 0, 1, 3)))
    )
    began = chance.randint(born, as_of)
    pregnancies = (Pregnancy(began, chance.choice((None, began + 270)), True),)
    history = [
        Written(date.fromordinal(chance.randint(born, as_of)).isoformat(), chance.choice(ACTS))
        for _ in range(chance.choice((0, 0, 3, 12)))
    ]
    sex = chance.choice("FMU")
    return Holder(born, sex, facts, pregnancies if chance.random() < 0.3 else ()), history


@pytest.mark.parametrize("seed", range(6))
def test_both_ways_tell_the_same(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 — a test
    for _ in range(25):
        as_of = date(2026, 1, 1).toordinal() + chance.randint(-700, 700)
        holder, history = person(chance, as_of)
        quick = QUICK.assess(holder, history, as_of)
        asked = ASKING.assess(holder, history, as_of)

        def told(found):  # type: ignore[no-untyped-def]
            return {
                (item.occurrence.key, item.anchored_on): (
                    item.status, item.level, item.why, item.earliest, item.due, item.overdue,
                    item.latest, item.number, item.schemes, item.acts, item.verdicts,
                )
                for item in found.items
            }  # fmt: skip

        assert told(quick) == told(asked)
        assert quick.aside == asked.aside
