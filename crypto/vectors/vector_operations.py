"""What a vector asks for, by the name of its operation; the same table stands in crypto/js.

An operation takes the ``in`` of a case and returns its ``out``, in JSON's terms: bytes are hex,
names are camelCase. What the protocol refuses is raised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256

from vector_opening import OPENING
from vector_verifying import VERIFYING
from vector_world import In, World

from carnet_crypto.errors import (
    Malformed,
    OpenFailed,
    ProofFailed,
    ProtocolError,
    Refused,
    SignatureFailed,
)


def verdict_of(error: ProtocolError) -> str:
    """Return how vectors name a failure."""
    match error:
        case Malformed():
            return "malformed"
        case Refused():
            return f"refused:{error.reason.value}"
        case SignatureFailed():
            return "signature"
        case ProofFailed():
            return "proof"
        case OpenFailed():
            return "open"
        case _:
            raise error


def _sweep(world: World, given: In) -> In:
    """Change every byte, cut at every place, add one: and say what each becomes."""
    changed = _changed_text if given["field"] == "text" else _changed_bytes
    verdicts = [
        run(world, given["do"], {**given["in"], given["field"]: each})[0]
        for each in changed(given["in"][given["field"]])
    ]
    joined = ",".join(verdicts).encode()
    return {
        "counts": dict(sorted(Counter(verdicts).items())),
        "digest": sha256(joined).hexdigest(),
    }


def _changed_bytes(field: str) -> Sequence[str]:
    data = bytes.fromhex(field)
    flipped = [
        data[:at] + bytes([data[at] ^ (1 << (at % 8))]) + data[at + 1 :] for at in range(len(data))
    ]
    cut = [data[:length] for length in range(len(data))]
    return [each.hex() for each in (*flipped, *cut, data + b"\x00", data + b"\x80")]


def _changed_text(text: str) -> Sequence[str]:
    flipped = [text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :] for at in range(len(text))]
    cut = [text[:length] for length in range(len(text))]
    return [*flipped, *cut, text + "\n", text + "x"]


OPERATIONS: dict[str, Callable[[World, In], In]] = {**VERIFYING, **OPENING, "sweep": _sweep}


def run(world: World, do: str, given: In) -> tuple[str, In]:
    """Return the verdict on a case, and what it comes to where that is ``ok``."""
    try:
        return "ok", OPERATIONS[do](world, given)
    except ProtocolError as error:
        return verdict_of(error), {}
