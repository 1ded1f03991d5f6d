"""Showing certificates through the API: whose they are, once only, and nothing when refused."""

from __future__ import annotations

import base64
import re
import zlib
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import base45
import cbor2
import graph
import pytest
import world
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from cwt import COSE, COSEKey
from sqlalchemy import func, select

from carnet.access.journal_tables import JournalEntry
from carnet.certificates import dcc
from carnet.certificates.certificate import MEANINGS
from carnet.certificates.trust import TrustList
from carnet.people.actor import Actor, Patient
from carnet.records.tables import Immunization, ImmunizationSource
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.node import write_id
from carnet_graphql.records import Record

GUIDE = (Path(__file__).parents[2] / "docs/certificates.md").read_text()
(SHOW,) = re.findall(r"```graphql\n(.*?)```", GUIDE, re.DOTALL)
DOSE = {
    "tg": "840539006", "vp": "J07BX03", "mp": "EU/1/20/1528", "ma": "ORG-100030215", "dn": 2,
    "sd": 2, "dt": "2025-03-01", "co": "FR", "is": "CNAM", "ci": "urn:uvci:01:FR:KKF3BYIG#Q",
}  # fmt: skip


class Issuer:
    """A state that certifies."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=30))
            .sign(key, hashes.SHA256())
        )
        der = made.public_bytes(Encoding.DER)
        self.kid = sha256(der).digest()[:8]
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.key = COSEKey.from_pem(pem, kid=self.kid, alg="ES256")
        text = base64.b64encode(der).decode()
        self.trust = TrustList.of({"dcc": [{"country": "FR", "certificate": text}]})

    def certify(self, *, born: str = "1980-05-04", about: str = "v", **changed: Any) -> str:
        name = {"fn": changed.pop("fn", "Dupont"), "gn": "Alix", "fnt": "DUPONT", "gnt": "ALIX"}
        health = {about: [DOSE | changed], "dob": born, "nam": name, "ver": "1.3.0"}
        at = int(self.now.timestamp())
        claims = {1: "FR", 4: at + 1000, 6: at - 1000, -260: {1: health}}
        signed = COSE.new().encode_and_sign(
            cbor2.dumps(claims), self.key, protected={1: -7, 4: self.kid}
        )
        return dcc.PREFIX + base45.b45encode(zlib.compress(signed)).decode()


@pytest.fixture
def issuer(database: Database) -> Issuer:
    return Issuer(database.clock.now().replace(microsecond=0).astimezone(UTC))


async def show(
    database: Database, blobs: BlobStore, issuer: Issuer, actor: Actor, patient: Patient, text: str
) -> Any:
    context = graph.context_of(database, blobs, actor)
    context.trust = issuer.trust
    record = write_id(Record, await world.record_of(database, patient))
    data, errors = await graph.answer(context, SHOW, {"record": record, "certificate": text})
    assert errors == [], errors
    return data["addVaccinationCertificate"]


async def rows(database: Database) -> tuple[int, ...]:
    async with database.read() as work:
        counted = [
            await work.session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Immunization, ImmunizationSource, JournalEntry)
        ]
        return tuple(counted)


async def test_a_dose_is_there_once_with_who_vouches_for_it(
    database: Database, blobs: BlobStore, issuer: Issuer
) -> None:
    patient = await world.holder(database)
    shown = await show(database, blobs, issuer, patient, patient, issuer.certify())
    again = await show(database, blobs, issuer, patient, patient, issuer.certify(ci="other"))
    assert shown == again
    (edge,) = shown["record"]["profile"]["immunizations"]["edges"]
    assert edge["node"] == {
        "vaccineLabel": "Vaccin Covid-19",
        "givenOn": "2025-03-01",
        "doseRank": 2,
        "diseases": [{"name": "Covid-19"}],
        "sources": [{"certificate": {"scheme": "EU_DCC", "issuer": "FR"}}],
    }
    first = await show(
        database, blobs, issuer, patient, patient, issuer.certify(dn=1, dt="2025-01-10")
    )
    assert len(first["record"]["profile"]["immunizations"]["edges"]) == 2


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"born": "1980-05-05"}, "OTHER_PERSON"),
        ({"born": "1980-05"}, "OTHER_PERSON"),
        ({"fn": "Durand"}, "OTHER_PERSON"),
        ({"about": "r"}, "NO_VACCINATION"),
        ({"about": "t"}, "NO_VACCINATION"),
        ({"dt": "2025"}, "CONTENT"),
        ({"dn": 0}, "CONTENT"),
    ],
)
async def test_what_is_refused_changes_nothing(
    database: Database, blobs: BlobStore, issuer: Issuer, changed: dict[str, Any], fault: str
) -> None:
    patient = await world.holder(database)
    before = await rows(database)
    answer = await show(database, blobs, issuer, patient, patient, issuer.certify(**changed))
    assert answer == {"fault": fault, "message": MEANINGS[fault]}
    assert await rows(database) == before


async def test_a_stranger_is_told_of_no_record(
    database: Database, blobs: BlobStore, issuer: Issuer
) -> None:
    patient, stranger = await world.holder(database), await world.holder(database)
    before = await rows(database)
    assert await show(database, blobs, issuer, stranger, patient, issuer.certify()) == {}
    assert await rows(database) == before


def test_every_fault_is_in_the_guide() -> None:
    listed = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", GUIDE, re.MULTILINE))
    assert listed == {fault.value: text for fault, text in MEANINGS.items()}
