"""What is known of a person, and which of it can be computed with.

`examine` turns written facts into facts: a partial date, a dose before birth or after the day of
the assessment is set aside with the reason, and never computed with.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from carnet.calendar.dates import Unusable, read_day
from carnet.calendar.reading import as_cvx

MOST_DOSES = 500  # of one person; a life of vaccinations has about a hundred


@dataclass(frozen=True, slots=True)
class Administration:
    """A vaccine dose given on a known day. `place` is its rank in the history as written."""

    place: int
    given_on: int
    cvx: str
    mvx: str = ""
    trade_name: str = ""
    sub_standard: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """A condition of the person, in the schedule's codes, from a day or since ever."""

    code: str
    on: int | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Facts of one person. `gender` is F, M or U; `country` that of birth, "" when unknown."""

    born_on: int
    gender: str = "U"
    observations: tuple[Observation, ...] = ()
    country: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A dose as a record writes it: the date as text, perhaps incomplete."""

    given_on: str
    cvx: str
    mvx: str = ""
    trade_name: str = ""
    sub_standard: bool = False


class Aside(StrEnum):
    """Why an entry of the history was not computed with."""

    PARTIAL = "the date is not complete"
    IMPOSSIBLE = "there is no such date"
    UNDATED = "the dose has no date"
    BEFORE_BIRTH = "the dose is before birth"
    FUTURE = "the dose is after the day of the assessment"
    UNKNOWN_VACCINE = "the schedule does not know this vaccine"
    TOO_MANY = f"a history holds at most {MOST_DOSES} doses"


@dataclass(frozen=True, slots=True)
class SetAside:
    """An entry of the history, by its rank, that was not computed with."""

    place: int
    reason: Aside


def examine(
    born_on: int, history: Iterable[Written], as_of: int, known: Iterable[str]
) -> tuple[tuple[Administration, ...], tuple[SetAside, ...]]:
    """Sort a written history by date and set aside what cannot be computed with.

    Args:
        born_on: the birth day, as a day number.
        history: the doses as written, in any order.
        as_of: the day of the assessment, as a day number.
        known: the CVX codes that the schedule maps.
    """
    usable: list[Administration] = []
    aside: list[SetAside] = []
    codes = known if isinstance(known, (dict, set, frozenset)) else set(known)
    for place, dose in enumerate(history):
        given = read_day(dose.given_on)
        if place >= MOST_DOSES:
            reason = Aside.TOO_MANY
        elif isinstance(given, Unusable):
            reason = Aside.PARTIAL if given.reason == "partial" else Aside.IMPOSSIBLE
            reason = reason if given.text else Aside.UNDATED
        elif given < born_on:
            reason = Aside.BEFORE_BIRTH
        elif given > as_of:
            reason = Aside.FUTURE
        elif as_cvx(dose.cvx) not in codes:
            reason = Aside.UNKNOWN_VACCINE
        else:
            code = as_cvx(dose.cvx)
            usable.append(
                Administration(place, given, code, dose.mvx, dose.trade_name, dose.sub_standard)
            )
            continue
        aside.append(SetAside(place, reason))
    usable.sort(key=lambda dose: dose.given_on)
    return tuple(usable), tuple(aside)
