"""What the events of documents are to who follows them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from carnet.access.deciding import Deciding
from carnet.access.delays import LONGEST_DELAY
from carnet.access.events import DocumentEventKind
from carnet.access.facts import DocumentFacts
from carnet.access.queries import documents
from carnet.access.rules import Action
from carnet.documents.tables import Document
from carnet.people.actor import Actor
from carnet.store.database import Work

Key = tuple[UUID, DocumentEventKind, datetime]
"""A document, what happened to it, and when."""


async def taken_away(actor: Actor, work: Work, keys: Collection[Key]) -> dict[Key, UUID]:
    """Return which documents the actor saw until this happened to them, with their records.

    It is decided as if it had not happened, for now and for then: who never saw the document is
    not told that it went, not even when its time to be seen would have come since. Nor is who sees
    it all the same.
    """
    ids = {id_ for id_, _, _ in keys}
    facts = await documents(work, ids)
    statement = select(Document.id, Document.record_id).where(Document.id.in_(ids))
    record_of = {id_: record_id for id_, record_id in await work.session.execute(statement)}
    deciding = await Deciding.on(actor, work, set(record_of.values()))
    found: dict[Key, UUID] = {}
    for id_, kind, at in keys:
        before = _before(facts[id_], kind, at) if id_ in facts else None
        if before is None:
            continue
        record_id = record_of[id_]
        former = _former(deciding, kind, at)
        saw = all(
            former.decide(Action.READ_DOCUMENT, record_id, before, moment).is_allowed
            for moment in (work.now, at)
        )
        if saw and not deciding.decide(Action.READ_DOCUMENT, record_id, facts[id_]).is_allowed:
            found[id_, kind, at] = record_id
    return found


def _before(document: DocumentFacts, kind: DocumentEventKind, at: datetime) -> DocumentFacts | None:
    match kind:
        case DocumentEventKind.DELETED:
            return replace(document, status="CURRENT")
        case DocumentEventKind.MASKED:
            return replace(document, is_masked=False)
        case DocumentEventKind.HIDDEN:
            return replace(document, is_hidden_from_representatives=False)
        case DocumentEventKind.DELAYED:  # it was old enough, for whichever days were chosen then
            return replace(document, deposited_at=at - timedelta(days=LONGEST_DELAY))
        case DocumentEventKind.SHUT | DocumentEventKind.CONFINED:  # what changed is no document
            return document
    return None


def _former(deciding: Deciding, kind: DocumentEventKind, at: datetime) -> Deciding:
    match kind:
        case DocumentEventKind.SHUT:
            return deciding.with_emergencies_shown()
        case DocumentEventKind.CONFINED:
            return deciding.with_members_until(at)
    return deciding
