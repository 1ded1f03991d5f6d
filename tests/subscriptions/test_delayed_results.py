"""A holder who chooses to see results later loses sight of some at once: whoever follows is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import scene
import world
from following import DOCUMENTS, INBOX, Served, Subscription, deposit, serving
from scene import AUTHORED, FRESH, MASKED, PLAIN, SECRET
from sqlalchemy import func, select

from carnet.access.delays import JOB
from carnet.access.journal_tables import JournalEntry
from carnet.access.settings import SettingsChange, change_settings
from carnet.clock import MovableClock
from carnet.documents import delays
from carnet.people.actor import Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.jobs import Worker
from carnet.store.tables import Event

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


async def read_by(database: Database, doctor: Professional) -> set[int]:
    """Return how many documents each entry of the doctor's reads in the journal names."""
    async with database.read() as work:
        entries = select(func.cardinality(JournalEntry.object_ids)).where(
            JournalEntry.actor_id == doctor.professional_id,
            JournalEntry.action == "READ_DOCUMENT",
        )
        return set(await work.session.scalars(entries))
