"""What each viewer may spend on operations: a budget that fills again as time goes by.

One for each process and in memory, as the sockets are counted: a viewer who asks four processes
has four. The oldest are forgotten first, and begin anew with a full budget.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Any

from carnet.errors import OperationTooCostly, RateLimited
from carnet.people.actor import Actor, Anonymous, actor_key
from carnet.people.attempts import counted_address
from carnet.settings import Settings

MOST_VIEWERS = 100_000  # about 20 MB


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


class Budgets:
    """The budgets of one process."""

    def __init__(self, settings: Settings, now: Callable[[], float] = monotonic) -> None:
        self._most = settings.query_cost_limit
        self._limit = settings.query_budget
        self._rate = settings.query_budget_per_second
        self._now = now
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def spend(self, actor: Actor, address: str, cost: int) -> Spent:
        """Take the cost from the viewer's budget; those without a session share their address's.

        Raises:
            OperationTooCostly: no budget would allow it.
            RateLimited: the budget does not, until it has filled.
        """
        if cost > self._most:
            raise OperationTooCostly(cost, self._most)
        viewer = counted_address(address) if isinstance(actor, Anonymous) else actor_key(actor)
        now = self._now()
        left, since = self._left.pop(viewer, (float(self._limit), now))
        left = min(left + (now - since) * self._rate, self._limit)
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
