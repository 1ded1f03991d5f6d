"""The key by which push services know this server (VAPID, RFC 8292): P-256, in a file."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from carnet.errors import UserMistake
from carnet.store.keys import made_key_file, read_key_file
from carnet_crypto.encoding import to_base64url

TOKEN_LIFE = 3600  # seconds; RFC 8292, 2 allows a day


class VapidKey:
    """Signs requests to push services with the first key of its file.

    Browsers subscribe to the public key, so a new key ends every subscription.
    """

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        self._vapid = Vapid02(private_key)
        point = private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = to_base64url(point)

    def __repr__(self) -> str:
        return f"VapidKey({self.public_key[:8]}…)"

    @classmethod
    def open(cls, path: Path | None, data_dir: Path, *, may_create: bool) -> VapidKey | None:
        """Read the key file, or make one for development; None where there is none to be.

        Args:
            path: the file: 32 bytes in base64url, as tools for Web Push write private keys.
            data_dir: the data folder; without a path, ``keys/vapid`` in it.
            may_create: make a missing file in the data folder (development).

        Raises:
            UserMistake: the file is missing, ill-formed or open to others.
        """
        if path is None and not may_create:
            return None
        path = path or made_key_file(data_dir, "vapid")
        number = int.from_bytes(read_key_file(path)[0])
        try:
            return cls(ec.derive_private_key(number, ec.SECP256R1()))
        except ValueError:  # one in 2³² random keys
            raise UserMistake(
                f"The key in {path} is no private key of P-256: make another."
            ) from None

    def headers(self, origin: str, contact: str, now: int) -> dict[str, str]:
        """Return what goes with a request.

        Args:
            origin: of the push service, ``https://host``.
            contact: of the operator, a ``mailto:`` or ``https:`` URL.
            now: seconds since 1970 by a real clock, not the sandbox's.
        """
        claims = {"aud": origin, "sub": contact, "exp": now + TOKEN_LIFE}
        return dict(self._vapid.sign(claims))
