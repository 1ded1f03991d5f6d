"""Who is trusted to certify vaccinations: a file that the operator keeps.

::

    {
      "dcc": [{"country": "FR", "certificate": "MIID…"}],
      "shc": [{"issuer": "https://…", "name": "…", "keys": [{"kty": "EC", …}]}]
    }

``dcc`` has the Document Signer Certificates of the EU's trust lists, as base64 of their DER;
``shc`` has issuers with their keys, as in the directories of SMART Health Cards.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from carnet.certificates.certificate import Kind
from carnet.errors import UserMistake

if TYPE_CHECKING:  # a server that trusts nobody starts without them
    from cwt.cose_key_interface import COSEKeyInterface
    from joserfc.jwk import ECKey

KID_SIZE = 8  # bytes: the first of the SHA-256 of a signer's certificate
# Both forms are in use; the first was published by mistake (dgc-testdata, README).
_ARCS = ("1.3.6.1.4.1.0.1847.2021.1.", "1.3.6.1.4.1.1847.2021.1.")
_KINDS = {"1": Kind.TEST, "2": Kind.VACCINATION, "3": Kind.RECOVERY}


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs EU certificates; ``kinds`` are those it may sign."""

    country: str
    key: COSEKeyInterface = field(repr=False)
    kinds: frozenset[Kind]
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class TrustList:
    """Whom the operator trusts. Without a file, nobody."""

    signers: Mapping[bytes, tuple[Signer, ...]] = field(default_factory=dict)  # by key id
    issuers: Mapping[str, Mapping[str, ECKey]] = field(default_factory=dict)  # by URL and key id

    @classmethod
    def load(cls, path: Path | None) -> TrustList:
        """Read the file.

        Raises:
            UserMistake: it cannot be read, or an entry does not hold; the message says which.
        """
        if path is None:
            return cls()
        try:
            return cls.of(orjson.loads(path.read_bytes()))
        except OSError as error:
            raise UserMistake(f"{path}: {error.strerror}.") from None
        except orjson.JSONDecodeError as error:
            raise UserMistake(f"{path}, line {error.lineno}: this is not JSON.") from None
        except UserMistake as error:
            raise UserMistake(f"{path}: {error}") from None

    @classmethod
    def of(cls, shape: Any) -> TrustList:
        """Return the list that the JSON describes.

        Raises:
            UserMistake: an entry does not hold.
        """
        if not isinstance(shape, dict) or not set(shape) <= {"dcc", "shc"}:
            raise UserMistake("it must be an object with «dcc» and «shc».")
        signers: dict[bytes, tuple[Signer, ...]] = {}
        for number, entry in _entries(shape, "dcc"):
            try:
                kid, signer = _signer(entry)
            except (KeyError, TypeError, ValueError, AttributeError):
                raise UserMistake(f"dcc[{number}] is no signer's certificate.") from None
            signers[kid] = (*signers.get(kid, ()), signer)
        issuers: dict[str, dict[str, ECKey]] = {}
        for number, entry in _entries(shape, "shc"):
            try:
                url, keys = str(entry["issuer"]), [_key(key) for key in entry["keys"]]
            except (KeyError, TypeError, ValueError):
                raise UserMistake(f"shc[{number}] is no issuer with its keys.") from None
            issuers.setdefault(url, {}).update(keys)
        return cls(signers, issuers)


def _entries(shape: Mapping[str, Any], name: str) -> Sequence[tuple[int, Any]]:
    entries = shape.get(name, [])
    if not isinstance(entries, list):
        raise UserMistake(f"«{name}» must be a list.")
    return list(enumerate(entries))


def _signer(entry: Any) -> tuple[bytes, Signer]:
    from cwt import COSEKey

    try:
        der = base64.b64decode(entry["certificate"], validate=True)
    except binascii.Error:
        raise ValueError from None
    certificate = x509.load_der_x509_certificate(der)
    kid = sha256(der).digest()[:KID_SIZE]
    key = certificate.public_key()
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return kid, Signer(
        str(entry["country"]),
        COSEKey.from_pem(pem, kid=kid, alg="PS256" if isinstance(key, RSAPublicKey) else "ES256"),
        _kinds(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _kinds(certificate: x509.Certificate) -> frozenset[Kind]:
    """Return what the key may sign: all kinds, unless its extended key usage names some."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):  # or an empty list, which RFC 5280 forbids
        return frozenset(Kind)
    oids = [oid.dotted_string for oid in usage]
    named = {_KINDS.get(oid.removeprefix(arc)) for oid in oids for arc in _ARCS}
    return frozenset(kind for kind in named if kind is not None) or frozenset(Kind)


def _key(shape: Any) -> tuple[str, ECKey]:
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey

    if shape["kty"] != "EC" or shape["crv"] != "P-256":
        raise ValueError
    public = {name: shape[name] for name in ("kty", "crv", "x", "y")}
    try:
        return str(shape["kid"]), ECKey.import_key(public)
    except JoseError:
        raise ValueError from None
