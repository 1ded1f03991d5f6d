"""People who talk through a real server with the real client, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import world
from following import Served, serving

from carnet.clock import MovableClock
from carnet.people.actor import Actor, Patient, Professional
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_client.connection import Connection
from carnet_client.conversation import Conversation
from carnet_client.events import Event
from carnet_client.keystore import KeyStore
from carnet_client.messenger import Messenger
from carnet_client.state import ClientState
from carnet_client.vault import Passphrase, Unlocker
from carnet_crypto.values import Key

PASSPHRASE = Passphrase("correct horse battery")


class AtHand:
    """A key at hand, as a system's keyring has it: a passphrase is stretched a fifth of a second."""

    KIND = 2

    def key(self, salt: bytes, passes: int, memory_kib: int, *, is_new: bool) -> Key:
        return Key(bytes(Key.SIZE))


SOON = 20  # seconds within which what must happen does, on a machine that does much else


@dataclass
class Talk:
    """A doctor and a patient of theirs, each with a client; nobody has enrolled yet."""

    database: Database
    served: Served
    clock: MovableClock
    folder: Path
    stack: AsyncExitStack
    doctor: Professional
    patient: Patient
    unlocker: Unlocker
    codes: dict[str, str] = field(default_factory=dict)

    @property
    def server(self) -> str:
        return self.served.url.removesuffix("/graphql")

    def now(self) -> int:
        return int(self.clock.now().timestamp() * 1000)

    async def client(
        self,
        name: str,
        actor: Actor | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> Messenger:
        """Open a profile: a new one for an actor, or again one that was closed."""
        folder = self.folder / name
        if actor is None:
            store = KeyStore.open(folder, self.unlocker)
        else:
            state = ClientState(self.server, token=self.served.token(actor))
            store = KeyStore.create(folder, state, self.unlocker)
        connection = Connection(
            self.server, store.state.token, transport=transport, first_pause=0.01
        )
        return await self.stack.enter_async_context(Messenger(store, connection, self.now))

    async def enrolled(self, name: str, actor: Actor) -> Messenger:
        """Return a client of an actor's first device."""
        messenger = await self.client(name, actor)
        enrolment = await messenger.enrol()
        self.codes[name] = enrolment.code
        await enrolment.confirm(enrolment.code.lower())
        return messenger

    async def both(self) -> tuple[Messenger, Messenger]:
        """Return clients of the doctor and the patient, enrolled."""
        return await self.enrolled("doctor", self.doctor), await self.enrolled(
            "patient", self.patient
        )

    async def talking(self) -> tuple[Messenger, Messenger, Conversation, Conversation]:
        """Return both, and one conversation as each sees it."""
        doctor, patient = await self.both()
        (info,) = [info for info in await doctor.people() if info.id == patient.account]
        theirs = await doctor.open_thread([info])
        return doctor, patient, theirs, await patient.thread(theirs.id)


@asynccontextmanager
async def talk(
    database: Database,
    blobs: BlobStore,
    clock: MovableClock,
    folder: Path,
    unlocker: Unlocker | None = None,
    **settings: Any,
) -> AsyncIterator[Talk]:
    """Serve, and yield people who can talk; their profiles are unlocked with ``unlocker``."""
    patient = await world.holder(database)
    doctor = await world.professional(database, await world.organization(database))
    await world.care_team(database, patient, doctor)
    async with (
        serving(database, blobs, Settings(**settings)) as served,
        AsyncExitStack() as stack,
    ):
        yield Talk(database, served, clock, folder, stack, doctor, patient, unlocker or AtHand())


async def until(
    messenger: Messenger, is_it: Callable[[Event], bool], within: float = SOON
) -> Event:
    """Follow until an event of a kind comes."""
    async with asyncio.timeout(within):
        async for event in messenger.follow():
            if is_it(event):
                return event
    raise AssertionError("it ended")


def words(conversation: Conversation) -> list[str | None]:
    return [message.text for message in conversation.messages]
