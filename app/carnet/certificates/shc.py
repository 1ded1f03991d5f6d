"""SMART Health Cards: a JWS over a compressed FHIR bundle, in a file, a link or QR codes.

Source: SMART Health Cards Framework 1.4 (HL7, spec.smarthealth.cards). The issuer's keys come from
the trust list; nothing is fetched.
"""

from __future__ import annotations

import math
import re
import zlib
from datetime import UTC, datetime
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from carnet.certificates.certificate import (
    MOST_BYTES,
    MOST_DOSES,
    Bearer,
    Certificate,
    CertifiedDose,
    Fault,
    Kind,
    Scheme,
    refused,
)
from carnet.certificates.trust import TrustList
from carnet.errors import ValidationFailed
from carnet.values import Coding, PartialDate

PREFIX = "shc:/"
HEALTH_CARD = "https://smarthealth.cards#health-card"
ALGORITHM = "ES256"
MOST_CHUNKS = 50  # QR codes of one card
MOST_CARDS = 10  # in one file
MOST_CODINGS = 20  # of one dose
LONGEST_TEXT = 500  # characters
_JWS = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_REGISTRY = JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)


def cards_of(text: str) -> list[str]:
    """Return the signed cards in a text: a file's, those of QR codes, or one as it stands.

    Raises:
        CertificateRefused: there is none, or a QR code is missing.
    """
    if text.startswith(PREFIX):
        return [_of_digits(text.split())]
    if text.startswith("{"):
        try:
            cards = orjson.loads(text)["verifiableCredential"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise refused(Fault.FORMAT) from None
        if not isinstance(cards, list) or not 1 <= len(cards) <= MOST_CARDS:
            raise refused(Fault.FORMAT)
        return [str(card) for card in cards]
    if _JWS.fullmatch(text):
        return [text]
    raise refused(Fault.FORMAT)


def read(card: str, trust: TrustList, now: datetime) -> Certificate:
    """Verify one card and return what it says.

    Raises:
        CertificateRefused: it does not hold.
    """
    if not _JWS.fullmatch(card):
        raise refused(Fault.FORMAT)
    claims, kid = _unverified(card)
    issuer = claims.get("iss")
    key = trust.issuers.get(issuer, {}).get(kid) if isinstance(issuer, str) else None
    if key is None or not isinstance(issuer, str):
        raise refused(Fault.UNKNOWN_KEY)
    _verify(card, key)
    issued_at = _moment(claims.get("nbf"))
    expires_at = _moment(claims["exp"]) if "exp" in claims else None
    if issued_at > now:
        raise refused(Fault.NOT_YET_VALID)
    if expires_at is not None and expires_at <= now:
        raise refused(Fault.EXPIRED)
    try:
        bearer, doses = _content(claims)
    except (KeyError, TypeError, ValueError, AttributeError, ValidationFailed):
        raise refused(Fault.CONTENT) from None
    scheme = Scheme.SMART_HEALTH_CARD
    kind = Kind.VACCINATION if doses else Kind.TEST
    return Certificate(scheme, kind, issuer, bearer, doses, issued_at, expires_at)


def _of_digits(codes: list[str]) -> str:
    """Return the card that QR codes spell: two digits for a character, in one code or several."""
    chunks: dict[int, str] = {}
    total = len(codes)
    for code in codes:
        *place, digits = code.removeprefix(PREFIX).split("/")
        number, of = (place[0], place[1]) if len(place) == 2 else ("1", "1")
        if not (number.isdecimal() and of.isdecimal() and len(number + of) <= 4):
            raise refused(Fault.ENCODING)
        if not re.fullmatch(r"(?:[0-9]{2})+", digits) or len(place) not in (0, 2):
            raise refused(Fault.ENCODING)
        chunks[int(number)] = digits
        if int(of) != total or not 1 <= int(number) <= total <= MOST_CHUNKS:
            raise refused(Fault.ENCODING)
    if len(chunks) != total:
        raise refused(Fault.ENCODING)
    digits = "".join(chunks[number] for number in sorted(chunks))
    return "".join(chr(int(digits[at : at + 2]) + 45) for at in range(0, len(digits), 2))


def _unverified(card: str) -> tuple[dict[str, Any], str]:
    """Return what a card says, to find its issuer's key with; nothing of it is believed yet."""
    try:
        found = jws.extract_compact(card.encode(), registry=_REGISTRY)
        header = found.headers()
    except (JoseError, ValueError, TypeError, RecursionError):
        raise refused(Fault.STRUCTURE) from None
    if header.get("alg") != ALGORITHM or header.get("zip") != "DEF":
        raise refused(Fault.STRUCTURE)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(found.payload, MOST_BYTES)
    except zlib.error:
        raise refused(Fault.COMPRESSION) from None
    if not inflater.eof or inflater.unused_data:
        raise refused(Fault.COMPRESSION)
    try:
        claims = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise refused(Fault.STRUCTURE) from None
    if not isinstance(claims, dict):
        raise refused(Fault.STRUCTURE)
    return claims, str(header.get("kid"))


def _verify(card: str, key: ECKey) -> None:
    try:
        jws.deserialize_compact(card, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError):
        raise refused(Fault.SIGNATURE) from None


def _moment(seconds: Any) -> datetime:
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise refused(Fault.STRUCTURE)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise refused(Fault.STRUCTURE) from None


def _content(claims: dict[str, Any]) -> tuple[Bearer, tuple[CertifiedDose, ...]]:
    credential = claims["vc"]
    if HEALTH_CARD not in credential["type"]:
        raise ValueError
    bundle = credential["credentialSubject"]["fhirBundle"]
    resources = [(entry["fullUrl"], entry["resource"]) for entry in bundle["entry"]]
    if len(resources) > MOST_DOSES:
        raise ValueError
    patients = [row for _, row in resources if row["resourceType"] == "Patient"]
    (patient,) = patients
    name = patient["name"][0]
    born = patient.get("birthDate")
    bearer = Bearer(
        str(name.get("family", "")),
        " ".join(str(part) for part in name.get("given", ())),
        PartialDate.parse(born) if born else None,
    )
    given = [
        _dose(url, row)
        for url, row in resources
        if row["resourceType"] == "Immunization" and row["status"] == "completed"
    ]
    return bearer, tuple(given)


def _dose(url: str, row: dict[str, Any]) -> CertifiedDose:
    codings = tuple(
        Coding(_short(code["system"]), _short(code["code"]), _optional(code.get("display")))
        for code in row["vaccineCode"]["coding"]
    )
    if not 1 <= len(codings) <= MOST_CODINGS:
        raise ValueError
    performers = [_optional(by["actor"].get("display")) for by in row.get("performer", ())]
    when = row.get("occurrenceDateTime")
    return CertifiedDose(
        _short(url),
        codings,
        None,
        PartialDate.parse(when[:10]) if when else None,
        lot_number=_optional(row.get("lotNumber")),
        performer=next(filter(None, performers), None),
    )


def _short(text: Any) -> str:
    if not isinstance(text, str) or len(text) > LONGEST_TEXT or "\0" in text:
        raise ValueError
    return text


def _optional(text: Any) -> str | None:
    return None if text is None else _short(text)
