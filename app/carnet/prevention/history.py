"""What is known of people, as the calendar's engine takes it: facts and acts, with their sources.

What a viewer does not see is left out, so that no date of the calendar tells of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from sqlalchemy import select

from carnet.calendar.facts import Observation, Written
from carnet.calendar.items import Calendar, Holder, Pregnancy, Prevention
from carnet.calendar.rules import RuleBook
from carnet.people.actor import Actor
from carnet.people.tables import Person, Sex
from carnet.prevention.tables import PregnancyEpisode, PreventionAct, PreventionFact
from carnet.records.dose_queries import doses_of, doses_told
from carnet.records.profile_queries import entries_of, entries_told
from carnet.records.tables import EntryStatus, Immunization, ProfileEntry, Record, Section
from carnet.store.database import Work
from carnet.terminology.systems import ICD_10_SYSTEMS, short_name
from carnet.values import PartialDate

_SEXES = {Sex.FEMALE: "F", Sex.MALE: "M"}
_SECTIONS = (Section.CONDITIONS, Section.PROCEDURES)
_HOLDS = frozenset({EntryStatus.ACTIVE, EntryStatus.INACTIVE, EntryStatus.UNKNOWN})

Source = Immunization | ProfileEntry | PreventionAct
"""Where an act of a history is written."""


@dataclass(slots=True)
class Known:
    """All that is known of one person for the calendar. `birth_date` None, or not to the day:
    nothing can be computed."""

    record_id: UUID
    birth_date: date | None
    sex: str
    doses: list[Immunization] = field(default_factory=list)
    entries: list[ProfileEntry] = field(default_factory=list)
    acts: list[PreventionAct] = field(default_factory=list)
    facts: list[PreventionFact] = field(default_factory=list)
    pregnancies: list[PregnancyEpisode] = field(default_factory=list)

    def holder(self, book: RuleBook, as_of: date) -> Holder | None:
        """Return the facts that hold on a day, or None without a birth date."""
        if self.birth_date is None:
            return None
        held = [
            Observation(fact.code, fact.since.toordinal() if fact.since else None)
            for fact in self.facts
            if fact.until is None or fact.until >= as_of
        ]
        held += [
            Observation(code, _day(entry.started_on))
            for entry in self.entries
            if entry.section is Section.CONDITIONS and entry.status in _HOLDS
            for code in _facts_of(book, entry)
        ]
        return Holder(
            self.birth_date.toordinal(),
            self.sex,
            tuple(sorted(set(held), key=lambda o: (o.code, o.on or 0))),
            tuple(
                Pregnancy(
                    each.began_on.toordinal(),
                    each.ended_on.toordinal() if each.ended_on else None,
                    each.is_delivered,
                )
                for each in sorted(self.pregnancies, key=lambda p: p.began_on)
            ),
        )

    def history(self, book: RuleBook) -> list[tuple[Written, Source]]:
        """Return the acts, each with where it is written."""
        found: list[tuple[Written, Source]] = []
        for dose in self.doses:
            codings = _codings(dose.codings)
            for act in book.acts_of(frozenset(dose.disease_codes), codings):
                found.append((_written(act, dose.given_on, dose.is_subpotent), dose))
        for entry in self.entries:
            if entry.section is Section.PROCEDURES and entry.status is not EntryStatus.REFUTED:
                for act in book.acts_of(frozenset(), _codings(entry.codings)):
                    found.append((_written(act, entry.started_on), entry))
        found += [(_written(act.act, act.done_on), act) for act in self.acts]
        return found


def assess(calendar: Calendar, known: Known, as_of: date) -> tuple[Prevention | None, list[Source]]:
    """Return the items of one person and the sources of the history, by rank."""
    holder = known.holder(calendar.book, as_of)
    history = known.history(calendar.book)
    if holder is None:
        return None, [source for _, source in history]
    found = calendar.assess(holder, [written for written, _ in history], as_of.toordinal())
    return found, [source for _, source in history]


def _written(act: str, on: PartialDate | None, is_subpotent: bool = False) -> Written:
    return Written(on.text if on else "", act, sub_standard=is_subpotent)


def _day(on: PartialDate | None) -> int | None:
    day = on.day if on else None
    return day.toordinal() if day else None


def _codings(codings: Sequence[dict[str, str]]) -> frozenset[str]:
    return frozenset(f"{short_name(each['system'])}|{each['code']}" for each in codings)


def _facts_of(book: RuleBook, entry: ProfileEntry) -> set[str]:
    return {
        fact
        for coding in entry.codings
        if coding["system"] in ICD_10_SYSTEMS
        for fact in book.facts_of(coding["code"])
    }


async def known_of(actor: Actor, work: Work, records: Collection[Record]) -> dict[UUID, Known]:
    """Return what the actor sees of these records, which they see.

    The caller has passed the records and their profiles through the actor's filters.
    """
    found = await _people(work, records)
    for record_id, doses in (await doses_of(actor, work, found)).items():
        found[record_id].doses = doses
    for record_id, entries in (await entries_of(actor, work, found, _SECTIONS)).items():
        found[record_id].entries = entries
    await _add_statements(work, found)
    return found


async def known_to_holders(work: Work, records: Collection[Record]) -> dict[UUID, Known]:
    """Return what the holders of these records may know of them."""
    found = await _people(work, records)
    for record_id, doses in (await doses_told(work, found)).items():
        found[record_id].doses = doses
    for record_id, entries in (await entries_told(work, found, _SECTIONS)).items():
        found[record_id].entries = entries
    await _add_statements(work, found)
    return found


async def knows_all(actor: Actor, work: Work, records: Collection[Record]) -> set[UUID]:
    """Return of which of these records, which they see, the actor sees all that `known_to_holders`
    reckons with: of the others, what follows from it tells of what is hidden from them."""
    told = {id_: _read_in(known) for id_, known in (await known_to_holders(work, records)).items()}
    seen = {id_: _read_in(known) for id_, known in (await known_of(actor, work, records)).items()}
    return {id_ for id_, facts in told.items() if facts <= seen[id_]}


def _read_in(known: Known) -> set[tuple[UUID, str, str, str]]:
    """Return what decides of doses and entries, as sources say it."""
    doses = {
        (dose.id, str(dose.given_on), str(dose.dose_rank), " ".join(sorted(dose.disease_codes)))
        for dose in known.doses
    }
    return doses | {(entry.id, str(entry.version), "", "") for entry in known.entries}


async def _people(work: Work, records: Collection[Record]) -> dict[UUID, Known]:
    persons = {record.person_id: record.id for record in records}
    found: dict[UUID, Known] = {}
    people = select(Person.id, Person.birth_date, Person.sex).where(Person.id.in_(persons))
    for person_id, birth_date, sex in await work.session.execute(people):
        record_id = persons[person_id]
        day = birth_date.day if birth_date else None
        found[record_id] = Known(record_id, day, _SEXES.get(sex, "U"))
    return found


async def _add_statements(work: Work, found: dict[UUID, Known]) -> None:
    """Add what was stated for the calendar itself, which whoever sees the profile sees."""
    for act in await work.session.scalars(
        select(PreventionAct).where(PreventionAct.record_id.in_(found)).order_by(PreventionAct.id)
    ):
        found[act.record_id].acts.append(act)
    for fact in await work.session.scalars(
        select(PreventionFact).where(PreventionFact.record_id.in_(found))
    ):
        found[fact.record_id].facts.append(fact)
    for each in await work.session.scalars(
        select(PregnancyEpisode).where(PregnancyEpisode.record_id.in_(found))
    ):
        found[each.record_id].pregnancies.append(each)
