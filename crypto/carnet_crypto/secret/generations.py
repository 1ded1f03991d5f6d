"""Generations of an account's encryption key: sealing their seeds, and opening those that one can.

Each seed is sealed for everybody who is to have it, and seals the one before: whoever opens the
newest has all, by one box and one link for each generation.
"""

from __future__ import annotations

from collections.abc import Mapping

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.device import Device
from carnet_crypto.errors import Malformed, OpenFailed, Reason, Refused
from carnet_crypto.generation import Generation
from carnet_crypto.hashing import derive
from carnet_crypto.labels import Label
from carnet_crypto.secret.keys import AekKeys, DeviceKeys, Entropy
from carnet_crypto.seeds import AccountWrap
from carnet_crypto.values import AccountId, AekSeed, BoxPublic, BoxSecret, Key
from carnet_crypto.wire import u32

FOR_RECOVERY = bytes(16)  # stands for the recovery key among those a seed is sealed for


def seal_seed(
    owner: AccountId, keys: AekKeys, recipient: bytes, public: BoxPublic, entropy: Entropy
) -> bytes:
    """Return a generation's seed, sealed for a recipient's key.

    Args:
        owner: whose seed it is.
        keys: of the generation.
        recipient: the id of a device or an account, or `FOR_RECOVERY`.
        public: the recipient's key.
        entropy: where randomness comes from.

    Raises:
        OpenFailed: nothing can be sealed for this key.
    """
    message = _seed_context(owner, keys.number, recipient) + keys.seed
    return sodium.seal(message, public, BoxSecret(entropy(32)))


def wrap_for_account(
    owner: AccountId, keys: AekKeys, other: Account | None, entropy: Entropy
) -> AccountWrap:
    """Return a seed, sealed for the newest encryption key of another account.

    Raises:
        Refused: there is none.
    """
    if other is None or other.generation is None:
        raise Refused(Reason.WRONG_GENERATION)
    box = seal_seed(owner, keys, other.id, other.generation.aek, entropy)
    return AccountWrap(other.id, other.generation.number, box)


def seal_before(owner: AccountId, keys: AekKeys, before: AekKeys) -> bytes:
    """Return the seed of the generation before, under the keys of the next."""
    return sodium.encrypt(_previous_key(owner, keys), before.seed, _of(owner, keys.number))


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
    return _with_all_before(account, _seed_of(account.id, generation, FOR_RECOVERY, opened))


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
