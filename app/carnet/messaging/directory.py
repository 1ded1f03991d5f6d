"""The key directory: the log that holds every entry and binding, and what the service signs.

An entry is in the log when it is there at all: both are one transaction. Checkpoints are signed
when they are asked for, with the time of asking, so a client always gets a fresh one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_bytes

from carnet.errors import ValidationFailed
from carnet.messaging.tables import MessagingAccountKind
from carnet.store import transparency
from carnet.store.database import Work
from carnet.store.signing import Signer
from carnet_crypto.checkpoint import NoteKey, checkpoint_body, signed_note
from carnet_crypto.directory import (
    HandleClass,
    binding_bytes_to_sign,
    binding_leaf,
    chain_leaf,
    unsigned_binding,
)
from carnet_crypto.merkle import EMPTY_ROOT, leaf_hash
from carnet_crypto.values import AccountId, Blind, Label32, SignPublic

LOG = "directory"
HANDLES = {
    MessagingAccountKind.PERSON: HandleClass.PATIENT,
    MessagingAccountKind.PROFESSIONAL: HandleClass.PROFESSIONAL,
    MessagingAccountKind.ORGANIZATION: HandleClass.ORGANIZATION,
    MessagingAccountKind.TEAM: HandleClass.TEAM,
}


@dataclass(frozen=True, slots=True)
class Logged:
    """Something that is about to be in the log."""

    data: bytes
    blind: Blind
    leaf: bytes


def milliseconds(moment: datetime) -> int:
    """Return a moment as the protocol has it."""
    return int(moment.timestamp() * 1000)


def log_key(signer: Signer, origin: str) -> NoteKey:
    """Return the key that signs checkpoints and bindings, under the log's name."""
    return NoteKey(origin, SignPublic(signer.public_key))


def chain_entry(account: AccountId, number: int, entry: bytes) -> Logged:
    """Return an entry of a chain, with a fresh blind."""
    blind = Blind(token_bytes(Blind.SIZE))
    return Logged(entry, blind, chain_leaf(account, number, entry, blind))


def bind(
    signer: Signer,
    origin: str,
    kind: MessagingAccountKind,
    label: Label32,
    version: int,
    account: AccountId,
    now: datetime,
) -> Logged:
    """Return the service's signed word that an account is that of whoever a label is of."""
    unsigned = unsigned_binding(
        HANDLES[kind], label, version, account, origin, milliseconds(now), 0
    )
    data = unsigned + signer.sign_bytes(binding_bytes_to_sign(unsigned))
    blind = Blind(token_bytes(Blind.SIZE))
    return Logged(data, blind, binding_leaf(label, version, data, blind))


async def append(work: Work, signer: Signer, logged: Sequence[Logged]) -> int:
    """Put these into the log, one after another; return the index of the first."""
    await transparency.lock_in_turn(work, LOG)
    first = await transparency.size(work, LOG)
    await transparency.append(work, LOG, [leaf_hash(each.leaf) for each in logged], signer)
    return first


async def checkpoint(work: Work, signer: Signer, origin: str) -> str:
    """Return the log's checkpoint of this moment, signed."""
    head = await transparency.latest_head(work, LOG)
    size, root = (0, EMPTY_ROOT) if head is None else (head.size, head.root)
    body = checkpoint_body(origin, size, root, milliseconds(work.now))
    return signed_note(body, log_key(signer, origin), signer.sign_bytes(body))


async def inclusion_proofs(work: Work, indexes: Sequence[int], size: int) -> dict[int, list[bytes]]:
    """Return what proves leaves in the log of a size.

    Raises:
        ValidationFailed: the log has no such leaf at that size, or never had that size.
    """
    await _check_size(work, size)
    try:
        return await transparency.inclusion_proofs(work, LOG, indexes, size)
    except ValueError:
        raise ValidationFailed("The log has no such leaf.", path=("indexes",)) from None


async def consistency_proof(work: Work, old: int, new: int) -> list[bytes]:
    """Return what proves that the log of one size extends that of another.

    Raises:
        ValidationFailed: the sizes are in the wrong order, or the log never had them.
    """
    await _check_size(work, new)
    try:
        return await transparency.consistency_proof(work, LOG, old, new)
    except ValueError:
        raise ValidationFailed("The log never had these sizes.", path=("since",)) from None


async def _check_size(work: Work, size: int) -> None:
    if not 0 <= size <= await transparency.size(work, LOG):
        raise ValidationFailed("The log never had this size.", path=("size",))
