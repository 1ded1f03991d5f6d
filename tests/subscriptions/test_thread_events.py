"""threadEvents over real sockets: replay, then live, with the rights of each moment."""

from __future__ import annotations

from typing import Any

import pytest
import world
from api_talk import Talk, a_patient, a_professional, patient_of, talk
from following import Served
from sqlalchemy import update
from writing import Correspondent

from carnet.access.blocks import block
from carnet.access.delegations import revoke as revoke_delegation
from carnet.access.locating import Grantee
from carnet.access.tables import DelegationScope
from carnet.messaging import message_actions
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_crypto.encoding import to_base64url
from carnet_crypto.kinds import RemovalReason, Role
from carnet_crypto.secret import conversation

EVENT = """ __typename ... on CaughtUp { cursor }
 ... on MessageReceived { cursor eventId message { number envelope } thread { id lastNumber } }
 ... on MessageErased { cursor message { number erasedAt } }
 ... on ThreadLogGrown { cursor entry { number entry } }
 ... on ThreadRead { cursor thread { id unreadCount } } """
THREAD = (
    "subscription($thread: ID!, $after: Cursor)"
    " { threadEvents(thread: $thread, after: $after) {" + EVENT + "} }"
)
INBOX = "subscription { inboxEvents {" + EVENT + "... on NotificationReceived { cursor } } }"


@pytest.fixture
async def patient(database: Database, blobs: BlobStore) -> Correspondent:
    return await a_patient(database, blobs)


@pytest.fixture
async def doctor(database: Database, blobs: BlobStore, patient: Correspondent) -> Correspondent:
    return await a_professional(database, blobs, patient)


@pytest.fixture
async def made(doctor: Correspondent, patient: Correspondent) -> Talk:
    return await talk(doctor, patient)


async def test_what_is_said_is_told_at_once_and_again_from_a_cursor(
    served: Served, made: Talk, doctor: Correspondent, patient: Correspondent
) -> None:
    async with served.connected(doctor.actor) as client:
        live = await client.subscribe(THREAD, thread=made.id)
        assert (await live.until_caught_up())[0] == []
        sent = [await made.say(who, f"{n}") for n, who in enumerate((patient, doctor, patient))]
        told = await live.events(3)
        assert [each["message"]["number"] for each in told] == [1, 2, 3]
        envelopes = [each["message"]["envelope"] for each in told]
        assert envelopes == [each["sent"]["envelope"] for each in sent]
        again = await client.subscribe(THREAD, thread=made.id, after=told[0]["cursor"])
        replayed, _ = await again.until_caught_up()
        assert [each["message"]["number"] for each in replayed] == [2, 3]
        await patient.mutate("eraseMessage", messageId=sent[0]["sent"]["id"])
        for each in (live, again):
            erased = await each.event()
            assert (erased["__typename"], erased["message"]["number"]) == ("MessageErased", 1)
        known = {who.me.id: who.me.account for who in made.views}
        written = conversation.rotate(doctor.writer(), made.thread, known)
        await made.control(doctor, written)
        grown = await live.event()
        assert grown["entry"] == {"number": 1, "entry": to_base64url(written.entry)}


async def test_reading_is_told_to_who_read_and_to_nobody_else(
    served: Served, made: Talk, doctor: Correspondent, patient: Correspondent
) -> None:
    await made.say(doctor)
    async with served.connected(patient.actor) as mine, served.connected(doctor.actor) as other:
        own = await mine.subscribe(THREAD, thread=made.id)
        inbox = await mine.subscribe(INBOX)
        theirs = await other.subscribe(THREAD, thread=made.id)
        for each in (own, inbox, theirs):
            await each.until_caught_up()
        await patient.mutate("markThreadRead", threadId=to_base64url(made.thread.id), number=1)
        for each in (own, inbox):
            event = await each.event()
            assert event["__typename"] == "ThreadRead"
            assert event["thread"] == {"id": made.id, "unreadCount": 0}
        await other.hear_nothing(theirs.id)


async def test_an_inbox_is_told_of_every_thread(
    served: Served,
    made: Talk,
    database: Database,
    blobs: BlobStore,
    doctor: Correspondent,
    patient: Correspondent,
) -> None:
    delegate = await world.holder(database)
    scopes = frozenset({DelegationScope.MESSAGES})
    await world.delegation(database, patient_of(patient), delegate, scopes)
    second = await talk(doctor, patient)
    async with served.connected(patient.actor) as mine, served.connected(delegate) as acting:
        inboxes = [await client.subscribe(INBOX) for client in (mine, acting)]
        for inbox in inboxes:
            await inbox.until_caught_up()
        for each in (made, second):
            await each.say(doctor)
        for inbox in inboxes:
            told = []
            while len(told) < 2:
                event = await inbox.event()
                if event["__typename"] == "MessageReceived":
                    told.append((event["thread"]["id"], event["message"]["number"]))
            assert told == [(made.id, 1), (second.id, 1)]


async def test_a_stranger_is_told_what_nobody_is(
    served: Served, made: Talk, database: Database
) -> None:
    strangers: list[Any] = [await world.holder(database), await world.professional(database)]
    for stranger in strangers:
        async with served.connected(stranger) as client:
            one = await client.subscribe(THREAD, thread=made.id)
            assert await one.ended() == "NOT_FOUND"


async def _block(database: Database, made: Talk, doctor: Correspondent, patient: Any) -> None:
    actor = patient_of(patient)
    record_id = await world.record_of(database, actor)
    grantee = Grantee(professional_id=doctor.actor.professional_id)  # type: ignore[union-attr]
    async with database.write() as work:
        await block(actor, work, record_id, grantee)


async def _block_where_they_work(
    database: Database, made: Talk, doctor: Correspondent, patient: Any
) -> None:
    where = await world.organization(database)
    async with database.write() as work:
        theirs = ProfessionalRow.id == doctor.actor.professional_id  # type: ignore[union-attr]
        await work.session.execute(
            update(ProfessionalRow).where(theirs).values(organization_id=where)
        )
    actor = patient_of(patient)
    record_id = await world.record_of(database, actor)
    async with database.write() as work:
        await block(actor, work, record_id, Grantee(organization_id=where))


@pytest.mark.parametrize("lose", [_block, _block_where_they_work])
async def test_who_is_shut_out_is_sent_away_at_once(
    served: Served,
    made: Talk,
    database: Database,
    doctor: Correspondent,
    patient: Correspondent,
    lose: Any,
) -> None:
    async with served.connected(doctor.actor) as client:
        live = await client.subscribe(THREAD, thread=made.id)
        await live.until_caught_up()
        await lose(database, made, doctor, patient)
        assert await live.ended(within=5) == "ACCESS_ENDED"  # long before it is asked after


async def test_who_is_removed_or_leaves_is_sent_away_and_told_nothing_more(
    served: Served,
    database: Database,
    blobs: BlobStore,
    doctor: Correspondent,
    patient: Correspondent,
) -> None:
    nurse = await a_professional(database, blobs)
    made = await talk(doctor, patient, nurse)
    async with served.connected(nurse.actor) as client:
        live = await client.subscribe(THREAD, thread=made.id)
        await live.until_caught_up()
        known = {who.me.id: who.me.account for who in made.views}
        gone = conversation.remove(
            doctor.writer(), made.thread, known, nurse.me.id, RemovalReason.OTHER
        )
        await made.control(doctor, gone)
        await patient.send(*patient.seal(made.views[patient], "now that they are gone")[:2])
        assert await live.ended(within=5) == "ACCESS_ENDED"


async def test_a_guardian_follows_until_they_act_no_more(
    served: Served,
    database: Database,
    blobs: BlobStore,
    doctor: Correspondent,
    patient: Correspondent,
    clock: Any,
) -> None:
    guardian = await a_patient(database, blobs)
    scopes = frozenset({DelegationScope.MESSAGES})
    given = await world.delegation(database, patient_of(patient), patient_of(guardian), scopes)
    await world.care_team(database, patient_of(guardian), doctor.actor)  # type: ignore[arg-type]
    made = await talk(doctor, patient, (guardian, Role.GUARDIAN))
    async with served.connected(guardian.actor) as client:
        live = await client.subscribe(THREAD, thread=made.id)
        await live.until_caught_up()
        await made.say(doctor)
        assert (await live.event())["message"]["number"] == 1
        async with database.write() as work:
            await revoke_delegation(patient_of(patient), work, given)
        assert await live.ended(within=5) == "ACCESS_ENDED"


async def test_who_expires_messages_tells_of_each(
    served: Served, made: Talk, database: Database, doctor: Correspondent, clock: Any
) -> None:
    from datetime import UTC, datetime, timedelta

    ends = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    for n in range(3):
        await made.say(doctor, f"{n}", expiresAt=ends)
    async with served.connected(doctor.actor) as client:
        live = await client.subscribe(THREAD, thread=made.id)
        await live.until_caught_up()
        clock.offset = timedelta(minutes=2)
        await message_actions.expire(database, {})
        told = await live.events(3)
        assert sorted(each["message"]["number"] for each in told) == [1, 2, 3]
        assert {each["__typename"] for each in told} == {"MessageErased"}
