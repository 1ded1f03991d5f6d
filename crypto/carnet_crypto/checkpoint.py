"""Checkpoints of the key directory: signed notes, as C2SP's tlog-checkpoint defines them.

A checkpoint is text: the log's origin, its size, its root in base64, as an extension ``time`` and
milliseconds since 1970, an empty line, and a line for each signature, ``— name base64(4 bytes of
key id ‖ signature)``. The log signs with Ed25519 (type
1); witnesses cosign with a time (type 4, tlog-cosignature). A client pins the log's key and its
witnesses'; no checkpoint is believed that they did not sign.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BinasciiError
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from carnet_crypto import sodium
from carnet_crypto.admission import admit_sign_key
from carnet_crypto.errors import Malformed, Reason, Refused, SignatureFailed
from carnet_crypto.merkle import verify_consistency
from carnet_crypto.values import Digest, Signature, SignPublic
from carnet_crypto.wire import LARGEST

MOST_BYTES = 16 * 1024
MOST_SIGNATURES = 32
FRESH = 24 * 3600 * 1000  # milliseconds for which a checkpoint is good enough to add or rotate on
_ED25519 = b"\x01"
_COSIGNATURE = b"\x04"
_TIME = "time "
_DASH = "\N{EM DASH} "
_SPACES = " \t\r\n"  # languages differ in what else is one


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A key that signs notes: its name and public half."""

    name: str
    public: SignPublic

    def __post_init__(self) -> None:
        if not self.name or any(not "!" <= c <= "~" or c == "+" for c in self.name):
            raise Malformed("a key's name is of ASCII, without spaces and plus signs")
        admit_sign_key(self.public)

    def id(self, kind: bytes = _ED25519) -> bytes:
        """Return the four bytes that signature lines name it by."""
        return sha256(self.name.encode() + b"\n" + kind + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The key in the form that verifiers are configured with: name+id+key."""
        key = b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.id().hex()}+{key}"

    @staticmethod
    def read(text: str) -> NoteKey:
        """Read a key in that form.

        Raises:
            Malformed: it is none, or its id is another's.
            Refused: the key must not be used.
        """
        name, _, rest = text.strip(_SPACES).partition("+")
        stated, _, encoded = rest.partition("+")
        data = _from_base64(encoded)
        if data[:1] != _ED25519:
            raise Malformed("it is no Ed25519 key")
        key = NoteKey(name, SignPublic(data[1:]))
        if key.id().hex() != stated:
            raise Malformed("the key's id is another's")
        return key


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size and root at one moment, and the text in which that is signed."""

    origin: str
    size: int
    root: Digest
    at: int  # milliseconds since 1970
    text: str

    @property
    def signed(self) -> bytes:
        """What the log's signature is over."""
        return checkpoint_body(self.origin, self.size, self.root, self.at)


def checkpoint_body(origin: str, size: int, root: bytes, at: int) -> bytes:
    """Return what a log signs, at this many milliseconds since 1970."""
    return f"{origin}\n{size}\n{b64encode(root).decode()}\n{_TIME}{at}\n".encode()


def signed_note(body: bytes, key: NoteKey, signature: bytes) -> str:
    """Return a checkpoint's text with the log's signature."""
    return body.decode() + "\n" + signature_line(key.name, key.id(), signature)


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """Return a line that bears a signature."""
    return f"{_DASH}{name} {b64encode(key_id + signature).decode()}\n"


def read_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint. No signature is verified yet.

    Raises:
        Malformed: it is none.
    """
    if len(_check_unicode(text)) > MOST_BYTES:
        raise Malformed("a checkpoint is too long")
    body, separator, _ = text.partition("\n\n")
    lines = body.split("\n")
    if not separator or len(lines) != 4 or not lines[0] or not lines[3].startswith(_TIME):
        raise Malformed("it is no checkpoint")
    size, at = _number(lines[1]), _number(lines[3].removeprefix(_TIME))
    return Checkpoint(lines[0], size, Digest(_from_base64(lines[2])), at, text)


def verify_checkpoint(
    text: str, log: NoteKey, *, witnesses: Sequence[NoteKey] = (), quorum: int = 0
) -> Checkpoint:
    """Return a checkpoint that the log, and enough of its witnesses, signed.

    Raises:
        Malformed: it is none.
        Refused: it is another log's (`WRONG_LOG`), or too few different witnesses signed it
            (`MISSING_WITNESS`).
        SignatureFailed: the log did not sign it.
    """
    checkpoint = read_checkpoint(text)
    if checkpoint.origin != log.name:
        raise Refused(Reason.WRONG_LOG)
    signatures = _signatures(text)
    own = [data[4:] for name, data in signatures if name == log.name and data[:4] == log.id()]
    if len(own) != 1:
        raise SignatureFailed("the log did not sign it")
    sodium.verify_plain(log.public, checkpoint.signed, Signature(own[0]))
    signed = {w.public for w in witnesses if _has_cosigned(w, checkpoint, signatures)}
    if len(signed) < quorum:
        raise Refused(Reason.MISSING_WITNESS)
    return checkpoint


def advance(known: Checkpoint | None, found: Checkpoint, proof: Sequence[bytes]) -> Checkpoint:
    """Return the checkpoint to go on with: the new one, which is shown to hold all of the known.

    Raises:
        Refused: it is smaller (`SHRUNK_LOG`), or of the same size with another root: two views of
            one log are being shown (`SPLIT_VIEW`).
        ProofFailed: it does not extend the known one.
    """
    if known is None:
        return found
    if found.size < known.size:
        raise Refused(Reason.SHRUNK_LOG)
    if found.size == known.size:
        if found.root != known.root:
            raise Refused(Reason.SPLIT_VIEW)
        return found
    verify_consistency(known.size, known.root, found.size, found.root, proof)
    return found


def cosigned_bytes(checkpoint: Checkpoint, at_seconds: int) -> bytes:
    """Return what a witness signs, at this many seconds since 1970 (tlog-cosignature v1)."""
    return f"cosignature/v1\ntime {at_seconds}\n".encode() + checkpoint.signed


def cosignature_line(witness: NoteKey, at_seconds: int, signature: bytes) -> str:
    """Return a line that bears a witness's signature."""
    data = at_seconds.to_bytes(8, "big") + signature
    return signature_line(witness.name, witness.id(_COSIGNATURE), data)


def _has_cosigned(
    witness: NoteKey, checkpoint: Checkpoint, signatures: Sequence[tuple[str, bytes]]
) -> bool:
    for name, data in signatures:
        if name != witness.name or data[:4] != witness.id(_COSIGNATURE) or len(data) != 76:
            continue
        at_seconds = int.from_bytes(data[4:12], "big")
        try:
            sodium.verify_plain(
                witness.public, cosigned_bytes(checkpoint, at_seconds), Signature(data[12:])
            )
        except SignatureFailed:
            continue
        return True
    return False


def _signatures(text: str) -> list[tuple[str, bytes]]:
    """Return the signature lines: names, and key ids with signatures."""
    lines = text.partition("\n\n")[2].split("\n")
    if len(lines) < 2 or lines[-1] or len(lines) > MOST_SIGNATURES + 1:
        raise Malformed("it is no checkpoint")
    found = []
    for line in lines[:-1]:
        name, _, encoded = line.removeprefix(_DASH).partition(" ")
        data = _from_base64(encoded)
        if not line.startswith(_DASH) or not name or len(data) < 4 + Signature.SIZE:
            raise Malformed("it is no checkpoint")
        found.append((name, data))
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 16:
        raise Malformed("it is no number")
    number = int(text)
    if str(number) != text or number > LARGEST:
        raise Malformed("it is no number")
    return number


def _check_unicode(text: str) -> bytes:
    """Return the text's UTF-8, which halves of surrogate pairs have none of."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Malformed("a text is not Unicode") from error


def _from_base64(text: str) -> bytes:
    try:
        data = b64decode(text.encode("ascii"), validate=True)
    except (BinasciiError, UnicodeEncodeError, ValueError) as error:
        raise Malformed("it is not base64") from error
    if b64encode(data).decode() != text:
        raise Malformed("it is not base64")
    return data
