"""What each viewer may spend on operations: a budget that fills again as time goes by.

One for each process and in memory, as the sockets are counted: a viewer who asks four processes
has four. The oldest are forgotten first, and begin anew with a full budget.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Any

from carnet.errors import OperationTooCostly, RateLimited
from carnet.people.actor import Actor, Anonymous, actor_key
from carnet.people.attempts import counted_address
from carnet.settings import Settings

MOST_VIEWERS = 100_000  # about 20 MB
CHARACTERS = 5  # of a refused document are a point: the dearest takes 0.15 s in 10,000 characters


@dataclass(frozen=True, slots=True)
class Spent:
    """What an operation cost, and what is left of whose budget."""

    requested: int
    available: int
    limit: int
    restored_per_second: int

    def shown(self) -> dict[str, Any]:
        """Return what clients read in ``extensions.cost``."""
        return {
            "requested": self.requested,
            "available": self.available,
            "limit": self.limit,
            "restoredPerSecond": self.restored_per_second,
        }


@dataclass(slots=True)
class Reading:
    """Whether a document turned out to be one that may run."""

    is_good: bool = False


class Budgets:
    """The budgets of one process."""

    def __init__(self, settings: Settings, now: Callable[[], float] = monotonic) -> None:
        self._most = settings.query_cost_limit
        self._limit = settings.query_budget
        self._rate = settings.query_budget_per_second
        self._now = now
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def check(self, cost: int) -> None:
        """Refuse what no budget would allow.

        Raises:
            OperationTooCostly: one operation may not cost as much.
        """
        if cost > self._most:
            raise OperationTooCostly(cost, self._most)

    def spend(self, actor: Actor, address: str, cost: int) -> Spent:
        """Take the cost from the viewer's budget; those without a session share their address's.

        Raises:
            RateLimited: the budget does not allow it, until it has filled.
        """
        viewer = _viewer(actor, address)
        left, now = self._look(viewer)
        is_enough = cost <= left
        self._left[viewer] = (left - cost if is_enough else left), now
        if len(self._left) > MOST_VIEWERS:
            self._left.popitem(last=False)
        if not is_enough:
            raise RateLimited(
                f"Your budget is spent: this costs {cost} and {int(left)} are left.",
                retry_after=ceil((cost - left) / self._rate),
            )
        return Spent(cost, int(left - cost), self._limit, self._rate)

    @contextmanager
    def reading(self, actor: Actor, address: str, text: str) -> Iterator[Reading]:
        """Keep back what it costs to read a document; it is given back once the document is good.

        Raises:
            RateLimited: the budget does not allow it: the document is not even read.
        """
        price = min(len(text) // CHARACTERS, self._most)
        self.spend(actor, address, price)
        reading = Reading()
        yield reading
        if reading.is_good:
            viewer = _viewer(actor, address)
            left, now = self._look(viewer)
            self._left[viewer] = min(left + price, self._limit), now

    def _look(self, viewer: Hashable) -> tuple[float, float]:
        """Take out what is left of a viewer's budget by now; and now."""
        now = self._now()
        left, since = self._left.pop(viewer, (float(self._limit), now))
        return min(left + (now - since) * self._rate, self._limit), now


def _viewer(actor: Actor, address: str) -> str:
    return counted_address(address) if isinstance(actor, Anonymous) else actor_key(actor)
