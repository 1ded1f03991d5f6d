"""Doses that a signed certificate vouches for."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select

from carnet.access.journal import JournalAction, ObjectKind
from carnet.access.rules import Action
from carnet.certificates.certificate import (
    Bearer,
    Certificate,
    CertifiedDose,
    Fault,
    refused,
)
from carnet.certificates.trust import TrustList
from carnet.errors import QuotaExceeded
from carnet.people.actor import Actor
from carnet.people.identifiers import fold_name
from carnet.people.tables import Person
from carnet.records.actions import author_of, writable
from carnet.records.doses import DoseFact, record_doses
from carnet.records.tables import Record, StatedBy
from carnet.store.database import Work
from carnet.terminology.codes import disease_name
from carnet.terminology.queries import diseases_of_many

_DISEASES = {"840539006": "covid-19"}  # SNOMED CT, the only target of EU certificates


async def report_certificate(
    actor: Actor, work: Work, trust: TrustList, record_id: UUID, text: str
) -> UUID:
    """Add the doses of a certificate, or of a file of several; each is merged with what others
    reported, and once only however often it is shown. Returns the record's id.

    Raises:
        CertificateRefused: one does not hold, is of somebody else or of no vaccination; nothing
            is added then.
        NotFound, AccessDenied, RecordClosed: as `writable`.
        QuotaExceeded: the record has no room.
    """
    from carnet.certificates.reading import read  # slow to load, and seldom used

    granted = await writable(actor, work, record_id, Action.WRITE_PROFILE)
    certificates = await asyncio.to_thread(read, text, trust, work.now)
    whose = select(Person).join(Record, Record.person_id == Person.id).where(Record.id == record_id)
    person = (await work.session.scalars(whose)).one()
    for certificate in certificates:
        if not is_of(certificate.bearer, person):
            raise refused(Fault.OTHER_PERSON)
        if not certificate.doses:
            raise refused(Fault.NO_VACCINATION)
    doses = [(certificate, dose) for certificate in certificates for dose in certificate.doses]
    known = await diseases_of_many(work, [dose.vaccine for _, dose in doses])
    stated_by, stated_by_id = author_of(actor, granted)
    facts = [
        _fact(certificate, dose, diseases, stated_by, stated_by_id)
        for (certificate, dose), diseases in zip(doses, known, strict=True)
    ]
    landed = await record_doses(work, record_id, facts)
    if len(landed) < len({fact.source_key for fact in facts}):
        raise QuotaExceeded("The record has no room for more reports of doses.")
    for dose_id in dict.fromkeys(landed.values()):
        await granted.journal(JournalAction.REPORT_DOSE, ObjectKind.IMMUNIZATION, dose_id)
    return record_id


def is_of(bearer: Bearer, person: Person) -> bool:
    """Tell whether a certificate is of a person: the same birth date, one of their family names,
    and given names that begin alike."""
    if bearer.birth_date is None or bearer.birth_date != person.birth_date:
        return False
    families = {
        fold_name(name) for name in (person.birth_family_name, person.used_family_name) if name
    }
    given, known = fold_name(bearer.given_names), fold_name("".join(person.given_names))
    alike = bool(given) and (given.startswith(known) or known.startswith(given))
    return fold_name(bearer.family_name) in families and (alike or not given)


def _fact(
    certificate: Certificate,
    dose: CertifiedDose,
    diseases: frozenset[str],
    stated_by: StatedBy,
    stated_by_id: UUID | None,
) -> DoseFact:
    if not diseases and dose.disease is not None and dose.disease.code in _DISEASES:
        diseases = frozenset({_DISEASES[dose.disease.code]})
    names = ", ".join(disease_name(code, "fr") for code in sorted(diseases))
    shown = next((code.display for code in dose.vaccine if code.display), None)
    return DoseFact(
        source_key=_key(certificate, dose),
        vaccine_label=shown or (f"Vaccin {names}" if names else dose.vaccine[0].code),
        codings=dose.vaccine,
        disease_codes=diseases,
        given_on=dose.given_on,
        lot_number=dose.lot_number,
        dose_rank=dose.rank,
        is_subpotent=False,
        stated_by=stated_by,
        stated_by_id=stated_by_id,
        certificate_scheme=certificate.scheme,
        certificate_issuer=certificate.issuer,
    )


def _key(certificate: Certificate, dose: CertifiedDose) -> str:
    """Return the same key for the same dose of one issuer, in whichever certificate it is."""
    codes = sorted(f"{coding.system}|{coding.code}" for coding in dose.vaccine)
    parts = (certificate.issuer, *codes, str(dose.given_on), str(dose.lot_number), str(dose.rank))
    return "certificate/" + sha256("\0".join(parts).encode()).hexdigest()
