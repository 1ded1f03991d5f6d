"""Which public keys may be used at all.

Ed25519 keys of low or mixed order make signatures that hold for many messages, or that one
library takes and another refuses; X25519 keys of low order make secrets everybody knows, and a key
with a second encoding can be taken for another. All are refused where they first appear.
"""

from __future__ import annotations

from carnet_crypto import sodium
from carnet_crypto.errors import Reason, Refused
from carnet_crypto.values import BoxPublic, SignPublic

_FIELD = 2**255 - 19


def admit_sign_key(public: SignPublic) -> SignPublic:
    """Return an Ed25519 key that may be used.

    Raises:
        Refused: it is not the canonical encoding of a point of the prime-order group (`BAD_KEY`).
    """
    if not sodium.is_valid_point(public):
        raise Refused(Reason.BAD_KEY)
    return public


def admit_box_key(public: BoxPublic) -> BoxPublic:
    """Return an X25519 key that may be used.

    Raises:
        Refused: it has another encoding, or every secret shared with it is zero (`BAD_KEY`).
    """
    if int.from_bytes(public, "little") >= _FIELD or not sodium.has_shared_secret(public):
        raise Refused(Reason.BAD_KEY)
    return public
