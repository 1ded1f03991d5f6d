"""Observations: measurements with their values, and ways of life.

An observation with components, such as a blood pressure, becomes one entry for each component
that has a value. What has a comparator («< 5») is kept as an answer in words: as a number it
would say something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from carnet.intake.fhir.datatypes import (
    Element,
    SetAside,
    child,
    children,
    codes,
    codings,
    cut,
    first_coding,
    label,
    malformed,
    note,
    number,
    partial_date,
    period,
    remarks,
    text,
    token,
    truth,
)
from carnet.intake.fhir.documents import refuse_error
from carnet.intake.fhir.patient import subject_of
from carnet.intake.fhir.references import Source
from carnet.intake.model import EntryItem, Item, Reason
from carnet.records.sections import LABEL_LIMIT, NOTE_LIMIT
from carnet.records.tables import Section
from carnet.values import PartialDate

CANCELLED = "The observation was cancelled."
NO_VALUE = "It has no value; members of a panel are read on their own."
COMPONENTS_LIMIT = 100  # components of one observation; real ones have under 20
UNIT_LIMIT = 50  # characters

LIFESTYLE_CODES = frozenset(
    {
        "72166-2",  # tobacco smoking status
        "11367-0",  # history of tobacco use
        "74013-4",  # alcoholic drinks per day
        "11331-6",  # history of alcohol use
    }
)
"""LOINC codes of ways of life, which some send without a category."""


@dataclass(frozen=True, slots=True)
class Value:
    """What was observed: a number with its unit, or words."""

    number: Decimal | None = None
    unit: str | None = None
    words: str | None = None

    @property
    def in_words(self) -> str:
        """The whole value as text."""
        if self.number is None:
            return self.words or ""
        return f"{self.number:f} {self.unit or ''}".strip()


def read_observation(source: Source) -> Iterator[Item]:
    """Read an Observation."""
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status)
    if status == "cancelled":
        raise SetAside(Reason.NOT_DONE, CANCELLED)
    code = child(resource, "code")
    categories = sorted(codes(*children(resource, "category")))
    components = children(resource, "component")
    if len(components) > COMPONENTS_LIMIT:
        raise malformed("component")
    named = [(source.key, resource)]
    named += [(f"{source.key}#{_name(component)}", component) for component in components]
    found = [(key, element, value) for key, element in named if (value := _value(element))]
    if not found:
        raise SetAside(Reason.NOT_SUPPORTED, NO_VALUE)
    context = _Context(
        subject_of(source),
        _time(resource),
        next(iter(categories), None),
        "social-history" in categories or bool(codes(code) & LIFESTYLE_CODES),
        remarks(resource),
    )
    for key, element, value in found:
        yield _entry(key, element, value, context)


@dataclass(frozen=True, slots=True)
class _Context:
    """What the components of one observation have in common."""

    patient: str
    days: tuple[PartialDate | None, PartialDate | None]
    category: str | None
    is_lifestyle: bool
    remarks: str | None


def _entry(key: str, element: Element, value: Value, context: _Context) -> EntryItem:
    concept = child(element, "code")
    name = label(concept)
    if name is None:
        raise malformed("code")
    is_measured = not context.is_lifestyle
    words = value.words if is_measured else value.in_words
    details = {"answer": cut(words, LABEL_LIMIT) if words else None}
    if is_measured:
        low, high = _range(element)
        details |= {"category": context.category, "targetLow": low, "targetHigh": high}
    return EntryItem(
        source_key=key,
        patient=context.patient,
        section=Section.MEASUREMENTS if is_measured else Section.LIFESTYLE,
        label=name,
        codings=codings(concept),
        started_on=context.days[0],
        ended_on=context.days[1],
        value=value.number if is_measured else None,
        unit=value.unit if is_measured else None,
        note=note(words if words and len(words) > LABEL_LIMIT else None, context.remarks),
        details={name: said for name, said in details.items() if said},
    )


def _name(component: Element) -> str:
    """Return what tells a component from its siblings, in every submission the same."""
    coding = first_coding(child(component, "code"))
    return coding.code[:50] if coding else "component"


def _time(resource: Element) -> tuple[PartialDate | None, PartialDate | None]:
    started_on, ended_on = period(resource, "effectivePeriod")
    known = started_on or partial_date(resource, "effectiveDateTime")
    return known or partial_date(resource, "effectiveInstant"), ended_on


def _value(element: Element) -> Value | None:
    """Return the value in whatever type it comes; None where there is none."""
    quantity = child(element, "valueQuantity")
    if quantity is not None:
        return _quantity(quantity)
    if (whole := number(element, "valueInteger")) is not None:
        return Value(number=whole)
    if element.get("valueBoolean") is not None:
        return Value(words="yes" if truth(element, "valueBoolean") else "no")
    words = (
        text(element, "valueString", NOTE_LIMIT)
        or label(child(element, "valueCodeableConcept"))
        or text(element, "valueDateTime")
        or text(element, "valueTime")
        or _span(child(element, "valueRange"), "low", "high", " – ")
        or _span(child(element, "valueRatio"), "numerator", "denominator", " : ")
    )
    if words is None and element.get("valuePeriod") is not None:
        words = " – ".join(day.text for day in period(element, "valuePeriod") if day) or None
    return Value(words=words) if words else None


def _quantity(quantity: Element) -> Value | None:
    value = number(quantity, "value")
    if value is None:
        return None
    unit = token(quantity, "code", UNIT_LIMIT)
    if unit is None or token(quantity, "system") not in ("http://unitsofmeasure.org", None):
        unit = text(quantity, "unit", UNIT_LIMIT) or unit
    comparator = token(quantity, "comparator", UNIT_LIMIT)
    if comparator:
        return Value(words=f"{comparator} {value:f} {unit or ''}".strip())
    return Value(number=value, unit=unit)


def _span(element: Element | None, first: str, last: str, between: str) -> str | None:
    if element is None:
        return None
    found = [_quantity(child(element, name) or {}) for name in (first, last)]
    return between.join(value.in_words for value in found if value) or None


def _range(element: Element) -> tuple[str | None, str | None]:
    """Return the bounds of the first reference range, in the unit of the value."""
    ranges = children(element, "referenceRange")
    if not ranges:
        return None, None
    low, high = (_quantity(child(ranges[0], name) or {}) for name in ("low", "high"))
    return low.in_words if low else None, high.in_words if high else None
