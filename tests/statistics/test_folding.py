"""The journal folded into counts: each entry once, whatever crashes, and equal to a recount."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from random import Random
from uuid import UUID, uuid4

import leaves
import pytest
import world
from sqlalchemy import delete, event, func, select

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.journal_tables import JournalEntry, JournalLeaf
from carnet.clock import MovableClock
from carnet.documents.tables import DepositorKind, Document, DocumentCategory, DocumentStatus
from carnet.errors import AccessDenied, Unauthenticated
from carnet.people import tables as people
from carnet.people.actor import CONSOLE, Actor, Anonymous, Assurance, Professional, Publisher
from carnet.records.tables import Record, RecordState
from carnet.statistics import folding, queries
from carnet.statistics import tables as statistics
from carnet.store.database import Database, Work
from carnet.store.jobs import Worker, ensure

S = RecordState
NEXT = {
    S.NOTIFIED: [S.OPEN, S.OPPOSED],
    S.OPPOSED: [S.OPEN],
    S.OPEN: [S.ACTIVATED, S.CLOSED, S.SUSPENDED],
    S.ACTIVATED: [S.CLOSED, S.SUSPENDED, S.DELETION_REQUESTED],
    S.SUSPENDED: [S.OPEN],
    S.CLOSED: [S.OPEN, S.DELETED],
    S.DELETION_REQUESTED: [S.DELETED],
    S.DELETED: [],
}


async def change_state(work: Work, record_id: UUID, before: S | None, after: S) -> None:
    details = {"from": before.value if before else None, "to": after.value}
    fact = Fact(record_id, JournalAction.CHANGE_STATE, "test", details=details)
    await write(None, work, [fact])


async def make_record(work: Work, state: S, before: S | None = None) -> Record:
    person = people.Person(
        id=work.new_id(),
        birth_family_name="DUPONT",
        given_names=[],
        sex=people.Sex.OTHER,
        created_at=work.now,
    )
    record = Record(id=work.new_id(), person_id=person.id, state=state, created_at=work.now)
    record.activated_at = work.now if state is S.ACTIVATED else None
    work.session.add(person)
    await work.session.flush()
    work.session.add(record)
    await work.session.flush()
    await change_state(work, record.id, before, state)
    return record


async def move(work: Work, record: Record, random: Random) -> None:
    """Take a record one step on in its life; who comes back goes to where they came from."""
    choices = NEXT[record.state]
    if not choices:
        return
    before, after = record.state, random.choice(choices)
    if before in (S.SUSPENDED, S.CLOSED) and after is S.OPEN and record.activated_at:
        after = S.ACTIVATED
    elif after is S.ACTIVATED:
        record.activated_at = work.now
    record.state = after
    await work.session.flush()
    await change_state(work, record.id, before, after)


async def deposit(
    work: Work, actor: Actor, record: Record, category: DocumentCategory, rpps: list[str]
) -> None:
    id_ = work.new_id()
    is_publisher = isinstance(actor, Publisher)
    work.session.add(
        Document(
            id=id_,
            record_id=record.id,
            lineage_id=id_,
            status=DocumentStatus.CURRENT,
            depositor=DepositorKind.PUBLISHER if is_publisher else DepositorKind.PROFESSIONAL,
            publisher_id=actor.publisher_id if is_publisher else None,
            unique_id=str(id_),
            content_key=id_.bytes * 2,
            category=category,
            title="",
            confidentiality_codes=[],
            author_rpps=rpps,
            author_text="",
            flags=[],
            sort_at=work.now,
            deposited_at=work.now,
            updated_at=work.now,
        )
    )
    await work.session.flush()
    fact = Fact(
        record.id,
        JournalAction.DEPOSIT_DOCUMENT,
        "test",
        ObjectKind.DOCUMENT,
        (id_,),
        details={"category": category.value},
    )
    await write(actor, work, [fact])


async def directory(database: Database) -> tuple[list[Professional], list[Publisher], list[str]]:
    """Make establishments of two types, professionals of two kinds, and software."""
    actors, publishers, numbers = [], [], []
    async with database.write() as work:
        for number in range(6):
            organization = people.Organization(
                id=work.new_id(),
                name=f"organization {number}",
                facility_type_code=("SA01", "SA05", None)[number % 3],
                created_at=work.now,
            )
            professional = people.Professional(
                id=work.new_id(),
                rpps=f"1010000000{number}",
                family_name="MARTIN",
                given_name="Sam",
                profession_code=("10", "60")[number % 2],
                organization_id=organization.id,
                created_at=work.now,
            )
            software = people.Publisher(
                id=work.new_id(),
                name=f"software {number}",
                organization_id=organization.id,
                secret_hash=uuid4().bytes * 2,
                created_at=work.now,
            )
            work.session.add(organization)
            await work.session.flush()
            work.session.add_all([professional, software])
            actors.append(Professional(professional.id, uuid4(), Assurance.SANDBOX))
            publishers.append(Publisher(software.id))
            numbers.append(professional.rpps)
    return actors, publishers, numbers


async def recount(database: Database) -> dict[tuple[str, str, str], int]:
    """Count everything again from the records and documents themselves."""
    found: Counter[tuple[str, str, str]] = Counter()
    async with database.read() as work:
        for record in await work.session.scalars(select(Record)):
            found["RECORDS", "", record.state.value] += 1
            if record.activated_at:
                found["ACTIVATIONS", f"{record.activated_at:%Y-%m}", ""] += 1
        for document in await work.session.scalars(select(Document)):
            month = f"{document.deposited_at:%Y-%m}"
            found["DOCUMENTS", month, document.category.value] += 1
    return dict(found)


async def counted(database: Database) -> dict[tuple[str, str, str], int]:
    async with database.read() as work:
        rows = await work.session.scalars(select(statistics.Counter))
        return {(row.metric, row.period, row.dimension): row.value for row in rows if row.value}


async def contributions(database: Database) -> set[tuple[str, str, str]]:
    async with database.read() as work:
        rows = await work.session.scalars(select(statistics.Contribution))
        return {(row.kind, row.id, row.group) for row in rows}


async def position(database: Database) -> tuple[int, datetime]:
    async with database.read() as work:
        row = (await work.session.scalars(select(statistics.FoldPosition))).one()
        return row.next_leaf, row.folded_at


async def opened(database: Database, count: int) -> None:
    async with database.write() as work:
        for _ in range(count):
            await make_record(work, S.OPEN)


@pytest.mark.parametrize("seed", range(3))
async def test_the_counts_of_a_generated_world_are_those_of_its_tables(
    database: Database, clock: MovableClock, seed: int
):
    random = Random(seed)  # noqa: S311 — no secret
    professionals, publishers, numbers = await directory(database)
    fed: set[tuple[str, str]] = set()
    records: list[UUID] = []
    for _ in range(40):
        clock.offset += timedelta(days=random.randrange(12))
        async with database.write() as work:
            for _ in range(random.randrange(3)):
                records.append((await make_record(work, random.choice([S.NOTIFIED, S.OPEN]))).id)
            for id_ in random.sample(records, min(len(records), 4)):
                record = await work.session.get_one(Record, id_)
                await move(work, record, random)
                category = random.choice(list(DocumentCategory))
                number = random.randrange(6)
                rpps = random.sample(numbers[:4], 1)
                if random.random() < 0.5:
                    await deposit(work, publishers[number], record, category, rpps)
                    fed |= {("software", str(number)), ("author", rpps[0])}
                else:
                    await deposit(work, professionals[number], record, category, [])
                    fed |= {("professional", str(number)), ("software", str(number))}
        await leaves.lay(database, random.choice([None, 3]))
        if random.random() < 0.3:
            await folding.fold(database, random.choice([1, 7, 1000]))
    await leaves.lay(database)
    await folding.run(database, {})

    assert await counted(database) == await recount(database)
    feeding = {name for kind, name in fed if kind == "author"}
    feeding |= {numbers[int(name)] for kind, name in fed if kind == "professional"}
    async with database.read() as work:
        rows = await work.session.scalars(
            select(people.Professional).where(people.Professional.rpps.in_(feeding))
        )
        expected = {("PROFESSIONAL", str(row.id), row.profession_code) for row in rows}
        published = [publishers[int(name)].publisher_id for kind, name in fed if kind == "software"]
        organizations = await work.session.scalars(
            select(people.Organization)
            .join(people.Publisher)
            .where(people.Publisher.id.in_(published))
        )
        expected |= {
            ("ORGANIZATION", str(row.id), row.facility_type_code or "") for row in organizations
        }
    assert await contributions(database) == expected


async def test_folding_again_counts_nothing_twice(database: Database):
    await opened(database, 5)
    await leaves.lay(database)
    assert await folding.fold(database) == 5
    assert await folding.fold(database) == 0
    assert await counted(database) == {("RECORDS", "", "OPEN"): 5}


async def test_many_processes_at_once_count_each_entry_once(database: Database):
    await opened(database, 20)
    await leaves.lay(database)
    await asyncio.gather(*(folding.fold(database, 3) for _ in range(9)))
    assert await counted(database) == {("RECORDS", "", "OPEN"): 20}
    assert (await position(database))[0] == 20


async def test_a_crash_before_the_commit_leaves_counts_and_position_as_they_were(
    database: Database,
):
    await opened(database, 4)
    await leaves.lay(database)
    await folding.fold(database, 2)

    def crash(_connection: object) -> None:
        raise RuntimeError("the power fails")

    event.listen(database.engine.sync_engine, "commit", crash)
    with pytest.raises(RuntimeError):
        await folding.fold(database)
    event.remove(database.engine.sync_engine, "commit", crash)
    assert await counted(database) == {("RECORDS", "", "OPEN"): 2}
    assert (await position(database))[0] == 2
    await folding.fold(database)
    assert await counted(database) == {("RECORDS", "", "OPEN"): 4}


async def test_entries_count_once_they_are_sealed_however_late(
    database: Database, clock: MovableClock
):
    await opened(database, 3)
    await folding.fold(database)
    assert await counted(database) == {}
    await leaves.lay(database, 2)
    await folding.fold(database)
    assert await counted(database) == {("RECORDS", "", "OPEN"): 2}
    clock.offset += timedelta(days=40)
    await opened(database, 1)
    await leaves.lay(database)
    await folding.fold(database)
    assert await counted(database) == {("RECORDS", "", "OPEN"): 4}


async def test_nothing_is_folded_beyond_a_gap(database: Database):
    await opened(database, 3)
    async with database.write() as work:
        ids = list(await work.session.scalars(select(JournalEntry.id).order_by(JournalEntry.id)))
        places = zip([0, 2, 3], ids, strict=True)
        work.session.add_all(JournalLeaf(index=place, entry_id=id_) for place, id_ in places)
    assert await folding.fold(database) == 1
    assert (await position(database))[0] == 1


async def test_a_leaf_whose_entry_is_gone_is_passed_over(owner_url, database: Database):
    await opened(database, 3)
    await leaves.lay(database)
    owner = Database.connect(owner_url, role=None)  # the server's own role may not delete them
    async with owner.write() as work:
        second = select(JournalLeaf.entry_id).where(JournalLeaf.index == 1).scalar_subquery()
        await work.session.execute(delete(JournalEntry).where(JournalEntry.id == second))
    await owner.close()
    assert await folding.fold(database) == 3
    assert await counted(database) == {("RECORDS", "", "OPEN"): 2}


async def test_a_record_made_anew_leaves_the_deleted_one_deleted(database: Database):
    async with database.write() as work:
        await make_record(work, S.DELETED)
        await make_record(work, S.ACTIVATED, before=S.DELETED)
    await leaves.lay(database)
    await folding.fold(database)
    assert await counted(database) == await recount(database)
    assert (await counted(database))["RECORDS", "", "DELETED"] == 1


async def test_one_entry_for_many_documents_counts_them_all(database: Database):
    record_id = await world.record_of(database, await world.holder(database))
    async with database.write() as work:
        fact = Fact(
            record_id,
            JournalAction.DEPOSIT_DOCUMENT,
            "test",
            ObjectKind.DOCUMENT,
            tuple(uuid4() for _ in range(1500)),
            details={"category": "LABORATORY"},
        )
        await write(None, work, [fact])
        month = f"{work.now:%Y-%m}"
    await leaves.lay(database)
    await folding.fold(database)
    assert await counted(database) == {("DOCUMENTS", month, "LABORATORY"): 1500}


async def test_as_of_lags_while_entries_wait_and_is_now_when_none_does(
    database: Database, clock: MovableClock
):
    await opened(database, 3)
    async with database.read() as work:
        last_at = await work.session.scalar(select(func.max(JournalEntry.at)))
        assert await queries.as_of(CONSOLE, work) is None
    clock.offset += timedelta(days=1)
    await leaves.lay(database)
    await folding.fold(database, 2)
    assert (await position(database))[1] <= last_at
    await folding.fold(database, 2)
    async with database.read() as work:
        moment = await queries.as_of(CONSOLE, work)
        assert moment is not None and timedelta() <= work.now - moment < timedelta(hours=1)


async def test_the_job_folds_all_that_is_sealed_and_comes_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(folding, "BATCH", 2)
    await opened(database, 5)
    await leaves.lay(database)
    async with database.write() as work:
        await ensure(work, folding.JOB)
    worker = Worker(database, {folding.JOB: folding.run})
    assert await worker.run_due() == 1
    assert await counted(database) == {("RECORDS", "", "OPEN"): 5}
    assert await worker.run_due() == 0


@pytest.mark.parametrize(
    "query",
    [
        queries.as_of,
        queries.records_by_state,
        queries.feeding_professionals,
        queries.feeding_organizations,
    ],
)
async def test_only_operators_read_statistics(database: Database, query):
    patient = await world.holder(database)
    async with database.read() as work:
        with pytest.raises(AccessDenied):
            await query(patient, work)
        with pytest.raises(Unauthenticated):
            await query(Anonymous(), work)
        for of_months in (queries.activations, queries.documents):
            with pytest.raises(AccessDenied):
                await of_months(patient, work, ["2026-01"])
