"""Turns histories into the FHIR bundles that the sandbox's publishers send: the real way in."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from carnet.people.tables import Sex
from carnet.sandbox.histories import HISTORIES, LOINC, Dose, Fact, History, Letter
from carnet.sandbox.letters import letter
from carnet.sandbox.personas import HOLDERS, PRACTITIONERS, TEST_INS, Holder, Place

ATC = "http://www.whocc.no/atc"
PATIENT = "urn:uuid:00000000-0000-4000-8000-000000000001"
FRENCH_TYPES = "urn:oid:1.2.250.1.213.1.1.4.12"  # document types that LOINC does not have

SENDERS = {Place.LABORATORY: "boreal", Place.HOSPITAL: "tilleuls"}
"""Which software sends for an establishment; the others share the practice's."""


def bundles() -> Iterator[tuple[str, bytes]]:
    """Yield (handle of the publisher, body) for all holders, each version after the former."""
    for holder in HOLDERS:
        history = HISTORIES[holder.handle]
        for sender in ("lilas", "tilleuls", "boreal"):
            resources = list(_resources(holder, history, sender))
            if resources or sender == "lilas":
                yield sender, _bundle(holder, resources)


def _resources(holder: Holder, history: History, sender: str) -> Iterator[dict[str, Any]]:
    for written in history.letters:
        if SENDERS.get(written.place, "lilas") == sender:
            yield _document(holder, written)
    if sender == "lilas":
        yield from (_immunization(dose) for dose in history.doses)
        yield from (_fact(fact) for fact in history.facts)


def _bundle(holder: Holder, resources: list[dict[str, Any]]) -> bytes:
    entries = [{"fullUrl": PATIENT, "resource": _patient(holder)}]
    entries += [
        {"fullUrl": f"urn:carnet:sandbox:{holder.handle}:{resource['id']}", "resource": resource}
        for resource in resources
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})


def _patient(holder: Holder) -> dict[str, Any]:
    names = [{"use": "official", "family": holder.birth_name or holder.family_name}]
    if holder.birth_name:
        names.append({"use": "usual", "family": holder.family_name})
    return {
        "resourceType": "Patient",
        "id": holder.handle,
        "identifier": [{"system": TEST_INS, "value": holder.national_number}],
        "name": [{**name, "given": [holder.given_name]} for name in names],
        "gender": "female" if holder.sex is Sex.FEMALE else "male",
        "birthDate": holder.birth_date,
    }


def _document(holder: Holder, written: Letter) -> dict[str, Any]:
    moment = datetime.fromisoformat(written.written_at)
    pdf = letter(written.place.value, written.title, moment, written.lines)
    system = LOINC if written.type[0].isdigit() else FRENCH_TYPES
    document: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": written.slug,
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": _unique(holder, written.slug)},
        "status": "current",
        "type": {"coding": [{"system": system, "code": written.type}]},
        "subject": {"reference": PATIENT},
        "date": written.written_at,
        "author": [{"reference": "#author"}],
        "contained": [_author(written)],
        "securityLabel": [{"coding": [{"code": label}]} for label in written.labels],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "language": "fr-FR",
                    "data": b64encode(pdf).decode(),
                    "title": written.title,
                    "creation": written.written_at,
                }
            }
        ],
        "context": {"period": {"start": written.written_at}},
    }
    if written.replaces:
        target = {"identifier": {"value": _unique(holder, written.replaces)}}
        document["relatesTo"] = [{"code": "replaces", "target": target}]
    return document


def _unique(holder: Holder, slug: str) -> str:
    return f"urn:carnet:sandbox:{holder.handle}:{slug}"


def _author(written: Letter) -> dict[str, Any]:
    for practitioner in PRACTITIONERS:
        if practitioner.handle == written.author:
            return {
                "resourceType": "Practitioner",
                "id": "author",
                "identifier": [
                    {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": f"8{practitioner.rpps}"}
                ],
                "name": [{"family": practitioner.family_name, "given": [practitioner.given_name]}],
            }
    return {"resourceType": "Organization", "id": "author", "name": written.place.value}


def _immunization(dose: Dose) -> dict[str, Any]:
    immunization: dict[str, Any] = {
        "resourceType": "Immunization",
        "id": dose.slug,
        "status": "completed",
        "patient": {"reference": PATIENT},
        "vaccineCode": {"text": dose.label, "coding": [{"system": ATC, "code": dose.atc}]},
    }
    if dose.given_on:
        immunization["occurrenceDateTime"] = dose.given_on
    else:
        immunization["occurrenceString"] = "date inconnue"
    if dose.lot:
        immunization["lotNumber"] = dose.lot
    if dose.rank:
        immunization["protocolApplied"] = [{"doseNumberPositiveInt": dose.rank}]
    return immunization


_SUBJECT = {"AllergyIntolerance": "patient", "FamilyMemberHistory": "patient"}
_TEXT = {
    "MedicationStatement": "medicationCodeableConcept",
    "MedicationRequest": "medicationCodeableConcept",
}


def _fact(fact: Fact) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": fact.resource,
        "id": fact.slug,
        _SUBJECT.get(fact.resource, "subject"): {"reference": PATIENT},
        **fact.fields,
    }
    if fact.resource not in _TEXT and fact.resource not in ("FamilyMemberHistory", "Encounter"):
        code = dict(resource.get("code") or {})
        code.setdefault("text", fact.text)
        resource["code"] = code
    return resource
