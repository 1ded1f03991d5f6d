"""What a submission changed, as entries of the access journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from carnet.access.delays import lost_by_category
from carnet.access.events import tell_delayed
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.documents.landed import Landed
from carnet.documents.tables import Document
from carnet.intake.model import (
    DocumentItem,
    EntryItem,
    ImmunizationItem,
    Item,
    NothingToDeclareItem,
    Skipped,
    WithdrawalItem,
)
from carnet.intake.receipt import ItemOutcome, Outcome
from carnet.intake.subjects import Subject
from carnet.people.actor import Publisher
from carnet.store.database import Work

RULE = "publisher.feeds"
BATCH = 10_000  # ids in one statement

_Key = tuple[UUID, JournalAction, ObjectKind | None, bool, str | None]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a submission: its items, an outcome for each, and what it did.

    ``documents`` are those that landed, by source key, and ``landed`` the same by place in the
    body; ``withdrawn`` are the versions that went, by the place of their withdrawal.
    """

    items: Sequence[Item]
    outcomes: Sequence[ItemOutcome]
    subjects: Mapping[str, Subject]
    documents: Mapping[str, Document]
    landed: Mapping[int, Landed]
    withdrawn: Mapping[int, Sequence[UUID]]


async def write_entries(actor: Publisher, work: Work, done: Done) -> None:
    """Write what was created and changed, one entry for all of one kind in one record.

    Args:
        actor: whose submission it is.
        work: the transaction in which it landed.
        done: what became of it.
    """
    documents = done.documents
    changed: list[tuple[Item, ItemOutcome, UUID | None]] = [
        (item, outcome, target)
        for index, (item, outcome) in enumerate(zip(done.items, done.outcomes, strict=True))
        if outcome.outcome in (Outcome.CREATED, Outcome.UPDATED)
        for target in (done.withdrawn.get(index) or (outcome.target_id,))
    ]
    taken = [
        (landed.document, action, id_)
        for landed in done.landed.values()
        for action, ids in (
            (JournalAction.HIDE_DOCUMENT, landed.hidden),
            (JournalAction.MASK_DOCUMENT, landed.masked),
        )
        for id_ in ids
    ]
    targets = [target for _, _, target in changed] + [id_ for _, _, id_ in taken]
    hidden = await _hidden(work, targets, documents.values())
    grouped: dict[_Key, list[UUID]] = defaultdict(list)
    for item, outcome, target in changed:
        what = _what(item, outcome.outcome)
        if what is None or isinstance(item, Skipped):
            continue
        record_id = done.subjects[item.patient].record_id
        if record_id is None:
            continue
        action, kind = what
        document = _document(item, documents)
        about = document.id if document is not None else target
        category = document.category.value if document and isinstance(item, DocumentItem) else None
        of_kind = grouped[record_id, action, kind, about in hidden, category]
        if kind is not None and target is not None:
            of_kind.append(target)
    for cause, action, id_ in taken:
        key = cause.record_id, action, ObjectKind.DOCUMENT, id_ in hidden, cause.category.value
        grouped[key].append(id_)
    facts = [
        Fact(
            record_id,
            action,
            RULE,
            kind,
            tuple(dict.fromkeys(ids)),
            is_held=is_held,
            details={"category": category} if category else {},
        )
        for (record_id, action, kind, is_held, category), ids in grouped.items()
    ]
    await write(actor, work, facts)
    moved: dict[UUID, set[UUID]] = defaultdict(set)
    for landed in done.landed.values():
        if landed.is_result_now:
            moved[landed.document.record_id].add(landed.document.id)
    for record_id, ids in moved.items():
        await tell_delayed(work, record_id, await lost_by_category(work, record_id, ids))


def _what(item: Item, outcome: Outcome) -> tuple[JournalAction, ObjectKind | None] | None:
    is_new = outcome is Outcome.CREATED
    match item:
        case DocumentItem():
            done = JournalAction.DEPOSIT_DOCUMENT if is_new else JournalAction.REPLACE_DOCUMENT
            return done, ObjectKind.DOCUMENT
        case WithdrawalItem():
            return JournalAction.DELETE_DOCUMENT, ObjectKind.DOCUMENT
        case EntryItem():
            done = JournalAction.ADD_ENTRY if is_new else JournalAction.CORRECT_ENTRY
            return done, ObjectKind.PROFILE_ENTRY
        case ImmunizationItem():
            return JournalAction.REPORT_DOSE, ObjectKind.IMMUNIZATION
        case NothingToDeclareItem():
            return JournalAction.DECLARE_NOTHING, None
    return None


def _document(item: Item, documents: Mapping[str, Document]) -> Document | None:
    """Return the document that an item is, or was read from."""
    match item:
        case DocumentItem(source_key=key):
            return documents.get(key)
        case EntryItem() | ImmunizationItem() | NothingToDeclareItem():
            return documents.get(item.document) if item.document is not None else None
    return None


async def _hidden(
    work: Work, targets: Sequence[UUID | None], documents: Iterable[Document]
) -> set[UUID]:
    """Return those of the documents that their holder may not know of yet."""
    ids = [*{target for target in targets if target} | {document.id for document in documents}]
    found: set[UUID] = set()
    for start in range(0, len(ids), BATCH):
        statement = select(Document.id).where(
            Document.id.in_(ids[start : start + BATCH]),
            Document.hidden_from_holder_until > work.now,
        )
        found.update(await work.session.scalars(statement))
    return found
