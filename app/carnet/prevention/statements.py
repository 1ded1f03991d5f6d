"""What holders and professionals state for the calendar: acts done, decisions, facts, pregnancies.

Each changes one record, under its row, with its entry in the journal; the record's calendar is
looked at anew afterwards.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import date
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from carnet.access.deciding import Granted
from carnet.access.journal import JournalAction, ObjectKind
from carnet.access.rules import Action
from carnet.calendar.items import LONGEST_PREGNANCY
from carnet.calendar.rules import PREGNANT, Kind, RuleBook
from carnet.errors import AccessDenied, NotFound, QuotaExceeded, ValidationFailed
from carnet.people.actor import Actor, Patient
from carnet.prevention.books import in_force
from carnet.prevention.queries import acts_by_ids, calendars, facts_by_ids, pregnancies_by_ids
from carnet.prevention.tables import (
    Choice,
    PregnancyEpisode,
    PreventionAct,
    PreventionChoice,
    PreventionFact,
    PreventionSettings,
)
from carnet.records.actions import author_of, writable
from carnet.records.looks import look_again
from carnet.records.rules import may_change
from carnet.store.database import Work
from carnet.values import PartialDate

STATEMENTS_LIMIT = 500  # acts, facts and pregnancies of one record, each
Statement = PreventionAct | PreventionFact | PregnancyEpisode


async def _granted(actor: Actor, work: Work, record_id: UUID) -> Granted:
    return await writable(actor, work, record_id, Action.WRITE_PROFILE)


async def _changed(granted: Granted, work: Work, what: str, *ids: UUID) -> None:
    """Write the entry and have the calendar looked at."""
    kind = ObjectKind.PREVENTION_STATEMENT if ids else None
    await granted.journal(JournalAction.CHANGE_CALENDAR, kind, *ids, details={"what": what})
    await look_again(work, [granted.record.id], is_told=True)


async def _check_room(work: Work, table: type[Statement], record_id: UUID) -> None:
    count = select(func.count()).select_from(table).where(table.record_id == record_id)
    if (await work.session.scalar(count) or 0) >= STATEMENTS_LIMIT:
        raise QuotaExceeded("The calendar has no room for more statements of this kind.")


def _stated(actor: Actor, work: Work, granted: Granted) -> dict[str, object]:
    """Return the columns that say who states something, and when."""
    stated_by, stated_by_id = author_of(actor, granted)
    return {"stated_by": stated_by, "stated_by_id": stated_by_id, "stated_at": work.now}


def _check_past(on: PartialDate | date | None, work: Work, name: str) -> None:
    if on is not None and str(on)[:10] > work.now.date().isoformat()[: len(str(on))]:
        raise ValidationFailed("This date is in the future.", path=(name,))


async def _book(work: Work) -> RuleBook:
    return (await in_force(work))[1].book


async def record_act(
    actor: Actor, work: Work, record_id: UUID, act: str, done_on: PartialDate | None
) -> UUID:
    """State that an act of the schedule was done; said twice it is one act.

    Vaccines are no such acts: a dose is reported in the profile, with its product.

    Raises:
        ValidationFailed: the schedule has no such act, or the date is in the future.
        NotFound, AccessDenied, RecordClosed: as `carnet.records.actions.writable`.
        QuotaExceeded: the record has no room.
    """
    granted = await _granted(actor, work, record_id)
    known = (await _book(work)).acts.get(act)
    if known is None:
        raise ValidationFailed("The schedule has no such act.", path=("act",))
    if known.diseases:
        raise ValidationFailed("A dose of a vaccine is reported in the profile.", path=("act",))
    _check_past(done_on, work, "doneOn")
    await _check_room(work, PreventionAct, record_id)
    row = {
        "id": work.new_id(),
        "record_id": record_id,
        "act": act,
        "done_on": done_on,
        **_stated(actor, work, granted),
    }
    statement = insert(PreventionAct).values(row).on_conflict_do_nothing()
    made: UUID | None = await work.session.scalar(statement.returning(PreventionAct.id))
    if made is None:
        same = PreventionAct.done_on.is_(None) if done_on is None else (
            PreventionAct.done_on == done_on
        )  # fmt: skip
        found: UUID | None = await work.session.scalar(
            select(PreventionAct.id).where(
                PreventionAct.record_id == record_id, PreventionAct.act == act, same
            )
        )
        if found is None:
            raise NotFound()
        return found
    await _changed(granted, work, "act", made)
    return made


async def remove_act(actor: Actor, work: Work, act_id: UUID) -> UUID:
    """Take back what the actor said was done. Returns the record's id.

    Raises:
        NotFound: there is no such act, or it is not theirs to see.
        AccessDenied: somebody else said so.
    """
    return await _remove(actor, work, act_id, acts_by_ids, PreventionAct, "act-removed")


ById = Callable[[Actor, Work, Collection[UUID]], Awaitable[Mapping[UUID, Statement]]]


async def _remove(
    actor: Actor, work: Work, id_: UUID, by_ids: ById, table: type[Statement], what: str
) -> UUID:
    found = (await by_ids(actor, work, [id_])).get(id_)
    if found is None:
        raise NotFound()
    granted = await _granted(actor, work, found.record_id)
    _check_author(actor, granted, found)
    await work.session.execute(delete(table).where(table.id == id_))
    await _changed(granted, work, what, id_)
    return found.record_id


def _check_author(actor: Actor, granted: Granted, found: Statement) -> None:
    if not may_change(author_of(actor, granted), (found.stated_by, found.stated_by_id)):
        raise AccessDenied("records.only-author-changes", "Only who stated an entry changes it.")


async def decide(
    actor: Actor, work: Work, record_id: UUID, item_key: str, choice: Choice | None
) -> UUID:
    """Refuse an item, say that it does not concern the holder, or take that back (None).

    Raises:
        ValidationFailed: the calendar has no such item.
        NotFound, AccessDenied, RecordClosed: as `carnet.records.actions.writable`.
    """
    granted = await _granted(actor, work, record_id)
    calendar = (await calendars(actor, work, [record_id])).get(record_id)
    if calendar is None:
        raise NotFound()
    if item_key not in {entry.key for entry in calendar.entries}:
        raise ValidationFailed("The calendar has no such item.", path=("itemKey",))
    mine = PreventionChoice.record_id == record_id, PreventionChoice.item_key == item_key
    if choice is None:
        await work.session.execute(delete(PreventionChoice).where(*mine))
    else:
        values = {"choice": choice, **_stated(actor, work, granted)}
        statement = insert(PreventionChoice).values(
            record_id=record_id, item_key=item_key, **values
        )
        await work.session.execute(
            statement.on_conflict_do_update(
                index_elements=[PreventionChoice.record_id, PreventionChoice.item_key],
                set_=values,
            )
        )
    await _changed(granted, work, "decision")
    return record_id


async def state_fact(
    actor: Actor,
    work: Work,
    record_id: UUID,
    code: str,
    since: date | None,
    until: date | None = None,
) -> UUID:
    """State that a fact of the schedule holds, from a day on or always; again, with a new end.

    Whoever gave it that end is then who states it.

    Raises:
        ValidationFailed: the schedule has no such fact, it is derived, or the days are not in
            order.
        NotFound, AccessDenied, RecordClosed: as `carnet.records.actions.writable`.
        QuotaExceeded: the record has no room.
    """
    granted = await _granted(actor, work, record_id)
    if code not in (await _book(work)).facts:
        raise ValidationFailed("The schedule has no such fact.", path=("code",))
    if code == PREGNANT:
        raise ValidationFailed("A pregnancy is stated with its beginning.", path=("code",))
    _check_past(since, work, "since")
    if since is not None and until is not None and until < since:
        raise ValidationFailed("The end is before the beginning.", path=("until",))
    said = PreventionFact.record_id == record_id, PreventionFact.code == code
    standing = await work.session.scalar(
        select(PreventionFact).where(*said, PreventionFact.since.is_not_distinct_from(since))
    )
    if standing is not None and standing.until == until:
        return standing.id
    await _check_room(work, PreventionFact, record_id)
    row = {"id": work.new_id(), "record_id": record_id, "code": code, "since": since}
    values = {"until": until, **_stated(actor, work, granted)}
    made: UUID | None = await work.session.scalar(
        insert(PreventionFact)
        .values(row | values)
        .on_conflict_do_update(constraint="uq_prevention_facts_once", set_=values)
        .returning(PreventionFact.id)
    )
    if made is None:
        raise NotFound()
    await _changed(granted, work, "fact", made)
    return made


async def remove_fact(actor: Actor, work: Work, fact_id: UUID) -> UUID:
    """Take back a fact. Returns the record's id.

    Raises:
        NotFound: there is no such fact, or it is not theirs to see.
        AccessDenied: somebody else stated it.
    """
    return await _remove(actor, work, fact_id, facts_by_ids, PreventionFact, "fact-removed")


async def state_pregnancy(
    actor: Actor,
    work: Work,
    record_id: UUID,
    began_on: date,
    ended_on: date | None,
    *,
    is_delivered: bool,
) -> UUID:
    """State a pregnancy by the day it began, or how the one that began that day ended.

    Whoever said how it ended is then who states it.

    Raises:
        ValidationFailed: a day is in the future, or they are not in order.
        NotFound, AccessDenied, RecordClosed: as `carnet.records.actions.writable`.
        QuotaExceeded: the record has no room.
    """
    granted = await _granted(actor, work, record_id)
    _check_past(began_on, work, "beganOn")
    _check_past(ended_on, work, "endedOn")
    if ended_on is None and is_delivered:
        raise ValidationFailed("A delivery needs its day.", path=("endedOn",))
    if ended_on is not None and not 0 <= (ended_on - began_on).days <= LONGEST_PREGNANCY:
        raise ValidationFailed("A pregnancy does not end then.", path=("endedOn",))
    standing = await work.session.scalar(
        select(PregnancyEpisode).where(
            PregnancyEpisode.record_id == record_id, PregnancyEpisode.began_on == began_on
        )
    )
    said = ended_on, is_delivered
    if standing is not None and (standing.ended_on, standing.is_delivered) == said:
        return standing.id
    await _check_room(work, PregnancyEpisode, record_id)
    ends = {"ended_on": ended_on, "is_delivered": is_delivered, **_stated(actor, work, granted)}
    statement = insert(PregnancyEpisode).values(
        id=work.new_id(), record_id=record_id, began_on=began_on, **ends
    )
    made: UUID | None = await work.session.scalar(
        statement.on_conflict_do_update(
            index_elements=[PregnancyEpisode.record_id, PregnancyEpisode.began_on], set_=ends
        ).returning(PregnancyEpisode.id)
    )
    if made is None:
        raise NotFound()
    await _changed(granted, work, "pregnancy", made)
    return made


async def remove_pregnancy(actor: Actor, work: Work, pregnancy_id: UUID) -> UUID:
    """Take back a pregnancy that was stated by mistake. Returns the record's id.

    Raises:
        NotFound: there is no such pregnancy, or it is not theirs to see.
        AccessDenied: somebody else stated it.
    """
    table, what = PregnancyEpisode, "pregnancy-removed"
    return await _remove(actor, work, pregnancy_id, pregnancies_by_ids, table, what)


async def refuse_messages(
    actor: Actor, work: Work, record_id: UUID, kinds: Collection[Kind]
) -> UUID:
    """Choose about which kinds of prevention no message comes; the calendar itself stays whole.

    Raises:
        AccessDenied: only the holder, or who acts for them, chooses.
        NotFound, RecordClosed: as `carnet.records.actions.writable`.
    """
    granted = await _granted(actor, work, record_id)
    if not isinstance(actor, Patient):
        raise AccessDenied("access.holder-only")
    values = {"refused_kinds": sorted(kind.value for kind in kinds), "updated_at": work.now}
    statement = insert(PreventionSettings).values(record_id=record_id, **values)
    await work.session.execute(
        statement.on_conflict_do_update(index_elements=[PreventionSettings.record_id], set_=values)
    )
    await _changed(granted, work, "messages")
    return record_id
