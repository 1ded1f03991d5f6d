"""A holder who chooses to see results later loses sight of some at once: whoever follows is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import scene
import world
from feeding import Feed, document
from following import DOCUMENTS, INBOX, Served, Subscription, deposit, serving
from scene import AUTHORED, FRESH, MASKED, PLAIN, SECRET
from sqlalchemy import func, select

from carnet.access.delays import JOB
from carnet.access.journal_tables import JournalEntry
from carnet.access.settings import SettingsChange, change_settings
from carnet.clock import MovableClock
from carnet.documents import delays
from carnet.documents.actions import correct
from carnet.documents.tables import DocumentCategory
from carnet.documents.versions import DocumentDraft
from carnet.people.actor import Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.jobs import Worker
from carnet.store.tables import Event
from carnet.values import Coding
from carnet_graphql.documents import Document as DocumentNode
from carnet_graphql.node import write_id

LOST = {PLAIN, MASKED, AUTHORED, SECRET}  # ten days old; what is held or fresh was not seen before
"""What a holder who waits for three days sees, and who waits for twenty does not."""


@pytest.fixture
async def served(database: Database, blobs: BlobStore) -> AsyncIterator[Served]:
    async with serving(database, blobs) as running:
        yield running


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> scene.Scene:
    return await scene.make(database, blobs)  # results are seen after three days


async def wait_for(made: scene.Scene, days: int, revision: int) -> None:
    async with made.database.write() as work:
        change = SettingsChange(hide_results_days=days)
        await change_settings(made.holder, work, made.record, change, revision)


async def told(made: scene.Scene, *following: Subscription) -> list[list[tuple[str, str]]]:
    """Return what each is told before the next document that everybody sees."""
    mark = await deposit(made, made.holder, "mark")
    names = {made.document_id(name): name for name in scene.NAMES}
    found: list[list[tuple[str, str]]] = []
    for each in following:
        events = []
        while True:
            event = await each.event()
            id_ = event.get("documentId") or event["document"]["id"]
            if id_ == mark:
                break
            events.append((event["__typename"], names[id_]))
        found.append(sorted(events))
    return found


def removed(names: set[str]) -> list[tuple[str, str]]:
    return sorted(("DocumentRemoved", name) for name in names)


@pytest.mark.parametrize("query", [DOCUMENTS, INBOX])
async def test_what_goes_out_of_sight_is_told_to_the_holders_side(
    served: Served, made: scene.Scene, database: Database, query: str
) -> None:
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    variables = {"record": made.record_id} if query == DOCUMENTS else {}
    async with served.connected(made.holder) as one, served.connected(caregiver) as two:
        own = await one.subscribe(query, **variables)
        theirs = await two.subscribe(query, **variables)
        for each in (own, theirs):
            await each.until_caught_up()
        assert await made.sees(made.holder) == LOST
        await wait_for(made, 20, 1)
        assert await made.sees(made.holder) == set()
        assert await told(made, own, theirs) == [removed(LOST), removed(LOST - {SECRET})]
        await wait_for(made, 30, 2)  # nothing more goes
        assert await told(made, own, theirs) == [[], []]


async def test_professionals_see_them_as_before_and_are_told_nothing(
    served: Served, made: scene.Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    await world.care_team(database, made.holder, doctor)
    async with served.connected(doctor) as client:
        both = [
            await client.subscribe(DOCUMENTS, record=made.record_id),
            await client.subscribe(INBOX),
        ]
        for each in both:
            await each.until_caught_up()
        await wait_for(made, 20, 1)
        assert await told(made, *both) == [[], []]
    assert await read_by(database, doctor) == {1}  # the mark alone, by each


async def test_who_comes_back_is_told_as_it_is_then(
    served: Served, made: scene.Scene, database: Database, clock: MovableClock
) -> None:
    worker = Worker(database, {JOB: delays.tell})
    async with served.connected(made.holder) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        _, start = await following.until_caught_up()

    async def replayed() -> list[tuple[str, str]]:
        names = {made.document_id(name): name for name in scene.NAMES}
        async with served.connected(made.holder) as client:
            following = await client.subscribe(DOCUMENTS, record=made.record_id, after=start)
            events, _ = await following.until_caught_up()
        return sorted(
            (event["__typename"], names[event.get("documentId") or event["document"]["id"]])
            for event in events
        )

    await wait_for(made, 20, 1)
    assert await replayed() == removed(LOST)
    await wait_for(made, 0, 2)
    await worker.run_due()
    back = sorted(("DocumentDeposited", name) for name in LOST | {FRESH})
    assert await replayed() == back
    await wait_for(made, 20, 3)
    assert await replayed() == sorted(2 * removed(LOST) + removed({FRESH}))
    clock.offset += timedelta(days=15)
    await worker.run_due()
    assert {event for event in await replayed() if event[1] == PLAIN} == {
        ("DocumentDeposited", PLAIN)
    }


async def test_nothing_is_said_of_what_is_held_or_was_hidden_already(
    made: scene.Scene, database: Database
) -> None:
    await wait_for(made, 20, 1)
    async with database.read() as work:
        statement = select(Event.subject_id).where(Event.kind == "DOCUMENT_DELAYED")
        subjects = set(await work.session.scalars(statement))
    assert subjects == {made.documents[name] for name in LOST}


async def test_what_its_publisher_makes_a_result_goes_too(
    served: Served, made: scene.Scene, database: Database
) -> None:
    feed = Feed(database, made.blobs, await world.publisher(database), made.ins)
    other = document("a")
    (id_,) = await feed.send(other)
    assert id_ is not None
    async with served.connected(made.holder) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        await following.until_caught_up()
        result = replace(other, type=Coding("http://loinc.org", "11502-2"))
        await feed.send(result)
        await feed.send(replace(result, title="Autre"))  # of which nobody here is told
        await deposit(made, made.holder, "mark")
        told = await following.events(2)
        assert [event["__typename"] for event in told] == ["DocumentRemoved", "DocumentDeposited"]
        assert told[0]["documentId"] == write_id(DocumentNode, id_)
    assert await delayed(database, id_) == 1


async def test_what_its_author_makes_a_result_goes_too(
    made: scene.Scene, database: Database, blobs: BlobStore
) -> None:
    doctor = await world.professional(database)
    await world.care_team(database, made.holder, doctor)
    plain = DocumentDraft("Lettre", DocumentCategory.REPORT)
    values = {"depositor": "PROFESSIONAL", "depositor_account_id": doctor.account_id}
    id_ = await world.document(database, made.record, publisher_id=None, **values)
    for category, revision in (("LABORATORY", 1), ("IMAGING", 2)):
        async with database.write() as work:
            draft = replace(plain, category=DocumentCategory(category))
            await correct(doctor, work, id_, draft, revision)
    assert await delayed(database, id_) == 1


async def delayed(database: Database, document_id: UUID) -> int:
    """Return how often it was told that the document went for some days."""
    async with database.read() as work:
        told = select(func.count(Event.id.distinct())).where(
            Event.kind == "DOCUMENT_DELAYED", Event.subject_id == document_id
        )
        return await work.session.scalar(told) or 0


async def read_by(database: Database, doctor: Professional) -> set[int]:
    """Return how many documents each entry of the doctor's reads in the journal names."""
    async with database.read() as work:
        entries = select(func.cardinality(JournalEntry.object_ids)).where(
            JournalEntry.actor_id == doctor.professional_id,
            JournalEntry.action == "READ_DOCUMENT",
        )
        return set(await work.session.scalars(entries))
