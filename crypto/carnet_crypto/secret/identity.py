"""Making the entries of an account's own chain, and opening what they hold for its devices."""

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
from carnet_crypto.device import Device
from carnet_crypto.errors import Malformed, OpenFailed, Reason, Refused
from carnet_crypto.generation import Generation
from carnet_crypto.hashing import derive
from carnet_crypto.kinds import AccountKind, DeviceFlag, RevocationReason, RosterRole, Scope
from carnet_crypto.labels import Label
from carnet_crypto.secret.keys import AekKeys, DeviceKeys, Entropy, RootKey
from carnet_crypto.seeds import AccountWrap, DeviceWrap
from carnet_crypto.values import (
    AccountId,
    AekSeed,
    BoxPublic,
    BoxSecret,
    DeviceId,
    Digest,
    Key,
    Signature,
    SignerId,
    SignPublic,
)
from carnet_crypto.wire import u32

_RECOVERY = bytes(16)  # stands for the recovery key among those a seed is wrapped for


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
        wrap = _seal_seed(account.id, newest, offered.device, offered.box, entropy)
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
    previous = b""
    if newest is not None:
        previous = sodium.encrypt(
            _previous_key(account.id, made), newest.seed, _of(account.id, number)
        )
    body = AekRotate(
        number,
        made.public,
        made.commitment,
        previous,
        tuple(
            DeviceWrap(id_, _seal_seed(account.id, made, id_, account.devices[id_].box, entropy))
            for id_ in devices
        ),
        tuple(wrap_for_account(account.id, made, others.get(id_), entropy) for id_ in accounts),
        _seal_seed(account.id, made, _RECOVERY, account.recovery_box, entropy),
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


def wrap_for_account(
    owner: AccountId, keys: AekKeys, other: Account | None, entropy: Entropy
) -> AccountWrap:
    """Return a seed, sealed for the newest encryption key of another account.

    Raises:
        Refused: there is none.
    """
    if other is None or other.generation is None:
        raise Refused(Reason.WRONG_GENERATION)
    box = _seal_seed(owner, keys, other.id, other.generation.aek, entropy)
    return AccountWrap(other.id, other.generation.number, box)


def open_generations(account: Account, keys: DeviceKeys) -> dict[int, AekKeys]:
    """Return all generations that a device of the account can reach, by number.

    One sealed box is opened, and one link for each generation before: never one for each thread.

    Raises:
        Refused: it is no device of the account (`UNKNOWN_DEVICE`).
        OpenFailed: what the chain holds for it does not open, or is not what was committed to.
    """
    device = account.devices.get(keys.id)
    if device is None:
        raise Refused(Reason.UNKNOWN_DEVICE)
    found = _newest_for_device(account, device)
    if found is None:
        return {}
    generation, box = found
    newest = _seed_of(account.id, generation, keys.id, keys.open(box))
    return _with_all_before(account, newest)


def open_delegated(
    account: Account, own: AccountId, keys: Mapping[int, AekKeys]
) -> dict[int, AekKeys]:
    """Return all generations of an account that ours acts for, or is in the roster of.

    Raises:
        Refused: it is none of both (`UNKNOWN_MEMBER`).
        OpenFailed: what the chain holds for it does not open, or is not what was committed to.
    """
    for generation in reversed(account.generations):
        wraps = {wrap.account: wrap for wrap in generation.rotation.accounts}
        wrap = wraps.get(own) or _given_after(account, generation, own)
        if wrap is not None:
            opened = _open_with(keys, wrap)
            return _with_all_before(account, _seed_of(account.id, generation, own, opened))
    raise Refused(Reason.UNKNOWN_MEMBER)


def open_recovered(
    account: Account, recovery_box: BoxPublic, recovery_secret: BoxSecret
) -> dict[int, AekKeys]:
    """Return all generations, by the key that the recovery code leads to.

    Raises:
        OpenFailed: the newest generation was not sealed for this key.
    """
    generation = account.generation
    if generation is None:
        return {}
    opened = sodium.open_sealed(generation.rotation.recovery, recovery_box, recovery_secret)
    return _with_all_before(account, _seed_of(account.id, generation, _RECOVERY, opened))


def _newest_for_device(account: Account, device: Device) -> tuple[Generation, bytes] | None:
    for generation in reversed(account.generations):
        for wrap in generation.rotation.devices:
            if wrap.device == device.id:
                return generation, wrap.box
        if device.wrap and generation.entry < device.added_in:
            return generation, device.wrap
    return None


def _given_after(account: Account, generation: Generation, own: AccountId) -> AccountWrap | None:
    """Return what a delegation or a roster gave since a generation began, while it is newest."""
    if generation is not account.generation:
        return None
    delegation = account.delegations.get(own)
    if delegation is not None and delegation.given_in > generation.entry:
        return delegation.wrap
    if own in account.roster:
        return account.roster[own][1]
    return None


def _open_with(keys: Mapping[int, AekKeys], wrap: AccountWrap) -> bytes:
    own = keys.get(wrap.generation)
    if own is None:
        raise OpenFailed
    return own.open(wrap.box)


def _with_all_before(account: Account, newest: AekKeys) -> dict[int, AekKeys]:
    found = {newest.number: newest}
    keys = newest
    while keys.number > 1:
        generation = account.generations[keys.number - 1]
        seed = sodium.decrypt(
            _previous_key(account.id, keys),
            generation.rotation.previous,
            _of(account.id, keys.number),
        )
        keys = _committed(account.generations[keys.number - 2], seed)
        found[keys.number] = keys
    return found


def _committed(generation: Generation, seed: bytes) -> AekKeys:
    try:
        keys = AekKeys(generation.number, AekSeed(seed))
    except Malformed as error:
        raise OpenFailed from error
    if keys.commitment != generation.commitment or keys.public != generation.aek:
        raise OpenFailed
    return keys


def _seal_seed(
    owner: AccountId, keys: AekKeys, recipient: bytes, public: BoxPublic, entropy: Entropy
) -> bytes:
    message = _seed_context(owner, keys.number, recipient) + keys.seed
    return sodium.seal(message, public, BoxSecret(entropy(32)))


def _seed_of(owner: AccountId, generation: Generation, recipient: bytes, opened: bytes) -> AekKeys:
    context = _seed_context(owner, generation.number, recipient)
    if not opened.startswith(context):
        raise OpenFailed
    return _committed(generation, opened[len(context) :])


def _seed_context(owner: AccountId, number: int, recipient: bytes) -> bytes:
    return Label.AEK_WRAP.prefix + owner + u32(number) + bytes([len(recipient)]) + recipient


def _previous_key(owner: AccountId, keys: AekKeys) -> Key:
    return derive(keys.seed, Label.AEK_PREVIOUS, _of(owner, keys.number))


def _of(owner: AccountId, number: int) -> bytes:
    return owner + u32(number)


def _signing(key: RootKey | sodium.SigningKey) -> sodium.SigningKey:
    return key.signing if isinstance(key, RootKey) else key


def _unsigned(account: Account, body: Body, signer: SignerId, at: int) -> bytes:
    # A clock that was set back must not make an entry that nobody takes.
    at = max(at, account.at)
    return unsigned_entry(account.id, account.number + 1, account.head, at, signer, body)


def _by_root(account: Account, root: RootKey, body: Body, at: int) -> bytes:
    unsigned = _unsigned(account, body, root.signer, at)
    return unsigned + root.signing.sign(Label.SIGN_ACCOUNT, unsigned)
