"""Who the summary is about, who looks after them, and what wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid5

from carnet.exports.facts import Facts
from carnet.exports.ips.elements import (
    NAMELESS,
    Element,
    narrative,
    paragraph,
    period,
    reference,
    texts,
    token,
    unknown,
    without_nothing,
    words,
)
from carnet.people.identifiers import RPPS
from carnet.people.tables import Person
from carnet.records.tables import EntryStatus, ProfileEntry, Section

PATIENT_PROFILE = "http://hl7.org/fhir/uv/ips/StructureDefinition/Patient-uv-ips"
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
COMMUNE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
ENDED = (EntryStatus.INACTIVE, EntryStatus.RESOLVED, EntryStatus.REFUTED)


def patient(facts: Facts) -> Element:
    """Return the Patient, with contacts and the present attending doctors."""
    person = facts.person
    birth: Element = {"birthDate": person.birth_date.text} if person.birth_date else {}
    if person.deceased_on is not None:
        death: Element = {"deceasedDateTime": person.deceased_on.text}
    else:
        death = {"deceasedBoolean": True} if person.is_deceased else {}
    shape = {
        "resourceType": "Patient",
        "id": str(person.id),
        "meta": {"profile": [PATIENT_PROFILE]} if birth else None,
        "text": narrative(paragraph(full_name(person))),
        "extension": _birth_place(person.birth_place_code),
        "identifier": [
            {"system": number.system, "value": number.value} for number in facts.numbers
        ],
        "name": _names(person),
        "gender": person.sex.value.lower(),
        **(birth or {"_birthDate": unknown()}),
        **death,
        "contact": [_contact(row) for row in present(facts, Section.ENTOURAGE)],
        "generalPractitioner": [
            {**reference(row.id), "display": words(row.label) or NAMELESS}
            for row in present(facts, Section.ATTENDING_DOCTOR)
        ],
    }
    return without_nothing(shape)


def present(facts: Facts, section: Section) -> Iterable[ProfileEntry]:
    """Return those of a section's people who are not known as former ones."""
    rows = facts.entries.get(section, ())
    return [row for row in rows if row.status not in ENDED and row.ended_on is None]


def practitioner(row: ProfileEntry) -> Element:
    """Return an attending doctor as the holder or a professional named them."""
    details = row.details
    rpps = details.get("rpps")
    shape = {
        "resourceType": "Practitioner",
        "id": str(row.id),
        "text": narrative(paragraph(row.label)),
        "identifier": [{"system": RPPS, "value": token(rpps)}] if rpps else None,
        "name": [{"text": words(row.label) or NAMELESS}],
        "telecom": _phone(details.get("phone")),
        "address": [{"text": place} for place in [words(details.get("location"))] if place],
    }
    return without_nothing(shape)


def author(export_id: UUID) -> tuple[UUID, Element]:
    """Return the software that made the summary, with its id."""
    id_ = uuid5(export_id, "author")
    return id_, {
        "resourceType": "Device",
        "id": str(id_),
        "text": narrative(paragraph("Carnet")),
        "deviceName": [{"name": "Carnet", "type": "model-name"}],
    }


def full_name(person: Person) -> str:
    """Return the names of a person in one line."""
    family = person.used_family_name or person.birth_family_name
    return " ".join([*person.given_names, family])


def _names(person: Person) -> list[Element]:
    """Return the name at birth, which is the official one in France, and the one that is used."""
    given = [name for name in map(words, person.given_names) if name]
    found = [{"use": "official", "family": words(person.birth_family_name), "given": given}]
    if person.used_family_name:
        found.append({"use": "usual", "family": words(person.used_family_name), "given": given})
    return [without_nothing(name) for name in found]


def _birth_place(code: str | None) -> list[Element]:
    if not code:
        return []
    commune = {"url": COMMUNE, "valueCoding": {"code": token(code)}}
    return [{"url": BIRTH_PLACE, "valueAddress": {"extension": [commune]}}]


def _contact(row: ProfileEntry) -> Element:
    details = row.details
    return without_nothing(
        {
            "relationship": texts(details.get("relationship"), details.get("role")),
            "name": {"text": words(row.label) or NAMELESS},
            "telecom": _phone(details.get("phone")),
            "period": period(row.started_on, row.ended_on),
        }
    )


def _phone(number: str | None) -> list[Element]:
    said = words(number)
    return [{"system": "phone", "value": said}] if said else []
