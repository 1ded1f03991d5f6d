"""What all parts of the messenger share: the profile, the relay, the time, and whom to tell."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from carnet_client.errors import NoAccount, Unsafe
from carnet_client.events import Alarm, Event
from carnet_client.keystore import KeyStore
from carnet_client.relay import Relay
from carnet_client.state import ClientState, OwnAccount
from carnet_crypto.secret.keys import Entropy
from carnet_crypto.values import AccountId

MOST_QUEUED = 1000  # events that a listener who does not listen is kept


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass
class Core:
    """See the module."""

    store: KeyStore
    relay: Relay
    clock: Callable[[], int] = now_ms
    entropy: Entropy = os.urandom
    alarms: list[Alarm] = field(default_factory=list)
    listeners: set[asyncio.Queue[Event]] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # who reads or writes goes one by one

    @property
    def state(self) -> ClientState:
        """What is remembered."""
        return self.store.state

    async def save(self) -> None:
        """Keep what is remembered now, without holding up what else happens.

        The snapshot is taken here, and not in the thread: there the state would change under it.
        """
        await asyncio.to_thread(self.store.write, self.store.snapshot())

    def tell(self, event: Event) -> None:
        """Tell all who listen; an alarm stays until it is looked at, and is told once."""
        if isinstance(event, Alarm):
            if event in self.alarms:
                return
            self.alarms.append(event)
        for listener in self.listeners:
            if listener.qsize() < MOST_QUEUED:
                listener.put_nowait(event)

    def unsafe(self, alarm: Alarm) -> Unsafe:
        """Tell of an alarm, and return what to raise because of it."""
        self.tell(alarm)
        return Unsafe(alarm)

    def own(self) -> OwnAccount:
        """Return the account that is ours.

        Raises:
            NoAccount: this device has none.
        """
        if self.state.own is None:
            raise NoAccount
        return self.state.own

    def acting(self, account: AccountId | None = None) -> OwnAccount:
        """Return an account that we act as; None is our own.

        Raises:
            NoAccount: this device does not act as it.
        """
        own = self.own()
        if account is None or account == own.id:
            return own
        found = self.state.others.get(account)
        if found is None:
            raise NoAccount
        return found

    def all_own(self) -> dict[AccountId, OwnAccount]:
        """Return all accounts that we act as, our own first."""
        own = {} if self.state.own is None else {self.state.own.id: self.state.own}
        return {**own, **self.state.others}

    def name(self, account: AccountId) -> str:
        """Return what somebody is called, as the server's registers have them."""
        return self.state.names.get(account) or f"account {bytes(account).hex()[:8]}"
