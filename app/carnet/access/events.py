"""Which entries of the journal are told to whoever follows the record: its events.

`carnet.access.journal.write` calls `tell`, so that no change has an entry and no event. A change
of a document goes into the record's stream, and into the inboxes of the holder, of who acts for
them, and of the professionals of the care team: those named, and those of an organization that is a
practice. What each sees of it is decided when it is told.
A change of rights is a hint that makes those who follow the record, or a thread of its holder's,
ask anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import any_, literal, or_, select, union_all
from sqlalchemy.orm import aliased

from carnet.access import delays
from carnet.access.facts import DOCUMENTS, RECORDS, THREADS
from carnet.access.tables import CareTeamMember, Delegation, DelegationScope
from carnet.people.tables import Professional
from carnet.store.database import Work
from carnet.store.events import ACCESS_CHANGED, NewEvent

if TYPE_CHECKING:
    from carnet.access.journal import Fact


class DocumentEventKind(StrEnum):
    """What happened to a document."""

    DEPOSITED = "DOCUMENT_DEPOSITED"
    REPLACED = "DOCUMENT_REPLACED"  # by the version that the event is about
    CHANGED = "DOCUMENT_CHANGED"
    MASKED = "DOCUMENT_MASKED"
    UNMASKED = "DOCUMENT_UNMASKED"
    HIDDEN = "DOCUMENT_HIDDEN"  # from representatives
    DELAYED = "DOCUMENT_DELAYED"  # the holder sees it later, at their own wish
    SHUT = "DOCUMENT_SHUT"  # a masked one, in emergencies: the holder's setting
    CONFINED = "DOCUMENT_CONFINED"  # a masked one, to who is administrator still
    RELEASED = "DOCUMENT_RELEASED"
    DELETED = "DOCUMENT_DELETED"


DOCUMENT_EVENTS = {
    "DEPOSIT_DOCUMENT": DocumentEventKind.DEPOSITED,
    "REPLACE_DOCUMENT": DocumentEventKind.REPLACED,
    "CORRECT_DOCUMENT": DocumentEventKind.CHANGED,
    "MASK_DOCUMENT": DocumentEventKind.MASKED,
    "UNMASK_DOCUMENT": DocumentEventKind.UNMASKED,
    "HIDE_DOCUMENT": DocumentEventKind.HIDDEN,
    "RELEASE_DOCUMENT": DocumentEventKind.RELEASED,
    "DELETE_DOCUMENT": DocumentEventKind.DELETED,
}
"""The event of each action of the journal that changes a document."""

PRACTICE_LIMIT = 50  # professionals of an organization whose inboxes are filled
"""A hospital is no practice: each document would be a row, a lock and a read in the patient's
journal for each of thousands, of whom a few treat the patient. They follow the record, or are
named."""

RIGHTS_ACTIONS = frozenset(
    {
        "CHANGE_STATE",
        "CHANGE_SETTINGS",
        "JOIN_CARE_TEAM",
        "LEAVE_CARE_TEAM",
        "GIVE_CONSENT",
        "REVOKE_CONSENT",
        "BLOCK",
        "UNBLOCK",
        "OPEN_EMERGENCY",
        "CLOSE_EMERGENCY",
        "ACCEPT_DELEGATION",
        "REVOKE_DELEGATION",
    }
)
"""Actions of the journal after which somebody may see more or less of the record."""


async def tell(work: Work, facts: Sequence[Fact]) -> None:
    """Add the events of these facts to the transaction."""
    documents = [fact for fact in facts if fact.action.value in DOCUMENT_EVENTS]
    inboxes = await _inboxes(work, {fact.record_id for fact in documents})
    for fact in documents:
        kind = DOCUMENT_EVENTS[fact.action.value]
        holder_side, professionals = inboxes[fact.record_id]
        # What the holder may not know of yet is told to them when it is released; that it is
        # changes nothing for professionals.
        told = set() if fact.is_held else set(holder_side)
        if kind is not DocumentEventKind.RELEASED:
            told |= professionals
        streams = (fact.record_id, *sorted(told))
        work.events.extend(
            NewEvent(work.new_id(), streams, kind.value, document_id, fact.record_id)
            for document_id in fact.object_ids
        )
    chosen = {fact.record_id for fact in facts if "hide_results_days" in fact.details}
    ids = {id_ for fact in documents for id_ in fact.object_ids}
    if ids or chosen:
        await delays.wait_for(work, ids, chosen)
    changed = {fact.record_id for fact in facts if fact.action.value in RIGHTS_ACTIONS}
    if not changed:
        return
    threads = defaultdict(list)
    theirs = select(RECORDS.c.id, THREADS.c.id).join(
        THREADS, THREADS.c.person_id == RECORDS.c.person_id
    )
    for record_id, id_ in await work.session.execute(theirs.where(RECORDS.c.id.in_(changed))):
        threads[record_id].append(id_)
    work.events.extend(
        NewEvent(work.new_id(), (id_, *threads[id_]), ACCESS_CHANGED, id_, id_, is_hint=True)
        for id_ in sorted(changed)
    )


async def tell_delayed(work: Work, record_id: UUID, ids: Sequence[UUID]) -> None:
    """Tell who follows for the holder that results went out of their sight until they are older.

    No entry of the journal says so by itself, so `tell` cannot: that of a change of settings names
    no document, that of a correction not what the document was.
    """
    if ids:
        holder_side, _ = (await _inboxes(work, {record_id}))[record_id]
        streams = (record_id, *sorted(holder_side))
        kind = DocumentEventKind.DELAYED.value
        work.events.extend(NewEvent(work.new_id(), streams, kind, id_, record_id) for id_ in ids)


async def tell_masked(
    work: Work,
    record_id: UUID,
    kind: DocumentEventKind,
    professional_ids: Collection[UUID] | None = None,
) -> None:
    """Tell who saw masked documents by a setting or a role that they see them no more.

    Args:
        kind: SHUT or CONFINED.
        professional_ids: whose inboxes it goes into; None for those of the care team.
    """
    masked = select(DOCUMENTS.c.id).where(
        DOCUMENTS.c.record_id == record_id,
        DOCUMENTS.c.is_masked,
        DOCUMENTS.c.status != "WITHDRAWN",
    )
    ids = list(await work.session.scalars(masked.order_by(DOCUMENTS.c.id)))
    if not ids:
        return
    if professional_ids is None:
        _, professional_ids = (await _inboxes(work, {record_id}))[record_id]
    streams = (record_id, *sorted(professional_ids))
    work.events.extend(NewEvent(work.new_id(), streams, kind.value, id_, record_id) for id_ in ids)


async def _inboxes(work: Work, record_ids: set[UUID]) -> dict[UUID, tuple[set[UUID], set[UUID]]]:
    """Return the holder and delegates, and the care team's professionals, of each record."""
    found: dict[UUID, tuple[set[UUID], set[UUID]]] = defaultdict(lambda: (set(), set()))
    if not record_ids:
        return found
    theirs = RECORDS.c.id.in_(record_ids)
    in_force = (
        Delegation.revoked_at.is_(None),
        or_(Delegation.expires_at.is_(None), Delegation.expires_at > work.now),
        literal(DelegationScope.DOCUMENTS.value) == any_(Delegation.scopes),
    )
    colleague = aliased(Professional)
    hospital = (
        select(colleague.id)
        .where(colleague.organization_id == CareTeamMember.organization_id)
        .offset(PRACTICE_LIMIT)
        .limit(1)
        .correlate(CareTeamMember)
        .exists()
    )
    member = (CareTeamMember.record_id.in_(record_ids), CareTeamMember.ended_at.is_(None))
    statement = union_all(
        select(RECORDS.c.id, RECORDS.c.person_id, literal(False)).where(theirs),
        select(RECORDS.c.id, Delegation.delegate_person_id, literal(False))
        .join(Delegation, Delegation.holder_person_id == RECORDS.c.person_id)
        .where(theirs, *in_force, Delegation.delegate_person_id.is_not(None)),
        select(CareTeamMember.record_id, CareTeamMember.professional_id, literal(True)).where(
            *member, CareTeamMember.professional_id.is_not(None)
        ),
        select(CareTeamMember.record_id, Professional.id, literal(True))
        .join(Professional, Professional.organization_id == CareTeamMember.organization_id)
        .where(*member, ~hospital),
    )
    for record_id, recipient_id, is_professional in await work.session.execute(statement):
        found[record_id][is_professional].add(recipient_id)
    return found
