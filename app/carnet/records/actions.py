"""Writes of records, and of the profile by its holder. Publishers' facts come through `facts`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from carnet.access.deciding import Granted, require
from carnet.access.facts import DocumentFacts
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.rules import Action
from carnet.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    QuotaExceeded,
    RecordClosed,
    ValidationFailed,
)
from carnet.people.actor import Actor, Patient, Professional
from carnet.people.tables import Person
from carnet.records.dose_queries import immunizations_visible_to
from carnet.records.doses import DoseFact, record_doses, retract_reports
from carnet.records.facts import EntryFact, insert_entries
from carnet.records.lifecycle import opened
from carnet.records.looks import look_again
from carnet.records.profile_queries import entries_visible_to
from carnet.records.queries import visible_to
from carnet.records.rules import FED, may_change
from carnet.records.sections import LABEL_LIMIT, EntryDraft
from carnet.records.tables import (
    Immunization,
    NothingToDeclare,
    ProfileEntry,
    Record,
    RecordState,
    Section,
    StatedBy,
)
from carnet.records.transitions import columns_of, majority_of
from carnet.store.database import Work
from carnet.terminology.queries import diseases_of_many
from carnet.values import Coding, PartialDate

LOT_LIMIT = 100  # characters
RANK_LIMIT = 100  # doses of one series


async def open_records(actor: Actor, work: Work, person_ids: Iterable[UUID]) -> dict[UUID, Record]:
    """Return the record of each person, opening one where there never was any.

    Whose record was deleted gets no other one this way: only the holder or an enrolment makes a
    fresh one. Safe against a concurrent call for the same person.
    """
    ids = sorted(set(person_ids))
    if not ids:
        return {}
    found = await latest_records(work, ids)
    missing = [id_ for id_ in ids if id_ not in found]
    if not missing:
        return found
    dates = await work.session.execute(
        select(Person.id, Person.birth_date).where(Person.id.in_(missing))
    )
    born = {person_id: birth_date for person_id, birth_date in dates}
    rows = [
        {
            "id": work.new_id(),
            "person_id": person_id,
            "created_at": work.now,
            **columns_of(opened(work.now, majority_of(born.get(person_id)))),
        }
        for person_id in missing
    ]
    made = await work.session.scalars(
        insert(Record).on_conflict_do_nothing().returning(Record.id), rows
    )
    states = {"from": None, "to": RecordState.OPEN.value}
    facts = [
        Fact(id_, JournalAction.CHANGE_STATE, "publisher.feeds", details=states) for id_ in made
    ]
    await write(actor, work, facts)
    return await latest_records(work, ids)


async def latest_records(work: Work, person_ids: Iterable[UUID]) -> dict[UUID, Record]:
    """Return each person's record, or, where it was deleted and not made anew, what is left."""
    statement = select(Record).where(Record.person_id.in_(list(person_ids))).order_by(Record.id)
    return {record.person_id: record for record in await work.session.scalars(statement)}


async def lock_records(work: Work, record_ids: Iterable[UUID]) -> dict[UUID, Record]:
    """Make this transaction the only one that changes these records, in one order for all."""
    statement = (
        select(Record)
        .where(Record.id.in_(sorted(set(record_ids))))
        .order_by(Record.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return {record.id: record for record in await work.session.scalars(statement)}


async def writable(actor: Actor, work: Work, record_id: UUID, action: Action) -> Granted:
    """Allow the actor to change a record that they see, and lock its row for this transaction.

    Raises:
        NotFound: there is none, or it is not theirs to see.
        AccessDenied: it is theirs to see, and they may not do this.
        RecordClosed: its state takes nothing.
    """
    seen = select(Record.id).where(Record.id == record_id, visible_to(actor, work.now))
    if await work.session.scalar(seen) is None:
        raise NotFound()
    return await lock_for(actor, work, record_id, action)


async def lock_for(
    actor: Actor,
    work: Work,
    record_id: UUID,
    action: Action,
    document: DocumentFacts | None = None,
) -> Granted:
    """Lock a record, then allow what is to be done with it or its document, which the actor sees.

    Raises:
        NotFound, AccessDenied, RecordClosed: as in `writable`.
    """
    locked = await lock_records(work, [record_id])
    granted = await require(actor, work, record_id, action, document)
    if locked[record_id].state not in FED:
        raise RecordClosed()
    return granted


def author_of(actor: Actor, granted: Granted) -> tuple[StatedBy, UUID]:
    """Return who a statement of this actor is attributed to.

    Raises:
        AccessDenied: the actor states nothing in records.
    """
    match actor:
        case Patient(account_id=account_id):
            return StatedBy.DELEGATE if granted.is_for_another else StatedBy.HOLDER, account_id
        case Professional(account_id=account_id):
            return StatedBy.PROFESSIONAL, account_id
        case _:
            raise AccessDenied("access.no-role")


async def add_entry(actor: Actor, work: Work, record_id: UUID, draft: EntryDraft) -> ProfileEntry:
    """Add a statement of the actor to a section; a «nothing to declare» there ends."""
    granted = await writable(actor, work, record_id, Action.WRITE_PROFILE)
    stated_by, stated_by_id = author_of(actor, granted)
    fact = EntryFact(
        id=work.new_id(),
        record_id=record_id,
        draft=draft.checked(),
        stated_by=stated_by,
        stated_by_id=stated_by_id,
    )
    await insert_entries(work, [fact])
    await granted.journal(JournalAction.ADD_ENTRY, ObjectKind.PROFILE_ENTRY, fact.id)
    entry, _ = await own_entry(actor, work, fact.id)
    return entry


async def own_entry(actor: Actor, work: Work, entry_id: UUID) -> tuple[ProfileEntry, Granted]:
    """Return an entry that the actor sees, locked after its record, as intake locks them.

    Raises:
        NotFound: it does not exist or is not theirs to see.
    """
    seen = ProfileEntry.id == entry_id, entries_visible_to(actor, work.now)
    record_id = await work.session.scalar(select(ProfileEntry.record_id).where(*seen))
    if record_id is None:
        raise NotFound()
    granted = await writable(actor, work, record_id, Action.WRITE_PROFILE)
    statement = (
        select(ProfileEntry)
        .where(*seen)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    entry = await work.session.scalar(statement)
    if entry is None:
        raise NotFound()
    return entry, granted


def _check_author(actor: Actor, granted: Granted, entry: ProfileEntry) -> None:
    if not may_change(author_of(actor, granted), (entry.stated_by, entry.stated_by_id)):
        raise AccessDenied("records.only-author-changes", "Only who stated an entry changes it.")


async def correct_entry(
    actor: Actor, work: Work, entry_id: UUID, draft: EntryDraft, version: int
) -> ProfileEntry:
    """Replace what the actor stated.

    Args:
        version: the version that the actor saw.

    Raises:
        NotFound, AccessDenied, RecordClosed: see `writable`.
        Conflict: the entry changed since.
    """
    entry, granted = await own_entry(actor, work, entry_id)
    _check_author(actor, granted, entry)
    if entry.version != version:
        raise Conflict()
    if draft.section is not entry.section:
        raise Conflict("An entry stays in its section.")
    draft.checked()
    entry.label = draft.label
    entry.codings = [coding.as_json() for coding in draft.codings]
    entry.status = draft.status
    entry.started_on = draft.started_on
    entry.ended_on = draft.ended_on
    entry.sort_on = draft.started_on.text if draft.started_on else ""
    entry.value = draft.value
    entry.unit = draft.unit
    entry.note = draft.note
    entry.details = dict(draft.details)
    entry.version += 1
    entry.updated_at = work.now
    await work.session.flush()
    await look_again(work, [entry.record_id], is_told=entry.source_document_id is None)
    await granted.journal(JournalAction.CORRECT_ENTRY, ObjectKind.PROFILE_ENTRY, entry.id)
    return entry


async def remove_entry(actor: Actor, work: Work, entry_id: UUID) -> None:
    """Take back what the actor stated."""
    entry, granted = await own_entry(actor, work, entry_id)
    _check_author(actor, granted, entry)
    entry.removed_at = work.now
    entry.updated_at = work.now
    await work.session.flush()
    await look_again(work, [entry.record_id], is_told=entry.source_document_id is None)
    await granted.journal(JournalAction.REMOVE_ENTRY, ObjectKind.PROFILE_ENTRY, entry.id)


async def declare_nothing(
    actor: Actor, work: Work, record_id: UUID, section: Section
) -> NothingToDeclare:
    """State that there is nothing to declare in a section, dated now.

    Raises:
        Conflict: the section holds entries.
    """
    granted = await writable(actor, work, record_id, Action.WRITE_PROFILE)
    stated_by, stated_by_id = author_of(actor, granted)
    held = select(ProfileEntry.id).where(
        ProfileEntry.record_id == record_id,
        ProfileEntry.section == section,
        entries_visible_to(actor, work.now),
    )
    if section is Section.IMMUNIZATIONS:
        held = select(Immunization.id).where(
            Immunization.record_id == record_id, immunizations_visible_to(actor, work.now)
        )
    if await work.session.scalar(held.limit(1)) is not None:
        raise Conflict("This section holds entries.")
    statement = delete(NothingToDeclare).where(
        NothingToDeclare.record_id == record_id, NothingToDeclare.section == section
    )
    await work.session.execute(statement)
    declared = NothingToDeclare(
        id=work.new_id(),
        record_id=record_id,
        section=section,
        stated_by=stated_by,
        stated_by_id=stated_by_id,
        stated_at=work.now,
    )
    work.session.add(declared)
    await work.session.flush()
    await granted.journal(JournalAction.DECLARE_NOTHING, details={"section": section.value})
    return declared


@dataclass(frozen=True, slots=True)
class DoseDraft:
    """What a holder says of a dose; health data, so out of reprs."""

    vaccine_label: str = field(repr=False)
    codings: tuple[Coding, ...] = field(default=(), repr=False)
    given_on: PartialDate | None = field(default=None, repr=False)
    lot_number: str | None = field(default=None, repr=False)
    dose_rank: int | None = None

    def checked(self) -> DoseDraft:
        """Return the draft itself when it can be stored.

        Raises:
            ValidationFailed: ``path`` names the field that is wrong.
        """
        if not self.vaccine_label.strip() or len(self.vaccine_label) > LABEL_LIMIT:
            raise ValidationFailed(
                f"A vaccine's name has 1 to {LABEL_LIMIT} characters.", path=("vaccineLabel",)
            )
        if self.lot_number is not None and len(self.lot_number) > LOT_LIMIT:
            raise ValidationFailed(
                f"A lot number has at most {LOT_LIMIT} characters.", path=("lotNumber",)
            )
        if self.dose_rank is not None and not 1 <= self.dose_rank <= RANK_LIMIT:
            raise ValidationFailed(f"A rank is from 1 to {RANK_LIMIT}.", path=("doseRank",))
        return self


async def report_dose(actor: Actor, work: Work, record_id: UUID, draft: DoseDraft) -> UUID:
    """Report a dose; it is merged with what others reported. Returns the dose's id."""
    granted = await writable(actor, work, record_id, Action.WRITE_PROFILE)
    stated_by, stated_by_id = author_of(actor, granted)
    draft.checked()
    if draft.given_on is not None and draft.given_on > PartialDate.of(work.now.date()):
        raise ValidationFailed("A dose was not given in the future.", path=("givenOn",))
    key = f"{stated_by_id}/{work.new_id()}"
    diseases = (await diseases_of_many(work, [draft.codings]))[0]
    fact = DoseFact(
        source_key=key,
        vaccine_label=draft.vaccine_label,
        codings=draft.codings,
        disease_codes=diseases,
        given_on=draft.given_on,
        lot_number=draft.lot_number or None,
        dose_rank=draft.dose_rank,
        is_subpotent=False,
        stated_by=stated_by,
        stated_by_id=stated_by_id,
    )
    landed = await record_doses(work, record_id, [fact])
    if key not in landed:
        raise QuotaExceeded("The record has no room for more reports of doses.")
    await granted.journal(JournalAction.REPORT_DOSE, ObjectKind.IMMUNIZATION, landed[key])
    return landed[key]


async def withdraw_dose(actor: Actor, work: Work, immunization_id: UUID) -> None:
    """Take back the actor's own reports of a dose; it stays where others report it.

    Raises:
        NotFound: no such dose, or not theirs to see.
        AccessDenied: only others report it.
    """
    seen = select(Immunization).where(
        Immunization.id == immunization_id, immunizations_visible_to(actor, work.now)
    )
    dose = await work.session.scalar(seen)
    if dose is None:
        raise NotFound()
    granted = await writable(actor, work, dose.record_id, Action.WRITE_PROFILE)
    if not await retract_reports(work, dose, author_of(actor, granted)):
        raise AccessDenied("records.only-author-changes", "Only who reported a dose takes it back.")
    await granted.journal(JournalAction.WITHDRAW_DOSE, ObjectKind.IMMUNIZATION, immunization_id)
