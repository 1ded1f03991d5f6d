"""Procedures, family history and habits among the entries of a CDA document. Pure.

Habits are only those of tobacco, alcohol and drugs, by their codes; other social facts vary too
much between software to be certain.
"""

from __future__ import annotations

from collections.abc import Iterator

from carnet.intake.cda.codes import code_of, codes_within, codings_of
from carnet.intake.cda.entries import (
    NEGATED,
    NO_CODE,
    NOT_CARRIED_OUT,
    NOT_DONE_STATES,
    Entries,
    is_event,
    is_negated,
    state_of,
)
from carnet.intake.cda.measurements import quantity_of
from carnet.intake.cda.treatments import reason_of
from carnet.intake.cda.xml import Element
from carnet.intake.model import EntryItem, Reason
from carnet.records.tables import EntryStatus, Section

PROCEDURES = "47519-4"  # LOINC section codes
FAMILY = "10157-6"
SOCIAL = "29762-2"

_NO_PROCEDURES = frozenset({"no-known-procedures", "no-procedure-info"})
_HABITS = frozenset(
    {
        "72166-2",  # tobacco smoking status
        "11367-0",  # history of tobacco use
        "74011-8",  # smokeless tobacco; French documents: use of tobacco
        "74013-4",  # alcoholic drinks per day
        "11331-6",  # history of alcohol use
        "11343-1",  # history of other drug use
    }
)

_PROGRESS = {"active": EntryStatus.ACTIVE, "completed": EntryStatus.RESOLVED}
_NO_BRACES = str.maketrans("", "", "{}")  # UCUM's marks of a word that is no unit


def read_procedures(entries: Entries) -> None:
    """Add each coded procedure that was done."""
    for section in entries.sections(PROCEDURES):
        for element in _children(section, "procedure", "observation", "act"):
            if not is_event(element) or not entries.is_usable(element):
                continue
            code = element.find("code")
            label, codings = entries.narrative.name_of(code), codings_of(code)
            if not codes_within(code).isdisjoint(_NO_PROCEDURES):
                continue
            if is_negated(element):
                entries.skip(element, Reason.NOT_DONE, NEGATED)
            elif state_of(element) in NOT_DONE_STATES:
                entries.skip(element, Reason.NOT_DONE, NOT_CARRIED_OUT)
            elif label is None or not codings:
                entries.skip(element, Reason.NOT_SUPPORTED, NO_CODE)
            else:
                reason = reason_of(entries, element)
                started_on, ended_on = entries.period(element)
                entries.items.append(
                    EntryItem(
                        source_key=entries.key(element),
                        patient=entries.patient,
                        section=Section.PROCEDURES,
                        label=label,
                        codings=codings,
                        status=_PROGRESS.get(state_of(element) or "", EntryStatus.UNKNOWN),
                        started_on=started_on,
                        ended_on=ended_on,
                        details={"reason": reason} if reason else {},
                        document=entries.document,
                    )
                )


def read_family_history(entries: Entries) -> None:
    """Add each coded condition of a relative."""
    for section in entries.sections(FAMILY):
        for organizer in section.findall("entry/organizer"):
            relation = entries.narrative.name_of(organizer.find("subject/relatedSubject/code"))
            for observation in organizer.findall("component/observation"):
                value = observation.find("value")
                label, codings = entries.narrative.name_of(value), codings_of(value)
                if is_negated(observation) or not is_event(observation):
                    entries.skip(observation, Reason.NOT_DONE, NEGATED)
                elif relation is None or label is None or not codings:
                    entries.skip(observation, Reason.NOT_SUPPORTED, NO_CODE)
                else:
                    entries.items.append(
                        EntryItem(
                            source_key=entries.key(observation),
                            patient=entries.patient,
                            section=Section.FAMILY_HISTORY,
                            label=label,
                            codings=codings,
                            started_on=entries.period(observation)[0],
                            details={"relationship": relation},
                            document=entries.document,
                        )
                    )


def read_habits(entries: Entries) -> None:
    """Add what the patient says of tobacco, alcohol and drugs."""
    for section in entries.sections(SOCIAL):
        for observation in _children(section, "observation"):
            code = observation.find("code")
            if code_of(code) not in _HABITS or not is_event(observation):
                continue
            if not entries.is_usable(observation):
                continue
            label, answer = entries.narrative.name_of(code), _answer(entries, observation)
            if is_negated(observation):
                entries.skip(observation, Reason.NOT_DONE, NEGATED)
            elif label and answer:
                started_on, ended_on = entries.period(observation)
                entries.items.append(
                    EntryItem(
                        source_key=entries.key(observation),
                        patient=entries.patient,
                        section=Section.LIFESTYLE,
                        label=label,
                        codings=codings_of(code),
                        status=EntryStatus.UNKNOWN,
                        started_on=started_on,
                        ended_on=ended_on,
                        details={"answer": answer},
                        document=entries.document,
                    )
                )


def _children(section: Element, *names: str) -> Iterator[Element]:
    """Yield the entries of a section that are of some kinds, in its order."""
    for entry in section.findall("entry"):
        for child in entry:
            if child.tag in names:
                yield child


def _answer(entries: Entries, observation: Element) -> str | None:
    value = observation.find("value")
    if value is None or value.get("nullFlavor"):
        return None
    quantity = quantity_of(value)
    if quantity is not None:
        number, unit = quantity
        return f"{number} {unit.translate(_NO_BRACES)}" if unit else str(number)
    return entries.narrative.name_of(value) or entries.narrative.text_of(value)
