"""The connections that stay open: how many one address and one user may have.

`Connections` counts what people have: sockets and event streams, by the address that a trusted
proxy tells, and by account. `Peers` counts what the operating system has: every connection, also
one that is kept and idle, by the address at its other end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from carnet.errors import RateLimited
from carnet.http.guards import plain_address, trusted_networks
from carnet.people.actor import Actor, Operator, Patient, Professional
from carnet.people.attempts import counted_address
from carnet.settings import Settings

AGAIN_IN = 30  # seconds

K = TypeVar("K", bound=Hashable)


class Connections:
    """Counts sockets and event streams of one process, and refuses too many."""

    def __init__(self, settings: Settings) -> None:
        self.peers = Peers(settings)
        self._per_address = settings.sockets_per_address
        self._per_user = settings.sockets_per_user
        self._addresses: Counter[str] = Counter()
        self._users: Counter[UUID] = Counter()

    def enter(self, address: str) -> None:
        """Count one more of an address.

        Raises:
            RateLimited: it has too many.
        """
        source = counted_address(address)
        if self._addresses[source] >= self._per_address:
            raise RateLimited("Too many connections from this address.", retry_after=AGAIN_IN)
        self._addresses[source] += 1

    def leave(self, address: str) -> None:
        """Count one less of an address."""
        _less(self._addresses, counted_address(address))

    def enter_as(self, actor: Actor) -> None:
        """Count one more of a user.

        Raises:
            RateLimited: they have too many.
        """
        user = _user(actor)
        if user is not None:
            if self._users[user] >= self._per_user:
                raise RateLimited("You have too many open connections.", retry_after=AGAIN_IN)
            self._users[user] += 1

    def leave_as(self, actor: Actor) -> None:
        """Count one less of a user."""
        user = _user(actor)
        if user is not None:
            _less(self._users, user)

    @contextmanager
    def counted(self, address: str, actor: Actor) -> Iterator[None]:
        """Count one more of both while the block runs."""
        self.enter(address)
        try:
            self.enter_as(actor)
        except RateLimited:
            self.leave(address)
            raise
        try:
            yield
        finally:
            self.leave_as(actor)
            self.leave(address)

    def check(self, address: str, actor: Actor) -> None:
        """Refuse one more of either, without counting it.

        Raises:
            RateLimited: there are too many.
        """
        with self.counted(address, actor):
            pass


class Peers:
    """Counts the connections of one process by the address at their other end.

    A trusted proxy has as many as it likes: it holds them for everybody.
    """

    def __init__(self, settings: Settings) -> None:
        self._most = settings.connections_per_address
        self._trusted = trusted_networks(settings.trusted_proxies)
        self._addresses: Counter[str] = Counter()

    def enter(self, peer: object) -> bool:
        """Count one more of a peer, as a transport names it; return whether it may have so many."""
        address = self._counted(peer)
        if address is None:
            return True
        self._addresses[address] += 1
        return self._addresses[address] <= self._most

    def leave(self, peer: object) -> None:
        """Count one less of a peer, also of one that had too many."""
        address = self._counted(peer)
        if address is not None:
            _less(self._addresses, address)

    def _counted(self, peer: object) -> str | None:
        """Return what a peer is counted under; None for a proxy, and on a Unix socket."""
        if not isinstance(peer, tuple):
            return None
        parsed = plain_address(peer[0])
        if any(parsed in network for network in self._trusted):
            return None
        return counted_address(str(parsed))


def _user(actor: Actor) -> UUID | None:
    match actor:
        case Patient(account_id=id_) | Professional(account_id=id_) | Operator(account_id=id_):
            return id_
    return None


def _less(counts: Counter[K], key: K) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]
