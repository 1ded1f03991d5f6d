"""A doctor and a patient who talk through the API, and whoever joins them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import world
from correspondents import take
from writing import POLICY, Correspondent

from carnet.people.actor import Patient, Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_crypto.control_bodies import Policy
from carnet_crypto.encoding import to_base64url
from carnet_crypto.kinds import Role
from carnet_crypto.secret.transcript import Transcript
from carnet_graphql.messaging_threads import Thread
from carnet_graphql.node import read_id

READ = """query($id: ID!) { node(id: $id) { ... on Thread {
  state controlNumber lastNumber unreadCount readTo wraps { accountId epoch }
  members { role } controlEntries { totalCount edges { node { number } } }
  messages { totalCount edges { node { id number sequence isQuiet envelope erasedAt } } }
} } }"""


class Talk:
    """A thread, and what each of its people makes of it."""

    def __init__(self, id_: str, views: dict[Correspondent, Transcript]) -> None:
        self.id, self.views = id_, views
        self.key: UUID = read_id(id_, Thread)

    @property
    def thread(self) -> Any:
        return next(iter(self.views.values())).thread

    async def say(self, author: Correspondent, words: str = "words", **more: Any) -> Any:
        """Send, and let everybody who is here read it."""
        envelope, sequence, _ = author.seal(self.views[author], words)
        sent = await author.send(envelope, sequence, **more)
        if "sent" in sent:
            known = {who.me.id: who.me.account for who in self.views}
            for view in self.views.values():
                view.take_message(sent["sent"]["number"], envelope, known)
        return sent

    async def control(self, author: Correspondent, written: Any) -> Any:
        """Append an entry; everybody who is here takes it when it was."""
        answer = await author.control(self.thread, written)
        if answer["__typename"].endswith("Success"):
            for who, view in self.views.items():
                take(view, who.me, written, author.me)
        return answer

    async def seen_by(self, who: Correspondent) -> Any:
        return (await who.ask(READ, id=self.id))["node"]

    async def numbers(self, who: Correspondent) -> list[int] | None:
        node = await self.seen_by(who)
        if node is None:
            return None
        numbers = [edge["node"]["number"] for edge in node["messages"]["edges"]]
        assert node["messages"]["totalCount"] == len(numbers)
        return numbers


async def a_patient(database: Database, blobs: BlobStore) -> Correspondent:
    made = Correspondent(database, blobs, await world.holder(database))
    assert (await made.enrol())["__typename"] == "CreateMessagingAccountSuccess"
    return made


async def a_professional(
    database: Database,
    blobs: BlobStore,
    *patients: Correspondent,
    organization_id: UUID | None = None,
) -> Correspondent:
    """Return one who is in the care teams of the patients."""
    actor = await world.professional(database, organization_id)
    for patient in patients:
        assert isinstance(patient.actor, Patient)
        await world.care_team(database, patient.actor, actor)
    made = Correspondent(database, blobs, actor)
    assert (await made.enrol())["__typename"] == "CreateMessagingAccountSuccess"
    return made


async def talk(
    opener: Correspondent,
    *others: Correspondent | tuple[Correspondent, Role],
    policy: Policy = POLICY,
) -> Talk:
    """Open a thread that may be opened."""
    members = [other if isinstance(other, tuple) else (other, Role.MEMBER) for other in others]
    written = opener.opening(*members, policy=policy)
    opened = await opener.open_thread(written)
    assert opened["__typename"] == "OpenThreadSuccess", opened
    views = {}
    for who in (opener, *(other for other, _ in members)):
        views[who] = Transcript(who.me.id)
        take(views[who], who.me, written, opener.me)
    return Talk(opened["thread"]["id"], views)


async def append_chain(who: Correspondent, author: Correspondent | None = None) -> None:
    """Send the newest entry of an account's chain."""
    grown = await (author or who).mutate(
        "appendMessagingAccountEntries",
        accountId=to_base64url(who.me.id),
        entries=[to_base64url(who.me.chain[-1])],
    )
    assert grown["__typename"].endswith("Success"), grown


def professional_of(who: Correspondent) -> Professional:
    assert isinstance(who.actor, Professional)
    return who.actor


def patient_of(who: Correspondent) -> Patient:
    assert isinstance(who.actor, Patient)
    return who.actor
