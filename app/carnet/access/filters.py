"""The SQL half of the access decision: conditions on a record that every area's filter uses.

Each takes the columns it speaks of, for the tables of records and documents are above this area.
`carnet.access.rules` is the other half; a property test holds the two equal.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, any_, exists, false, literal, or_

from carnet.access.tables import Delegation, DelegationKind, DelegationScope
from carnet.people.actor import Actor, Patient


def speaks_for(
    actor: Actor,
    now: datetime,
    person_id: SQLColumnExpression[UUID],
    scope: DelegationScope | None = None,
    kind: DelegationKind | None = None,
) -> ColumnElement[bool]:
    """Return whether the actor is the person, or acts for them under a delegation in force.

    Args:
        actor: who acts.
        now: the moment.
        person_id: the column with the holder's id.
        scope: what the delegation must cover; None for any.
        kind: the kind it must be of; None for any.
    """
    match actor:
        case Patient(person_id=own):
            return or_(person_id == own, delegated(own, now, person_id, scope, kind))
    return false()


def delegated(
    delegate_id: UUID,
    now: datetime,
    holder_id: SQLColumnExpression[UUID],
    scope: DelegationScope | None = None,
    kind: DelegationKind | None = None,
) -> ColumnElement[bool]:
    """Return whether a delegation from the holder to this person is in force."""
    held = exists().where(
        Delegation.holder_person_id == holder_id,
        Delegation.delegate_person_id == delegate_id,
        Delegation.revoked_at.is_(None),
        or_(Delegation.expires_at.is_(None), Delegation.expires_at > now),
    )
    if scope is not None:
        held = held.where(literal(scope.value) == any_(Delegation.scopes))
    if kind is not None:
        held = held.where(Delegation.kind == kind)
    return held
