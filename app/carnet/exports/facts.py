"""What a summary is made of, read with the actor's rights."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from carnet.documents import queries as documents
from carnet.documents.tables import Document, DocumentCategory, DocumentContent
from carnet.people.actor import Actor
from carnet.people.tables import Person, PersonIdentifier
from carnet.records import dose_queries, profile_queries
from carnet.records import queries as records
from carnet.records.tables import Immunization, NothingToDeclare, ProfileEntry, Section
from carnet.store.database import Work
from carnet.store.keyset import LARGEST_PAGE, Page, PageRequest
from carnet.store.tables import Blob

SECTION_LIMIT = 1000  # entries of one section: a summary is read by people, and made in memory

SUMMARIZED = (DocumentCategory.ADVANCE_DIRECTIVE, DocumentCategory.CARE_PLAN)
"""Folders whose documents have a section in the summary."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a holder, the newest first. Health data, so out of reprs.

    ``shortened``: the sections that have more entries than are here.
    """

    person: Person = field(repr=False)
    numbers: Sequence[PersonIdentifier] = field(repr=False)
    entries: Mapping[Section, Sequence[ProfileEntry]] = field(repr=False)
    doses: Sequence[Immunization] = field(repr=False)
    nothing: Mapping[Section, NothingToDeclare] = field(repr=False)
    documents: Sequence[tuple[Document, Sequence[tuple[DocumentContent, Blob]]]] = field(repr=False)
    shortened: frozenset[Section] = frozenset()


async def read_facts(actor: Actor, work: Work, record_id: UUID) -> Facts:
    """Return the facts of a record.

    Raises:
        NotFound: the record does not exist or is not theirs to see.
    """
    record = await records.record(actor, work, record_id)
    person = await records.person(actor, work, record.person_id)
    numbers = await records.identifiers_of(actor, work, [person.id])
    shortened: set[Section] = set()
    entries: dict[Section, list[ProfileEntry]] = {}
    doses: list[Immunization] = []
    for section in Section:
        if section is Section.IMMUNIZATIONS:
            doses, is_whole = await _newest(_doses(actor, work, record_id))
        else:
            entries[section], is_whole = await _newest(_entries(actor, work, record_id, section))
        if not is_whole:
            shortened.add(section)
    nothing = (await profile_queries.nothing_to_declare(actor, work, [record_id])).get(
        record_id, []
    )
    found, _ = await _newest(_documents(actor, work, record_id))
    contents = await documents.contents_of(actor, work, [document.id for document in found])
    return Facts(
        person,
        numbers.get(person.id, []),
        entries,
        doses,
        {row.section: row for row in nothing},
        [(document, contents.get(document.id, [])) for document in found],
        frozenset(shortened),
    )


_Read = Callable[[PageRequest], Awaitable[Page[T] | None]]


async def _newest(read: _Read[T]) -> tuple[list[T], bool]:
    """Return the newest of a list, and whether these are all."""
    found: list[T] = []
    after: str | None = None
    while len(found) < SECTION_LIMIT:
        page = await read(PageRequest.of(first=LARGEST_PAGE, after=after))
        if page is None:
            break
        found += page.items
        if not page.has_next:
            break
        after = page.cursors[-1]
    else:
        return found[:SECTION_LIMIT], False
    return found, True


def _entries(actor: Actor, work: Work, record_id: UUID, section: Section) -> _Read[ProfileEntry]:
    async def read(request: PageRequest) -> Page[ProfileEntry] | None:
        order = profile_queries.ENTRIES_NEWEST
        found = await profile_queries.entry_pages(actor, work, [record_id], request, order, section)
        return found.get(record_id)

    return read


def _doses(actor: Actor, work: Work, record_id: UUID) -> _Read[Immunization]:
    async def read(request: PageRequest) -> Page[Immunization] | None:
        order = dose_queries.DOSES_NEWEST
        found = await dose_queries.immunization_pages(actor, work, [record_id], request, order)
        return found.get(record_id)

    return read


def _documents(actor: Actor, work: Work, record_id: UUID) -> _Read[Document]:
    wanted = documents.DocumentFilter(categories=SUMMARIZED)

    async def read(request: PageRequest) -> Page[Document] | None:
        order = documents.NEWEST
        found = await documents.pages(actor, work, [record_id], request, order, wanted)
        return found.get(record_id)

    return read
