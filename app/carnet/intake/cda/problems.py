"""Problems and allergies among the entries of a CDA document. Pure.

Both stand in a «concern» act that holds one observation or more. A problem needs a code, an
allergy a named agent: free text may as well say that there is none.
"""

from __future__ import annotations

from collections.abc import Iterator

from carnet.intake.cda.codes import code_of, codes_within, codings_of
from carnet.intake.cda.entries import (
    NEGATED,
    NO_CODE,
    WITHDRAWN,
    WITHDRAWN_STATES,
    Entries,
    is_event,
    is_negated,
    observation_with,
    says_none,
    state_of,
    stated_status,
)
from carnet.intake.cda.patient import text_of
from carnet.intake.cda.xml import Element
from carnet.intake.model import EntryItem, Reason
from carnet.records.tables import EntryStatus, Section

ACTIVE_PROBLEMS = "11450-4"  # LOINC section codes
PAST_PROBLEMS = "11348-0"
ALLERGIES = "48765-2"

_NO_PROBLEMS = frozenset({"no-known-problems", "160245001"})
_NO_ALLERGIES = frozenset({"no-known-allergies", "716186003", "160244002"})
_UNKNOWN = frozenset({"no-problem-info", "no-allergy-info"})
_ANY_PROBLEM = frozenset({"55607006", "64572001", "404684003"})  # problem, disease, finding
_ANY_SUBSTANCE = frozenset({"105590001"})

_ALLERGY_TYPES = {
    "416098002": "medication",
    "419511003": "medication",
    "59037007": "medication",
    "414285001": "food",
    "418471000": "food",
    "235719002": "food",
    "426232007": "environment",
    "419199007": None,
    "420134006": None,
    "418038007": None,
    "232347008": None,
    "609328004": None,
    "allergy": None,
    "intolerance": None,
}
"""Kinds of allergy in SNOMED CT, which do not say what the patient is allergic to."""

_ANY_ALLERGY = frozenset(code for code, category in _ALLERGY_TYPES.items() if category is None)

_ATTACHED = frozenset({"SEV", "33999-4", "82606-5", "11323-3", "48767-8"})
"""Severity, status, criticality, health status, comment: they qualify what they stand beside."""

_CRITICALITY = {"CRITL": "low", "CRITH": "high", "CRITU": "unable-to-assess"}


def read_problems(entries: Entries) -> None:
    """Add each coded problem of the sections «active problems» and «past history»."""
    for section in entries.sections(ACTIVE_PROBLEMS, PAST_PROBLEMS):
        is_past = code_of(section.find("code")) == PAST_PROBLEMS
        for concern, observation in _observations(section):
            if _stands(entries, concern, observation):
                _problem(entries, concern, observation, is_past)


def read_allergies(entries: Entries) -> None:
    """Add each allergy or intolerance with a known agent."""
    for section in entries.sections(ALLERGIES):
        for concern, observation in _observations(section):
            if _stands(entries, concern, observation):
                _allergy(entries, concern, observation)


def _observations(section: Element) -> Iterator[tuple[Element | None, Element]]:
    """Yield the observations of a section, each with the concern it stands in."""
    for entry in section.findall("entry"):
        for observation in entry.findall("observation"):
            if _is_statement(observation):
                yield None, observation
        for act in entry.findall("act"):
            for relation in act.findall("entryRelationship"):
                if relation.get("typeCode") not in (None, "SUBJ"):
                    continue
                for observation in relation.findall("observation"):
                    if is_event(act) and _is_statement(observation):
                        yield act, observation


def _is_statement(observation: Element) -> bool:
    return is_event(observation) and code_of(observation.find("code")) not in _ATTACHED


def _stands(entries: Entries, concern: Element | None, observation: Element) -> bool:
    """Tell whether an observation is about the patient and neither it nor its concern is void."""
    if not entries.is_usable(observation):
        return False
    if concern is None:
        return True
    if state_of(concern) in WITHDRAWN_STATES:
        entries.skip(observation, Reason.ENTERED_IN_ERROR, WITHDRAWN)
    elif is_negated(concern):
        entries.skip(observation, Reason.NOT_DONE, NEGATED)
    else:
        return True
    return False


def _problem(
    entries: Entries, concern: Element | None, observation: Element, is_past: bool
) -> None:
    value = observation.find("value")
    codes = codes_within(value)
    if not codes.isdisjoint(_ANY_PROBLEM if is_negated(observation) else _NO_PROBLEMS):
        if not is_past:
            entries.nothing(observation, Section.CONDITIONS)
        return
    if is_negated(observation):
        entries.skip(observation, Reason.NOT_DONE, NEGATED)
        return
    codings = codings_of(value)
    label = entries.narrative.name_of(value)
    if not codings or label is None or says_none(label) or not codes.isdisjoint(_UNKNOWN):
        entries.skip(observation, Reason.NOT_SUPPORTED, NO_CODE)
        return
    started_on, ended_on = entries.period(observation)
    severity = observation_with(observation, "SEV")
    entries.items.append(
        EntryItem(
            source_key=entries.key(observation),
            patient=entries.patient,
            section=Section.CONDITIONS,
            label=label,
            codings=codings,
            status=_status(concern, observation, is_past or ended_on is not None),
            started_on=started_on,
            ended_on=ended_on,
            details=_details(
                severity=entries.narrative.name_of(severity.find("value"))
                if severity is not None
                else None
            ),
            document=entries.document,
        )
    )


def _status(concern: Element | None, observation: Element, is_over: bool) -> EntryStatus:
    """Return the clinical status: as stated, else by what the dates and the concern tell."""
    stated = stated_status(observation)
    if stated is not None:
        return stated
    if is_over:
        return EntryStatus.RESOLVED
    state = state_of(concern) if concern is not None else None
    return EntryStatus.ACTIVE if state == "active" else EntryStatus.UNKNOWN


def _allergy(entries: Entries, concern: Element | None, observation: Element) -> None:
    agent = observation.find("participant/participantRole/playingEntity")
    agent_code = agent.find("code") if agent is not None else None
    value = observation.find("value")
    agents, values = codes_within(agent_code), codes_within(value)
    kinds = values | codes_within(observation.find("code"))
    if not (agents | values).isdisjoint(_NO_ALLERGIES) and not is_negated(observation):
        entries.nothing(observation, Section.ALLERGIES)
        return
    is_general = (
        agents <= _ANY_SUBSTANCE
        and values <= _ANY_ALLERGY
        and not any(_ALLERGY_TYPES.get(kind) for kind in kinds)
    )
    label = entries.narrative.name_of(agent_code)
    label = label or (text_of(agent.find("name")) if agent is not None else None)
    if is_negated(observation):
        if is_general and (label is None or agents):
            entries.nothing(observation, Section.ALLERGIES)
        else:
            entries.skip(observation, Reason.NOT_DONE, NEGATED)
        return
    codings = codings_of(agent_code)
    if (
        label is None
        or says_none(label)
        or agents & _ANY_SUBSTANCE
        or not (agents | values).isdisjoint(_UNKNOWN)
    ):
        entries.skip(observation, Reason.NOT_SUPPORTED, "It names no agent.")
        return
    started_on, ended_on = entries.period(observation)
    criticality = observation_with(observation, "82606-5")
    code = code_of(criticality.find("value")) if criticality is not None else None
    entries.items.append(
        EntryItem(
            source_key=entries.key(observation),
            patient=entries.patient,
            section=Section.ALLERGIES,
            label=label,
            codings=codings,
            status=_status(concern, observation, ended_on is not None),
            started_on=started_on,
            ended_on=ended_on,
            details=_details(
                category=next(filter(None, map(_ALLERGY_TYPES.get, sorted(kinds))), None),
                criticality=_CRITICALITY.get(code or ""),
                reaction=_reaction(entries, observation),
            ),
            document=entries.document,
        )
    )


def _reaction(entries: Entries, observation: Element) -> str | None:
    for relation in observation.findall("entryRelationship"):
        found = relation.find("observation")
        if relation.get("typeCode") == "MFST" and found is not None and not is_negated(found):
            name = entries.narrative.name_of(found.find("value"))
            if name is not None:
                return name
    return None


def _details(**details: str | None) -> dict[str, str]:
    return {name: text for name, text in details.items() if text}
