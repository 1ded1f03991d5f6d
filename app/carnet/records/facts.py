"""Bulk writes of profile entries, from any source, in few statements.

The caller has decided who may state what; here entries are stored, replaced and retracted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.records.looks import look_again, tell
from carnet.records.sections import EntryDraft
from carnet.records.tables import NothingToDeclare, ProfileEntry, Section, StatedBy
from carnet.store.database import Work


@dataclass(frozen=True, slots=True)
class EntryFact:
    """A profile entry ready to be stored."""

    id: UUID
    record_id: UUID
    draft: EntryDraft
    stated_by: StatedBy
    stated_by_id: UUID | None
    source_document_id: UUID | None = None
    hidden_from_holder_until: datetime | None = None


async def insert_entries(work: Work, facts: Sequence[EntryFact]) -> None:
    """Store entries; where a section gets its first, its «nothing to declare» ends."""
    if not facts:
        return
    rows = [
        {
            "id": fact.id,
            "record_id": fact.record_id,
            "section": fact.draft.section,
            "label": fact.draft.label,
            "codings": [coding.as_json() for coding in fact.draft.codings],
            "status": fact.draft.status,
            "started_on": fact.draft.started_on,
            "ended_on": fact.draft.ended_on,
            "sort_on": fact.draft.started_on.text if fact.draft.started_on else "",
            "value": fact.draft.value,
            "unit": fact.draft.unit,
            "note": fact.draft.note,
            "details": fact.draft.details,
            "stated_by": fact.stated_by,
            "stated_by_id": fact.stated_by_id,
            "stated_at": work.now,
            "source_document_id": fact.source_document_id,
            "hidden_from_holder_until": fact.hidden_from_holder_until,
            "updated_at": work.now,
        }
        for fact in facts
    ]
    # Without render_nulls, each run of rows that lack the same values is a statement of its own.
    statement = insert(ProfileEntry).execution_options(render_nulls=True)
    await work.session.execute(statement, rows)
    visible = [fact for fact in facts if fact.hidden_from_holder_until is None]
    by_record: dict[UUID, set[Section]] = {}
    for fact in visible:
        by_record.setdefault(fact.record_id, set()).add(fact.draft.section)
    for record_id, sections in by_record.items():
        ended = delete(NothingToDeclare).where(
            NothingToDeclare.record_id == record_id, NothingToDeclare.section.in_(sections)
        )
        await work.session.execute(ended)
    await look_again(work, {fact.record_id for fact in facts})
    tell(work, {fact.record_id for fact in facts if fact.source_document_id is None})


async def replace_entries(work: Work, facts: Sequence[EntryFact]) -> None:
    """Store new versions of entries that already stand under the same ids."""
    if not facts:
        return
    rows = [
        {
            "to_id": fact.id,
            "to_section": fact.draft.section,
            "to_label": fact.draft.label,
            "to_codings": [coding.as_json() for coding in fact.draft.codings],
            "to_status": fact.draft.status,
            "to_started_on": fact.draft.started_on,
            "to_ended_on": fact.draft.ended_on,
            "to_sort_on": fact.draft.started_on.text if fact.draft.started_on else "",
            "to_value": fact.draft.value,
            "to_unit": fact.draft.unit,
            "to_note": fact.draft.note,
            "to_details": fact.draft.details,
            "to_source_document_id": fact.source_document_id,
            "to_hidden_from_holder_until": fact.hidden_from_holder_until,
        }
        for fact in facts
    ]
    table = ProfileEntry.metadata.tables[ProfileEntry.__tablename__]
    given = {
        column: bindparam(f"to_{column.name}", type_=column.type)
        for column in table.columns
        if f"to_{column.name}" in rows[0] and not column.primary_key
    }
    changed = (
        update(table)
        .where(table.c.id == bindparam("to_id", type_=table.c.id.type))
        .values(given)
        .values(version=table.c.version + 1, updated_at=work.now, removed_at=None)
    )
    await work.session.execute(changed, rows)
    await look_again(work, {fact.record_id for fact in facts})


async def retract_entries(work: Work, document_ids: Collection[UUID]) -> None:
    """Remove the entries that were read from documents which are no longer current."""
    removed = (
        update(ProfileEntry)
        .where(ProfileEntry.source_document_id.in_(document_ids), ProfileEntry.removed_at.is_(None))
        .values(removed_at=work.now, updated_at=work.now)
        .returning(ProfileEntry.record_id)
    )
    await look_again(work, set(await work.session.scalars(removed)))


async def note_nothing(
    work: Work, record_id: UUID, section: Section, stated_by: StatedBy, stated_by_id: UUID | None
) -> bool:
    """Note «nothing to declare» for a section that holds nothing.

    Returns:
        Whether it is new; False where the section holds entries or says so already.
    """
    held = select(ProfileEntry.id).where(
        ProfileEntry.record_id == record_id,
        ProfileEntry.section == section,
        ProfileEntry.removed_at.is_(None),
    )
    if await work.session.scalar(held.limit(1)) is not None:
        return False
    noted = (
        upsert(NothingToDeclare)
        .values(
            id=work.new_id(),
            record_id=record_id,
            section=section,
            stated_by=stated_by,
            stated_by_id=stated_by_id,
            stated_at=work.now,
        )
        .on_conflict_do_nothing()
        .returning(NothingToDeclare.id)
    )
    return await work.session.scalar(noted) is not None
