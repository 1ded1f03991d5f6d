"""Patients: who an item is about, and the Patient resource itself with its contacts.

A patient is known only by what stands in the same body. A reference to a server that the body
does not hold is refused: files of two systems may both say ``Patient/example``, and guessing
would put one person's data into another's record.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from carnet.intake.fhir.datatypes import (
    Element,
    SetAside,
    child,
    children,
    cut,
    extensions,
    identifier,
    identifiers,
    labels,
    partial_date,
    period,
    text,
    texts,
    token,
    truth,
)
from carnet.intake.fhir.references import REFERENCE_LIMIT, Source
from carnet.intake.model import EntryItem, Item, PatientClaim, PatientItem, Reason
from carnet.people.tables import Sex
from carnet.records.tables import EntryStatus, Section
from carnet.values import Identifier

NOT_SAID = "Nothing in the resource says whose it is."
OUTSIDE = (
    "The patient is not in the body. Send the Patient in the same Bundle, or name them by"
    " «subject.identifier» or «Patient?identifier=system|value»."
)
NOT_A_PATIENT = "The subject is not a Patient."

_SEXES = {"female": Sex.FEMALE, "male": Sex.MALE, "other": Sex.OTHER}


def subject_of(source: Source, name: str = "subject") -> str:
    """Return the key of the patient that a resource is about, in ``Body.claims``.

    Raises:
        SetAside: nothing says who it is, or they are not known by the body.
    """
    element = child(source.resource, name)
    if element is None:
        raise _no_patient(NOT_SAID)
    target = source.find(element)
    if target is not None:
        if target.kind != "Patient":
            raise _no_patient(NOT_A_PATIENT)
        return patient_key(target)
    said = _conditional(token(element, "reference", REFERENCE_LIMIT))
    logical = child(element, "identifier")
    if not said and logical and element.get("type") in (None, "Patient"):
        found = identifier(logical)
        said = (found,) if found else ()
    if not said:
        raise _no_patient(OUTSIDE)
    return _share(source, PatientClaim(said, is_reference=True))


def patient_key(patient: Source) -> str:
    """Return the key of a Patient resource in ``Body.claims``, where it is put on first sight.

    Raises:
        SetAside: the Patient is malformed.
    """
    claims = patient.body.claims
    key = f"{patient.key}#patient" if patient.is_contained else patient.key
    if key not in claims:
        claim = claim_of(patient.resource)
        if patient.is_contained and claim.identifiers:
            return _share(patient, claim)
        claims[key] = claim
    return key


def claim_of(resource: Element) -> PatientClaim:
    """Return who a Patient resource says that the patient is."""
    names = children(resource, "name")
    birth = _birth_name(names)
    used = _used_name(names)
    birth_family = _own_name(birth) or text(birth, "family")
    used_family = text(used, "family")
    given = _birth_given(birth) or texts(birth, "given") or texts(used, "given")
    deceased_on = partial_date(resource, "deceasedDateTime")
    born_on = partial_date(resource, "birthDate")
    return PatientClaim(
        identifiers=identifiers(resource),
        birth_family_name=birth_family,
        used_family_name=used_family if used_family != birth_family else None,
        given_names=given,
        birth_date=born_on,
        sex=_SEXES.get(token(resource, "gender") or "", Sex.UNKNOWN),
        birth_place_code=_birth_place(resource),
        is_deceased=truth(resource, "deceasedBoolean") or deceased_on is not None,
        deceased_on=deceased_on,
        is_reference=not (birth_family or used_family or given or born_on),
    )


def read_patient(source: Source) -> Iterator[Item]:
    """Read a Patient and the contacts it names."""
    key = patient_key(source)
    yield PatientItem(source.key, key)
    for position, contact in enumerate(children(source.resource, "contact"), start=1):
        name = child(contact, "name")
        organization = child(contact, "organization")
        label = _full_name(name) or text(organization or {}, "display")
        if label is None:
            continue
        yield EntryItem(
            source_key=f"{source.key}#contact-{position}",
            patient=key,
            section=Section.ENTOURAGE,
            label=label,
            status=EntryStatus.UNKNOWN,
            started_on=period(contact, "period")[0],
            ended_on=period(contact, "period")[1],
            details=_contact_details(contact),
        )


def read_related_person(source: Source) -> Iterator[Item]:
    """Read a RelatedPerson as one of the patient's entourage."""
    resource = source.resource
    names = children(resource, "name")
    details = _contact_details(resource)
    label = _full_name(names[0]) if names else None
    active = resource.get("active")
    yield EntryItem(
        source_key=source.key,
        patient=subject_of(source, "patient"),
        section=Section.ENTOURAGE,
        label=label or str(details.get("relationship") or "?"),
        status=EntryStatus.INACTIVE if active is False else EntryStatus.UNKNOWN,
        started_on=period(resource, "period")[0],
        ended_on=period(resource, "period")[1],
        details=details,
    )


def _no_patient(message: str) -> SetAside:
    return SetAside(Reason.NO_PATIENT, message, is_refused=True)


def _share(source: Source, claim: PatientClaim) -> str:
    """Return the one key of all claims that are the same; it tells nothing of the person."""
    key = source.body.claim_keys.get(claim)
    if key is None:
        key = f"patient-{len(source.body.claim_keys) + 1}"
        source.body.claim_keys[claim] = key
        source.body.claims[key] = claim
    return key


def _conditional(reference: str | None) -> tuple[Identifier, ...]:
    """Return the identifiers of ``Patient?identifier=system|value``, several of them for «and».

    None are returned for any other search: what Carnet cannot search for it does not guess.
    """
    kind, _, query = (reference or "").partition("?")
    if kind != "Patient" or not query:
        return ()
    found: list[Identifier] = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        system, _, number = unquote(value).partition("|")
        if name != "identifier" or not system or not number:
            return ()
        if any(sign in number or sign in system for sign in ("\\", ",", "|", "\0")):
            return ()  # a list means «one of these»
        found.append(Identifier(system, number))
    return tuple(dict.fromkeys(found))


def _birth_name(names: list[Element]) -> Element:
    """Return the name at birth: in France the official one is."""
    for name in names:
        if _own_name(name):
            return name
    return _first(names, "maiden", "official", "old", None, "usual")


def _used_name(names: list[Element]) -> Element:
    return _first(names, "usual", "official", None)


def _first(names: list[Element], *uses: str | None) -> Element:
    for use in uses:
        for name in names:
            if name.get("use") == use and name.get("family"):
                return name
    return names[0] if names else {}


def _own_name(name: Element) -> str | None:
    """Return the family name at birth that HL7's extension marks inside a name."""
    family = child(name, "_family") or {}
    found = next(extensions(family, "humanname-own-name"), None)
    return text(found, "valueString") if found else None


def _birth_given(name: Element) -> tuple[str, ...]:
    """Return all given names of the birth certificate, from FR Core's extension."""
    found = next(extensions(name, "fr-core-patient-birth-list-given-name"), None)
    return tuple((text(found, "valueString") or "").split()) if found else ()


def _birth_place(resource: Element) -> str | None:
    """Return the INSEE code of the place of birth."""
    for place in extensions(resource, "patient-birthPlace"):
        address = child(place, "valueAddress") or {}
        for insee in extensions(address, "fr-core-address-insee-code"):
            return token(child(insee, "valueCoding") or {}, "code")
    return None


def _full_name(name: Element | None) -> str | None:
    if name is None:
        return None
    parts = (*texts(name, "given"), text(name, "family"))
    return text(name, "text") or cut(" ".join(part for part in parts if part)) or None


def _contact_details(element: Element) -> dict[str, str]:
    phones = (
        text(telecom, "value")
        for telecom in children(element, "telecom")
        if telecom.get("system") in ("phone", None)
    )
    details = {
        "relationship": labels(children(element, "relationship")),
        "phone": next(filter(None, phones), None),
    }
    return {name: value for name, value in details.items() if value}
