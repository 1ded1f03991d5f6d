"""The entries of an account's chain: what an account says of its own keys, one after another.

An entry is ``"CRNA" ‖ u8 1 ‖ u8 type ‖ account id ‖ u32 number ‖ link ‖ u64 time ‖ signer id ‖
opaque body ‖ signature``. GENESIS bears a zero id, number and link; the account's id is its digest,
so nobody can put another root under an id. Here is what entries look like; what they say is in
`carnet_crypto.chain_bodies`, and what they may say after one another in `carnet_crypto.account`.
"""

from __future__ import annotations

from dataclasses import dataclass

from carnet_crypto.chain_bodies import Body, EntryType, read_body
from carnet_crypto.errors import Malformed
from carnet_crypto.hashing import digest
from carnet_crypto.kinds import DeviceFlag
from carnet_crypto.labels import Label
from carnet_crypto.values import (
    AccountId,
    BoxPublic,
    DeviceId,
    Digest,
    Signature,
    SignerId,
    SignPublic,
)
from carnet_crypto.wire import Reader, opaque, u8, u32, u64

MAGIC = b"CRNA\x01"
MOST_ENTRY_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """An entry as it was received: ``data`` is what is hashed and verified, never made anew."""

    data: bytes
    account: AccountId  # zero in GENESIS
    number: int
    link: Digest
    at: int  # milliseconds since 1970
    signer: SignerId
    body: Body
    signature: Signature

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return self.data[: -Signature.SIZE]

    @property
    def digest(self) -> Digest:
        """What the next entry links to."""
        return digest(Label.ACCOUNT_ENTRY, self.data)


def unsigned_entry(
    account: AccountId, number: int, link: Digest, at: int, signer: SignerId, body: Body
) -> bytes:
    """Return an entry up to its signature."""
    return (
        MAGIC
        + u8(body.TYPE)
        + account
        + u32(number)
        + link
        + u64(at)
        + signer
        + opaque(body.encode())
    )


def read_entry(data: bytes) -> ChainEntry:
    """Read an entry. Nothing is verified yet.

    Raises:
        Malformed: it is none, or not in its one form.
    """
    if len(data) > MOST_ENTRY_BYTES:
        raise Malformed("an entry is too long")
    reader = Reader(data)
    reader.magic(MAGIC)
    kind = reader.enum(EntryType)
    account, number, link = reader.fixed(AccountId), reader.u32(), reader.fixed(Digest)
    at, signer = reader.u64(), reader.fixed(SignerId)
    inner = Reader(reader.opaque(MOST_ENTRY_BYTES))
    body = read_body(kind, inner)
    inner.end()
    signature = reader.fixed(Signature)
    reader.end()
    return ChainEntry(data, account, number, link, at, signer, body, signature)


def device_id(sign: SignPublic, box: BoxPublic) -> DeviceId:
    """Return the id that a device's keys make."""
    return DeviceId(digest(Label.DEVICE, sign, box)[: DeviceId.SIZE])


def root_signer(root: SignPublic) -> SignerId:
    """Return how entries name a root key that signed them."""
    return SignerId(digest(Label.ROOT_SIGNER, root)[: SignerId.SIZE])


def recovery_signer(recovery: SignPublic) -> SignerId:
    """Return how entries name a recovery key that signed them."""
    return SignerId(digest(Label.RECOVERY_SIGNER, recovery)[: SignerId.SIZE])


def signer_of_device(device: DeviceId) -> SignerId:
    """Return how entries name a device that signed them."""
    return SignerId(bytes(device))


def possession_of_device(
    account: AccountId, sign: SignPublic, box: BoxPublic, flag: DeviceFlag, not_after: int
) -> bytes:
    """Return what a new device signs to show that it holds its key, for this account only."""
    return account + sign + box + u8(flag) + u64(not_after)


def change_of_root(account: AccountId, number: int, link: Digest, root: SignPublic) -> bytes:
    """Return what a new root, and whoever consents to it, sign."""
    return account + u32(number) + link + root
