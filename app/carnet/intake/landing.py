"""Lands what a reader found: documents, facts and withdrawals, in one open transaction.

Items are independent: one that cannot land is refused and the others go on. Facts read from a
document follow it: they are hidden, superseded and withdrawn with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from carnet.documents.deposits import withdraw
from carnet.documents.landed import Landed
from carnet.documents.tables import Document, DocumentStatus
from carnet.errors import Refusal
from carnet.intake.filing import file_document
from carnet.intake.journalling import Done, write_entries
from carnet.intake.model import (
    DocumentItem,
    EntryItem,
    ImmunizationItem,
    Item,
    NothingToDeclareItem,
    PatientItem,
    Reading,
    Reason,
    Skipped,
    WithdrawalItem,
    kind_of,
    targets_of,
)
from carnet.intake.receipt import ItemOutcome, Outcome
from carnet.intake.storable import digest_of, is_storable, raise_unless_of_item, shown_key
from carnet.intake.subjects import Subject, identify
from carnet.intake.tables import IntakeItem
from carnet.people.actor import Publisher
from carnet.records.doses import DoseFact, record_doses
from carnet.records.facts import EntryFact, insert_entries, note_nothing, replace_entries
from carnet.records.sections import DETAILS, EntryDraft
from carnet.records.tables import StatedBy
from carnet.store.blobs import BlobStore
from carnet.store.database import Work
from carnet.terminology.queries import diseases_of_many

NOT_CURRENT = "The document it was read from is not the current version."
FORMAT = "The item could not be stored as it stands."
NO_ROOM = "The record has no room for more reports of doses."


async def land(
    actor: Publisher, work: Work, blobs: BlobStore, reading: Reading
) -> list[ItemOutcome]:
    """Land everything a reading holds; the caller commits.

    Returns:
        One outcome for each item, in the order of the body.
    """
    subjects = await identify(actor, work, reading.patients)
    return await _Lander(actor, work, blobs, subjects).land(reading.items)


@dataclass(frozen=True, slots=True)
class _Fact:
    """A fact on its way, with its place in the answer and what stood under its key before."""

    index: int
    item: EntryItem | ImmunizationItem
    record_id: UUID
    document: Document | None
    digest: bytes
    former: IntakeItem | None

    @property
    def key(self) -> str:
        """The publisher's key within the record, so that no key crosses persons."""
        return f"{self.record_id}/{self.item.source_key}"


class _Lander:
    def __init__(
        self, actor: Publisher, work: Work, blobs: BlobStore, subjects: dict[str, Subject]
    ) -> None:
        self.actor = actor
        self.work = work
        self.blobs = blobs
        self.subjects = subjects
        self.outcomes: dict[int, ItemOutcome] = {}
        self.documents: dict[str, Document] = {}  # by source key, those that landed
        self.landed: dict[int, Landed] = {}  # the same, by their place
        self.refused: set[str] = set()  # source keys of documents that did not
        self.withdrawn: dict[int, list[UUID]] = {}  # versions, by the place of their withdrawal

    async def land(self, items: Sequence[Item]) -> list[ItemOutcome]:
        facts: list[tuple[int, EntryItem | ImmunizationItem]] = []
        later: list[tuple[int, NothingToDeclareItem]] = []
        for index, item in enumerate(items):
            if isinstance(item, Skipped):
                self._skip(index, item)
                continue
            if not is_storable(item):
                self._refuse(
                    index, replace(item, source_key=shown_key(item)), Reason.MALFORMED, FORMAT
                )
                continue
            subject = self.subjects.get(item.patient)
            if subject is None or subject.record_id is None:
                self._refuse_subject(index, item, subject)
            elif isinstance(item, PatientItem):
                outcome = Outcome.CREATED if subject.is_new else Outcome.DUPLICATE
                self._set(index, item, outcome, "Record", subject.record_id)
            elif isinstance(item, DocumentItem):
                await self._document(index, item, subject)
            elif isinstance(item, WithdrawalItem):
                await self._withdrawal(index, item, subject.record_id)
            elif isinstance(item, NothingToDeclareItem):
                later.append((index, item))
            else:
                facts.append((index, item))
        await self._refresh()
        await self._facts(facts)
        for index, nothing in later:
            await self._nothing(index, nothing)
        outcomes = [self.outcomes[index] for index in range(len(items))]
        done = Done(items, outcomes, self.subjects, self.documents, self.landed, self.withdrawn)
        await write_entries(self.actor, self.work, done)
        return outcomes

    async def _refresh(self) -> None:
        """Read the documents again: a refused one may have undone changes to others."""
        if not self.refused:
            return
        ids = [document.id for document in self.documents.values()]
        for start in range(0, len(ids), 10_000):
            statement = select(Document).where(Document.id.in_(ids[start : start + 10_000]))
            await self.work.session.scalars(statement.execution_options(populate_existing=True))

    def _set(
        self, index: int, item: Item, outcome: Outcome, kind: str, target: UUID | None
    ) -> None:
        self.outcomes[index] = ItemOutcome(
            item.source_key, kind_of(item), outcome, target_kind=kind, target_id=target
        )

    def _refuse(self, index: int, item: Item, reason: Reason, message: str) -> None:
        self.outcomes[index] = ItemOutcome(
            item.source_key, kind_of(item), Outcome.REFUSED, reason, message
        )
        if isinstance(item, DocumentItem):
            self.refused.add(item.source_key)

    def _skip(self, index: int, item: Skipped) -> None:
        outcome = Outcome.REFUSED if item.is_refused else Outcome.NOT_INTERPRETED
        self.outcomes[index] = ItemOutcome(
            item.source_key, item.kind, outcome, item.reason, item.message
        )

    def _refuse_subject(self, index: int, item: Item, subject: Subject | None) -> None:
        if subject is None or subject.refusal is None:
            self._refuse(index, item, Reason.NO_PATIENT, "Nothing says whose it is.")
        else:
            self._refuse(index, item, subject.refusal, subject.message)

    async def _document(self, index: int, item: DocumentItem, subject: Subject) -> None:
        try:
            async with self.work.savepoint():
                landed = await file_document(self.actor, self.work, self.blobs, item, subject)
        except Refusal as refusal:
            self._refuse(index, item, Reason.MALFORMED, refusal.message)
            return
        except DBAPIError as error:
            raise_unless_of_item(error)
            self._refuse(index, item, Reason.MALFORMED, FORMAT)
            return
        document = landed.document
        self.documents[item.source_key] = document
        self.landed[index] = landed
        self._set(index, item, Outcome(landed.landing.value), "Document", document.id)

    async def _withdrawal(self, index: int, item: WithdrawalItem, record_id: UUID) -> None:
        gone, landing = await withdraw(
            self.work, record_id, self.actor.publisher_id, item.unique_id
        )
        self.withdrawn[index] = gone
        self._set(index, item, Outcome(landing.value), "Document", gone[0] if gone else None)

    async def _nothing(self, index: int, item: NothingToDeclareItem) -> None:
        record_id = self.subjects[item.patient].record_id
        document = self._source(index, item)
        if index in self.outcomes or record_id is None:
            return
        if document is not None and document.hidden_from_holder_until is not None:
            self._refuse(index, item, Reason.NOT_SUPPORTED, "Its document is hidden.")
            return
        noted = await note_nothing(
            self.work, record_id, item.section, StatedBy.PUBLISHER, self.actor.publisher_id
        )
        self._set(index, item, Outcome.CREATED if noted else Outcome.DUPLICATE, "Record", record_id)

    def _source(
        self, index: int, item: EntryItem | ImmunizationItem | NothingToDeclareItem
    ) -> Document | None:
        """Return the document a fact follows; answers the fact where it cannot follow."""
        if item.document is None:
            return None
        document = self.documents.get(item.document)
        if document is None:
            self._refuse(index, item, Reason.MALFORMED, "The document it was read from is refused.")
        elif document.status is not DocumentStatus.CURRENT:
            self.outcomes[index] = ItemOutcome(
                item.source_key,
                kind_of(item),
                Outcome.NOT_INTERPRETED,
                Reason.NOT_SUPPORTED,
                NOT_CURRENT,
            )
        return document

    async def _facts(self, items: Sequence[tuple[int, EntryItem | ImmunizationItem]]) -> None:
        facts = await self._changed(items)
        entries = [fact for fact in facts if isinstance(fact.item, EntryItem)]
        doses = [fact for fact in facts if isinstance(fact.item, ImmunizationItem)]
        landed = [*await self._entries(entries), *await self._doses(doses)]
        await self._remember(landed)

    async def _changed(
        self, items: Sequence[tuple[int, EntryItem | ImmunizationItem]]
    ) -> list[_Fact]:
        """Return the facts that are new or not as they were; the others are duplicates."""
        pending: dict[str, _Fact] = {}
        for index, item in items:
            record_id = self.subjects[item.patient].record_id
            document = self._source(index, item)
            if index in self.outcomes or record_id is None:
                continue
            digest = digest_of(item, document)
            fact = _Fact(index, item, record_id, document, digest, None)
            if fact.key in pending:
                self._refuse(index, item, Reason.MALFORMED, "Its key stands twice in the body.")
            else:
                pending[fact.key] = fact
        former = await self._former(list(pending))
        changed: list[_Fact] = []
        for key, fact in pending.items():
            known = former.get(key)
            if known is not None and known.target_kind != _target_kind(fact.item):
                known = None  # its key was that of another kind of fact
            if known is not None and known.sha256 == fact.digest:
                self._set(
                    fact.index, fact.item, Outcome.DUPLICATE, known.target_kind, known.target_id
                )
            else:
                changed.append(
                    _Fact(fact.index, fact.item, fact.record_id, fact.document, fact.digest, known)
                )
        return changed

    async def _former(self, keys: Sequence[str]) -> dict[str, IntakeItem]:
        found: dict[str, IntakeItem] = {}
        for start in range(0, len(keys), 10_000):
            statement = select(IntakeItem).where(
                IntakeItem.publisher_id == self.actor.publisher_id,
                IntakeItem.source_key.in_(keys[start : start + 10_000]),
            )
            rows = await self.work.session.scalars(
                statement.execution_options(populate_existing=True)
            )
            found.update({row.source_key: row for row in rows})
        return found

    async def _entries(self, facts: Sequence[_Fact]) -> list[tuple[_Fact, str, UUID]]:
        checked: list[tuple[_Fact, EntryFact]] = []
        for fact in facts:
            try:
                checked.append((fact, self._entry(fact)))
            except Refusal as refusal:
                self._refuse(fact.index, fact.item, Reason.MALFORMED, refusal.message)
        landed = checked
        try:
            async with self.work.savepoint():
                await self._write_entries(checked)
        except DBAPIError as error:  # one of them: find it, and keep the others
            raise_unless_of_item(error)
            landed = []
            for fact, entry in checked:
                try:
                    async with self.work.savepoint():
                        await self._write_entries([(fact, entry)])
                    landed.append((fact, entry))
                except DBAPIError as cause:
                    raise_unless_of_item(cause)
                    self._refuse(fact.index, fact.item, Reason.MALFORMED, FORMAT)
        for fact, entry in landed:
            outcome = Outcome.UPDATED if fact.former else Outcome.CREATED
            self._set(fact.index, fact.item, outcome, "ProfileEntry", entry.id)
        return [(fact, "ProfileEntry", entry.id) for fact, entry in landed]

    async def _write_entries(self, facts: Sequence[tuple[_Fact, EntryFact]]) -> None:
        await insert_entries(self.work, [entry for fact, entry in facts if fact.former is None])
        await replace_entries(self.work, [entry for fact, entry in facts if fact.former])

    def _entry(self, fact: _Fact) -> EntryFact:
        item = fact.item
        assert isinstance(item, EntryItem)  # noqa: S101 — narrows for the type checker
        known = DETAILS[item.section]
        draft = EntryDraft(
            section=item.section,
            label=item.label,
            codings=item.codings,
            status=item.status,
            started_on=item.started_on,
            ended_on=item.ended_on,
            value=item.value,
            unit=item.unit,
            note=item.note,
            details={k: str(v) for k, v in item.details.items() if k in known and v is not None},
        )
        return EntryFact(
            id=fact.former.target_id if fact.former else self.work.new_id(),
            record_id=fact.record_id,
            draft=draft.checked(),
            stated_by=StatedBy.PUBLISHER,
            stated_by_id=self.actor.publisher_id,
            source_document_id=fact.document.id if fact.document else None,
            hidden_from_holder_until=(
                fact.document.hidden_from_holder_until if fact.document else None
            ),
        )

    async def _doses(self, facts: Sequence[_Fact]) -> list[tuple[_Fact, str, UUID]]:
        diseases = await diseases_of_many(
            self.work, [(*f.item.codings, *targets_of(f.item)) for f in facts]
        )
        by_record: dict[UUID, list[tuple[_Fact, DoseFact]]] = defaultdict(list)
        for fact, codes in zip(facts, diseases, strict=True):
            by_record[fact.record_id].append((fact, self._dose(fact, codes)))
        landed: list[tuple[_Fact, str, UUID]] = []
        for record_id, pairs in by_record.items():
            ids = await record_doses(self.work, record_id, [dose for _, dose in pairs])
            for fact, dose in pairs:
                target = ids.get(dose.source_key)
                if target is None:
                    self._refuse(fact.index, fact.item, Reason.MALFORMED, NO_ROOM)
                    continue
                outcome = Outcome.UPDATED if fact.former else Outcome.CREATED
                self._set(fact.index, fact.item, outcome, "Immunization", target)
                landed.append((fact, "Immunization", target))
        return landed

    def _dose(self, fact: _Fact, diseases: frozenset[str]) -> DoseFact:
        item = fact.item
        assert isinstance(item, ImmunizationItem)  # noqa: S101 — narrows for the type checker
        return DoseFact(
            source_key=f"{self.actor.publisher_id}/{item.source_key}",
            vaccine_label=item.vaccine_label,
            codings=item.codings,
            disease_codes=diseases,
            given_on=item.given_on,
            lot_number=item.lot_number,
            dose_rank=item.dose_rank,
            is_subpotent=item.is_subpotent,
            stated_by=StatedBy.PUBLISHER,
            stated_by_id=self.actor.publisher_id,
            source_document_id=fact.document.id if fact.document else None,
            hidden_from_holder_until=(
                fact.document.hidden_from_holder_until if fact.document else None
            ),
        )

    async def _remember(self, landed: Sequence[tuple[_Fact, str, UUID]]) -> None:
        """Note where each fact landed, so that it is known when it comes again."""
        rows = [
            {
                "id": self.work.new_id(),
                "publisher_id": self.actor.publisher_id,
                "source_key": fact.key,
                "sha256": fact.digest,
                "record_id": fact.record_id,
                "target_kind": kind,
                "target_id": target,
                "landed_at": self.work.now,
            }
            for fact, kind, target in landed
        ]
        if not rows:
            return
        statement = insert(IntakeItem)
        statement = statement.on_conflict_do_update(
            index_elements=["publisher_id", "source_key"],
            set_={
                name: statement.excluded[name]
                for name in ("sha256", "target_kind", "target_id", "landed_at")
            },
        )
        await self.work.session.execute(statement, rows)


def _target_kind(item: Item) -> str:
    return "ProfileEntry" if isinstance(item, EntryItem) else "Immunization"
