"""Decisions about what is in the database: the facts are read, then `rules.decide` answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from carnet.access import queries
from carnet.access.facts import DocumentFacts, Grants, RecordFacts
from carnet.access.journal import Fact, JournalAction, ObjectKind, behalf, write
from carnet.access.rules import Action, Decision, decide
from carnet.errors import AccessDenied, NotFound
from carnet.people.actor import Actor
from carnet.store.database import Work


class Deciding:
    """Decisions for one actor on some records, with everything they are made from at hand."""

    def __init__(
        self,
        actor: Actor,
        work: Work,
        records: Mapping[UUID, RecordFacts],
        grants: Mapping[UUID, Grants],
    ) -> None:
        self.actor = actor
        self.records = records
        self._work = work
        self._grants = grants

    @classmethod
    async def on(cls, actor: Actor, work: Work, record_ids: Collection[UUID]) -> Deciding:
        """Read what decisions on these records are made from."""
        records = await queries.records(work, record_ids)
        return cls(actor, work, records, await queries.grants(actor, work, records))

    def decide(
        self,
        action: Action,
        record_id: UUID,
        document: DocumentFacts | None = None,
        moment: datetime | None = None,
    ) -> Decision:
        """Decide, for now or for another moment; nothing is allowed on what does not exist."""
        record = self.records.get(record_id)
        if record is None:
            return Decision(False, "access.no-grant")
        now = moment or self._work.now
        return decide(self.actor, action, record, self._grants[record_id], now, document)

    def with_emergencies_shown(self) -> Deciding:
        """Return what decides as if emergencies showed masked documents."""
        records = {
            id_: replace(facts, settings=replace(facts.settings, shows_masked_in_emergency=True))
            for id_, facts in self.records.items()
        }
        return Deciding(self.actor, self._work, records, self._grants)

    def with_members_until(self, at: datetime) -> Deciding:
        """Return what decides as if memberships that ended at that moment had not."""
        grants = {
            id_: replace(
                each,
                memberships=tuple(
                    replace(member, ended_at=None) if member.ended_at == at else member
                    for member in each.memberships
                ),
            )
            for id_, each in self._grants.items()
        }
        return Deciding(self.actor, self._work, self.records, grants)

    def until(self, record_id: UUID) -> datetime | None:
        """Return the next moment at which a grant on the record ends by itself, if one does."""
        grants = self._grants[record_id]
        ends = [delegation.expires_at for delegation in grants.delegations]
        ends += [consent.expires_at for consent in grants.consents]
        ends += [emergency.ends_at for emergency in grants.emergencies]
        return min((end for end in ends if end and end > self._work.now), default=None)

    def is_held(self, document: DocumentFacts) -> bool:
        """Tell whether the holder may not know of the document yet."""
        until = document.hidden_from_holder_until
        return until is not None and until > self._work.now

    def behalf(self, record_id: UUID) -> UUID | None:
        """Return the holder where the actor acts for somebody else."""
        return behalf(self.actor, self.records[record_id].person_id)


async def standing(actor: Actor, work: Work, record_id: UUID, action: Action) -> datetime | None:
    """Return when what lets the actor do this may end by itself; None is never.

    Raises:
        NotFound: the actor does not see the record.
        AccessDenied: they see it, and may not do this; ``rule`` decided.
    """
    deciding = await Deciding.on(actor, work, [record_id])
    decision = deciding.decide(action, record_id)
    if not decision.is_allowed:
        if not deciding.decide(Action.SEE_RECORD, record_id).is_allowed:
            raise NotFound()
        raise AccessDenied(decision.rule)
    return deciding.until(record_id)


async def require(
    actor: Actor,
    work: Work,
    record_id: UUID,
    action: Action,
    document: DocumentFacts | None = None,
) -> Granted:
    """Decide, or refuse: what cannot be seen at all is not found.

    Raises:
        NotFound: the actor sees neither the record nor the document.
        AccessDenied: they see it, and may not do this; ``rule`` decided.
    """
    deciding = await Deciding.on(actor, work, [record_id])
    decision = deciding.decide(action, record_id, document)
    if not decision.is_allowed:
        seen = [deciding.decide(Action.SEE_RECORD, record_id)]
        if document is not None:  # authors see theirs without seeing the record
            seen.append(deciding.decide(Action.READ_DOCUMENT, record_id, document))
        if not any(one.is_allowed for one in seen):
            raise NotFound()
        raise AccessDenied(decision.rule)
    return Granted(actor, work, deciding.records[record_id], decision)


class Granted:
    """Something that was allowed, about to be done: it knows how to be written down."""

    def __init__(self, actor: Actor, work: Work, record: RecordFacts, decision: Decision) -> None:
        self.record = record
        self.decision = decision
        self._actor = actor
        self._work = work

    @property
    def is_for_another(self) -> bool:
        """Whether a delegate acts for the holder."""
        return behalf(self._actor, self.record.person_id) is not None

    async def journal(
        self,
        action: JournalAction,
        kind: ObjectKind | None = None,
        *object_ids: UUID,
        is_held: bool = False,
        is_told: bool = True,
        details: Mapping[str, str] | None = None,
        text_digest: bytes | None = None,
        is_emergency: bool | None = None,
    ) -> None:
        """Write the entry of what was done, with the rule that allowed it."""
        fact = Fact(
            record_id=self.record.id,
            action=action,
            rule=self.decision.rule,
            object_kind=kind,
            object_ids=object_ids,
            on_behalf_of=behalf(self._actor, self.record.person_id),
            is_held=is_held,
            is_told=is_told,
            is_emergency=self.decision.is_emergency if is_emergency is None else is_emergency,
            details=dict(details or {}),
            text_digest=text_digest,
        )
        await write(self._actor, self._work, [fact])
