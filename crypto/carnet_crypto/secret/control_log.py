"""A thread's control log as a member reads it: entry by entry, and never back.

What is kept of it over a restart is a pin; a log that ends before, or has another entry there, is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from carnet_crypto.account import Account
from carnet_crypto.control import read_control
from carnet_crypto.errors import Reason, Refused
from carnet_crypto.thread import Thread, check_keys
from carnet_crypto.values import AccountId, Digest


class Behind(Exception):
    """A message names an entry, an epoch or a device that we do not have.

    Read all chains and the log to their ends, and then the message again, as current. ``account``
    is whose chain is missing, where it is one that may not be known at all.
    """

    def __init__(self, account: AccountId | None = None) -> None:
        super().__init__("something has to be read first")
        self.account = account


@dataclass(frozen=True, slots=True)
class ControlPin:
    """What is kept of a control log over a restart, so that it never goes back."""

    number: int
    head: Digest


class ControlLog:
    """See the module."""

    def __init__(self, pin: ControlPin | None = None) -> None:
        self.is_unvouched = False  # the newest entry is of a device revoked since
        self._pin = pin
        self._states: list[Thread] = []
        self._by_head: dict[Digest, Thread] = {}

    @property
    def thread(self) -> Thread:
        """The thread as its log says it is now.

        Raises:
            Behind: nothing of it has been read.
        """
        if not self._states:
            raise Behind
        return self._states[-1]

    @property
    def number(self) -> int:
        """The number of the newest entry that was read; -1 for none."""
        return len(self._states) - 1

    def at(self, head: Digest) -> Thread | None:
        """Return the thread as it was at an entry; None where the log has none of this digest."""
        return self._by_head.get(head)

    def number_of(self, head: Digest) -> int:
        """Return the number of an entry that was read, by its digest."""
        return self._by_head[head].number

    def take(
        self,
        data: bytes,
        author: Account,
        *,
        is_history: bool = False,
        accounts: Mapping[AccountId, Account] | None = None,
    ) -> Thread:
        """Read the next entry.

        Args:
            data: the entry.
            author: the author's account as known now.
            is_history: it may have been in the log for a while: `Thread.extend`. Then
                ``is_unvouched`` tells whether somebody has to be asked.
            accounts: the verified accounts of all members, to check the keys that an epoch was
                sealed for, and whom the author may write for.

        Raises:
            ProtocolError: it does not hold. Nothing has changed, and the log ends here for us.
        """
        entry = read_control(data)
        represented = [] if accounts is None else list(accounts.values())
        if accounts is not None and entry.rotation is not None:
            check_keys(entry.rotation, accounts)
        if self._states:
            state = self.thread.extend(data, author, is_history=is_history, represented=represented)
        else:
            state = Thread.begin(data, author, is_history=is_history, represented=represented)
        pin = self._pin
        if pin is not None and state.number == pin.number and state.head != pin.head:
            raise Refused(Reason.SPLIT_VIEW)
        was_seen = pin is not None and state.number <= pin.number
        is_revoked = author.devices[entry.device].revoked_in is not None
        self.is_unvouched = is_revoked and not was_seen
        self._states.append(state)
        self._by_head[state.head] = state
        return state

    def trust_unvouched(self) -> None:
        """Take the user's word that what a revoked device wrote last is what it should be."""
        self.is_unvouched = False

    def check_complete(self) -> None:
        """Check that the log, once read to its end, has not become shorter.

        Raises:
            Refused: it has (`OUT_OF_ORDER`): an alarm.
        """
        if self._pin is not None and self.number < self._pin.number:
            raise Refused(Reason.OUT_OF_ORDER)

    @property
    def pin(self) -> ControlPin | None:
        """What has to be kept over a restart: never less than what was kept before."""
        if not self._states or (self._pin is not None and self.number < self._pin.number):
            return self._pin
        return ControlPin(self.thread.number, self.thread.head)
