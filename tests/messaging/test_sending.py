"""Sending, erasing and expiring: order, once only, quotas, and what is left afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import scene
from api_talk import Talk, a_patient, a_professional, talk
from sqlalchemy import func, select, update
from writing import Correspondent

from carnet.errors import ContentUnavailable, NotFound
from carnet.messaging import message_actions, usage
from carnet.messaging.tables import Message, MessageAttachment, MessagingUsage
from carnet.notifications.tables import Notification, NotificationKind
from carnet.people.actor import actor_key
from carnet.store.blobs import SEALED_FILE, BlobStore
from carnet.store.database import Database
from carnet.store.tables import Blob
from carnet_crypto.control_bodies import Policy
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.kinds import History, Roles
from carnet_crypto.secret import conversation


@pytest.fixture
async def patient(database: Database, blobs: BlobStore) -> Correspondent:
    return await a_patient(database, blobs)


@pytest.fixture
async def doctor(database: Database, blobs: BlobStore, patient: Correspondent) -> Correspondent:
    return await a_professional(database, blobs, patient)


@pytest.fixture
async def made(doctor: Correspondent, patient: Correspondent) -> Talk:
    return await talk(doctor, patient)


async def upload(who: Correspondent, content: bytes) -> UUID:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    stored = await who.blobs.receive(
        who.database,
        actor_key(who.actor),
        chunks(),
        media_type="application/octet-stream",
        limit_bytes=10**6,
    )
    return stored.id


async def test_forty_copies_of_one_state_write_one_message(
    database: Database, made: Talk, doctor: Correspondent
) -> None:
    sealed = [doctor.seal(made.views[doctor], f"copy {n}")[0] for n in range(40)]
    answers = await asyncio.gather(*(doctor.send(envelope, 1) for envelope in sealed))
    assert sum("sent" in answer for answer in answers) == 1
    refused = [answer for answer in answers if "sent" not in answer]
    assert {(each["code"], each["expected"]) for each in refused} == {("STALE_SEQUENCE", 2)}
    async with database.read() as work:
        assert await work.session.scalar(select(func.count()).select_from(Message)) == 1


async def test_forty_entries_at_once_make_the_log_one_longer(
    made: Talk, doctor: Correspondent, patient: Correspondent
) -> None:
    known = {who.me.id: who.me.account for who in (doctor, patient)}
    entries = [
        conversation.rotate(who.writer(), made.thread, known) for who in (doctor, patient) * 20
    ]
    authors = (doctor, patient) * 20
    answers = await asyncio.gather(
        *(who.control(made.thread, entry) for who, entry in zip(authors, entries, strict=True))
    )
    won = [n for n, answer in enumerate(answers) if answer["__typename"].endswith("Success")]
    assert len(won) == 1
    assert {answers[n]["code"] for n in range(40) if n not in won} == {"STALE_CONTROL_HEAD"}
    lost = (won[0] + 2) % 40
    stale = await authors[lost].ask(
        """mutation($input: AppendControlEntryInput!) { appendControlEntry(input: $input) {
        ... on StaleControlHead { number entries { number entry } } } }""",
        input={
            "threadId": to_base64url(made.thread.id),
            "entry": to_base64url(entries[lost].entry),
            "wraps": [],
        },
    )
    (missing,) = stale["appendControlEntry"]["entries"]
    assert (missing["number"], from_base64url(missing["entry"])) == (1, entries[won[0]].entry)


async def test_who_sends_under_an_old_epoch_is_told_what_they_missed(
    made: Talk, doctor: Correspondent, patient: Correspondent
) -> None:
    late, sequence, _ = patient.seal(made.views[patient], "under the first epoch")
    known = {who.me.id: who.me.account for who in (doctor, patient)}
    entries = []
    for _ in range(3):
        written = conversation.rotate(doctor.writer(), made.thread, known)
        await made.control(doctor, written)
        entries.append(written.entry)
    refused = await patient.ask(
        """mutation($input: SendMessageInput!) { sendMessage(input: $input) {
        ... on StaleControlHead { number entries { entry } } } }""",
        input={
            "envelope": to_base64url(late),
            "accountId": to_base64url(patient.me.id),
            "deviceId": to_base64url(patient.me.devices[0].id),
            "sequence": sequence,
        },
    )
    told = refused["sendMessage"]
    assert told["number"] == 3
    assert [from_base64url(each["entry"]) for each in told["entries"]] == entries
    read = await patient.ask(
        "query($id: ID!) { node(id: $id) { ... on Thread {"
        " controlEntries(afterNumber: 1) { totalCount edges { node { number } } }"
        " wraps(afterEpoch: 2) { epoch } } } }",
        id=made.id,
    )
    assert [e["node"]["number"] for e in read["node"]["controlEntries"]["edges"]] == [2, 3]
    assert [wrap["epoch"] for wrap in read["node"]["wraps"]] == [3, 4]


async def test_two_who_write_at_once_are_put_into_one_order(
    made: Talk, doctor: Correspondent, patient: Correspondent
) -> None:
    async def write(who: Correspondent) -> list[int]:
        numbers = []
        for n in range(20):
            envelope, sequence, _ = who.seal(made.views[who], f"{n}")
            sent = await who.send(envelope, sequence)
            numbers.append(sent["sent"]["number"])
            view = made.views[who]  # their own words are known to them
            view.take_message(numbers[-1], envelope, {who.me.id: who.me.account})
        return numbers

    one, other = await asyncio.gather(write(doctor), write(patient))
    assert one == sorted(one) and other == sorted(other)
    assert sorted(one + other) == list(range(1, 41))
    node = await made.seen_by(doctor)
    assert (node["lastNumber"], node["unreadCount"]) == (40, 20)


async def test_the_same_envelope_ten_times_at_once_is_one_message(
    database: Database, made: Talk, doctor: Correspondent
) -> None:
    envelope, sequence, _ = doctor.seal(made.views[doctor], "words")
    answers = await asyncio.gather(*(doctor.send(envelope, sequence) for _ in range(10)))
    assert len({answer["sent"]["id"] for answer in answers}) == 1
    before = await scene.tables(database)
    spoilt = envelope[:-1] + bytes([envelope[-1] ^ 1])  # the body is no part of the name
    assert (await doctor.send(spoilt, sequence))["code"] == "CONFLICT"
    assert await scene.tables(database) == before


async def test_quotas_of_the_day_and_the_minute(
    database: Database, made: Talk, doctor: Correspondent, patient: Correspondent
) -> None:
    await made.say(doctor)
    async with database.write() as work:
        await work.session.execute(update(MessagingUsage).values(messages=usage.MOST_MESSAGES))
    before = await scene.tables(database)
    ask = """mutation($input: SendMessageInput!) { sendMessage(input: $input) {
      ... on QuotaExceeded { code until } } }"""
    envelope, sequence, _ = doctor.seal(made.views[doctor], "one more")
    given = {
        "envelope": to_base64url(envelope),
        "accountId": to_base64url(doctor.me.id),
        "deviceId": to_base64url(doctor.me.devices[0].id),
        "sequence": sequence,
    }
    refused = (await doctor.ask(ask, input=given))["sendMessage"]
    until = datetime.fromisoformat(refused["until"])
    assert refused["code"] == "QUOTA_EXCEEDED"
    assert until.time().isoformat() == "00:00:00" and until > datetime.now(UTC)
    assert await scene.tables(database) == before
    async with database.write() as work:
        minute = int(work.now.timestamp()) % 86_400 // 60
        full = {"messages": 1, "minute": minute, "minute_messages": usage.MOST_IN_A_MINUTE}
        await work.session.execute(update(MessagingUsage).values(full))
    refused = (await doctor.ask(ask, input=given))["sendMessage"]
    if refused:  # unless a minute has just begun
        assert datetime.fromisoformat(refused["until"]) - datetime.now(UTC) <= timedelta(minutes=1)
    assert "sent" in await made.say(patient)  # each has their own
    async with database.write() as work:
        await work.session.execute(update(MessagingUsage).values(threads=usage.MOST_THREADS))
    opened, _ = await doctor.open_with((patient, conversation.Role.MEMBER))
    assert opened["code"] == "QUOTA_EXCEEDED"


async def test_files_are_sealed_and_go_with_their_message(
    database: Database, blobs: BlobStore, made: Talk, doctor: Correspondent, patient: Correspondent
) -> None:
    sealed = SEALED_FILE + b"ciphertext" * 10
    file, plain = await upload(doctor, sealed), await upload(doctor, b"%PDF-1.4 what anybody reads")
    envelope, sequence, _ = doctor.seal(made.views[doctor], "with a file")
    before = await scene.tables(database)
    refused = await doctor.send(envelope, sequence, [file, plain])
    assert refused["code"] == "VALIDATION_FAILED"
    assert (await patient.send(envelope, sequence, [file]))["code"] != "SENT"
    assert await scene.tables(database) == before
    sent = await doctor.send(envelope, sequence, [file])
    (attached,) = sent["sent"]["attachments"]
    assert attached["size"] == len(sealed)
    again = await doctor.send(envelope, sequence, [file])
    assert again["sent"]["attachments"] == [attached]
    async with database.read() as work:
        blob = await work.session.get_one(Blob, file)
    assert b"".join([piece async for piece in blobs.read(blob)]) == sealed
    erased = await doctor.mutate(
        "eraseMessage", "erased { erasedAt }", messageId=sent["sent"]["id"]
    )
    assert erased["erased"]["erasedAt"]
    async with database.read() as work:
        blob = await work.session.get_one(Blob, file)
        assert blob.wrapped_key == b"" and blob.claimed_at is None
        assert await work.session.scalar(select(func.count()).select_from(MessageAttachment)) == 0
        body = select(Message.body, func.length(Message.head))
        assert (await work.session.execute(body)).one() == (None, 108 + 4 + 528)
    with pytest.raises((ContentUnavailable, NotFound)):
        async for _ in blobs.read(blob):
            pass


async def test_a_sealed_file_becomes_no_document(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    file = await upload(patient, SEALED_FILE + b"ciphertext")
    record = await patient.ask("{ viewer { ... on Patient { record { id } } } }")
    before = await scene.tables(database)
    refused = await patient.mutate(
        "addDocument",
        recordId=record["viewer"]["record"]["id"],
        blobId=str(file),
        description={"title": "no document", "category": "PERSONAL"},
    )
    assert refused["code"] == "VALIDATION_FAILED", refused
    assert await scene.tables(database) == before


async def test_bodies_expire_when_it_was_said_and_when_a_policy_says(
    database: Database, clock: Any, doctor: Correspondent, patient: Correspondent
) -> None:
    made = await talk(doctor, patient)
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    assert (await made.say(doctor, expiresAt=past))["code"] == "VALIDATION_FAILED"
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    await made.say(doctor, expiresAt=soon)
    await made.say(doctor)
    policy = Policy(Roles.MANAGER, Roles.MANAGER, History.ALL, True, 1, 7)
    changed = conversation.set_policy(doctor.writer(), made.thread, policy)
    assert (await made.control(doctor, changed))["__typename"].endswith("Success")
    await made.say(patient)

    async def left() -> list[bool]:
        await message_actions.expire(database, {})
        node = await made.seen_by(patient)
        return [edge["node"]["erasedAt"] is None for edge in node["messages"]["edges"]]

    assert await left() == [True, True, True]
    clock.offset = timedelta(hours=2)
    assert await left() == [False, True, True]
    clock.offset = timedelta(days=8)
    assert await left() == [False, False, False]


async def test_people_are_told_once_until_they_have_read(
    database: Database, made: Talk, doctor: Correspondent, patient: Correspondent
) -> None:
    async def told() -> int:
        kind = Notification.kind == NotificationKind.MESSAGE_AWAITS
        async with database.read() as work:
            found = await work.session.scalars(select(Notification.person_id).where(kind))
            persons = list(found)
        assert set(persons) <= {patient.actor.person_id}  # type: ignore[union-attr]
        return len(persons)

    await made.say(doctor, isQuiet=True)
    assert (await told(), (await made.seen_by(patient))["unreadCount"]) == (0, 0)
    for _ in range(3):
        await made.say(doctor)
    assert (await told(), (await made.seen_by(patient))["unreadCount"]) == (1, 3)
    read = {"threadId": to_base64url(made.thread.id), "number": 4}
    assert (await patient.mutate("markThreadRead", **read))["__typename"].endswith("Success")
    assert (await made.seen_by(patient))["unreadCount"] == 0
    back = {**read, "number": 1}
    assert (await patient.mutate("markThreadRead", **back))["__typename"].endswith("Success")
    assert (await made.seen_by(patient))["readTo"] == 4  # never back
    await made.say(doctor)
    await made.say(doctor)
    assert await told() == 2
    assert (await patient.mutate("markThreadRead", **{**read, "number": 99}))["code"] == (
        "VALIDATION_FAILED"
    )


@pytest.mark.parametrize("members", [2, 12])
async def test_a_send_costs_the_same_however_many_are_there(
    database: Database,
    blobs: BlobStore,
    doctor: Correspondent,
    patient: Correspondent,
    members: int,
) -> None:
    others = [await a_professional(database, blobs) for _ in range(members - 2)]
    made = await talk(doctor, patient, *others)
    await made.say(patient)
    await made.say(doctor)  # everybody has been told that something awaits
    envelope, sequence, _ = doctor.seal(made.views[doctor], "words")
    sending = message_actions.Sending(
        envelope, bytes(doctor.me.id), bytes(doctor.me.devices[0].id), sequence
    )
    with scene.statements(database) as sent:
        async with database.write() as work:
            await message_actions.send(doctor.actor, work, blobs, sending)
    assert len(sent) == 4, sent  # lock, facts, write; and the events


async def test_lists_cost_the_same_however_many_threads(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    query = """{ viewer { ... on Professional { threads(first: 50) { totalCount edges { node {
      protocolId state unreadCount readTo lastActivityAt wraps { epoch }
      members { role account { accountId displayName } }
      messages(last: 1) { edges { node { number sender { accountId } attachments { url } } } }
      controlEntries(first: 1) { edges { node { number } } } } } } } } }"""
    counts = []
    for _ in range(2):
        for _ in range(3):
            await (await talk(doctor, patient)).say(patient)
        with scene.statements(database) as sent:
            found = await doctor.ask(query)
        counts.append(len(sent))
    assert found["viewer"]["threads"]["totalCount"] == 6
    assert counts[0] == counts[1]


async def test_a_closed_thread_takes_nothing_more(
    database: Database, made: Talk, doctor: Correspondent, patient: Correspondent
) -> None:
    closing = conversation.close(patient.writer(), made.thread)
    before = await scene.tables(database)
    assert (await made.control(patient, closing))["code"] == "VALIDATION_FAILED"  # no manager
    assert await scene.tables(database) == before
    closing = conversation.close(doctor.writer(), made.thread)
    envelope, sequence, _ = patient.seal(made.views[patient], "too late")
    await made.control(doctor, closing)
    before = await scene.tables(database)
    assert (await patient.send(envelope, sequence))["code"] == "THREAD_CLOSED"
    assert (await doctor.control(made.thread, closing))["code"] == "THREAD_CLOSED"
    assert await scene.tables(database) == before
