"""Enrolment codes, reference numbers and proof keys. Pure.

None of them is stored: each follows from the server's key and a record, so that a database that
leaks opens no record, and a letter can be printed again. Whoever holds the server's key can make
them all.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime
from uuid import UUID

from carnet_crypto.encoding import to_base64url

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
DATA_CHARACTERS = 11  # 55 random bits, and attempts are limited
PROOF_PREFIX = "carnet_prf_"

_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_CODE = re.compile(rf"[{ALPHABET}]{{{DATA_CHARACTERS + 1}}}", re.ASCII)


def enrolment_code(server_key: bytes, record_id: UUID, issue: int) -> str:
    """Return the code with which the holder activates their record: ``XXXX-XXXX-XXXX``.

    Args:
        server_key: a secret that is not in the database.
        record_id: the record.
        issue: counted up where a letter was lost, which ends the codes before.
    """
    message = b"carnet enrolment code v1" + record_id.bytes + issue.to_bytes(4)
    return _grouped(_characters(server_key, message))


def read_code(text: str) -> str | None:
    """Return a code as `enrolment_code` writes it, or None for what can be no code.

    Lower case, missing hyphens and letters that look like digits are taken as meant. The last
    character checks the others (Luhn's algorithm over 32 characters): a typing mistake is told
    from a wrong code.
    """
    plain = text[:100].upper().translate(_READ_AS)
    if _CODE.fullmatch(plain) is None or _check(plain[:-1]) != plain[-1]:
        return None
    return _grouped(plain)


def reference(server_key: bytes, record_id: UUID, what: str, at: datetime) -> str:
    """Return the number on the proof of an act, the same each time it is printed."""
    message = f"carnet reference v1 {what} {at.isoformat()} ".encode() + record_id.bytes
    return _grouped(_characters(server_key, message))


def proof_key(server_key: bytes, record_id: UUID, opposed_at: datetime) -> str:
    """Return the secret with which the proof of one opposition is fetched without an account."""
    message = f"carnet proof key v1 {opposed_at.isoformat()} ".encode() + record_id.bytes
    return PROOF_PREFIX + to_base64url(hmac.digest(server_key, message, "sha256"))


def same(one: str, other: str) -> bool:
    """Compare secrets in a time that tells nothing."""
    return hmac.compare_digest(one.encode(), other.encode())


def _characters(server_key: bytes, message: bytes) -> str:
    number = int.from_bytes(hmac.digest(server_key, message, "sha256")[:8])
    data = "".join(ALPHABET[number >> 5 * place & 31] for place in range(DATA_CHARACTERS))
    return data + _check(data)


def _check(data: str) -> str:
    total = 0
    for place, character in enumerate(reversed(data)):
        value = ALPHABET.index(character) * (2 - place % 2)
        total += value // 32 + value % 32
    return ALPHABET[-total % 32]


def _grouped(plain: str) -> str:
    return "-".join(plain[start : start + 4] for start in range(0, len(plain), 4))
