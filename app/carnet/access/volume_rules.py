"""Pure rules of the volume alarm: how many patients an hour are plausible, and what follows.

Somebody who copies records reaches far more patients in an hour than anybody who treats them.
Up to what the profession plausibly needs nothing happens; beyond it each further patient costs
time and operators are told; at five times as many the account has to wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from uuid import UUID, uuid5

WINDOW = timedelta(hours=1)
REFUSED_AT = 5  # times what is plausible
SHORTEST_DELAY = 1.0  # seconds, for the first patient too many
LONGEST_DELAY = 10.0  # seconds, also for many patients at once: no request waits longer
ANY = "*"
REGULATION = "REGULATION"


@dataclass(frozen=True, slots=True)
class Pace:
    """What an account's volume leads to.

    ``delay_seconds`` is to be waited before the answer leaves, outside any transaction. When
    ``is_refused``, nothing is to leave, for ``retry_after`` seconds at least.
    """

    delay_seconds: float = 0.0
    is_alarm: bool = False
    is_refused: bool = False
    retry_after: int = 0


FREE = Pace()


def pace(count: int, plausible: int, fresh: int = 1) -> Pace:
    """Return what follows when an account reaches this many patients in an hour.

    Args:
        count: the patients of the last hour, those of this request included.
        plausible: how many the profession needs; at least 1.
        fresh: how many of them this request is the first to reach; who reads on in records
            reached before neither waits nor is refused.
    """
    if count <= plausible:
        return FREE
    if fresh == 0:
        return Pace(is_alarm=True)
    if count > most(plausible):
        return Pace(is_alarm=True, is_refused=True)
    steps = most(plausible) - plausible
    excess = count - plausible
    rise = (excess - 1) / (steps - 1)
    each = SHORTEST_DELAY + rise * (LONGEST_DELAY - SHORTEST_DELAY)
    return Pace(min(each * min(fresh, excess), LONGEST_DELAY), is_alarm=True)


def most(plausible: int) -> int:
    """Return how many patients an account reaches in an hour at most."""
    return plausible * REFUSED_AT


def hour_of(account_id: UUID, now: datetime) -> UUID:
    """Return what names an account and an hour of the clock: one alarm is enough for both."""
    return uuid5(account_id, now.astimezone(UTC).strftime("%Y-%m-%dT%H"))


def plausible_volume(profession: str, speciality: str | None, *, regulates: bool) -> int:
    """Return how many patients an hour a professional plausibly needs.

    Args:
        profession: TRE_G15.
        speciality: TRE_R38.
        regulates: they work in an emergency regulation centre.
    """
    table = volumes()
    found = [
        table.get((profession, speciality or ANY)) or table.get((profession, ANY)),
        table[REGULATION, ANY] if regulates else None,
    ]
    return max((volume for volume in found if volume), default=table[ANY, ANY])


@cache
def volumes() -> dict[tuple[str, str], int]:
    """Return the shipped table: patients an hour by profession and speciality."""
    text = files("carnet.access").joinpath("data", "volumes.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")][1:]
    return {(profession, speciality): int(volume) for profession, speciality, volume in rows}
