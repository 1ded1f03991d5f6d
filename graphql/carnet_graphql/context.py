"""What every resolver is given: who acts, the stores, and batched reading.

Sibling fields run concurrently, so there is no session here. A read goes through `Context.load`,
which collects what sibling fields ask for and reads it in one transaction with one call of an
area's query; a write goes through `carnet_graphql.idempotency.perform`::

    @strawberry.field(description="Who reported the dose.")
    async def sources(self, info: Info) -> list[ImmunizationSource]:
        rows = await info.context.load(dose_queries.sources_of, self.key)
        return [ImmunizationSource.of(row) for row in rows or []]

The area's query has the one shape that all batched queries have, and may take more arguments,
which must be hashable (frozen dataclasses, a `carnet.store.keyset.PageRequest`)::

    async def sources_of(
        actor: Actor, work: Work, ids: Sequence[UUID]
    ) -> dict[UUID, list[ImmunizationSource]]: ...
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from carnet.certificates.trust import TrustList
from carnet.notifications.channels import Channels
from carnet.people.actions import Gate
from carnet.people.actor import Actor
from carnet.prevention.feeds import FeedSecrets
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.cursors import Cursors
from carnet.store.database import Database, Work
from carnet.store.signing import Signer
from carnet_graphql.reads import Reads

LARGEST_BATCH = 1000  # keys in one statement: keeps the arrays sent to the database small

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
P = ParamSpec("P")


@dataclass(slots=True)
class Context:
    """One request. ``address`` is the client's; ``correlation_id`` names it in the logs."""

    actor: Actor
    database: Database
    blobs: BlobStore
    gate: Gate
    settings: Settings
    signer: Signer
    cursors: Cursors
    feeds: FeedSecrets = field(repr=False)
    address: str = field(repr=False)
    correlation_id: str
    channels: Channels = field(default_factory=Channels)
    trust: TrustList = field(default_factory=TrustList, repr=False)
    reads: Reads = field(default_factory=Reads, repr=False)
    _loaders: dict[Hashable, DataLoader[Any, Any]] = field(default_factory=dict, repr=False)

    def load(
        self,
        query: Callable[Concatenate[Actor, Work, Sequence[K], P], Awaitable[Mapping[K, V]]],
        key: K,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Awaitable[V | None]:
        """Return what the batched query has for the key, or None when it leaves it out.

        Calls with the same query and the same further arguments share one read transaction.
        """
        return self._loader(query, *args, **kwargs).load(key)

    def load_many(
        self,
        query: Callable[Concatenate[Actor, Work, Sequence[K], P], Awaitable[Mapping[K, V]]],
        keys: Sequence[K],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Awaitable[list[V | None]]:
        """Return what the batched query has for each key, in the keys' order."""
        return self._loader(query, *args, **kwargs).load_many(keys)

    async def settle(self) -> None:
        """Write into the journal what was read since the last call; see `carnet_graphql.reads`.

        Raises:
            RightsChanged: something of it is no longer allowed; it must not be shown.
        """
        await self.reads.settle(self.actor, self.database)

    def forget(self) -> None:
        """Drop everything read so far: something was written."""
        self._loaders.clear()

    def _loader(
        self,
        query: Callable[Concatenate[Actor, Work, Sequence[K], P], Awaitable[Mapping[K, V]]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> DataLoader[K, V | None]:
        name = (query, args, tuple(sorted(kwargs.items())))
        loader = self._loaders.get(name)
        if loader is None:

            async def read(keys: list[K]) -> list[V | None]:
                async with self.database.read() as work:
                    found = await query(self.actor, work, keys, *args, **kwargs)
                for value in found.values():
                    self.reads.observe(value)
                return [found.get(key) for key in keys]

            loader = self._loaders[name] = DataLoader(read, max_batch_size=LARGEST_BATCH)
        return loader


Info: TypeAlias = strawberry.Info[Context, None]
