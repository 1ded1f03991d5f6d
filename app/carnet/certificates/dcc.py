"""EU Digital COVID Certificates: ``HC1:`` + base45 + zlib + COSE_Sign1 + CBOR Web Token.

Source: Electronic Health Certificate Specification v1.0.5 and the EU DCC schema 1.3 (eHealth
Network). What is not of a vaccination is verified as well, and has no doses.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any

import base45  # type: ignore[import-untyped]
import cbor2
from cwt import COSE
from cwt.exceptions import CWTError

from carnet.certificates import cbor
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
from carnet.certificates.trust import Signer, TrustList
from carnet.errors import ValidationFailed
from carnet.values import Coding, PartialDate

PREFIX = "HC1:"
KID = 4  # RFC 9052, the header
ISSUER, EXPIRES_AT, ISSUED_AT, HEALTH = 1, 4, 6, -260  # claims of RFC 8392; EHC specification, 2.6
EU_DCC = 1  # within HEALTH
_KINDS = {"v": Kind.VACCINATION, "t": Kind.TEST, "r": Kind.RECOVERY}
SNOMED = "http://snomed.info/sct"
ATC = "http://www.whocc.no/atc"
MEDICINAL_PRODUCT = "https://ec.europa.eu/health/documents/community-register"


def read(text: str, trust: TrustList, now: datetime) -> Certificate:
    """Verify a certificate and return what it says.

    Raises:
        CertificateRefused: it does not hold.
    """
    data = _inflated(_bytes(text))
    tagged = _cbor(data)
    if not isinstance(tagged, cbor2.CBORTag) or tagged.tag != cbor.COSE_SIGN1:
        raise refused(Fault.STRUCTURE)
    signers = trust.signers.get(_key_id(tagged.value), ())
    if not signers:
        raise refused(Fault.UNKNOWN_KEY)
    payload, signer = _verified(data, signers)
    claims = _cbor(payload)
    if not isinstance(claims, dict):
        raise refused(Fault.STRUCTURE)
    issued_at, expires_at = _moment(claims, ISSUED_AT), _moment(claims, EXPIRES_AT)
    if expires_at <= now or not signer.not_before <= issued_at <= signer.not_after:
        raise refused(Fault.EXPIRED)
    kind, health = _health(claims)
    if kind not in signer.kinds:
        raise refused(Fault.KEY_USAGE)
    try:
        doses = tuple(_dose(row) for row in health["v"]) if kind is Kind.VACCINATION else ()
        bearer = _bearer(health)
        issuer = _text(claims, ISSUER, 80)
    except (KeyError, TypeError, ValueError, AttributeError, ValidationFailed):
        raise refused(Fault.CONTENT) from None
    return Certificate(Scheme.EU_DCC, kind, issuer, bearer, doses, issued_at, expires_at)


def _bytes(text: str) -> bytes:
    if not text.startswith(PREFIX):
        raise refused(Fault.FORMAT)
    try:
        return bytes(base45.b45decode(text.removeprefix(PREFIX)))
    except ValueError:
        raise refused(Fault.ENCODING) from None


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, MOST_BYTES)
    except zlib.error:
        raise refused(Fault.COMPRESSION) from None
    if not inflater.eof or inflater.unused_data:
        raise refused(Fault.COMPRESSION)
    return found


def _cbor(data: bytes) -> Any:
    try:
        return cbor.load(data)
    except cbor.Unreadable:
        raise refused(Fault.STRUCTURE) from None


def _key_id(parts: Any) -> bytes:
    """Return the key id: of the protected header where it is there."""
    if not isinstance(parts, list) or len(parts) != 4 or not isinstance(parts[0], bytes):
        raise refused(Fault.STRUCTURE)
    protected = _cbor(parts[0]) if parts[0] else {}
    for header in (protected, parts[1]):
        if isinstance(header, dict) and isinstance(kid := header.get(KID), bytes):
            return kid
    raise refused(Fault.UNKNOWN_KEY)


def _verified(data: bytes, signers: tuple[Signer, ...]) -> tuple[bytes, Signer]:
    """Return what was signed, and by whom: several keys may have one id."""
    for signer in signers:
        try:
            return COSE.new().decode(data, signer.key), signer
        except (CWTError, ValueError, TypeError):
            continue
    raise refused(Fault.SIGNATURE)


def _moment(claims: dict[Any, Any], claim: int) -> datetime:
    seconds = claims.get(claim)
    if not isinstance(seconds, int | float):
        raise refused(Fault.STRUCTURE)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise refused(Fault.STRUCTURE) from None


def _health(claims: dict[Any, Any]) -> tuple[Kind, dict[str, Any]]:
    """Return what the certificate is about, which is exactly one thing, and all it says."""
    container = claims.get(HEALTH)
    health = container.get(EU_DCC) if isinstance(container, dict) else None
    if not isinstance(health, dict):
        raise refused(Fault.CONTENT)
    about = [name for name in _KINDS if health.get(name)]
    if len(about) != 1:
        raise refused(Fault.CONTENT)
    rows = health[about[0]]
    if not isinstance(rows, list) or len(rows) > MOST_DOSES:
        raise refused(Fault.CONTENT)
    return _KINDS[about[0]], health


def _bearer(health: dict[str, Any]) -> Bearer:
    name, born = health["nam"], health["dob"]
    family = name.get("fn") or _text(name, "fnt", 80)
    if not isinstance(family, str) or not isinstance(born, str):
        raise TypeError
    given = name.get("gn") or name.get("gnt") or ""
    return Bearer(family, str(given), PartialDate.parse(born) if born else None)


def _dose(row: dict[str, Any]) -> CertifiedDose:
    product, prophylaxis = _text(row, "mp", 80), _text(row, "vp", 80)
    system = ATC if prophylaxis.startswith("J07") else SNOMED
    of, rank = _count(row, "sd"), _count(row, "dn")
    if not rank or not of:
        raise ValueError
    return CertifiedDose(
        _text(row, "ci", 80),
        (Coding(MEDICINAL_PRODUCT, product, None), Coding(system, prophylaxis, None)),
        Coding(SNOMED, _text(row, "tg", 20), None),
        _day(_text(row, "dt", 10)),
        rank=rank,
        performer=_text(row, "is", 80),
    )


def _text(row: Any, name: str | int, most: int) -> str:
    found = row[name]
    if not isinstance(found, str) or not 1 <= len(found) <= most or "\0" in found:
        raise ValueError
    return found


def _count(row: dict[str, Any], name: str) -> int:
    found = row[name]
    if type(found) is not int or not 0 <= found <= 99:
        raise ValueError
    return found


def _day(text: str) -> PartialDate:
    found = PartialDate.parse(text)
    if found.day is None:
        raise ValueError
    return found
