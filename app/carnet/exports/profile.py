"""``profile.json``: who the holder is and every statement of the medical profile, in full."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from carnet.documents import queries as documents
from carnet.exports.writing import array, dumps
from carnet.people.actor import Actor
from carnet.people.tables import Person, PersonIdentifier
from carnet.records import dose_queries, profile_queries
from carnet.records import queries as records
from carnet.records.tables import (
    Immunization,
    ImmunizationSource,
    NothingToDeclare,
    ProfileEntry,
    Record,
    Section,
)
from carnet.store.database import Database, Work
from carnet.store.keyset import LARGEST_PAGE, Page, PageRequest

T = TypeVar("T")


async def pieces(
    database: Database, actor: Actor, record_id: UUID, at: datetime
) -> AsyncIterator[bytes]:
    """Yield the JSON, reading a page at a time."""
    async with database.read() as work:
        record = await records.record(actor, work, record_id)
        person = await records.person(actor, work, record.person_id)
        numbers = await records.identifiers_of(actor, work, [person.id])
        nothing = await profile_queries.nothing_to_declare(actor, work, [record_id])
    head = {
        "exportedAt": at,
        "record": record_shape(record),
        "person": person_shape(person, numbers.get(person.id, [])),
        "nothingToDeclare": [nothing_shape(row) for row in nothing.get(record_id, [])],
    }
    yield dumps(head).rstrip().removesuffix(b"}").rstrip() + b',\n"sections": {'
    before = b"\n"
    for section in Section:
        yield before + b'"' + section.value.encode() + b'": '
        before = b",\n"
        if section is Section.IMMUNIZATIONS:
            listed = _doses(database, actor, record_id)
        else:
            listed = _entries(database, actor, record_id, section)
        async for piece in array(listed):
            yield piece
    yield b"}\n}\n"


async def _entries(
    database: Database, actor: Actor, record_id: UUID, section: Section
) -> AsyncIterator[dict[str, Any]]:
    async def read(work: Work, request: PageRequest) -> Page[ProfileEntry] | None:
        order = profile_queries.ENTRIES_OLDEST
        found = await profile_queries.entry_pages(actor, work, [record_id], request, order, section)
        return found.get(record_id)

    async for rows in _pages(database, read):
        async with database.read() as work:
            seen = await _seen(actor, work, rows)
        for row in rows:
            yield entry_shape(row, seen)


async def _doses(
    database: Database, actor: Actor, record_id: UUID
) -> AsyncIterator[dict[str, Any]]:
    async def read(work: Work, request: PageRequest) -> Page[Immunization] | None:
        order = dose_queries.DOSES_OLDEST
        return (
            await dose_queries.immunization_pages(actor, work, [record_id], request, order)
        ).get(record_id)

    async for rows in _pages(database, read):
        async with database.read() as work:
            sources = await dose_queries.sources_of(actor, work, [row.id for row in rows])
            seen = await _seen(actor, work, (one for each in sources.values() for one in each))
        for row in rows:
            yield dose_shape(row, sources.get(row.id, []), seen)


async def _pages(
    database: Database, read: Callable[[Work, PageRequest], Awaitable[Page[T] | None]]
) -> AsyncIterator[Sequence[T]]:
    after: str | None = None
    while True:
        async with database.read() as work:
            page = await read(work, PageRequest.of(first=LARGEST_PAGE, after=after))
        if page is None:
            return
        yield page.items
        if not page.has_next:
            return
        after = page.cursors[-1]


def record_shape(record: Record) -> dict[str, Any]:
    """Return the record itself."""
    return {
        "id": str(record.id),
        "state": record.state.value,
        "openedAt": record.opened_at,
        "activatedAt": record.activated_at,
    }


def person_shape(person: Person, numbers: Sequence[PersonIdentifier]) -> dict[str, Any]:
    """Return who the holder is."""
    return {
        "birthFamilyName": person.birth_family_name,
        "usedFamilyName": person.used_family_name,
        "givenNames": person.given_names,
        "birthDate": person.birth_date,
        "birthPlaceCode": person.birth_place_code,
        "sex": person.sex.value,
        "isDeceased": person.is_deceased,
        "deceasedOn": person.deceased_on,
        "identifiers": [{"system": row.system, "value": row.value} for row in numbers],
    }


def nothing_shape(row: NothingToDeclare) -> dict[str, Any]:
    """Return a dated «nothing to declare»."""
    return {
        "section": row.section.value,
        "statedBy": row.stated_by.value,
        "statedAt": row.stated_at,
    }


def entry_shape(row: ProfileEntry, seen: Collection[UUID]) -> dict[str, Any]:
    """Return one statement; ``seen`` are ids of documents that the actor sees."""
    return {
        "id": str(row.id),
        "label": row.label,
        "codings": row.codings,
        "status": row.status.value,
        "startedOn": row.started_on,
        "endedOn": row.ended_on,
        "value": row.value,
        "unit": row.unit,
        "note": row.note,
        "details": row.details,
        "version": row.version,
        "updatedAt": row.updated_at,
        **_stated(row, seen),
    }


def dose_shape(
    row: Immunization, sources: Sequence[ImmunizationSource], seen: Collection[UUID]
) -> dict[str, Any]:
    """Return one dose with all who report it; ``seen`` are ids of documents."""
    return {
        "id": str(row.id),
        **_vaccination(row),
        "sources": [{**_vaccination(source), **_stated(source, seen)} for source in sources],
    }


def _vaccination(row: Immunization | ImmunizationSource) -> dict[str, Any]:
    return {
        "vaccineLabel": row.vaccine_label,
        "codings": row.codings,
        "diseaseCodes": row.disease_codes,
        "givenOn": row.given_on,
        "lotNumber": row.lot_number,
        "doseRank": row.dose_rank,
        "isSubpotent": row.is_subpotent,
    }


def _stated(row: ProfileEntry | ImmunizationSource, seen: Collection[UUID]) -> dict[str, Any]:
    """Return who stated it, and the document it was read from where the actor sees that."""
    source = row.source_document_id
    return {
        "statedBy": row.stated_by.value,
        "statedAt": row.stated_at,
        "sourceDocumentId": str(source) if source in seen else None,
    }


async def _seen(
    actor: Actor, work: Work, rows: Iterable[ProfileEntry | ImmunizationSource]
) -> Collection[UUID]:
    """Return those of the documents that statements were read from that the actor sees."""
    ids = {row.source_document_id for row in rows if row.source_document_id is not None}
    return await documents.by_ids(actor, work, ids) if ids else ()
