"""Entries of the medical profile: allergies, conditions, procedures, stays, family, directives."""

from __future__ import annotations

from collections.abc import Iterator

from carnet.intake.fhir.absence import absences
from carnet.intake.fhir.datatypes import (
    Element,
    SetAside,
    child,
    children,
    codes,
    codings,
    cut,
    label,
    labels,
    malformed,
    note,
    number,
    partial_date,
    period,
    remarks,
    text,
    texts,
    token,
)
from carnet.intake.fhir.documents import refuse_error
from carnet.intake.fhir.patient import subject_of
from carnet.intake.fhir.references import Source
from carnet.intake.model import EntryItem, Item, Reason
from carnet.records.sections import LABEL_LIMIT, NOTE_LIMIT
from carnet.records.tables import EntryStatus, Section
from carnet.values import PartialDate

NOT_DONE = "It was not done."
PLANNED = "It is only planned."
WITHDRAWN_DENIAL = "«Nothing to declare» is no longer said, or is refuted."
NO_CONDITION = "No condition of the relative is given."
NO_DIRECTIVE = "Consents other than advance directives are not kept."
RELATIVES_LIMIT = 100  # conditions of one relative

_CLINICAL = {
    "active": EntryStatus.ACTIVE,
    "recurrence": EntryStatus.ACTIVE,
    "relapse": EntryStatus.ACTIVE,
    "inactive": EntryStatus.INACTIVE,
    "remission": EntryStatus.INACTIVE,
    "resolved": EntryStatus.RESOLVED,
}
_PROGRESS = {
    "in-progress": EntryStatus.ACTIVE,
    "arrived": EntryStatus.ACTIVE,
    "triaged": EntryStatus.ACTIVE,
    "onleave": EntryStatus.ACTIVE,
    "on-hold": EntryStatus.INACTIVE,
    "stopped": EntryStatus.INACTIVE,
    "completed": EntryStatus.RESOLVED,
    "finished": EntryStatus.RESOLVED,
}
_DIRECTIVES = frozenset({"acd", "dnr", "polst", "hcd", "adr", "emrgonly", "42348-3", "75320-2"})
"""FHIR consent categories and scope, and LOINC codes of advance directives."""


def read_allergy(source: Source) -> Iterator[Item]:
    """Read an AllergyIntolerance; «no known allergy» is «nothing to declare»."""
    resource = source.resource
    code = child(resource, "code")
    status = _status(resource)
    nothing = list(absences(source, Section.ALLERGIES, code, "patient"))
    if nothing:
        _check_said(status)
        yield from nothing
        return
    reactions = children(resource, "reaction")
    substances = [s for item in reactions if (s := child(item, "substance")) is not None]
    manifestations = [item for each in reactions for item in children(each, "manifestation")]
    started_on, ended_on, said = _onset(resource, "onset")
    yield EntryItem(
        source_key=source.key,
        patient=subject_of(source, "patient"),
        section=Section.ALLERGIES,
        label=_named(label(code) or labels(substances)),
        codings=codings(code) or codings(*substances),
        status=status,
        started_on=started_on,
        ended_on=ended_on,
        note=note(
            said, *(text(item, "description", NOTE_LIMIT) for item in reactions), remarks(resource)
        ),
        details=_details(
            category=", ".join(texts(resource, "category")),
            criticality=token(resource, "criticality"),
            reaction=labels(manifestations),
        ),
    )


def read_condition(source: Source) -> Iterator[Item]:
    """Read a Condition."""
    resource = source.resource
    code = child(resource, "code")
    status = _status(resource)
    nothing = list(absences(source, Section.CONDITIONS, code, "subject"))
    if nothing:
        _check_said(status)
        yield from nothing
        return
    started_on, onset_end, said = _onset(resource, "onset")
    abated_on, abated_end, abated = _onset(resource, "abatement")
    ended_on = abated_end or abated_on or onset_end
    if status is EntryStatus.UNKNOWN and (ended_on or abated):
        status = EntryStatus.RESOLVED
    yield EntryItem(
        source_key=source.key,
        patient=subject_of(source),
        section=Section.CONDITIONS,
        label=_named(label(code)),
        codings=codings(code),
        status=status,
        started_on=started_on,
        ended_on=ended_on,
        note=note(said, abated, remarks(resource)),
        details=_details(
            category=labels(children(resource, "category")),
            severity=label(child(resource, "severity")),
            bodySite=labels(children(resource, "bodySite")),
        ),
    )


def read_procedure(source: Source) -> Iterator[Item]:
    """Read a Procedure that took place or goes on."""
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status)
    if status == "not-done":
        raise SetAside(Reason.NOT_DONE, NOT_DONE)
    if status == "preparation":
        raise SetAside(Reason.NOT_SUPPORTED, PLANNED)
    code = child(resource, "code")
    nothing = list(absences(source, Section.PROCEDURES, code, "subject"))
    if nothing:
        yield from nothing
        return
    performers = (child(item, "actor") for item in children(resource, "performer"))
    started_on, ended_on, said = _onset(resource, "performed")
    yield EntryItem(
        source_key=source.key,
        patient=subject_of(source),
        section=Section.PROCEDURES,
        label=_named(label(code)),
        codings=codings(code),
        status=_PROGRESS.get(status or "", EntryStatus.UNKNOWN),
        started_on=started_on,
        ended_on=ended_on,
        note=note(said, remarks(resource)),
        details=_details(
            bodySite=labels(children(resource, "bodySite")),
            reason=labels(children(resource, "reasonCode")),
            performer=_names(source, *performers),
        ),
    )


def read_encounter(source: Source) -> Iterator[Item]:
    """Read an Encounter as a stay, in hospital or not."""
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status)
    if status == "cancelled":
        raise SetAside(Reason.NOT_DONE, NOT_DONE)
    if status == "planned":
        raise SetAside(Reason.NOT_SUPPORTED, PLANNED)
    kinds = children(resource, "type")
    kind = child(resource, "class") or {}
    setting = text(kind, "display") or token(kind, "code")
    service = child(resource, "serviceType")
    reason = labels(children(resource, "reasonCode"))
    started_on, ended_on = period(resource, "period")
    places = (child(item, "location") for item in children(resource, "location"))
    yield EntryItem(
        source_key=source.key,
        patient=subject_of(source),
        section=Section.STAYS,
        label=_named(labels(kinds) or label(service) or reason or setting),
        codings=codings(*kinds, service),
        status=_PROGRESS.get(status or "", EntryStatus.UNKNOWN),
        started_on=started_on,
        ended_on=ended_on,
        details=_details(
            **{"class": token(kind, "code") or setting},
            reason=reason,
            location=_names(source, *places, child(resource, "serviceProvider")),
        ),
    )


def read_family_history(source: Source) -> Iterator[Item]:
    """Read a FamilyMemberHistory: one entry for each condition of the relative."""
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status)
    conditions = children(resource, "condition")
    if status == "health-unknown" or not conditions:
        raise SetAside(Reason.NOT_SUPPORTED, NO_CONDITION)
    if len(conditions) > RELATIVES_LIMIT:
        raise malformed("condition")
    patient = subject_of(source, "patient")
    relationship = label(child(resource, "relationship")) or text(resource, "name")
    for position, condition in enumerate(conditions):
        code = child(condition, "code")
        first = codings(code)
        name = first[0].code[:50] if first else str(position + 1)
        started_on, ended_on, said = _onset(condition, "onset")
        yield EntryItem(
            source_key=source.key if position == 0 else f"{source.key}#{name}",
            patient=patient,
            section=Section.FAMILY_HISTORY,
            label=_named(label(code)),
            codings=first,
            started_on=started_on,
            ended_on=ended_on,
            note=note(
                said, label(child(condition, "outcome")), remarks(condition), remarks(resource)
            ),
            details=_details(relationship=relationship),
        )


def read_consent(source: Source) -> Iterator[Item]:
    """Read a Consent that is an advance directive."""
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status)
    categories = children(resource, "category")
    scope = child(resource, "scope")
    if not codes(scope, *categories) & _DIRECTIVES:
        raise SetAside(Reason.NOT_SUPPORTED, NO_DIRECTIVE)
    if status == "rejected":
        raise SetAside(Reason.NOT_DONE, NOT_DONE)
    if status in ("draft", "proposed"):
        raise SetAside(Reason.NOT_SUPPORTED, PLANNED)
    provision = child(resource, "provision") or {}
    started_on, ended_on = period(provision, "period")
    wishes = children(provision, "code")
    yield EntryItem(
        source_key=source.key,
        patient=subject_of(source, "patient"),
        section=Section.ADVANCE_DIRECTIVES,
        label=_named(labels(categories) or label(scope)),
        codings=codings(*categories, *wishes),
        status=EntryStatus.ACTIVE if status == "active" else EntryStatus.INACTIVE,
        started_on=partial_date(resource, "dateTime") or started_on,
        ended_on=ended_on,
        note=note(labels(wishes)),
        details=_details(location=_names(source, *children(resource, "organization"))),
    )


def _check_said(status: EntryStatus) -> None:
    """Set «nothing to declare» aside where it does not hold any more."""
    if status not in (EntryStatus.ACTIVE, EntryStatus.UNKNOWN):
        raise SetAside(Reason.NOT_DONE, WITHDRAWN_DENIAL)


def _status(resource: Element) -> EntryStatus:
    """Return the clinical status; what was refuted is kept as that."""
    verification = codes(child(resource, "verificationStatus"))
    refuse_error(*verification)
    if "refuted" in verification:
        return EntryStatus.REFUTED
    said = codes(child(resource, "clinicalStatus"))
    known = (_CLINICAL[code] for code in sorted(said) if code in _CLINICAL)
    return next(known, EntryStatus.UNKNOWN)


def _named(said: str | None) -> str:
    if said is None:
        raise malformed("code")
    return said


def _onset(
    element: Element, name: str
) -> tuple[PartialDate | None, PartialDate | None, str | None]:
    """Return the start, end and words of a time that FHIR allows to be said in five ways."""
    start, end = period(element, f"{name}Period")
    start = start or partial_date(element, f"{name}DateTime")
    age = child(element, f"{name}Age")
    words = text(element, f"{name}String", NOTE_LIMIT) or (_age(age) if age else None)
    span = child(element, f"{name}Range")
    if words is None and span is not None:
        ages = (_age(child(span, bound) or {}) for bound in ("low", "high"))
        words = " – ".join(filter(None, ages)) or None
    return start, end, f"{name}: {words}" if words else None


def _age(age: Element) -> str | None:
    value = number(age, "value")
    unit = text(age, "unit") or token(age, "code")
    return f"{value:f} {unit or ''}".strip() if value is not None else None


def _names(source: Source, *references: Element | None) -> str | None:
    """Return the names of what references mean, from them or from the body, in one line."""
    found: list[str] = []
    for reference in references:
        name = text(reference, "display") if reference else None
        target = source.find(reference) if name is None else None
        if target is not None and target.kind in ("Organization", "Location"):
            name = text(target.resource, "name")
        if name:
            found.append(name)
    return cut(", ".join(dict.fromkeys(found)), LABEL_LIMIT) or None


def _details(**said: str | None) -> dict[str, str]:
    return {name: cut(words, LABEL_LIMIT) for name, words in said.items() if words}
