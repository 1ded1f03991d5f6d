"""The SQL half of the access decision: the one filter of each kind of thing in a record.

Each function takes the columns it speaks of, as `facts.RECORDS` and `facts.DOCUMENTS` name them,
so that the areas above apply it to their own tables. `carnet.access.rules` is the other half; a
property test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    any_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    union,
)
from sqlalchemy.orm import InstrumentedAttribute

from carnet.access.facts import (
    ANY_TYPE,
    DOCUMENTS,
    HOLDER_SIDE,
    PROFILE_TYPE,
    READABLE_STATES,
    RECORDS,
    RESULT_CATEGORIES,
)
from carnet.access.rules import Role, Standing
from carnet.access.tables import (
    AccessSettings,
    Block,
    CareTeamMember,
    CareTeamRole,
    Consent,
    ConsentBasis,
    Delegation,
    DelegationKind,
    DelegationScope,
    EmergencyAccess,
    EmergencyKind,
    Habilitation,
    HabilitationLevel,
)
from carnet.people.actor import Actor, Patient, Professional
from carnet.people.tables import Professional as ProfessionalRow

T = TypeVar("T")
Columns = Any  # a collection of columns: `Table.c`, an alias's, or a lightweight table's
RecordId = SQLColumnExpression[UUID]


def record_visible(
    actor: Actor, now: datetime, record: Columns, scope: DelegationScope | None = None
) -> ColumnElement[bool]:
    """Return whether the actor sees that the record is there, and what is not in an area.

    Args:
        actor: who asks.
        now: the moment.
        record: columns of a record.
        scope: what a delegation must cover; None for any.
    """
    readable = record.state.in_(READABLE_STATES)
    match actor:
        case Patient():
            return and_(readable, speaks_for(actor, now, record.person_id, scope))
        case Professional():
            grounds = _of_professional(actor, now)
            return and_(readable, ~grounds.blocked(record.id), grounds.enters(record.id))
    return false()


def profile_visible(actor: Actor, now: datetime, record: Columns) -> ColumnElement[bool]:
    """Return whether the actor reads the medical profile of the record."""
    seen = record_visible(actor, now, record, DelegationScope.PROFILE)
    if isinstance(actor, Professional):
        grounds = _of_professional(actor, now)
        return and_(seen, _may_read(grounds.profession, literal(PROFILE_TYPE)))
    return seen


def document_visible(actor: Actor, now: datetime, document: Columns) -> ColumnElement[bool]:
    """Return whether the actor reads the document."""
    record = RECORDS.alias()
    theirs = record.c.id == document.record_id, record.c.state.in_(READABLE_STATES)
    present = document.status != "WITHDRAWN"
    match actor:
        case Patient(person_id=own):
            acts = and_(
                delegated(own, now, record.c.person_id, DelegationScope.DOCUMENTS),
                ~document.is_hidden_from_representatives,
            )
            return and_(
                present,
                _released(document, now),
                ~_too_new(document, now),
                exists().where(*theirs, or_(record.c.person_id == own, acts)),
            )
        case Professional():
            grounds = _of_professional(actor, now)
            return and_(
                present,
                exists().where(*theirs),
                ~grounds.blocked(document.record_id),
                or_(
                    document.depositor_account_id == actor.account_id,
                    grounds.rpps == any_(document.author_rpps),
                    _read_by(grounds, document),
                ),
            )
    return false()


def document_visible_as(role: Role, now: datetime, document: Columns) -> ColumnElement[bool]:
    """Return whether somebody with this profession and standing would read the document."""
    present = document.status != "WITHDRAWN"
    if role.standing is Standing.REPRESENTATIVE:
        return and_(present, ~concealed_as(role, now, document))
    return and_(present, _read_by(_imagined(role), document))


def concealed(actor: Actor, now: datetime, document: Columns) -> ColumnElement[bool]:
    """Return whether the actor, on the holder's side, may not know of a document in the record."""
    if not isinstance(actor, Patient):  # nobody else is on that side
        return true()
    return or_(_unannounced(document, now), kept_from_delegate(actor, document))


def concealed_as(role: Role, now: datetime, document: Columns) -> ColumnElement[bool]:
    """Return whether somebody in this role may not know of a document in the record."""
    if role.standing is not Standing.REPRESENTATIVE:
        return false()
    return or_(_unannounced(document, now), document.is_hidden_from_representatives)


def kept_from_delegate(actor: Actor, document: Columns) -> ColumnElement[bool]:
    """Return whether a document is hidden from the actor because they act for its holder."""
    return and_(document.is_hidden_from_representatives, ~is_own(actor, document.record_id))


def is_own(actor: Actor, record_id: RecordId) -> ColumnElement[bool]:
    """Return whether a record is the actor's own."""
    record = RECORDS.alias()
    if not isinstance(actor, Patient):
        return false()
    return exists().where(record.c.id == record_id, record.c.person_id == actor.person_id)


def source_visible(
    actor: Actor, now: datetime, document_id: SQLColumnExpression[UUID | None]
) -> ColumnElement[bool]:
    """Return whether the document that a fact was read from is visible, or there is none."""
    source = DOCUMENTS.alias()
    return or_(
        document_id.is_(None),
        exists().where(source.c.id == document_id, document_visible(actor, now, source.c)),
    )


def candidates(actor: Professional, now: datetime) -> Select[UUID]:
    """Return the ids of records that a professional may see, found from the grants' side.

    Whether they do is `record_visible`'s to say; this keeps it from being asked of every record.
    """
    works_at = select(ProfessionalRow.organization_id).where(
        ProfessionalRow.id == actor.professional_id
    )

    def of(table: Any, *standing: ColumnElement[bool]) -> Select[UUID]:
        granted = or_(
            table.professional_id == actor.professional_id,
            table.organization_id == works_at.scalar_subquery(),
        )
        return select(table.record_id).where(granted, *standing)

    emergencies = select(EmergencyAccess.record_id).where(
        EmergencyAccess.professional_id == actor.professional_id, EmergencyAccess.ends_at > now
    )
    found = union(
        of(CareTeamMember, CareTeamMember.ended_at.is_(None)),
        of(Consent, Consent.expires_at > now),
        emergencies,
    ).subquery()
    return select(found.c.record_id)


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
    delegate_id: UUID | SQLColumnExpression[UUID | None],
    now: datetime | SQLColumnExpression[datetime],
    holder_id: SQLColumnExpression[UUID] | SQLColumnExpression[UUID | None],
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
    # By itself it would see the tables of the nearest enclosing query only.
    held = held.correlate_except(Delegation)
    if scope is not None:
        held = held.where(literal(scope.value) == any_(Delegation.scopes))
    if kind is not None:
        held = held.where(Delegation.kind == kind)
    return held


def setting(record_id: RecordId, column: InstrumentedAttribute[T], default: T) -> ColumnElement[T]:
    """Return a setting of the record, or its default."""
    chosen = select(column).where(AccessSettings.record_id == record_id)
    # By itself it would see the tables of the nearest enclosing query only.
    correlated = chosen.correlate_except(AccessSettings).scalar_subquery()
    return func.coalesce(correlated, literal(default))


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What lets a professional, real or imagined, into a record, as SQL on its id."""

    profession: ColumnElement[str]
    rpps: ColumnElement[str]
    blocked: Callable[[RecordId], ColumnElement[bool]]
    administers: Callable[[RecordId], ColumnElement[bool]]
    is_known: Callable[[RecordId], ColumnElement[bool]]  # care team or consent
    in_emergency: Callable[[RecordId], ColumnElement[bool]]

    def enters(self, record_id: RecordId) -> ColumnElement[bool]:
        return or_(self.is_known(record_id), self.in_emergency(record_id))


def _of_professional(actor: Professional, now: datetime) -> _Grounds:
    id_ = actor.professional_id

    def own(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
        return select(column).where(ProfessionalRow.id == id_).scalar_subquery()

    def granted(table: Any) -> ColumnElement[bool]:
        return or_(
            table.professional_id == id_,
            table.organization_id == own(ProfessionalRow.organization_id),
        )

    def blocked(record_id: RecordId) -> ColumnElement[bool]:
        return exists().where(
            Block.record_id == record_id, Block.lifted_at.is_(None), granted(Block)
        )

    def member(record_id: RecordId) -> ColumnElement[bool]:
        return exists().where(
            CareTeamMember.record_id == record_id,
            CareTeamMember.ended_at.is_(None),
            granted(CareTeamMember),
        )

    def administers(record_id: RecordId) -> ColumnElement[bool]:
        return exists().where(
            CareTeamMember.record_id == record_id,
            CareTeamMember.ended_at.is_(None),
            CareTeamMember.role == CareTeamRole.ADMINISTRATOR,
            CareTeamMember.professional_id == id_,
        )

    def consented(record_id: RecordId) -> ColumnElement[bool]:
        attested = setting(record_id, AccessSettings.allows_attested_consent, True)
        return exists().where(
            Consent.record_id == record_id,
            Consent.revoked_at.is_(None),
            Consent.expires_at > now,
            granted(Consent),
            or_(Consent.basis == ConsentBasis.GIVEN, attested),
        )

    def in_emergency(record_id: RecordId) -> ColumnElement[bool]:
        centre = setting(record_id, AccessSettings.allows_regulation_centre, True)
        glass = setting(record_id, AccessSettings.allows_break_glass, True)
        return exists().where(
            EmergencyAccess.record_id == record_id,
            EmergencyAccess.professional_id == id_,
            EmergencyAccess.closed_at.is_(None),
            EmergencyAccess.ends_at > now,
            or_(
                and_(EmergencyAccess.kind == EmergencyKind.REGULATION_CENTRE, centre),
                and_(EmergencyAccess.kind == EmergencyKind.BREAK_GLASS, glass),
            ),
        )

    return _Grounds(
        profession=own(ProfessionalRow.profession_code),
        rpps=own(ProfessionalRow.rpps),
        blocked=blocked,
        administers=administers,
        is_known=lambda record_id: or_(member(record_id), consented(record_id)),
        in_emergency=in_emergency,
    )


def _imagined(role: Role) -> _Grounds:
    standing = role.standing

    def always(value: bool) -> Callable[[RecordId], ColumnElement[bool]]:
        return lambda _: true() if value else false()

    def in_emergency(record_id: RecordId) -> ColumnElement[bool]:
        if standing is not Standing.EMERGENCY:
            return false()
        return setting(record_id, AccessSettings.allows_break_glass, True)

    return _Grounds(
        profession=literal(role.profession_code or ""),
        rpps=literal(""),
        blocked=always(False),
        administers=always(standing is Standing.ADMINISTRATOR),
        is_known=always(standing in (Standing.CARE_TEAM, Standing.ADMINISTRATOR)),
        in_emergency=in_emergency,
    )


def _read_by(grounds: _Grounds, document: Columns) -> ColumnElement[bool]:
    """Return whether a professional who is not its author reads the document."""
    record_id = document.record_id
    shown = setting(record_id, AccessSettings.shows_masked_in_emergency, False)
    return and_(
        grounds.enters(record_id),
        _may_read(grounds.profession, document.type_code),
        or_(
            ~document.is_masked,
            grounds.administers(record_id),
            and_(shown, grounds.in_emergency(record_id)),
        ),
    )


def _may_read(profession: ColumnElement[str], type_code: ColumnElement[Any]) -> ColumnElement[bool]:
    def cell(type_: ColumnElement[Any]) -> ColumnElement[Any]:
        row = select(Habilitation.level).where(
            Habilitation.profession_code == profession, Habilitation.type_code == type_
        )
        return row.scalar_subquery()

    level = func.coalesce(cell(type_code), cell(literal(ANY_TYPE)), HabilitationLevel.NONE.value)
    return level != HabilitationLevel.NONE.value


def _released(document: Columns, now: datetime) -> ColumnElement[bool]:
    return or_(
        document.hidden_from_holder_until.is_(None), document.hidden_from_holder_until <= now
    )


def _unannounced(document: Columns, now: datetime) -> ColumnElement[bool]:
    return or_(~_released(document, now), _too_new(document, now))


def _too_new(document: Columns, now: datetime) -> ColumnElement[bool]:
    """Return whether the holder chose to see this result only some days later.

    Counted in seconds: a day of an interval has 23 or 25 hours where the clocks change.
    """
    age = func.extract("epoch", literal(now) - document.deposited_at)
    young = exists().where(
        AccessSettings.record_id == document.record_id,
        AccessSettings.hide_results_days > 0,
        age < AccessSettings.hide_results_days * 86_400,
    )
    others = document.depositor.not_in(HOLDER_SIDE)
    return and_(document.category.in_(RESULT_CATEGORIES), others, young)
