"""Saying why: the rule that decides for the viewer, and for anybody the holder asks about."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select

from carnet.access import queries
from carnet.access.deciding import Deciding, require
from carnet.access.rules import Action, Decision
from carnet.errors import NotFound
from carnet.people.actor import Actor, Assurance, Professional
from carnet.people.tables import Account
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work


async def decisions_of(
    actor: Actor, work: Work, record_ids: Collection[UUID]
) -> dict[UUID, Decision]:
    """Return the rule that lets the actor see each of the records."""
    deciding = await Deciding.on(actor, work, record_ids)
    found = {id_: deciding.decide(Action.SEE_RECORD, id_) for id_ in deciding.records}
    return {id_: decision for id_, decision in found.items() if decision.is_allowed}


async def explain(
    actor: Actor, work: Work, record_id: UUID, document_id: UUID, professional_id: UUID
) -> Decision:
    """Tell whether a professional may read a document now, and the rule that decides.

    Args:
        actor: the holder, or a delegate whose delegation covers access.
        work: the transaction.
        record_id: the record.
        document_id: a document of it, which the actor sees: the caller has made sure.
        professional_id: anybody in the directory.

    Raises:
        NotFound, AccessDenied: see `require`; or no such professional.
    """
    await require(actor, work, record_id, Action.MANAGE_ACCESS)
    document = (await queries.documents(work, [document_id])).get(document_id)
    known = await work.session.get(ProfessionalRow, professional_id)
    if document is None or known is None:
        raise NotFound()
    account_id = await work.session.scalar(
        select(Account.id).where(Account.professional_id == professional_id).limit(1)
    )
    asked = Professional(professional_id, account_id or UUID(int=0), Assurance.CONSOLE)
    deciding = await Deciding.on(asked, work, [record_id])
    return deciding.decide(Action.READ_DOCUMENT, record_id, document)
