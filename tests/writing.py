"""Correspondents who write through the API: real keys, the real schema, a real database."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import graph
from correspondents import Person

from carnet.people.actor import Actor
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_crypto.control_bodies import Policy
from carnet_crypto.encoding import to_base64url
from carnet_crypto.kinds import History, Role, Roles
from carnet_crypto.secret.content import Content, Text
from carnet_crypto.secret.conversation import Written, create
from carnet_crypto.secret.messages import seal
from carnet_crypto.secret.transcript import Transcript
from carnet_crypto.thread import Thread
from carnet_crypto.values import Digest, MessageId

POLICY = Policy(Roles.MANAGER, Roles.MANAGER, History.ALL, True, 1, 0)
NO_CHECKPOINT = (0, Digest.zero())


def now() -> int:
    return int(time.time() * 1000)


class Correspondent:
    """An actor with a messaging account."""

    def __init__(self, database: Database, blobs: BlobStore, actor: Actor) -> None:
        self.database, self.blobs, self.actor = database, blobs, actor
        self.me = Person.enrol(at=now())
        self.sequence: dict[bytes, int] = {}
        self.previous: dict[bytes, MessageId] = {}

    async def ask(self, query: str, **variables: Any) -> Any:
        return await graph.data(self.database, self.blobs, self.actor, query, **variables)

    async def mutate(self, name: str, selection: str = "", **given: Any) -> Any:
        kind = name[0].upper() + name[1:]
        query = (
            f"mutation($input: {kind}Input!) {{ {name}(input: $input) {{ __typename"
            f" ... on {kind}Success {{ __typename {selection} }}"
            " ... on UserError { code message }"
            " ... on StaleControlHead { number } ... on StaleSequence { expected }"
            " ... on NotAllowedToOpen { rule } ... on StaleChain { number } } }"
        )
        # Only what the union has may be spread.
        members = await self._members(f"{kind}Payload")
        for error in ("StaleControlHead", "StaleSequence", "NotAllowedToOpen", "StaleChain"):
            if error not in members:
                start = query.index(f" ... on {error} ")
                query = query[:start] + query[query.index("}", start) + 1 :]
        return (await self.ask(query, input=given))[name]

    async def _members(self, union: str) -> set[str]:
        query = f'{{ __type(name: "{union}") {{ possibleTypes {{ name }} }} }}'
        found = await self.ask(query)
        return {kind["name"] for kind in found["__type"]["possibleTypes"]}

    async def enrol(self, **owner: Any) -> Any:
        entries = [to_base64url(entry) for entry in self.me.chain]
        return await self.mutate(
            "createMessagingAccount", "account { id accountId number }", entries=entries, **owner
        )

    def writer(self):  # type: ignore[no-untyped-def]
        return self.me.writer(now())

    def opening(self, *others: tuple[Correspondent, Role], policy: Policy = POLICY) -> Written:
        members = [(self.me.account, Role.MANAGER)]
        members += [(other.me.account, role) for other, role in others]
        return create(self.writer(), policy, members)

    async def open_with(self, *others: tuple[Correspondent, Role]) -> tuple[Any, Written]:
        written = self.opening(*others)
        return await self.open_thread(written), written

    async def open_thread(self, written: Written) -> Any:
        return await self.mutate(
            "openThread",
            "thread { id protocolId controlNumber members { role } }",
            entry=to_base64url(written.entry),
            wraps=wraps_of(written),
        )

    async def control(self, thread: Thread, written: Written) -> Any:
        return await self.mutate(
            "appendControlEntry",
            "thread { id controlNumber state }",
            threadId=to_base64url(thread.id),
            entry=to_base64url(written.entry),
            wraps=wraps_of(written),
        )

    def seal(self, view: Transcript, content: Content | str) -> tuple[bytes, int, MessageId]:
        said = Text(content) if isinstance(content, str) else content
        draft = view.draft(self.me.devices[0].id, said, NO_CHECKPOINT, now())
        sealed, id_ = seal(draft, view.secrets[draft.epoch], self.me.devices[0], self.me.entropy)
        return sealed, draft.sequence, id_

    async def send(
        self, envelope: bytes, sequence: int, blobs: list[UUID] | None = None, **more: Any
    ) -> Any:
        return await self.mutate(
            "sendMessage",
            "sent { id number envelope attachments { url size } }",
            envelope=to_base64url(envelope),
            accountId=to_base64url(self.me.id),
            deviceId=to_base64url(self.me.devices[0].id),
            sequence=sequence,
            blobIds=[str(blob) for blob in blobs or []],
            **more,
        )


def wraps_of(written: Written) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"accountId": to_base64url(each.account), "wrap": to_base64url(each.wrap)}
        for each in written.wraps
    ]
    found += [
        {
            "accountId": to_base64url(each.account),
            "wrap": to_base64url(each.wrap),
            "epoch": each.epoch,
        }
        for each in written.history
    ]
    return found
