"""A signed head as a file: what a holder or operator keeps, to prove later what the log was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url
from carnet_crypto.treehead import TreeHead

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotAHead(Exception):
    """The text is no signed head."""


def head_to_json(head: TreeHead, public_key: bytes) -> dict[str, Any]:
    """Return the head and the key that signed it, in JSON's terms."""
    return {
        "log": head.log,
        "size": head.size,
        "root": to_base64url(head.root),
        "signedAt": (head.signed_at - _EPOCH) // timedelta(milliseconds=1),
        "keyId": head.key_id,
        "signature": to_base64url(head.signature),
        "publicKey": to_base64url(public_key),
    }


def head_from_json(shape: Any) -> tuple[TreeHead, bytes]:
    """Return the head and the public key of what `head_to_json` wrote.

    Raises:
        NotAHead: it is something else.
    """
    try:
        head = TreeHead(
            log=str(shape["log"]),
            size=int(shape["size"]),
            root=from_base64url(shape["root"]),
            signed_at=_EPOCH + timedelta(milliseconds=int(shape["signedAt"])),
            key_id=str(shape["keyId"]),
            signature=from_base64url(shape["signature"]),
        )
        return head, from_base64url(shape["publicKey"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, DecodeError) as error:
        raise NotAHead("this is no signed head") from error


def read_head(text: str) -> tuple[TreeHead, bytes]:
    """Return the head and the public key of a file's text.

    Raises:
        NotAHead: it is something else.
    """
    try:
        return head_from_json(json.loads(text))
    except ValueError as error:
        raise NotAHead("this is no signed head") from error
