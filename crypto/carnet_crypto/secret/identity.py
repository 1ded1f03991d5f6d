"""Making the entries of an account's own chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.chain import (
    change_of_root,
    possession_of_device,
    recovery_signer,
    signer_of_device,
    unsigned_entry,
)
from carnet_crypto.chain_bodies import (
    AddDevice,
    AekRotate,
    Body,
    Close,
    Delegate,
    Genesis,
    RecoverySet,
    RevokeDevice,
    Roster,
    RosterMember,
    RotateRoot,
    Undelegate,
)
from carnet_crypto.kinds import AccountKind, DeviceFlag, RevocationReason, RosterRole, Scope
from carnet_crypto.labels import Label
from carnet_crypto.secret.generations import FOR_RECOVERY, seal_before, seal_seed, wrap_for_account
from carnet_crypto.secret.keys import AekKeys, DeviceKeys, Entropy, RootKey
from carnet_crypto.seeds import DeviceWrap
from carnet_crypto.values import (
    AccountId,
    AekSeed,
    BoxPublic,
    DeviceId,
    Digest,
    Signature,
    SignerId,
    SignPublic,
)


@dataclass(frozen=True, slots=True)
class DeviceOffer:
    """What a device shows of itself to be added: its public keys, and that it holds them."""

    device: DeviceId
    sign: SignPublic
    box: BoxPublic
    flag: DeviceFlag
    not_after: int  # milliseconds since 1970, or 0 for no end
    possession: Signature


def offer(
    account: AccountId, keys: DeviceKeys, flag: DeviceFlag, not_after: int = 0
) -> DeviceOffer:
    """Return what a device shows to be added to this account, and to no other."""
    shown = possession_of_device(account, keys.signing.public, keys.box, flag, not_after)
    return DeviceOffer(
        keys.id,
        keys.signing.public,
        keys.box,
        flag,
        not_after,
        keys.signing.sign(Label.SIGN_POSSESSION, shown),
    )


def genesis(
    kind: AccountKind,
    root: RootKey,
    recovery_box: BoxPublic,
    recovery_sign: SignPublic,
    at: int,
) -> bytes:
    """Return the first entry of a new account."""
    body = Genesis(kind, root.signing.public, recovery_box, recovery_sign)
    unsigned = unsigned_entry(AccountId.zero(), 0, Digest.zero(), at, root.signer, body)
    return unsigned + root.signing.sign(Label.SIGN_ACCOUNT, unsigned)


def add_device(
    account: Account,
    root: RootKey,
    offered: DeviceOffer,
    newest: AekKeys | None,
    at: int,
    entropy: Entropy,
) -> bytes:
    """Return the entry that adds a device, and gives it the newest encryption key.

    Raises:
        OpenFailed: nothing can be sealed for its key.
    """
    wrap = b""
    if newest is not None:
        wrap = seal_seed(account.id, newest, offered.device, offered.box, entropy)
    body = AddDevice(
        offered.device,
        offered.sign,
        offered.box,
        offered.flag,
        offered.not_after,
        offered.possession,
        wrap,
    )
    return _by_root(account, root, body, at)


def revoke_device(
    account: Account,
    root: RootKey,
    device: DeviceId,
    reason: RevocationReason,
    checkpoint: tuple[int, Digest],
    at: int,
) -> bytes:
    """Return the entry that revokes a device. `rotate_aek` must follow."""
    return _by_root(account, root, RevokeDevice(device, reason, *checkpoint), at)


def rotate_aek(
    account: Account,
    signer: RootKey | DeviceKeys,
    newest: AekKeys | None,
    others: Mapping[AccountId, Account],
    at: int,
    entropy: Entropy,
) -> tuple[bytes, AekKeys]:
    """Return the entry that begins a generation, and its keys.

    Args:
        account: as its whole chain says.
        signer: the root, or a primary device.
        newest: the generation before, None for the first.
        others: the verified accounts of all delegates and of everybody in the roster.
        at: milliseconds since 1970.
        entropy: where randomness comes from.

    Raises:
        Refused: one of the others has no encryption key yet, or is not there.
    """
    number = newest.number + 1 if newest is not None else 1
    at = max(at, account.at)
    made = AekKeys(number, AekSeed(entropy(32)))
    devices, accounts = account.wrapped_for(at)
    previous = b"" if newest is None else seal_before(account.id, made, newest)
    body = AekRotate(
        number,
        made.public,
        made.commitment,
        previous,
        tuple(
            DeviceWrap(id_, seal_seed(account.id, made, id_, account.devices[id_].box, entropy))
            for id_ in devices
        ),
        tuple(wrap_for_account(account.id, made, others.get(id_), entropy) for id_ in accounts),
        seal_seed(account.id, made, FOR_RECOVERY, account.recovery_box, entropy),
    )
    if isinstance(signer, RootKey):
        return _by_root(account, signer, body, at), made
    unsigned = _unsigned(account, body, signer_of_device(signer.id), at)
    return unsigned + signer.signing.sign(Label.SIGN_ACCOUNT, unsigned), made


def rotate_root(
    account: Account,
    signer: RootKey | sodium.SigningKey,
    new: RootKey,
    at: int,
    consent: RootKey | sodium.SigningKey | None = None,
) -> bytes:
    """Return the entry that sets another root.

    Args:
        account: as its whole chain says.
        signer: the root, or the recovery key, which alone takes effect after 72 hours.
        new: the root from then on.
        at: milliseconds since 1970.
        consent: the other of the two, where it is at hand: then it takes effect at once.
    """
    shown = change_of_root(account.id, account.number + 1, account.head, new.signing.public)
    agreed = (
        b"" if consent is None else bytes(_signing(consent).sign(Label.SIGN_ROOT_CHANGE, shown))
    )
    body = RotateRoot(new.signing.public, new.signing.sign(Label.SIGN_POSSESSION, shown), agreed)
    if isinstance(signer, RootKey):
        return _by_root(account, signer, body, at)
    unsigned = _unsigned(account, body, recovery_signer(signer.public), at)
    return unsigned + signer.sign(Label.SIGN_ACCOUNT, unsigned)


def set_recovery(account: Account, root: RootKey, body: RecoverySet, at: int) -> bytes:
    """Return the entry that sets recovery keys and names the backup they open."""
    return _by_root(account, root, body, at)


def delegate(
    account: Account,
    root: RootKey,
    newest: AekKeys,
    to: Account,
    scope: Scope,
    not_before: int,
    not_after: int,
    at: int,
    entropy: Entropy,
) -> bytes:
    """Return the entry that lets another account act for this one, for a time.

    Raises:
        Refused: the other account has no encryption key yet.
    """
    wrap = wrap_for_account(account.id, newest, to, entropy)
    return _by_root(account, root, Delegate(to.id, scope, not_before, not_after, wrap), at)


def undelegate(account: Account, root: RootKey, who: AccountId, at: int) -> bytes:
    """Return the entry that ends a delegation. `rotate_aek` must follow."""
    return _by_root(account, root, Undelegate(who), at)


def set_roster(
    account: Account,
    root: RootKey,
    newest: AekKeys,
    members: Sequence[tuple[Account, RosterRole]],
    at: int,
    entropy: Entropy,
) -> bytes:
    """Return the entry that says who a team is. `rotate_aek` must follow where somebody left.

    Raises:
        Refused: a member has no encryption key yet.
    """
    ordered = sorted(members, key=lambda member: member[0].id)
    body = Roster(
        tuple(
            RosterMember(wrap_for_account(account.id, newest, member, entropy), role)
            for member, role in ordered
        )
    )
    return _by_root(account, root, body, at)


def close(account: Account, root: RootKey, at: int) -> bytes:
    """Return the last entry of an account."""
    return _by_root(account, root, Close(), at)


def _signing(key: RootKey | sodium.SigningKey) -> sodium.SigningKey:
    return key.signing if isinstance(key, RootKey) else key


def _unsigned(account: Account, body: Body, signer: SignerId, at: int) -> bytes:
    # A clock that was set back must not make an entry that nobody takes.
    at = max(at, account.at)
    return unsigned_entry(account.id, account.number + 1, account.head, at, signer, body)


def _by_root(account: Account, root: RootKey, body: Body, at: int) -> bytes:
    unsigned = _unsigned(account, body, root.signer, at)
    return unsigned + root.signing.sign(Label.SIGN_ACCOUNT, unsigned)
