"""One subscription of one client, and where its answers go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from graphql import GraphQLError

if TYPE_CHECKING:
    from carnet_graphql.subscriptions.group import Group

Place = tuple[int, UUID | None]
"""A number of a stream, and the id of the event there."""


class Sink(Protocol):
    """Where the answers of one subscription go: a client, behind a transport."""

    def send(self, payloads: Sequence[bytes]) -> bool:
        """Hand on results, each a GraphQL response as JSON; false asks to wait for `ready`."""

    async def ready(self) -> None:
        """Wait until the client takes more."""

    def end(self, errors: Sequence[GraphQLError]) -> None:
        """Tell why there will be no more, or, without errors, that there is none."""


class Member:
    """One subscription of one client."""

    __slots__ = ("catching_up", "cursor", "event_id", "group", "sink")

    def __init__(self, group: Group, sink: Sink, cursor: int, event_id: UUID | None) -> None:
        self.group = group
        self.sink = sink
        self.cursor = cursor  # the last number that it was told
        self.event_id = event_id
        self.catching_up: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """End the subscription from the client's side."""
        self.group.remove(self)
