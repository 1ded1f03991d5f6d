"""What one operation read, written into the access journal before its answer leaves.

`Context.load` shows every row that it hands to a resolver to `Reads.observe`; when the operation
is done, `Reads.settle` decides once more on each, with the grants of that moment, and writes one
entry for all that was read of one kind under one rule. An answer whose reads could not be written
down, or are no longer allowed, is not given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select

from carnet.access.deciding import Deciding
from carnet.access.facts import READABLE_STATES, DocumentFacts
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.journal_tables import JournalEntry
from carnet.access.lists import SettingsView
from carnet.access.queries import document_facts
from carnet.access.rules import Action
from carnet.access.tables import Block, CareTeamMember, Consent, EmergencyAccess
from carnet.access.volume import keep, reached
from carnet.documents.tables import Document
from carnet.errors import RightsChanged
from carnet.people.actor import Actor, Anonymous, Operator, Publisher
from carnet.people.tables import Person
from carnet.records.queries import held_facts
from carnet.records.tables import Immunization, NothingToDeclare, ProfileEntry, Record
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
    JournalEntry: (Action.READ_JOURNAL, JournalAction.READ_JOURNAL, None),
}
"""How each row that belongs to a record is decided on and written down. Rows of other tables are
no part of a record, or come only with one of these."""


@dataclass(slots=True)
class Reads:
    """The rows that an operation read, each once."""

    _rows: dict[tuple[UUID, Kind], dict[UUID, DocumentFacts | None]] = field(
        default_factory=lambda: defaultdict(dict), repr=False
    )
    _persons: set[UUID] = field(default_factory=set, repr=False)

    def observe(self, found: Any) -> None:
        """Note what a batched query found: rows, pages or lists of them."""
        match found:
            case Page():
                self._observe_all(found.items)
            case list() | tuple():
                self._observe_all(found)
            case Person():
                self._persons.add(found.id)
            case _ if (kind := KINDS.get(type(found))) is not None:
                facts = document_facts(found) if isinstance(found, Document) else None
                record_id = found.id if isinstance(found, Record) else found.record_id
                key = found.id if kind[2] is not None else record_id
                self._rows[record_id, kind][key] = facts

    def _observe_all(self, found: Iterable[Any]) -> None:
        for item in found:
            self.observe(item)

    async def settle(self, actor: Actor, database: Database) -> None:
        """Write down what was read.

        Raises:
            RightsChanged: something of it is no longer allowed.
            RateLimited: the actor reaches far more patients than their profession needs.
        """
        if isinstance(actor, Anonymous | Publisher | Operator):
            return
        rows, persons = self._rows, self._persons - {getattr(actor, "person_id", None)}
        self._rows, self._persons = defaultdict(dict), set()
        if not rows and not persons:
            return
        async with database.write() as work:
            for record_id in await _records_of(work, persons):
                rows[record_id, KINDS[Record]][record_id] = None
            deciding = await Deciding.on(actor, work, {record_id for record_id, _ in rows})
            held = await held_facts(actor, work, self._facts_read(rows))
            facts = _facts(deciding, rows, held)
            plain = {fact.record_id for fact in facts if not fact.is_emergency}
            urgent = {fact.record_id for fact in facts} - plain
            await reached(actor, work, urgent, is_emergency=True)
            pace = await reached(actor, work, plain)
            if not pace.is_refused:
                await write(actor, work, facts)
        await keep(pace)

    @staticmethod
    def _facts_read(rows: dict[tuple[UUID, Kind], dict[UUID, DocumentFacts | None]]) -> list[UUID]:
        return [
            object_id
            for (_, kind), objects in rows.items()
            if kind[1] is JournalAction.READ_PROFILE
            for object_id in objects
        ]


async def _records_of(work: Work, person_ids: set[UUID]) -> list[UUID]:
    if not person_ids:
        return []
    found = select(Record.id).where(
        Record.person_id.in_(person_ids), Record.state.in_(READABLE_STATES)
    )
    return list(await work.session.scalars(found))


def _facts(
    deciding: Deciding,
    rows: dict[tuple[UUID, Kind], dict[UUID, DocumentFacts | None]],
    held: set[UUID],
) -> list[Fact]:
    grouped: dict[tuple[UUID, Kind, str, bool, bool], list[UUID]] = defaultdict(list)
    for (record_id, kind), objects in rows.items():
        for object_id, document in objects.items():
            decision = deciding.decide(kind[0], record_id, document)
            if not decision.is_allowed:
                raise RightsChanged()
            is_held = object_id in held or (document is not None and deciding.is_held(document))
            key = (record_id, kind, decision.rule, decision.is_emergency, is_held)
            grouped[key].append(object_id)
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
