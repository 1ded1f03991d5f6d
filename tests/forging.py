"""What members, revoked devices and servers sign and seal against the rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from honest_client import HonestClient

from carnet_crypto import sodium
from carnet_crypto.control import Place, unsigned_control
from carnet_crypto.control_bodies import ControlBody, ControlType
from carnet_crypto.envelope import prefix, read_envelope
from carnet_crypto.labels import Label
from carnet_crypto.rotation import Rotation
from carnet_crypto.secret.content import Content
from carnet_crypto.secret.header import read_header
from carnet_crypto.secret.keys import body_key, message_keys
from carnet_crypto.secret.messages import seal
from carnet_crypto.sodium import SigningKey
from carnet_crypto.values import (
    DeviceId,
    Digest,
    EpochSecret,
    Salt,
    ThreadId,
)
from carnet_crypto.wire import opaque


@dataclass(frozen=True)
class RawBody:
    """A control entry's body of any bytes."""

    TYPE: ControlType
    data: bytes

    def encode(self) -> bytes:
        return self.data


def control_entry(
    client: HonestClient,
    id_: ThreadId,
    body: Any,
    *,
    signer: SigningKey | None = None,
    **changed: Any,
) -> bytes:
    """Return a client's next entry with any body, and with anything else changed."""
    thread, writer = client.room(id_).view.thread, client.writer()
    place = Place(
        thread.id,
        thread.number + 1,
        thread.head,
        client.person.id,
        client.keys.id,
        writer.account.number,
        *writer.checkpoint,
        max(writer.at, thread.at),
    )
    unsigned = unsigned_control(replace(place, **changed), body)
    return unsigned + (signer or client.keys.signing).sign(Label.SIGN_CONTROL, unsigned)


def with_rotation(body: ControlBody, **changed: Any) -> Any:
    """Return a body with its rotation changed."""
    rotation: Rotation = body.rotation  # type: ignore[attr-defined]
    return replace(body, rotation=replace(rotation, **changed))  # type: ignore[type-var]


def message(
    client: HonestClient,
    id_: ThreadId,
    content: Content,
    *,
    claims: DeviceId | None = None,
    secret: EpochSecret | None = None,
    **changed: Any,
) -> tuple[int, bytes]:
    """Return a client's next message with anything changed: its number, its envelope."""
    view, writer = client.room(id_).view, client.writer()
    frozen, view.is_frozen = view.is_frozen, False
    draft = view.draft(client.keys.id, content, writer.checkpoint, writer.at)
    view.is_frozen = frozen
    draft = replace(draft, **changed)
    keys: Any = client.keys
    if claims is not None:
        keys = SimpleNamespace(id=claims, signing=client.keys.signing)
    sealed = seal(draft, secret or view.secrets[draft.epoch], keys, writer.entropy)
    return draft.sequence, sealed[0]


def reseal(
    envelope: bytes, secret: EpochSecret, thread: ThreadId, epoch: int, to: EpochSecret, salt: bytes
) -> bytes:
    """Return what a member makes of another's signed message for another place or key."""
    found = read_envelope(envelope)
    _, header_key, key = message_keys(secret, found.keyed)
    header = sodium.decrypt(header_key, found.sealed_header, found.prefix + b"H")
    body_salt, sealed = Salt(found.body[:32]), found.body[32:]
    plain = sodium.decrypt(body_key(key, body_salt), sealed, found.prefix + b"B")
    start = prefix(thread, epoch, Salt(salt))
    committing, header_key, key = message_keys(to, start[8:])
    start += commitment(committing, start)
    return (
        start
        + opaque(sodium.encrypt(header_key, header, start + b"H"))
        + opaque(body_salt + sodium.encrypt(body_key(key, body_salt), plain, start + b"B"))
    )


def commitment(key: bytes, start: bytes) -> Digest:
    from hashlib import blake2b

    return Digest(blake2b(start, key=key, digest_size=32).digest())


def header_of(envelope: bytes, secret: EpochSecret) -> Any:
    """Return the header that an envelope holds, for whoever has the epoch's secret."""
    found = read_envelope(envelope)
    _, header_key, _ = message_keys(secret, found.keyed)
    plain = sodium.decrypt(header_key, found.sealed_header, found.prefix + b"H")
    return read_header(plain)[0]
