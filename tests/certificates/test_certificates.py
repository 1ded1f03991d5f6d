"""Certificates of the public collections: what holds is read, what does not is refused by name."""

from __future__ import annotations

import base64
import json
import os
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import base45
import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from carnet.certificates import dcc, shc
from carnet.certificates.certificate import (
    MOST_BYTES,
    Certificate,
    Fault,
    Kind,
    Scheme,
)
from carnet.certificates.reading import read
from carnet.certificates.trust import TrustList
from carnet.errors import CertificateRefused, UserMistake

SAMPLES = Path(os.environ.get("CARNET_SAMPLES") or Path(__file__).parents[3] / "shared/data")
if not SAMPLES.is_dir():
    pytest.skip(
        "no real sample files here: set CARNET_SAMPLES to their folder", allow_module_level=True
    )
EXPECTED: dict[str, Any] = json.loads((SAMPLES / "EXPECTED_dcc.json").read_text())
CARDS = SAMPLES / "smart-health-cards"
ISSUER = "https://spec.smarthealth.cards/examples/issuer"
REGISTRY = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAULTS = {
    "EXPECTEDUNPREFIX": {Fault.FORMAT},
    "EXPECTEDB45DECODE": {Fault.ENCODING},
    "EXPECTEDCOMPRESSION": {Fault.COMPRESSION},
    "EXPECTEDVERIFY": {Fault.SIGNATURE, Fault.UNKNOWN_KEY},
    "EXPECTEDEXPIRATIONCHECK": {Fault.EXPIRED},
    "EXPECTEDKEYUSAGE": {Fault.KEY_USAGE},
    "EXPECTEDDECODE": {Fault.STRUCTURE, Fault.CONTENT},
    "EXPECTEDSCHEMAVALIDATION": {Fault.CONTENT},
}


def sample(name: str) -> tuple[str, TrustList, datetime]:
    """Return a certificate, who is trusted with it, and when it is looked at."""
    shape = json.loads((SAMPLES / "eu-dcc" / name).read_text())
    context = shape["TESTCTX"]
    trust = TrustList.of({"dcc": [{"country": "X", "certificate": context["CERTIFICATE"]}]})
    clock = datetime.fromisoformat(EXPECTED[name]["clock"].replace("Z", "+00:00"))
    return shape["PREFIX"], trust, clock


def refused(text: str, trust: TrustList, now: datetime) -> Fault:
    with pytest.raises(CertificateRefused) as caught:
        read(text, trust, now)
    return Fault(caught.value.fault)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_each_certificate_is_read_or_refused_as_expected(name: str) -> None:
    text, trust, clock = sample(name)
    wanted = EXPECTED[name]["upstream_expected"]
    broken = [key for key, holds in wanted.items() if not holds and key != "EXPECTEDPICTUREDECODE"]
    if broken:
        assert refused(text, trust, clock) in set[Fault]().union(*(FAULTS[key] for key in broken))
        return
    (certificate,) = read(text, trust, clock)
    assert certificate.kind == EXPECTED[name]["kind"].upper()
    assert certificate.issuer == EXPECTED[name]["issuer"]
    assert str(certificate.bearer.birth_date) == EXPECTED[name]["dob"]
    assert certificate.bearer.family_name == EXPECTED[name]["name"]["fn"]
    if certificate.kind is Kind.VACCINATION:
        (dose,) = certificate.doses
        said = EXPECTED[name]["data"]
        assert (str(dose.given_on), dose.rank, dose.id) == (said["dt"], said["dn"], said["ci"])
        assert {coding.code for coding in dose.vaccine} == {said["mp"], said["vp"]}
        assert dose.disease and dose.disease.code == said["tg"]
    else:
        assert certificate.doses == ()


VALID = "FR_DGC_QrCode_00001_Raw.json"


def test_nobody_is_trusted_who_is_not_in_the_list() -> None:
    text, _, clock = sample(VALID)
    other = sample("common_CO1.json")[1]
    assert refused(text, TrustList(), clock) is Fault.UNKNOWN_KEY
    assert refused(text, other, clock) is Fault.UNKNOWN_KEY


def test_time_is_looked_at() -> None:
    text, trust, clock = sample(VALID)
    (certificate,) = read(text, trust, clock)
    assert certificate.expires_at is not None
    assert refused(text, trust, certificate.expires_at) is Fault.EXPIRED
    assert read(text, trust, certificate.expires_at - timedelta(seconds=1))


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_changed_bit_is_refused(at: int, bit: int) -> None:
    text, trust, clock = sample(VALID)
    data = bytearray(zlib.decompress(base45.b45decode(text.removeprefix(dcc.PREFIX))))
    data[at % len(data)] ^= 1 << bit
    changed = dcc.PREFIX + base45.b45encode(zlib.compress(bytes(data))).decode()
    try:
        found = read(changed, trust, clock)
    except CertificateRefused:
        return
    assert found == read(text, trust, clock)  # a bit of what nothing depends on


@given(text=st.text(max_size=200) | st.text(alphabet="HC1:0123456789ABCDEF $%*+-./:", max_size=200))
def test_any_text_is_refused_in_words(text: str) -> None:
    for prefix in ("", "HC1:", "shc:/", "{"):
        with pytest.raises(CertificateRefused) as caught:
            read(prefix + text, TrustList(), NOW)
        assert caught.value.message


@given(data=st.binary(max_size=300))
def test_any_bytes_in_its_place_are_refused(data: bytes) -> None:
    _, trust, clock = sample(VALID)
    for body in (data, cbor2.dumps(cbor2.CBORTag(18, [data, {}, data, data]))):
        text = dcc.PREFIX + base45.b45encode(zlib.compress(body)).decode()
        with pytest.raises(CertificateRefused):
            read(text, trust, clock)


def test_what_inflates_or_nests_without_end_costs_nothing() -> None:
    _, trust, clock = sample(VALID)
    bomb = dcc.PREFIX + base45.b45encode(zlib.compress(bytes(50 * MOST_BYTES))).decode()
    assert refused(bomb[:32_000], trust, clock) is Fault.COMPRESSION
    deep = dcc.PREFIX + base45.b45encode(zlib.compress(b"\x81" * 200_000)).decode()
    assert refused(deep, trust, clock) is Fault.STRUCTURE


def keys() -> TrustList:
    jwks = json.loads((CARDS / "issuer_jwks_public.json").read_text())
    return TrustList.of({"shc": [{"issuer": ISSUER, "keys": jwks["keys"]}]})


@pytest.mark.parametrize(
    "name",
    [
        "example-00-d-jws.txt",
        "example-00-e-file.smart-health-card",
        "example-00-f-qr-code-numeric-value-0.txt",
        "example-01-d-jws.txt",
        "example-01-e-file.smart-health-card",
        "example-01-f-qr-code-numeric-value-0.txt",
        "Scenario1Bundle-file.smart-health-card",
        "Scenario2Bundle-file.smart-health-card",
    ],
)
def test_each_card_is_read_in_every_form(name: str) -> None:
    text = (CARDS / name).read_text()
    found = read(text, keys(), NOW)
    assert found and all(card.scheme is Scheme.SMART_HEALTH_CARD for card in found)
    doses = [dose for card in found for dose in card.doses]
    assert len(doses) >= 2 and all(dose.given_on and dose.vaccine for dose in doses)
    if name.startswith("example"):
        number = name.split("-")[1]
        bundle = json.loads((CARDS / f"example-{number}-a-fhirBundle.json").read_text())
        rows = [entry["resource"] for entry in bundle["entry"]]
        given = [row for row in rows if row["resourceType"] == "Immunization"]
        assert [str(d.given_on) for d in doses] == [row["occurrenceDateTime"] for row in given]
        assert [d.lot_number for d in doses] == [row.get("lotNumber") for row in given]


def card(claims: dict[str, Any], key: ECKey, **header: Any) -> str:
    squeezer = zlib.compressobj(wbits=-15)
    payload = squeezer.compress(json.dumps(claims).encode()) + squeezer.flush()
    head = {"alg": "ES256", "zip": "DEF", "kid": "k"} | header
    return jws.serialize_compact(head, payload, key, registry=REGISTRY)


def test_a_card_is_refused_by_name() -> None:
    key, other = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    trust = TrustList.of({"shc": [{"issuer": "i", "keys": [key.as_dict() | {"kid": "k"}]}]})
    patient = {"resourceType": "Patient", "name": [{"family": "Doe"}], "birthDate": "1980-01-02"}
    bundle = {"entry": [{"fullUrl": "resource:0", "resource": patient}]}
    subject = {"fhirBundle": bundle}
    claims = {
        "iss": "i",
        "nbf": NOW.timestamp() - 5,
        "vc": {"type": [shc.HEALTH_CARD], "credentialSubject": subject},
    }

    def made(**changed: Any) -> str:
        return card(claims | changed, key)

    (found,) = read(made(), trust, NOW)
    assert found.doses == () and str(found.bearer.birth_date) == "1980-01-02"
    later = (NOW + timedelta(days=1)).timestamp()
    assert refused(card(claims, other), trust, NOW) is Fault.SIGNATURE
    assert refused(made(iss="j"), trust, NOW) is Fault.UNKNOWN_KEY
    assert refused(card(claims, key, kid="l"), trust, NOW) is Fault.UNKNOWN_KEY
    assert refused(made(nbf=later), trust, NOW) is Fault.NOT_YET_VALID
    assert refused(made(exp=NOW.timestamp()), trust, NOW) is Fault.EXPIRED
    assert refused(made(nbf="soon"), trust, NOW) is Fault.STRUCTURE
    assert refused(made(vc={"type": []}), trust, NOW) is Fault.CONTENT
    assert refused(card(claims, key, zip="none"), trust, NOW) is Fault.STRUCTURE
    head, payload, _ = made().split(".")
    unsigned = (
        base64.urlsafe_b64encode(b'{"alg":"none","zip":"DEF","kid":"k"}').decode().rstrip("=")
    )
    assert refused(f"{unsigned}.{payload}.AA", trust, NOW) is Fault.STRUCTURE
    assert refused(f"{head}.{payload}.AA", trust, NOW) is Fault.SIGNATURE


@pytest.mark.parametrize(
    "changed",
    [
        {"lotNumber": 12},
        {"lotNumber": "A\0"},
        {"lotNumber": "A" * 501},
        {"vaccineCode": {"coding": [{"system": "s", "code": "c", "display": {}}]}},
        {"vaccineCode": {"coding": [{"system": "s", "code": 1}]}},
        {"vaccineCode": {"coding": [{"system": "s", "code": "c"}] * 21}},
        {"vaccineCode": {"coding": []}},
        {"performer": [{"actor": {"display": ["x"]}}]},
        {"occurrenceDateTime": 5},
        {"occurrenceDateTime": "2020-02-30"},
    ],
)
def test_a_dose_that_could_not_be_kept_is_refused(changed: dict[str, Any]) -> None:
    key = ECKey.generate_key("P-256")
    trust = TrustList.of({"shc": [{"issuer": "i", "keys": [key.as_dict() | {"kid": "k"}]}]})
    patient = {"resourceType": "Patient", "name": [{"family": "Doe"}], "birthDate": "1980-01-02"}
    dose = {
        "resourceType": "Immunization",
        "status": "completed",
        "occurrenceDateTime": "2021-01-01",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "207"}]},
    }

    def claims(dose: dict[str, Any]) -> dict[str, Any]:
        rows = [{"fullUrl": "a", "resource": patient}, {"fullUrl": "b", "resource": dose}]
        subject = {"fhirBundle": {"entry": rows}}
        vc = {"type": [shc.HEALTH_CARD], "credentialSubject": subject}
        return {"iss": "i", "nbf": NOW.timestamp() - 5, "vc": vc}

    (found,) = read(card(claims(dose), key), trust, NOW)
    assert len(found.doses) == 1
    assert refused(card(claims(dose | changed), key), trust, NOW) is Fault.CONTENT


def test_several_codes_make_one_card_or_none() -> None:
    text = (CARDS / "example-00-f-qr-code-numeric-value-0.txt").read_text().strip()
    digits = text.removeprefix("shc:/").split("/")[-1]
    cut = len(digits) // 4 * 2
    one, two = f"shc:/1/2/{digits[:cut]}", f"shc:/2/2/{digits[cut:]}"
    whole = read(f"shc:/{digits}", keys(), NOW)
    assert read(f"{two}\n{one}", keys(), NOW) == whole
    for broken in (
        one,
        f"{one} {one}",
        f"{one} {two} {two}",
        f"shc:/2/1/{digits}",
        f"shc:/{digits}1",
    ):
        assert refused(broken, keys(), NOW) is Fault.ENCODING


def test_no_name_is_in_a_text_for_logs() -> None:
    text, trust, clock = sample(VALID)
    (found,) = read(text, trust, clock)
    assert isinstance(found, Certificate)
    assert "theoule" not in repr(found).lower() and "1962" not in repr(found)
    assert "PublicKey" not in repr(trust)


@pytest.mark.parametrize(
    ("shape", "where"),
    [
        ([], "object"),
        ({"ddc": []}, "object"),
        ({"dcc": {}}, "dcc"),
        ({"dcc": [{"country": "FR", "certificate": "AAAA"}]}, "dcc[0]"),
        ({"dcc": [{"country": "FR", "certificate": "?"}]}, "dcc[0]"),
        ({"shc": [{"issuer": "i"}]}, "shc[0]"),
        ({"shc": [{"issuer": "i", "keys": [{"kty": "EC", "crv": "P-256", "kid": "k"}]}]}, "shc[0]"),
    ],
)
def test_a_broken_list_says_where(tmp_path: Path, shape: Any, where: str) -> None:
    path = tmp_path / "trust.json"
    path.write_text(json.dumps(shape))
    with pytest.raises(UserMistake, match=r"^/.*trust\.json: ") as caught:
        TrustList.load(path)
    assert where in str(caught.value)
    path.write_text("{")
    with pytest.raises(UserMistake, match="line 1"):
        TrustList.load(path)
    with pytest.raises(UserMistake, match="No such file"):
        TrustList.load(tmp_path / "none.json")
