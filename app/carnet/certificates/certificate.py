"""What a signed certificate says once it is verified, whatever its form, and why one is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from carnet.errors import CertificateRefused
from carnet.values import Coding, PartialDate

MOST_CHARACTERS = 32_768  # of a certificate as text; a QR code holds 4,296 at most
MOST_BYTES = 262_144  # of what it says, once inflated
MOST_DOSES = 50  # in one certificate


class Fault(StrEnum):
    """Why a certificate is refused: in the order in which it is looked at."""

    FORMAT = "FORMAT"  # neither HC1:…, shc:/… nor a card file
    ENCODING = "ENCODING"  # not base45, base64url or digits
    COMPRESSION = "COMPRESSION"  # not zlib or DEFLATE data, or far too much of it
    STRUCTURE = "STRUCTURE"  # no COSE_Sign1, JWS, CBOR Web Token or verifiable credential
    UNKNOWN_KEY = "UNKNOWN_KEY"  # signed by nobody in the trust list
    SIGNATURE = "SIGNATURE"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    KEY_USAGE = "KEY_USAGE"  # the key may not sign this kind of certificate
    CONTENT = "CONTENT"  # not what the scheme's specification says
    NO_VACCINATION = "NO_VACCINATION"  # it is of a test or a recovery
    OTHER_PERSON = "OTHER_PERSON"  # it is of somebody else than the record


MEANINGS = {
    Fault.FORMAT: "This is no certificate that Carnet reads.",
    Fault.ENCODING: "The certificate was not copied whole.",
    Fault.COMPRESSION: "The certificate was not copied whole.",
    Fault.STRUCTURE: "The certificate is not built as its kind is.",
    Fault.UNKNOWN_KEY: "Nobody who is trusted here signed the certificate.",
    Fault.SIGNATURE: "The certificate was changed after it was signed.",
    Fault.EXPIRED: "The certificate has expired.",
    Fault.NOT_YET_VALID: "The certificate is not valid yet.",
    Fault.KEY_USAGE: "Who signed the certificate may not sign this kind.",
    Fault.CONTENT: "The certificate does not say what its kind says.",
    Fault.NO_VACCINATION: "The certificate is of a test or a recovery.",
    Fault.OTHER_PERSON: "The certificate is of somebody else.",
}


def refused(fault: Fault) -> CertificateRefused:
    """Return the refusal of a certificate."""
    return CertificateRefused(fault.value, MEANINGS[fault])


class Kind(StrEnum):
    """What a certificate is about."""

    VACCINATION = "VACCINATION"
    TEST = "TEST"
    RECOVERY = "RECOVERY"


class Scheme(StrEnum):
    """Whose rules it follows."""

    EU_DCC = "EU_DCC"
    SMART_HEALTH_CARD = "SMART_HEALTH_CARD"


@dataclass(frozen=True, slots=True)
class CertifiedDose:
    """A dose that the certificate vouches for. ``id`` names it in the issuer's terms."""

    id: str
    vaccine: tuple[Coding, ...]
    disease: Coding | None
    given_on: PartialDate | None
    rank: int | None = None
    lot_number: str | None = None
    performer: str | None = None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a certificate is of. Names are as written; ``birth_date`` None: it does not say."""

    family_name: str = field(repr=False)
    given_names: str = field(repr=False)
    birth_date: PartialDate | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A verified certificate."""

    scheme: Scheme
    kind: Kind
    issuer: str  # country code, or URL
    bearer: Bearer
    doses: tuple[CertifiedDose, ...] = field(repr=False)
    issued_at: datetime
    expires_at: datetime | None
