"""Sealing and opening messages. Whatever is wrong with one, opening says only that it failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.envelope import (
    LEAST_BODY,
    MOST_BODY,
    Envelope,
    prefix,
    read_envelope,
)
from carnet_crypto.errors import Malformed, OpenFailed, ProtocolError
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.padding import pad, padded_length, unpad
from carnet_crypto.secret.content import Content, encode_content, read_content
from carnet_crypto.secret.header import Header, message_id, read_header, sealed_header
from carnet_crypto.secret.keys import DeviceKeys, Entropy, body_key, message_keys
from carnet_crypto.values import (
    AccountId,
    Digest,
    EpochSecret,
    Key,
    MessageId,
    Salt,
    Signature,
    SignPublic,
    ThreadId,
)
from carnet_crypto.wire import opaque


@dataclass(frozen=True, slots=True)
class Draft:
    """What its author puts into a message, but for keys and randomness."""

    thread: ThreadId
    epoch: int
    account: AccountId
    sequence: int
    previous: MessageId
    control_head: Digest
    heads: tuple[MessageId, ...]
    checkpoint: tuple[int, Digest]
    sent_at: int  # milliseconds since 1970
    content: Content
    expires_at: int = 0  # milliseconds since 1970, or 0 for never


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that opened and is its author's; ``content`` is None once its body is erased."""

    id: MessageId
    header: Header
    content: Content | None


class UnknownAuthor(OpenFailed):
    """A member's key made it, and no chain that was read has its device: a chain may have grown."""

    def __init__(self, account: AccountId) -> None:
        super().__init__()
        self.account = account


def seal(
    draft: Draft, secret: EpochSecret, keys: DeviceKeys, entropy: Entropy
) -> tuple[bytes, MessageId]:
    """Return the envelope of a message, and the message's id.

    The salt makes all keys of the message single-use: two devices with the same state, a copied
    one or one that was set back, never use one twice.

    Raises:
        Malformed: the content is one that nobody would read: too long, or without canonical form.
    """
    plain = encode_content(draft.content)
    read_content(plain, draft.content.KIND)
    if padded_length(len(plain), LEAST_BODY) > MOST_BODY:
        raise Malformed("a message is too long")
    start = prefix(draft.thread, draft.epoch, Salt(entropy(32)))
    committing, header_key, key = message_keys(secret, start[8:])
    whole = start + _commitment(committing, start)
    salt = Salt(entropy(32))
    sealed = sodium.encrypt(body_key(key, salt), pad(plain, LEAST_BODY), whole + b"B")
    unsigned = Header(
        draft.account,
        keys.id,
        draft.sequence,
        draft.previous,
        draft.control_head,
        tuple(sorted(draft.heads)),
        *draft.checkpoint,
        draft.sent_at,
        draft.content.KIND,
        draft.expires_at,
        digest(Label.BODY, salt, sealed),
        Signature.zero(),
    )
    signed = unsigned.unsigned
    signature = keys.signing.sign(Label.SIGN_MESSAGE, whole + signed)
    header = sodium.encrypt(header_key, sealed_header(signed, signature), whole + b"H")
    envelope = whole + opaque(header) + opaque(salt + sealed)
    return envelope, message_id(whole, signed, signature)


def open_message(
    data: bytes | Envelope, secret: EpochSecret, accounts: Mapping[AccountId, Account]
) -> Opened:
    """Return a message, once all that can be known of it alone is verified.

    In this order: the layout; the commitment to the key; the header; the author's device in the
    author's verified chain; the signature; the body's digest; the body; its padding and fields.
    Whether the author was a member, and what came before, is for `transcript` to say.

    Args:
        data: the envelope.
        secret: of the epoch it names.
        accounts: the verified accounts of everybody who was ever a member.

    Raises:
        OpenFailed: for every failure alike. It is an `UnknownAuthor` where reading the author's
            chain on may help.
    """
    try:
        envelope = data if isinstance(data, Envelope) else read_envelope(data)
        return _open(envelope, secret, accounts)
    except UnknownAuthor:
        raise
    except ProtocolError as error:
        raise OpenFailed from error


def _open(envelope: Envelope, secret: EpochSecret, accounts: Mapping[AccountId, Account]) -> Opened:
    start = envelope.prefix
    committing, header_key, key = message_keys(secret, envelope.keyed)
    if not sodium.are_equal(_commitment(committing, start[:76]), envelope.commitment):
        raise OpenFailed
    plain = sodium.decrypt(header_key, envelope.sealed_header, start + b"H")
    header, unsigned = read_header(plain)
    device = _device(header, accounts)
    sodium.verify(device, Label.SIGN_MESSAGE, start + unsigned, header.signature)
    id_ = message_id(start, unsigned, header.signature)
    if envelope.is_erased:
        return Opened(id_, header, None)
    if digest(Label.BODY, envelope.body) != header.body:
        raise OpenFailed
    salt, sealed = Salt(envelope.body[: Salt.SIZE]), envelope.body[Salt.SIZE :]
    padded = sodium.decrypt(body_key(key, salt), sealed, start + b"B")
    return Opened(id_, header, read_content(unpad(padded, LEAST_BODY), header.kind))


def _device(header: Header, accounts: Mapping[AccountId, Account]) -> SignPublic:
    """Return the key of a device that the author's own chain holds, revoked or not."""
    account = accounts.get(header.account)
    device = None if account is None else account.devices.get(header.device)
    if device is None:
        raise UnknownAuthor(header.account)
    return device.sign


def _commitment(key: Key, start: bytes) -> Digest:
    return Digest(blake2b(start, key=key, digest_size=32).digest())
