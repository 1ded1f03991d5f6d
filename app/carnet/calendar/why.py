"""Why a result is as it is: the rule of the engine, the schedule's rule, and the facts used."""

from typing import NamedTuple

from carnet.calendar.dates import Period, iso
from carnet.calendar.schedule import Place


class Day(int):
    """A day number that is shown as a date."""


class Why(NamedTuple):
    """One reason. `rule` is the section of the Logic Specification, `facts` what it was told."""

    rule: str
    place: Place
    facts: tuple[object, ...] = ()

    def told(self) -> str:
        """Return the facts in words and dates."""
        return " ".join(iso(f) if isinstance(f, Day) else str(f) for f in self.facts)

    def __str__(self) -> str:
        """A line for people: facts, then the rule, then where the schedule writes it."""
        source = f", {self.place.source}" if self.place.source else ""
        return f"{self.told()} [{self.rule}; {self.place}{source}]"


__all__ = ["Day", "Period", "Why"]
