"""Codes that state an absence: «no known allergy» is a statement, «no information» is none."""

from __future__ import annotations

from collections.abc import Iterator

from carnet.intake.fhir.datatypes import Element, SetAside, codes
from carnet.intake.fhir.patient import subject_of
from carnet.intake.fhir.references import Source
from carnet.intake.model import Item, NothingToDeclareItem, Reason
from carnet.records.tables import Section

UNKNOWN = "It says that nothing is known, which is not that there is nothing."
IN_PART = "It denies one kind only; «nothing to declare» is for the whole section."

NOTHING = {
    Section.ALLERGIES: frozenset({"716186003", "no-known-allergies"}),
    Section.CONDITIONS: frozenset({"160245001", "no-known-problems"}),
    Section.TREATMENTS: frozenset({"787481004", "no-known-medications"}),
    Section.PROCEDURES: frozenset({"no-known-procedures"}),
}
"""Codes that deny a whole section (SNOMED CT and the International Patient Summary)."""

_IN_PART = frozenset(
    {
        "409137002",  # no known drug allergy
        "429625007",  # no known food allergy
        "428607008",  # no known environmental allergy
        "428197003",  # no known insect allergy
        "1003774007",  # no known latex allergy
        "no-known-medication-allergies",
        "no-known-environmental-allergies",
        "no-known-food-allergies",
    }
)
_NO_INFORMATION = frozenset(
    {
        "no-allergy-info",
        "no-problem-info",
        "no-medication-info",
        "no-procedure-info",
        "no-immunization-info",
        "no-device-info",
    }
)


def absences(
    source: Source, section: Section, concept: Element | None, subject: str
) -> Iterator[Item]:
    """Yield «nothing to declare» where a code denies the whole section; nothing for a fact.

    Args:
        subject: the element that names the patient.

    Raises:
        SetAside: the code denies a part only, or says that nothing is known.
    """
    said = codes(concept)
    if said & _NO_INFORMATION:
        raise SetAside(Reason.NOT_SUPPORTED, UNKNOWN)
    if said & NOTHING.get(section, frozenset()):
        yield NothingToDeclareItem(source.key, subject_of(source, subject), section)
    elif said & _IN_PART:
        raise SetAside(Reason.NOT_SUPPORTED, IN_PART)
