"""What one operation read, written into the access journal before its answer leaves.

`Context.load` shows every row that it hands to a resolver to `Reads.observe`; when the operation
is done, `Reads.settle` decides once more on each, with the grants and documents of that moment,
and writes one entry for all that was read of one kind under one rule. A fact is as readable as
the document it was read from. An answer whose reads could not be written down, or are no longer
allowed, is not given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select

from carnet.access.deciding import Deciding
from carnet.access.facts import READABLE_STATES, DocumentFacts
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.journal_tables import JournalEntry
from carnet.access.lists import SettingsView
from carnet.access.queries import documents as document_facts
from carnet.access.rules import Action
from carnet.access.tables import Block, CareTeamMember, Consent, Delegation, EmergencyAccess
from carnet.access.volume import keep, reached
from carnet.access.volume_rules import FREE, Pace
from carnet.documents.tables import Document
from carnet.errors import RightsChanged
from carnet.people.actor import Actor, Anonymous, Operator, Publisher
from carnet.people.tables import Person
from carnet.prevention.queries import RecordCalendar
from carnet.prevention.tables import (
    Appointment,
    CalendarFeed,
    PregnancyEpisode,
    PreventionAct,
    PreventionChange,
    PreventionFact,
)
from carnet.records.tables import (
    Immunization,
    ImmunizationSource,
    NothingToDeclare,
    ProfileEntry,
    Record,
)
from carnet.store.database import Database, Work
from carnet.store.keyset import Page

Kind = tuple[Action, JournalAction, ObjectKind | None]

KINDS: dict[type, Kind] = {
    Record: (Action.SEE_RECORD, JournalAction.READ_RECORD, None),
    Document: (Action.READ_DOCUMENT, JournalAction.READ_DOCUMENT, ObjectKind.DOCUMENT),
    ProfileEntry: (Action.READ_PROFILE, JournalAction.READ_PROFILE, ObjectKind.PROFILE_ENTRY),
    Immunization: (Action.READ_PROFILE, JournalAction.READ_PROFILE, ObjectKind.IMMUNIZATION),
    NothingToDeclare: (Action.READ_PROFILE, JournalAction.READ_PROFILE, None),
    SettingsView: (Action.MANAGE_ACCESS, JournalAction.READ_ACCESS, None),
    CareTeamMember: (Action.MANAGE_ACCESS, JournalAction.READ_ACCESS, None),
    Consent: (Action.MANAGE_ACCESS, JournalAction.READ_ACCESS, None),
    Block: (Action.MANAGE_ACCESS, JournalAction.READ_ACCESS, None),
    EmergencyAccess: (Action.MANAGE_ACCESS, JournalAction.READ_ACCESS, None),
    Delegation: (Action.MANAGE_ACCESS, JournalAction.READ_ACCESS, None),
    RecordCalendar: (Action.READ_PROFILE, JournalAction.READ_CALENDAR, None),
    Appointment: (Action.READ_PROFILE, JournalAction.READ_CALENDAR, None),
    CalendarFeed: (Action.READ_PROFILE, JournalAction.READ_CALENDAR, None),
    PregnancyEpisode: (Action.READ_PROFILE, JournalAction.READ_CALENDAR, None),
    PreventionAct: (Action.READ_PROFILE, JournalAction.READ_CALENDAR, None),
    PreventionChange: (Action.READ_PROFILE, JournalAction.READ_CALENDAR, None),
    PreventionFact: (Action.READ_PROFILE, JournalAction.READ_CALENDAR, None),
    JournalEntry: (Action.READ_JOURNAL, JournalAction.READ_JOURNAL, None),
}
"""How each row that belongs to a record is decided on and written down. Rows of other tables are
no part of a record, or come only with one of these."""


Sources = tuple[UUID | None, ...]
"""The documents that something was read from, of which one must be readable; None is no document,
which anybody reads who reads the rest. A document is its own source."""

Noted = tuple[UUID, Kind, UUID]
"""What was read: the record, of what kind, and the object's id (the record's own without one)."""

_Rows = dict[tuple[UUID, Kind], dict[UUID, Sources]]


def _rows() -> _Rows:
    return defaultdict(dict)


@dataclass(slots=True)
class Reads:
    """The rows that an operation read, each once.

    ``written``: what of it is in the journal already and is decided on, and not written again;
    what is written is added. None writes everything down.
    ``told``: what somebody is told without having asked. It is written down, and is no reach.
    """

    written: set[Noted] | None = field(default=None, repr=False)
    told: set[tuple[UUID, JournalAction]] = field(default_factory=set, repr=False)
    _rows: _Rows = field(default_factory=_rows, repr=False)
    _persons: set[UUID] = field(default_factory=set, repr=False)
    _delegations: set[tuple[UUID, UUID | None]] = field(default_factory=set, repr=False)
    _failure: Exception | None = field(default=None, repr=False)

    def observe(self, found: Any) -> None:
        """Note what a batched query found: rows, pages or lists of them."""
        match found:
            case Page():
                self._observe_all(found.items)
            case list() | tuple():
                self._observe_all(found)
            case Person():
                self._persons.add(found.id)
            case Delegation():
                self._delegations.add((found.holder_person_id, found.delegate_person_id))
            case Document():
                self._note(found, found.id)
            case RecordCalendar():
                self._note(found, None)
                self._observe_all(found.known.doses)
                self._observe_all(found.known.entries)
            case ProfileEntry():
                self._note(found, found.source_document_id)
            case _ if type(found) in KINDS:
                self._note(found, None)

    def _note(self, found: Any, source: UUID | None) -> None:
        kind = KINDS[type(found)]
        record_id = found.id if isinstance(found, Record) else found.record_id
        key = found.id if kind[2] is not None else record_id
        self._rows[record_id, kind][key] = (source,)

    def _observe_all(self, found: Iterable[Any]) -> None:
        for item in found:
            self.observe(item)

    async def settle(self, actor: Actor, database: Database) -> None:
        """Write down what was read since the last call.

        Once that fails, every further call fails alike: the answer must not be given.

        Raises:
            RightsChanged: something of it is no longer allowed.
            RateLimited: the actor reaches far more patients than their profession needs.
        """
        pace = await self.note(actor, database)
        try:
            await keep(pace)
        except Exception as error:
            self._failure = error
            raise

    async def note(self, actor: Actor, database: Database) -> Pace:
        """Do the same, and return how long the answer is to be kept back: see `keep`.

        Raises:
            RightsChanged: as in `settle`.
        """
        if self._failure is not None:
            raise self._failure
        if isinstance(actor, Anonymous | Publisher | Operator):
            return FREE
        own = getattr(actor, "person_id", None)
        rows, persons = self._rows, self._persons - {own}
        # What a delegate holds is their own; that others hold one is part of who may see a record.
        holders = {holder for holder, delegate in self._delegations if own != delegate}
        self._rows, self._persons, self._delegations = _rows(), set(), set()
        if not rows and not persons and not holders:
            return FREE
        try:
            async with database.write() as work:
                await _add_persons(work, rows, persons, holders)
                facts = await _facts(actor, work, rows, self.written or set())
                asked = [fact for fact in facts if (fact.record_id, fact.action) not in self.told]
                plain = {fact.record_id for fact in asked if not fact.is_emergency}
                urgent = {fact.record_id for fact in asked} - plain
                await reached(actor, work, urgent, is_emergency=True)
                pace = await reached(actor, work, plain)
                if not pace.is_refused:
                    await write(actor, work, facts)
            if self.written is not None and not pace.is_refused:
                self.written |= {(*key, id_) for key, found in rows.items() for id_ in found}
            return pace
        except Exception as error:
            self._failure = error
            raise


async def _add_persons(work: Work, rows: _Rows, persons: set[UUID], holders: set[UUID]) -> None:
    """Add the open records of persons that were read, and of holders whose delegations were."""
    if not persons and not holders:
        return
    found = select(Record.id, Record.person_id).where(
        Record.person_id.in_(persons | holders), Record.state.in_(READABLE_STATES)
    )
    for id_, person_id in await work.session.execute(found):
        if person_id in persons:
            rows[id_, KINDS[Record]][id_] = (None,)
        if person_id in holders:
            rows[id_, KINDS[Delegation]][id_] = (None,)


async def _facts(actor: Actor, work: Work, rows: _Rows, written: set[Noted]) -> list[Fact]:
    """Decide on all, and return what is to be written: all but what already is."""
    await _add_sources(work, rows)
    ids = {id_ for found in rows.values() for sources in found.values() for id_ in sources if id_}
    documents = await document_facts(work, ids) if ids else {}
    deciding = await Deciding.on(actor, work, {record_id for record_id, _ in rows})
    grouped: dict[tuple[UUID, Kind, str, bool, bool], list[UUID]] = defaultdict(list)
    for (record_id, kind), found in rows.items():
        for object_id, sources in found.items():
            rule, is_emergency = _allowed(deciding, kind[0], record_id, sources, documents)
            if (record_id, kind, object_id) in written:
                continue
            is_held = all(
                _is_held(deciding, documents.get(id_) if id_ else None) for id_ in sources
            )
            grouped[record_id, kind, rule, is_emergency, is_held].append(object_id)
    return [
        Fact(
            record_id,
            kind[1],
            rule,
            kind[2],
            tuple(ids) if kind[2] is not None else (),
            deciding.behalf(record_id),
            is_held=is_held,
            is_emergency=is_emergency,
        )
        for (record_id, kind, rule, is_emergency, is_held), ids in grouped.items()
    ]


def _is_held(deciding: Deciding, document: DocumentFacts | None) -> bool:
    return document is not None and deciding.is_held(document)


async def _add_sources(work: Work, rows: _Rows) -> None:
    """Add the documents that doses were read from."""
    kind = KINDS[Immunization]
    doses = {key: found for (_, of_kind), found in rows.items() if of_kind == kind for key in found}
    if not doses:
        return
    sources: dict[UUID, list[UUID | None]] = defaultdict(list)
    statement = select(ImmunizationSource.immunization_id, ImmunizationSource.source_document_id)
    for key, document_id in await work.session.execute(
        statement.where(ImmunizationSource.immunization_id.in_(doses))
    ):
        sources[key].append(document_id)
    for key, found in doses.items():
        found[key] = tuple(sources[key])


def _allowed(
    deciding: Deciding,
    action: Action,
    record_id: UUID,
    sources: Sources,
    documents: Mapping[UUID, DocumentFacts],
) -> tuple[str, bool]:
    """Return the rule that allows a read now, and whether in an emergency only.

    Raises:
        RightsChanged: none does.
    """
    known = [documents.get(id_) if id_ else None for id_ in sources]
    readable = any(
        id_ is None
        or (
            facts is not None and deciding.decide(Action.READ_DOCUMENT, record_id, facts).is_allowed
        )
        for id_, facts in zip(sources, known, strict=True)
    )
    of_document = known[0] if action is Action.READ_DOCUMENT else None
    decision = deciding.decide(action, record_id, of_document)
    if not readable or not decision.is_allowed:
        raise RightsChanged()
    return decision.rule, decision.is_emergency
