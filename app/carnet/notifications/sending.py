"""What a channel is given to send, and what comes of it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from carnet.notifications.tables import Channel
from carnet.notifications.texts import Text

SEND_WITHIN = 30  # seconds for one message, the connection included
AT_ONCE = 8  # messages, and connections, of one process and channel


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for one destination. Its repr tells nothing of either.

    ``id`` is the same each time it is sent; ``subject_id`` the same for what is about one thing.
    """

    id: UUID
    subject_id: UUID
    text: Text = field(repr=False)
    address: str = field(repr=False)
    p256dh: bytes | None = field(default=None, repr=False)
    auth: bytes | None = field(default=None, repr=False)
    is_urgent: bool = False
    lives_for: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Sent:
    """The other side took it over."""


@dataclass(frozen=True, slots=True)
class Later:
    """It failed for now; ``error`` names the failure, and no value."""

    error: str
    wait: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Refused:
    """It failed for good. ``is_undeliverable``: so would everything else to this destination."""

    error: str
    is_undeliverable: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """The destination exists no more, and is to be forgotten."""

    error: str


Outcome = Sent | Later | Refused | Gone


class ChannelDown(Exception):
    """The channel itself does not work now; the message of the moment is not at fault.

    ``error`` names the failure, and no value.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Run(Protocol):
    """Sends some messages, at most `AT_ONCE` at a time, over connections of its own."""

    async def send(self, parcel: Parcel) -> Outcome:
        """Send one.

        Raises:
            ChannelDown: nothing can be sent now.
        """
        ...


class Sender(Protocol):
    """A channel that is set up on this server."""

    @property
    def channel(self) -> Channel:
        """Which."""
        ...

    def run(self) -> AbstractAsyncContextManager[Run]:
        """Open connections for some messages, and close them again."""
        ...
