"""Immunizations: doses that were given. What was refused or not done is no vaccination."""

from __future__ import annotations

import re
from collections.abc import Iterator

from carnet.errors import ValidationFailed
from carnet.intake.fhir.datatypes import (
    Element,
    SetAside,
    child,
    children,
    codes,
    codings,
    label,
    malformed,
    partial_date,
    positive,
    token,
    truth,
)
from carnet.intake.fhir.documents import refuse_error
from carnet.intake.fhir.patient import subject_of
from carnet.intake.fhir.references import Source
from carnet.intake.model import ImmunizationItem, Item, Reason
from carnet.values import PartialDate

NOT_DONE = "The vaccination was not done."
NONE_KNOWN = "It says that no vaccination is known."
LOT_LIMIT = 100  # characters; real lot numbers have under 20
RANK_LIMIT = 100  # no series has so many doses

_RANK = re.compile(r"\s*(\d{1,2})\s*(?:(?:/|of|sur)\s*\d{1,2}\s*)?", re.ASCII | re.IGNORECASE)
_NONE = frozenset({"no-immunization-info", "no-known-immunizations"})


def read_immunization(source: Source) -> Iterator[Item]:
    """Read an Immunization."""
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status)
    if status == "not-done" or truth(resource, "notGiven") or truth(resource, "wasNotGiven"):
        raise SetAside(Reason.NOT_DONE, NOT_DONE)  # the last two are of older versions of FHIR
    if status != "completed":
        raise malformed("status")
    vaccine = child(resource, "vaccineCode")
    if codes(vaccine) & _NONE:
        raise SetAside(Reason.NOT_SUPPORTED, NONE_KNOWN)
    said = label(vaccine)
    if said is None:
        raise malformed("vaccineCode")
    protocols = children(resource, "protocolApplied")
    diseases = [disease for item in protocols for disease in children(item, "targetDisease")]
    yield ImmunizationItem(
        source_key=source.key,
        patient=subject_of(source, "patient"),
        vaccine_label=said,
        codings=codings(vaccine),
        target_diseases=codings(*diseases),
        given_on=_given_on(resource),
        lot_number=token(resource, "lotNumber", LOT_LIMIT),
        dose_rank=_rank(protocols),
        is_subpotent=truth(resource, "isSubpotent"),
    )


def _given_on(resource: Element) -> PartialDate | None:
    """Return the day; a date in words («January 2012») is a date that is not known."""
    if resource.get("occurrenceDateTime") is not None:
        return partial_date(resource, "occurrenceDateTime")
    words = token(resource, "occurrenceString")
    if words is None:
        return None
    try:
        return PartialDate.parse(words)
    except ValidationFailed:
        return None


def _rank(protocols: list[Element]) -> int | None:
    """Return the rank of the dose; None when it counts differently for several diseases."""
    ranks: set[int] = set()
    for protocol in protocols:
        rank = positive(protocol, "doseNumberPositiveInt")
        words = token(protocol, "doseNumberString")
        if rank is None and words and (found := _RANK.fullmatch(words)):
            rank = int(found[1])
        if rank and rank < RANK_LIMIT:
            ranks.add(rank)
    return ranks.pop() if len(ranks) == 1 else None
