"""Treatments: medication statements and prescriptions."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from carnet.intake.fhir.absence import absences
from carnet.intake.fhir.datatypes import (
    Element,
    SetAside,
    child,
    children,
    codings,
    cut,
    extensions,
    label,
    labels,
    note,
    number,
    partial_date,
    period,
    remarks,
    text,
    texts,
    token,
    truth,
)
from carnet.intake.fhir.documents import refuse_error
from carnet.intake.fhir.patient import subject_of
from carnet.intake.fhir.references import Source
from carnet.intake.model import EntryItem, Item, Reason
from carnet.records.sections import LABEL_LIMIT, NOTE_LIMIT
from carnet.records.tables import EntryStatus, Section
from carnet.values import Coding, PartialDate

NOT_TAKEN = "The medication was not taken, or is not to be given."
DRAFT = "A draft is no prescription."
NO_MEDICATION = "The medication is not in the body: send the Medication in the same Bundle."

ONCE = Decimal(1)

_STATUSES = {
    "active": EntryStatus.ACTIVE,
    "on-hold": EntryStatus.INACTIVE,
    "completed": EntryStatus.INACTIVE,
    "stopped": EntryStatus.INACTIVE,
}
_NOT_DONE = frozenset({"not-taken", "cancelled"})


def read_medication_statement(source: Source) -> Iterator[Item]:
    """Read a MedicationStatement: what somebody takes."""
    started_on, ended_on = period(source.resource, "effectivePeriod")
    started_on = started_on or partial_date(source.resource, "effectiveDateTime")
    yield from _treatment(source, "dosage", started_on, ended_on, kind="statement")


def read_medication_request(source: Source) -> Iterator[Item]:
    """Read a MedicationRequest: what is prescribed, which is neither dispensed nor taken yet."""
    started_on, ended_on = _bounds(source.resource)
    started_on = started_on or partial_date(source.resource, "authoredOn")
    yield from _treatment(source, "dosageInstruction", started_on, ended_on, kind="prescription")


def _treatment(
    source: Source,
    dosage_name: str,
    started_on: PartialDate | None,
    ended_on: PartialDate | None,
    *,
    kind: str,
) -> Iterator[Item]:
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status)
    if status in _NOT_DONE or truth(resource, "doNotPerform"):
        raise SetAside(Reason.NOT_DONE, NOT_TAKEN)
    if status == "draft":
        raise SetAside(Reason.NOT_SUPPORTED, DRAFT)
    concept = child(resource, "medicationCodeableConcept")
    nothing = list(absences(source, Section.TREATMENTS, concept, "subject"))
    if nothing:
        yield from nothing
        return
    name, codes = _medication(source, concept)
    dosage = _dosage(resource, dosage_name)
    details = {
        "kind": kind,
        "intent": token(resource, "intent"),
        "dosage": cut(dosage, LABEL_LIMIT) if dosage else None,
        "reason": labels(children(resource, "reasonCode")),
    }
    yield EntryItem(
        source_key=source.key,
        patient=subject_of(source),
        section=Section.TREATMENTS,
        label=name,
        codings=codes,
        status=_STATUSES.get(status or "", EntryStatus.UNKNOWN),
        started_on=started_on,
        ended_on=ended_on,
        # A dosage is never shown cut without its whole text beside it.
        note=note(dosage if dosage and len(dosage) > LABEL_LIMIT else None, remarks(resource)),
        details={key: value for key, value in details.items() if value},
    )


def _medication(source: Source, concept: Element | None) -> tuple[str, tuple[Coding, ...]]:
    """Return the name and codes of the medication, from the resource or the one it refers to."""
    reference = child(source.resource, "medicationReference")
    if concept is None and reference is not None:
        target = source.find(reference)
        if target is not None and target.kind == "Medication":
            concept = child(target.resource, "code")
            name = label(concept) or _ingredients(target)
            if name:
                return name, codings(concept)
        name = text(reference, "display")
        if name:
            return name, ()
    name = label(concept)
    if name is None:
        raise SetAside(Reason.NOT_SUPPORTED, NO_MEDICATION, is_refused=True)
    return name, codings(concept)


def _ingredients(medication: Source) -> str | None:
    """Return the names of what a mixture without a name holds."""
    names: list[str] = []
    for ingredient in children(medication.resource, "ingredient"):
        name = label(child(ingredient, "itemCodeableConcept"))
        reference = child(ingredient, "itemReference")
        if name is None and reference is not None:
            target = medication.find(reference)
            name = label(child(target.resource, "code")) if target else None
            name = name or text(reference, "display")
        if name:
            names.append(name)
    return cut(" + ".join(names)) or None


def _bounds(resource: Element) -> tuple[PartialDate | None, PartialDate | None]:
    """Return the first and last day of the dosages that are bounded by dates."""
    starts: list[PartialDate] = []
    ends: list[PartialDate | None] = []
    for dosage in children(resource, "dosageInstruction"):
        repeat = child(child(dosage, "timing") or {}, "repeat") or {}
        start, end = period(repeat, "boundsPeriod")
        starts += [start] if start else []
        ends.append(end)
    last = [end for end in ends if end]
    is_bounded = bool(ends) and len(last) == len(ends)
    return min(starts, default=None), max(last) if is_bounded else None


def _dosage(resource: Element, name: str) -> str | None:
    """Return how it is taken, in words; where the source has none, from the structured parts."""
    rendered = next(
        extensions(resource, "extension-MedicationRequest.renderedDosageInstruction"), None
    )
    whole = text(rendered, "valueMarkdown", NOTE_LIMIT) if rendered else None
    if whole:
        return whole
    found = (_one_dosage(dosage) for dosage in children(resource, name))
    return note(*found)


def _one_dosage(dosage: Element) -> str | None:
    said = text(dosage, "text", NOTE_LIMIT) or text(dosage, "patientInstruction", NOTE_LIMIT)
    if said:
        return said
    timing = child(dosage, "timing") or {}
    amounts = (_amount(child(part, "doseQuantity")) for part in children(dosage, "doseAndRate"))
    parts = [
        *amounts,
        label(child(timing, "code")) or _repeat(child(timing, "repeat") or {}),
        label(child(dosage, "route")),
    ]
    return ", ".join(part for part in parts if part) or None


def _amount(quantity: Element | None) -> str | None:
    if quantity is None:
        return None
    value = number(quantity, "value")
    unit = text(quantity, "unit") or text(quantity, "code")
    return f"{value:f} {unit or ''}".strip() if value is not None else None


def _repeat(repeat: Element) -> str | None:
    """Return a rhythm in the signs that FHIR itself uses, such as ``2 × / 1 d (CM, CV)``."""
    times, span = number(repeat, "frequency"), number(repeat, "period")
    unit = token(repeat, "periodUnit")
    rhythm = f"{times or ONCE:f} × / {span or ONCE:f} {unit}" if unit else ""
    moments = ", ".join((*texts(repeat, "when"), *texts(repeat, "timeOfDay")))
    return " ".join(filter(None, [rhythm, f"({moments})" if moments else ""])) or None
