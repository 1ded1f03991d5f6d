"""Vital signs among the entries of a CDA document. Pure.

Only single numbers are taken; a range or a text is not a measurement that can be drawn. Results
of the laboratory stay within the document.
"""

from __future__ import annotations

import re
from decimal import Decimal

from carnet.intake.cda.codes import attribute, codings_of
from carnet.intake.cda.entries import (
    NOT_DONE_STATES,
    Entries,
    is_event,
    is_negated,
    state_of,
)
from carnet.intake.cda.xml import Element
from carnet.intake.model import EntryItem
from carnet.records.tables import Section

VITAL_SIGNS = "8716-3"  # LOINC section code
UNIT_LIMIT = 50  # characters

_NUMBER = re.compile(r"[+-]?\d{1,12}(?:\.\d{1,9})?", re.ASCII)


def read_measurements(entries: Entries) -> None:
    """Add each vital sign that has a number."""
    for section in entries.sections(VITAL_SIGNS):
        for organizer in section.findall("entry/organizer"):
            for observation in organizer.findall("component/observation"):
                _measurement(entries, observation, organizer)
        for observation in section.findall("entry/observation"):
            _measurement(entries, observation, observation)


def quantity_of(value: Element | None) -> tuple[Decimal, str | None] | None:
    """Return a number and its UCUM unit, or None for anything else."""
    text = attribute(value, "value")
    if value is None or text is None or _NUMBER.fullmatch(text) is None:
        return None
    unit = attribute(value, "unit", UNIT_LIMIT)
    return Decimal(text), None if unit == "1" else unit


def _measurement(entries: Entries, observation: Element, around: Element) -> None:
    code = observation.find("code")
    label, codings = entries.narrative.name_of(code), codings_of(code)
    quantity = quantity_of(observation.find("value"))
    if (
        quantity is None
        or label is None
        or not codings
        or not is_event(observation)
        or is_negated(observation)
        or state_of(observation) in NOT_DONE_STATES
        or not entries.is_usable(observation)
    ):
        return
    measured_on = entries.period(observation)[0] or entries.period(around)[0]
    number, unit = quantity
    entries.items.append(
        EntryItem(
            source_key=entries.key(observation),
            patient=entries.patient,
            section=Section.MEASUREMENTS,
            label=label,
            codings=codings,
            started_on=measured_on,
            value=number,
            unit=unit,
            details={"category": "vital-signs"},
            document=entries.document,
        )
    )
