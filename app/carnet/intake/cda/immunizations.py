"""Doses of vaccines among the entries of a CDA document. Pure.

A dose is what was given. What was refused, planned, reimbursed or is only unknown is told as
not interpreted, with its reason; a dose without a date is kept, since it was given some day.
C-CDA's ``repeatNumber`` is not taken for a rank: software writes 1 whatever the dose.
"""

from __future__ import annotations

from collections.abc import Iterator

from carnet.intake.cda.codes import (
    attribute,
    code_of,
    codes_within,
    coding_of,
    codings_of,
    templates,
)
from carnet.intake.cda.entries import (
    ANOTHER_PERSON,
    NEGATED,
    NOT_CARRIED_OUT,
    NOT_DONE_STATES,
    PLANNED,
    REIMBURSED,
    WITHDRAWN,
    WITHDRAWN_STATES,
    Entries,
    is_event,
    is_negated,
    observation_with,
    says_none,
    state_of,
)
from carnet.intake.cda.patient import text_of
from carnet.intake.cda.xml import Element
from carnet.intake.model import ImmunizationItem, Reason
from carnet.values import Coding

SECTION = "11369-6"  # LOINC, history of immunization
RANK = "30973-2"  # LOINC, dose number
RANK_LIMIT = 99
LOT_LIMIT = 100  # characters

TEMPLATES = frozenset(
    {
        "1.3.6.1.4.1.19376.1.5.3.1.4.12",  # IHE PCC Immunizations
        "1.2.250.1.213.1.1.3.45",  # CI-SIS FR-Vaccination
        "2.16.840.1.113883.10.20.22.4.52",  # C-CDA Immunization Activity
        "2.16.840.1.113883.10.20.22.4.120",  # C-CDA Planned Immunization Activity
        "2.16.840.1.113883.3.88.11.83.13",  # HITSP C83 Immunization
        "2.16.840.1.113883.10.22.4.15",  # HL7 IPS Immunization
    }
)
_ACTS = frozenset({"IMMUNIZ", "INITIMMUNIZ", "BOOSTER"})
_INDICATION = "2.16.840.1.113883.10.20.22.4.19"  # why it was given, not what it prevents

NO_VACCINE = frozenset(
    {
        "no-immunization-info",
        "no-known-immunizations",
        "998",  # CVX: no vaccine administered
    }
)
NO_DOSE = "It says that no vaccination is known."
NO_NAME = "Nothing says which vaccine it was."


def read_immunizations(entries: Entries) -> None:
    """Add each dose to the entries, and what is none with the reason."""
    for element in _administrations(entries):
        reason = _why_not(element, entries)
        if reason is not None:
            entries.skip(element, *reason)
            continue
        item = _dose(element, entries)
        if item is not None and says_none(item.vaccine_label):
            entries.skip(element, Reason.NOT_DONE, NO_DOSE)
        elif item is None:
            entries.skip(element, Reason.MALFORMED, NO_NAME)
        else:
            entries.items.append(item)


def is_immunization(element: Element, entries: Entries) -> bool:
    """Tell whether a ``substanceAdministration`` is one of a vaccine."""
    return (
        not TEMPLATES.isdisjoint(templates(element))
        or code_of(element.find("code")) in _ACTS
        or entries.section_code(element) == SECTION
    )


def _administrations(entries: Entries) -> Iterator[Element]:
    """Yield the vaccines' administrations; the antigens within one are parts of it."""
    for element in entries.root.iter("substanceAdministration"):
        is_part = next(element.iterancestors("substanceAdministration"), None) is not None
        if not is_part and is_immunization(element, entries):
            yield element


def _why_not(element: Element, entries: Entries) -> tuple[Reason, str] | None:
    """Return why this is not a dose that the patient was given, or None when it is."""
    state = state_of(element)
    if entries.is_about_another(element):
        return Reason.NOT_SUPPORTED, ANOTHER_PERSON
    if state in WITHDRAWN_STATES:
        return Reason.ENTERED_IN_ERROR, WITHDRAWN
    if entries.is_reimbursement:
        return Reason.NOT_ADMINISTERED, REIMBURSED
    if is_negated(element):
        return Reason.NOT_DONE, NEGATED
    if not is_event(element):
        return Reason.NOT_DONE, PLANNED
    if state in NOT_DONE_STATES:
        return Reason.NOT_DONE, NOT_CARRIED_OUT
    if element.get("nullFlavor") or not NO_VACCINE.isdisjoint(
        codes_within(_material_code(element)) | codes_within(element.find("code"))
    ):
        return Reason.NOT_DONE, NO_DOSE
    return None


def _material_code(element: Element) -> Element | None:
    return element.find("consumable/manufacturedProduct/manufacturedMaterial/code")


def _dose(element: Element, entries: Entries) -> ImmunizationItem | None:
    material = element.find("consumable/manufacturedProduct/manufacturedMaterial")
    if material is None:
        return None
    code = material.find("code")
    codings = codings_of(code)
    label = entries.narrative.name_of(code) or text_of(material.find("name"))
    if label is None and codings:
        label = entries.narrative.text_of(element.find("text")) or codings[0].code
    if label is None:
        return None
    given_on, _ = entries.period(element)
    lot = text_of(material.find("lotNumberText"))
    return ImmunizationItem(
        source_key=entries.key(element),
        patient=entries.patient,
        vaccine_label=label,
        codings=codings,
        target_diseases=_diseases(element),
        given_on=given_on,
        lot_number=lot[:LOT_LIMIT] if lot else None,
        dose_rank=_rank(element),
        document=entries.document,
    )


def _rank(element: Element) -> int | None:
    observation = observation_with(element, RANK)
    value = observation.find("value") if observation is not None else None
    text = attribute(value, "value") or (text_of(value) or "")
    is_number = text.isascii() and text.isdigit() and len(text) <= 2
    return int(text) if is_number and 0 < int(text) <= RANK_LIMIT else None


def _diseases(element: Element) -> tuple[Coding, ...]:
    """Return the diseases the dose is given against, where the entry refers to them."""
    found: list[Coding] = []
    for relation in element.findall("entryRelationship"):
        if relation.get("typeCode") != "RSON":
            continue
        for act in (*relation.findall("act"), *relation.findall("observation")):
            if _INDICATION not in templates(act) and not is_negated(act):
                coding = coding_of(act.find("value")) or coding_of(act.find("code"))
                found.extend([coding] if coding else [])
    return tuple(dict.fromkeys(found))
