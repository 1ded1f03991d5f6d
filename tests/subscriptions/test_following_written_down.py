"""What subscriptions show is written into the journal; what happened is told with its change."""

from __future__ import annotations

import pytest
import scene
import world
from following import DOCUMENTS, Served, deposit
from happening import DEPOSITED, tell
from scene import MASKED, PLAIN
from sqlalchemy import func, select

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.journal_tables import JournalEntry
from carnet.documents.tables import Document, DocumentStatus
from carnet.store.database import Database
from carnet.store.tables import Event
from carnet_graphql import documents
from carnet_graphql.node import write_id


async def entries(database: Database, action: str) -> int:
    async with database.read() as work:
        counted = select(func.count()).where(JournalEntry.action == action)
        return await work.session.scalar(counted) or 0


async def test_what_journal_events_show_is_written_down_once(
    served: Served, made: scene.Scene, database: Database
) -> None:
    """And ends: the entry of a read that an event made is an event that shows it again."""
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    query = (
        "subscription($record: ID!) { journalEvents(record: $record) { __typename"
        " ... on CaughtUp { cursor }"
        " ... on JournalEntryAdded { entry { action documents { title } } } } }"
    )
    async with served.connected(caregiver) as client:
        following = await client.subscribe(query, record=made.record_id)
        events, _ = await following.until_caught_up()
        assert await entries(database, "READ_JOURNAL") == 1
        for _ in range(3):
            await tell(made, [PLAIN], JournalAction.CORRECT_DOCUMENT)
        while len(events) < 5:
            events.append(await following.event())
        shown = [event["entry"] for event in events]
        told = [(e["action"], [each["title"] for each in e["documents"]]) for e in shown]
        assert told.count(("CORRECT_DOCUMENT", [PLAIN])) == 3
        assert told.count(("READ_DOCUMENT", [PLAIN])) == 1
        assert told.count(("READ_JOURNAL", [])) == 1
        await client.hear_nothing(following.id)
    assert await entries(database, "READ_JOURNAL") == 1
    assert await entries(database, "READ_DOCUMENT") == 1


async def test_what_document_events_show_is_written_down_once_for_a_selection(
    served: Served, made: scene.Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    grantee = {"professionalId": scene.professional_id(doctor)}
    await made.done(made.holder, "nameCareTeamMember", recordId=made.record_id, grantee=grantee)
    async with served.connected(doctor) as one, served.connected(doctor) as two:
        same = [await one.subscribe(DOCUMENTS, record=made.record_id) for _ in range(3)]
        same += [await two.subscribe(DOCUMENTS, record=made.record_id)]
        for following in same:
            await following.until_caught_up()
        before = await entries(database, "READ_DOCUMENT")
        await tell(made, [PLAIN, MASKED])
        for following in same:
            assert (await following.event())["document"]["title"] == PLAIN
        await tell(made, [MASKED])
        assert await entries(database, "READ_DOCUMENT") == before + 1


async def test_all_versions_that_go_are_told(
    served: Served, made: scene.Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    grantee = {"professionalId": scene.professional_id(doctor)}
    await made.done(made.holder, "nameCareTeamMember", recordId=made.record_id, grantee=grantee)
    first = await deposit(made, made.holder, "letter")
    async with database.write() as work:
        (id_,) = await work.session.scalars(select(Document.id).where(Document.title == "letter"))
        row = await work.session.get_one(Document, id_)
        values = {
            column.name: getattr(row, column.name)
            for column in Document.__table__.columns
            if column.computed is None
        }
        second = work.new_id()
        row.status = DocumentStatus.SUPERSEDED
        values |= {"id": second, "version": 2, "unique_id": str(second)}
        work.session.add(Document(**values))
    async with served.connected(doctor) as client:
        following = await client.subscribe(DOCUMENTS, record=made.record_id)
        await following.until_caught_up()
        await made.done(made.holder, "maskDocument", documentId=first, masked=True)
        gone = {(await following.event())["documentId"] for _ in range(2)}
        assert gone == {first, write_id(documents.Document, second)}


async def test_events_are_only_there_with_their_change(database: Database) -> None:
    holder = await world.holder(database)
    record_id = await world.record_of(database, holder)
    document_id = await world.document(database, record_id)
    fact = Fact(record_id, DEPOSITED, "publisher.feeds", ObjectKind.DOCUMENT, (document_id,))
    async with database.write() as work:
        with pytest.raises(RuntimeError):
            async with work.savepoint():
                await write(None, work, [fact])
                raise RuntimeError
        assert work.events == [] and work.grown == {}
        await write(None, work, [fact])
    async with database.read() as work:
        told = list(await work.session.scalars(select(Event).where(Event.stream_id == record_id)))
        assert [(event.number, event.subject_id) for event in told] == [(1, document_id)]
