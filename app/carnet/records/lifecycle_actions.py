"""What people do to the state of a record. Each action writes its journal entry and is done once.

Holders act, and the parents of minors for them; other delegates see the state and change nothing.
Operators suspend and resume, and see no more of a record than its state.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, false, select, update

from carnet.access.filters import speaks_for
from carnet.access.journal import Fact, JournalAction, behalf, write
from carnet.access.tables import DelegationKind, DelegationScope
from carnet.errors import AccessDenied, NotFound, RecordClosed, RecordNotOpen, Unauthenticated
from carnet.people.actor import Actor, Anonymous, require_operator
from carnet.people.claims import Claim
from carnet.people.identifiers import spellings
from carnet.people.queries import claimed_identifiers
from carnet.people.tables import Person, PersonIdentifier
from carnet.records.lifecycle import Life, LifeAction, act, advance, is_done, made_by_holder
from carnet.records.queries import by_ids
from carnet.records.tables import Record, RecordState
from carnet.records.transitions import Moved, columns_of, life_of, majority_of, settle
from carnet.store.database import Work
from carnet.values import Identifier, PartialDate

_RULES = {
    LifeAction.ACTIVATE: "records.holder-activates",
    LifeAction.OPPOSE: "records.holder-opposes",
    LifeAction.REVERSE_OPPOSITION: "records.holder-reverses-opposition",
    LifeAction.CLOSE: "records.holder-closes",
    LifeAction.REOPEN: "records.holder-reopens",
    LifeAction.REQUEST_DELETION: "records.holder-requests-deletion",
    LifeAction.CANCEL_DELETION: "records.holder-cancels-deletion",
    LifeAction.SUSPEND: "records.operator-suspends",
    LifeAction.RESUME: "records.operator-resumes",
}


@dataclass(slots=True)
class Held:
    """A record whose row this transaction holds, and its life, advanced until now."""

    record: Record
    birth_date: PartialDate | None
    life: Life


async def change(actor: Actor, work: Work, record_id: UUID, action: LifeAction) -> UUID:
    """Do what the holder, or a minor's parent, asks for; returns the record's id.

    Asked for again it changes nothing. Reopening a deleted record makes a fresh, empty one.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: no such record, or not theirs to know of.
        AccessDenied: they see it, but it is not theirs to decide.
        RecordClosed: its state allows no such action.
    """
    held = await held_by_holder(actor, work, record_id)
    if action is LifeAction.REOPEN and held.life.state is RecordState.DELETED:
        return await _make_anew(actor, work, held)
    await perform(actor, work, held, action)
    return record_id


async def suspend(actor: Actor, work: Work, record_id: UUID) -> UUID:
    """Stop everything about a record because of fraud, its clocks too.

    Raises:
        AccessDenied, Unauthenticated: the actor is no operator.
        NotFound: no such record.
        RecordClosed: it is deleted.
    """
    require_operator(actor)
    held = await hold(work, Record.id == record_id)
    await perform(actor, work, held, LifeAction.SUSPEND)
    return record_id


async def resume(actor: Actor, work: Work, record_id: UUID) -> UUID:
    """Bring a suspended record back to its former state.

    A deletion that had been requested can be taken back for as long as at first.

    Raises:
        AccessDenied, NotFound, RecordClosed, Unauthenticated: as in `suspend`.
    """
    require_operator(actor)
    held = await hold(work, Record.id == record_id)
    await perform(actor, work, held, LifeAction.RESUME)
    return record_id


async def find_record(actor: Actor, work: Work, identifier: Identifier) -> UUID:
    """Return the record of the person with this national number, for an operator.

    Raises:
        AccessDenied, Unauthenticated: the actor is no operator.
        NotFound: nobody has this number, or no record.
    """
    require_operator(actor)
    found = await work.session.scalar(
        select(Record.id).where(of_number(identifier)).order_by(Record.id.desc()).limit(1)
    )
    if found is None:
        raise NotFound()
    return found


def of_number(identifier: Identifier) -> ColumnElement[bool]:
    """Return the filter on records of the person with this national number."""
    claimed = claimed_identifiers(Claim((identifier,), is_reference=True))
    forms = [form for number in claimed for form in spellings(number)]
    if not forms:
        return false()
    return Record.person_id.in_(
        select(PersonIdentifier.person_id).where(
            PersonIdentifier.system == forms[0].system,
            PersonIdentifier.value.in_([form.value for form in forms]),
            PersonIdentifier.is_national,
        )
    )


async def held_by_holder(actor: Actor, work: Work, record_id: UUID) -> Held:
    """Return a record that the actor may decide about, held for this transaction.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: no such record, or not theirs to know of.
        AccessDenied: they see it, but it is not theirs to decide.
    """
    if isinstance(actor, Anonymous):
        raise Unauthenticated()
    decides = speaks_for(
        actor, work.now, Record.person_id, DelegationScope.ACCESS, DelegationKind.PARENT
    )
    if await work.session.scalar(select(Record.id).where(Record.id == record_id, decides)):
        return await hold(work, Record.id == record_id, decides)
    knows = speaks_for(actor, work.now, Record.person_id)
    known = await work.session.scalar(select(Record.id).where(Record.id == record_id, knows))
    if known or await by_ids(actor, work, [record_id]):
        raise AccessDenied(
            "records.only-holder-decides", "Only the holder, or a minor's parent, decides this."
        )
    raise NotFound()


async def hold(work: Work, *conditions: ColumnElement[bool]) -> Held:
    """Return a record, its row locked, after all has happened to it that was due.

    Raises:
        NotFound: there is none.
        RecordClosed: its deletion is due, and only waits to be carried out.
    """
    statement = (
        select(Record, Person.birth_date)
        .join(Person, Person.id == Record.person_id)
        .where(*conditions)
        .with_for_update(of=Record, key_share=True)
        .execution_options(populate_existing=True)
    )
    found = (await work.session.execute(statement)).one_or_none()
    if found is None:
        raise NotFound()
    record, birth_date = found
    life, steps = advance(life_of(record, birth_date), work.now)
    moved = Moved(record.id, record.person_id, life, steps)
    if steps:
        if moved.is_deleted:
            raise RecordClosed("The record is being deleted.")
        await settle(work, [moved])
    return Held(record, birth_date, life)


async def perform(
    actor: Actor, work: Work, held: Held, action: LifeAction, rule: str | None = None
) -> None:
    """Do an action that the actor may do, and write it down; done already, it does nothing.

    Raises:
        RecordClosed: the state allows no such action.
        RecordNotOpen: it is activated before it opens.
    """
    if is_done(held.life, action):
        return
    before = held.life
    if action is LifeAction.ACTIVATE and before.state is RecordState.NOTIFIED and before.opens_at:
        raise RecordNotOpen(before.opens_at)
    held.life = act(before, action, work.now)
    await work.session.execute(
        update(Record)
        .where(Record.id == held.record.id)
        .values(**columns_of(held.life))
        .execution_options(synchronize_session=False)
    )
    await work.session.refresh(held.record)
    await write(
        actor,
        work,
        [
            Fact(
                held.record.id,
                JournalAction.CHANGE_STATE,
                rule or _RULES[action],
                on_behalf_of=behalf(actor, held.record.person_id),
                details={"from": before.state.value, "to": held.life.state.value},
            )
        ],
    )


async def _make_anew(actor: Actor, work: Work, held: Held) -> UUID:
    """Make a fresh record for a holder whose former one was deleted."""
    person_id = held.record.person_id
    living = select(Record.id).where(
        Record.person_id == person_id, Record.state != RecordState.DELETED
    )
    # Under the lock of the deleted row no second fresh one is made.
    known = await work.session.scalar(living)
    if known is not None:
        return known
    life = made_by_holder(work.now, majority_of(held.birth_date))
    record = Record(id=work.new_id(), person_id=person_id, created_at=work.now, **columns_of(life))
    work.session.add(record)
    await work.session.flush()
    fact = Fact(
        record.id,
        JournalAction.CHANGE_STATE,
        _RULES[LifeAction.REOPEN],
        on_behalf_of=behalf(actor, person_id),
        details={"from": RecordState.DELETED.value, "to": life.state.value},
    )
    await write(actor, work, [fact])
    return record.id
