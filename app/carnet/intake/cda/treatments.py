"""Medicines that a CDA document says the patient takes. Pure.

Only the lists «medications» and «discharge medications» are read. Prescriptions, dispensations,
what was given during a stay or reimbursed stays within the document: it does not say what is taken.
"""

from __future__ import annotations

from carnet.intake.cda.codes import codes_within, codings_of
from carnet.intake.cda.entries import (
    NEGATED,
    NO_CODE,
    NOT_DONE_STATES,
    REIMBURSED,
    Entries,
    is_event,
    is_negated,
    says_none,
    state_of,
)
from carnet.intake.cda.immunizations import is_immunization
from carnet.intake.cda.patient import text_of
from carnet.intake.cda.xml import Element
from carnet.intake.model import EntryItem, Reason
from carnet.records.tables import EntryStatus, Section

MEDICATIONS = "10160-0"  # LOINC section codes
DISCHARGE_MEDICATIONS = "10183-2"

_NO_MEDICINES = frozenset({"no-known-medications", "787481004"})
_UNKNOWN = frozenset({"no-medication-info"})


def read_treatments(entries: Entries) -> None:
    """Add each medicine of the lists."""
    for section in entries.sections(MEDICATIONS, DISCHARGE_MEDICATIONS):
        for path in (
            "entry/substanceAdministration",
            "entry/act/entryRelationship/substanceAdministration",
        ):
            for element in section.findall(path):
                if not is_immunization(element, entries) and entries.is_usable(element):
                    _treatment(entries, element)


def _treatment(entries: Entries, element: Element) -> None:
    if entries.is_reimbursement:
        entries.skip(element, Reason.NOT_ADMINISTERED, REIMBURSED)
        return
    material = element.find("consumable/manufacturedProduct/manufacturedMaterial")
    code = material.find("code") if material is not None else None
    codings = codings_of(code)
    label = entries.narrative.name_of(code)
    label = label or (text_of(material.find("name")) if material is not None else None)
    codes = codes_within(code) | codes_within(element.find("code"))
    is_none = not codes.isdisjoint(_NO_MEDICINES)
    if not is_none and is_negated(element):
        is_none = not codings and not label
    if is_none:
        entries.nothing(element, Section.TREATMENTS)
    elif is_negated(element):
        entries.skip(element, Reason.NOT_DONE, NEGATED)
    elif label is None or not codings or says_none(label) or not codes.isdisjoint(_UNKNOWN):
        entries.skip(element, Reason.NOT_SUPPORTED, NO_CODE)
    else:
        started_on, ended_on = entries.period(element)
        details = {
            "kind": "statement",
            "intent": None if is_event(element) else "plan",
            "reason": reason_of(entries, element),
        }
        entries.items.append(
            EntryItem(
                source_key=entries.key(element),
                patient=entries.patient,
                section=Section.TREATMENTS,
                label=label,
                codings=codings,
                status=_status(element, ended_on is not None),
                started_on=started_on,
                ended_on=ended_on,
                details={name: text for name, text in details.items() if text},
                document=entries.document,
            )
        )


def _status(element: Element, has_end: bool) -> EntryStatus:
    """Return what is certain: French lists say «completed» of what is still taken."""
    state = state_of(element)
    if state in NOT_DONE_STATES:
        return EntryStatus.INACTIVE
    if has_end:
        return EntryStatus.UNKNOWN  # it may lie ahead
    return EntryStatus.ACTIVE if state == "active" else EntryStatus.UNKNOWN


def reason_of(entries: Entries, element: Element) -> str | None:
    """Return why something is taken or was done, where the entry refers to the reason."""
    for relation in element.findall("entryRelationship"):
        if relation.get("typeCode") != "RSON":
            continue
        for path in ("observation/value", "act/code"):
            name = entries.narrative.name_of(relation.find(path))
            if name is not None:
                return name
    return None
