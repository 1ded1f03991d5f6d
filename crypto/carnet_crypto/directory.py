"""The key directory: what its log's leaves are, and what binds an account to somebody.

The log is an RFC 9162 tree. A leaf holds a digest of what it is about and of a random blind: the
operator who deletes both has deleted the personal data, and the tree still stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from carnet_crypto import sodium
from carnet_crypto.checkpoint import Checkpoint
from carnet_crypto.errors import Malformed, Reason, Refused
from carnet_crypto.labels import Label
from carnet_crypto.merkle import leaf_hash, verify_inclusion
from carnet_crypto.values import AccountId, Blind, Digest, Label32, Signature, SignPublic
from carnet_crypto.wire import Reader, text, u8, u32, u64

MAGIC = b"CRND\x01"
MOST_ISSUER = 128  # bytes
_CHAIN_LEAF = 1
_BINDING_LEAF = 2


class HandleClass(IntEnum):
    """What somebody is found by."""

    PATIENT = 1  # a random label
    PROFESSIONAL = 2  # a number in a public register
    ORGANIZATION = 3  # a number in a public register
    TEAM = 4  # a random label


@dataclass(frozen=True, slots=True)
class Binding:
    """An issuer says that an account is that of whoever a label is of."""

    data: bytes
    handle: HandleClass
    label: Label32
    version: int  # from 1; the highest holds
    account: AccountId
    issuer: str
    not_before: int  # milliseconds since 1970
    not_after: int  # milliseconds since 1970, or 0 for no end
    signature: Signature

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return self.data[: -Signature.SIZE]


def unsigned_binding(
    handle: HandleClass,
    label: Label32,
    version: int,
    account: AccountId,
    issuer: str,
    not_before: int,
    not_after: int,
) -> bytes:
    """Return a binding up to its signature."""
    return (
        MAGIC
        + u8(handle)
        + label
        + u32(version)
        + account
        + text(issuer)
        + u64(not_before)
        + u64(not_after)
    )


def binding_bytes_to_sign(unsigned: bytes) -> bytes:
    """Return what an issuer signs: the binding under its label."""
    return Label.SIGN_BINDING.prefix + unsigned


def read_binding(data: bytes) -> Binding:
    """Read a binding. Nothing is verified yet.

    Raises:
        Malformed: it is none.
    """
    reader = Reader(data)
    reader.magic(MAGIC)
    binding = Binding(
        data,
        reader.enum(HandleClass),
        reader.fixed(Label32),
        reader.u32(),
        reader.fixed(AccountId),
        reader.text(MOST_ISSUER),
        reader.u64(),
        reader.u64(),
        reader.fixed(Signature),
    )
    reader.end()
    if binding.version < 1:
        raise Malformed("a binding's version begins at 1")
    return binding


def verify_binding(
    data: bytes, *, label: Label32, issuer: str, issuer_key: SignPublic, at: int
) -> Binding:
    """Return a binding of this label that its issuer signed and that holds now.

    Args:
        data: the binding.
        label: what was asked for.
        issuer: the name of the issuer that is pinned for this class of handles.
        issuer_key: that issuer's key.
        at: now, in milliseconds since 1970.

    Raises:
        Malformed: it is none.
        Refused: it is of another label or issuer, or does not hold now (`WRONG_BINDING`).
        SignatureFailed: the issuer did not sign it.
    """
    binding = read_binding(data)
    if binding.label != label or binding.issuer != issuer:
        raise Refused(Reason.WRONG_BINDING)
    if at < binding.not_before or (binding.not_after and at > binding.not_after):
        raise Refused(Reason.WRONG_BINDING)
    sodium.verify(issuer_key, Label.SIGN_BINDING, binding.signed, binding.signature)
    return binding


def professional_label(register_id: str) -> Label32:
    """Return the label of a professional or organization by its number in the public register."""
    return Label32(sha256(Label.PROFESSIONAL.prefix + register_id.encode()).digest())


def chain_leaf(account: AccountId, number: int, entry: bytes, blind: Blind) -> bytes:
    """Return the leaf of a chain's entry."""
    return u8(_CHAIN_LEAF) + account + u32(number) + sha256(entry + blind).digest()


def binding_leaf(label: Label32, version: int, binding: bytes, blind: Blind) -> bytes:
    """Return the leaf of a binding."""
    return u8(_BINDING_LEAF) + label + u32(version) + sha256(binding + blind).digest()


def verify_leaf(leaf: bytes, index: int, proof: Sequence[bytes], checkpoint: Checkpoint) -> None:
    """Check that a leaf is in the log at a place.

    Raises:
        ProofFailed: it is not shown.
    """
    verify_inclusion(
        leaf_hash(leaf), index, checkpoint.size, [bytes(part) for part in proof], checkpoint.root
    )


def digest_of(data: bytes) -> Digest:
    """Return SHA-256."""
    return Digest(sha256(data).digest())
