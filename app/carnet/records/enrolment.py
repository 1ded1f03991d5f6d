"""Enrolment of a population: persons are registered, and their records wait for the opening.

The holder of each new record is sent the notice, which starts the six weeks in which they may
object (R1111-28). Enrolling the same people again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from carnet.access.delegation_rules import HOLDER_LIMITS
from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.tables import Delegation, DelegationKind, DelegationScope
from carnet.notifications.actions import Notice, notify_all
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor, require_operator
from carnet.people.claims import Claim
from carnet.people.queries import recognize_claims
from carnet.people.registration import Registration, register_persons
from carnet.people.rules import Recognition
from carnet.people.tables import Person
from carnet.records.actions import latest_records
from carnet.records.lifecycle import notified
from carnet.records.tables import Record, RecordState
from carnet.records.transitions import columns_of, majority_of, occasion
from carnet.store.database import Work
from carnet.values import Identifier

RULE = "records.operator-enrols"


class Enrolment(StrEnum):
    """What became of one person."""

    ENROLLED = "ENROLLED"  # a record waits for its opening
    KNOWN = "KNOWN"  # there is a record already, in whatever state; it stays as it is
    CONFLICT = "CONFLICT"  # a number belongs to somebody else
    UNUSABLE = "UNUSABLE"  # no name or no number that can be stored


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One person's record. ``has_invalid_key`` flags a national number with a wrong key."""

    outcome: Enrolment
    record: Record | None = field(default=None, repr=False)
    has_invalid_key: bool = False


async def enrol(
    actor: Actor, work: Work, claims: Sequence[Claim], *, after_deletion: bool = False
) -> list[Enrolled]:
    """Register persons and give each of them a record, unless they have or had one.

    Call it once in a transaction: see `register_persons`.

    Args:
        actor: an operator.
        work: the transaction.
        claims: who is to be enrolled; the same person twice is enrolled once.
        after_deletion: make a fresh record for those whose record was deleted.

    Returns:
        For each claim what became of it, with the record where there is one.

    Raises:
        AccessDenied, Unauthenticated: the actor is no operator.
    """
    require_operator(actor)
    registrations = await register_persons(actor, work, claims)
    person_ids = {seen.person_id for seen in registrations if seen.person_id}
    before = await latest_records(work, person_ids)
    missing = [
        person_id
        for person_id in person_ids
        if person_id not in before
        or (after_deletion and before[person_id].state is RecordState.DELETED)
    ]
    made = await _open_notices(actor, work, missing)
    known = await latest_records(work, person_ids)
    told: set[UUID] = set()
    return [_enrolled(seen, known, made, told) for seen in registrations]


def _enrolled(
    seen: Registration,
    known: Mapping[UUID, Record],
    made: Mapping[UUID, Record],
    told: set[UUID],
) -> Enrolled:
    person_id = seen.person_id
    if person_id is None:
        is_conflict = seen.kind is Recognition.CONFLICT
        return Enrolled(Enrolment.CONFLICT if is_conflict else Enrolment.UNUSABLE)
    is_new = person_id in made and person_id not in told
    told.add(person_id)
    outcome = Enrolment.ENROLLED if is_new else Enrolment.KNOWN
    return Enrolled(outcome, known[person_id], seen.has_invalid_key)


async def _open_notices(actor: Actor, work: Work, person_ids: Sequence[UUID]) -> dict[UUID, Record]:
    """Make the records that wait for their opening, and return them by person."""
    if not person_ids:
        return {}
    dates = await work.session.execute(
        select(Person.id, Person.birth_date).where(Person.id.in_(person_ids))
    )
    rows = [
        {
            "id": work.new_id(),
            "person_id": person_id,
            "created_at": work.now,
            "enrolment_code_issue": 1,
            **columns_of(notified(work.now, majority_of(birth_date))),
        }
        for person_id, birth_date in dates
    ]
    ids = {row["id"] for row in rows}
    await work.session.execute(insert(Record).on_conflict_do_nothing(), rows)
    # Another transaction, as of a publisher, may have been first: theirs then stays.
    latest = await latest_records(work, person_ids)
    made = {person_id: record for person_id, record in latest.items() if record.id in ids}
    facts = [
        Fact(
            record.id,
            JournalAction.CHANGE_STATE,
            RULE,
            details={"from": None, "to": RecordState.NOTIFIED.value},
        )
        for record in made.values()
    ]
    await write(actor, work, facts)
    kind = NotificationKind.RECORD_NOTICE
    await notify_all(
        work,
        [
            Notice(person_id, kind, occasion(record.id, kind, work.now), record.id)
            for person_id, record in made.items()
        ],
    )
    return made


class ParentLink(StrEnum):
    """What became of naming a parent."""

    LINKED = "LINKED"
    KNOWN = "KNOWN"
    UNKNOWN_PARENT = "UNKNOWN_PARENT"  # nobody is registered with this number
    NO_RECORD = "NO_RECORD"  # the child has none
    OF_AGE = "OF_AGE"  # nobody represents an adult


@dataclass(frozen=True, slots=True)
class Parentage:
    """A child and a parent, by their national numbers."""

    child: Identifier = field(repr=False)
    parent: Identifier = field(repr=False)


async def link_parents(
    actor: Actor, work: Work, parentages: Sequence[Parentage]
) -> list[ParentLink]:
    """Let parents act for their children until these are of age.

    A child has at most two; one more is passed over as known.

    Raises:
        AccessDenied, Unauthenticated: the actor is no operator.
    """
    require_operator(actor)
    numbers = list(dict.fromkeys(one for each in parentages for one in (each.child, each.parent)))
    claims = [Claim((number,), is_reference=True) for number in numbers]
    seen = await recognize_claims(work, claims)
    person_of = {number: one.person_id for number, one in zip(numbers, seen, strict=True)}
    pairs = [(person_of[each.child], person_of[each.parent]) for each in parentages]
    children = sorted({child for child, _ in pairs if child})
    statement = (
        select(Record.id, Person.id, Person.birth_date)
        .join(Person, Person.id == Record.person_id)
        .where(Record.person_id.in_(children), Record.state != RecordState.DELETED)
        .order_by(Record.id)
        .with_for_update(of=Record, key_share=True)
    )
    records = {}
    for record_id, person_id, birth_date in await work.session.execute(statement):
        records[person_id] = record_id, majority_of(birth_date)
    held = select(Delegation.holder_person_id, Delegation.delegate_person_id).where(
        Delegation.holder_person_id.in_(children),
        Delegation.kind == DelegationKind.PARENT,
        Delegation.revoked_at.is_(None),
    )
    linked: dict[UUID, set[UUID | None]] = {child: set() for child in children}
    for holder_id, parent_id in await work.session.execute(held):
        linked[holder_id].add(parent_id)
    rows: list[dict[str, Any]] = []
    facts: list[Fact] = []
    outcomes: list[ParentLink] = []
    for child, parent in pairs:
        if child is None or child not in records:
            outcomes.append(ParentLink.NO_RECORD)
            continue
        record_id, of_age_at = records[child]
        if parent is None or parent == child:
            outcomes.append(ParentLink.UNKNOWN_PARENT)
        elif of_age_at is None or of_age_at <= work.now:
            outcomes.append(ParentLink.OF_AGE)
        elif parent in linked[child] or len(linked[child]) >= HOLDER_LIMITS[DelegationKind.PARENT]:
            outcomes.append(ParentLink.KNOWN)
        else:
            linked[child].add(parent)
            outcomes.append(ParentLink.LINKED)
            id_ = work.new_id()
            row = {
                "id": id_,
                "holder_person_id": child,
                "delegate_person_id": parent,
                "kind": DelegationKind.PARENT,
                "scopes": [scope.value for scope in DelegationScope],
                "invited_at": work.now,
                "accepted_at": work.now,
                "expires_at": of_age_at,
            }
            rows.append(row)
            facts.append(
                Fact(
                    record_id,
                    JournalAction.ACCEPT_DELEGATION,
                    RULE,
                    ObjectKind.DELEGATION,
                    (id_,),
                )
            )
    if rows:
        await work.session.execute(insert(Delegation), rows)
    await write(actor, work, facts)
    return outcomes
