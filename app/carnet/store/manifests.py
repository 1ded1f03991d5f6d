"""What a backup says of itself: its last file, signed with the key that signs the journal.

A backup without it is none. It names what the other files hash to and which keys open them; the
keys themselves are never in a backup.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from carnet.errors import UserMistake
from carnet.store.shelves import Kept
from carnet.store.signing import Signer
from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url

NAME = "manifest.json"
FORMAT = "carnet-backup/1"
SIZE_LIMIT = 2**20  # bytes
SIGNED = b"carnet backup v1\x00"  # what the signed bytes begin with


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole of it, but for format and signature.

    ``kek_ids`` are those of the key file, in its order. ``journal_head`` is the newest signed head,
    in JSON's terms, or None of a journal that nothing was written to yet. ``lost`` counts contents
    that the store had lost already.
    """

    carnet: str
    created_at: str
    revision: str
    postgres: int
    dump: Kept
    dump_id: str
    dump_bytes: int
    dump_kek_id: str
    dump_key: str
    listing: Kept
    contents: int
    objects: int
    object_bytes: int
    erased_meanwhile: int
    lost: int
    kek_ids: list[str]
    journal_head: dict[str, Any] | None

    def to_bytes(self, signer: Signer) -> bytes:
        """Return the file."""
        shape = {"format": FORMAT, **asdict(self)}
        signature = to_base64url(signer.sign_bytes(_signed(shape)))
        shape["signature"] = {"keyId": signer.key_id, "signature": signature}
        return json.dumps(shape, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, data: bytes, signer: Signer) -> Self:
        """Read the file.

        Raises:
            UserMistake: it is none, of a newer version, or not signed by this server's key.
        """
        try:
            shape = json.loads(data)
            if shape["format"] != FORMAT:
                raise UserMistake("The backup was written by a newer Carnet: use that version.")
            signature = shape.pop("signature")
            key_id, signed = str(signature["keyId"]), from_base64url(signature["signature"])
            is_ours = signer.has_signed_bytes(key_id, signed, _signed(shape))
            shape["dump"], shape["listing"] = Kept(**shape["dump"]), Kept(**shape["listing"])
            found = cls(**{each.name: shape[each.name] for each in fields(cls)})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, DecodeError):
            raise UserMistake("The backup's manifest cannot be read.") from None
        if not is_ours:
            raise UserMistake(
                f"The backup was altered, or signed with another key than CARNET_LOG_KEY_FILE's:"
                f" it needs {key_id[:64]!r}."
            )
        return found


def _signed(shape: dict[str, Any]) -> bytes:
    return SIGNED + json.dumps(shape, sort_keys=True, separators=(",", ":")).encode()
