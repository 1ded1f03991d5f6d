"""Making the entries of a thread's control log, and opening the secrets of its epochs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.control import Place, thread_context, unsigned_control
from carnet_crypto.control_bodies import (
    NONCE_BYTES,
    Add,
    Added,
    CloseThread,
    ControlBody,
    Create,
    ForkResolve,
    Joined,
    Leave,
    Policy,
    Remove,
    Rotate,
    SetPolicy,
)
from carnet_crypto.errors import Malformed, OpenFailed, Reason, Refused
from carnet_crypto.kinds import RemovalReason, Role
from carnet_crypto.labels import Label
from carnet_crypto.rotation import (
    EpochMember,
    HistoryWrap,
    Rotation,
    Wrap,
    WrapFor,
    digest_of_wraps,
)
from carnet_crypto.secret.keys import AekKeys, DeviceKeys, Entropy, epoch_commitment
from carnet_crypto.thread import Thread, known
from carnet_crypto.values import AccountId, BoxSecret, Digest, EpochSecret, ThreadId
from carnet_crypto.wire import Reader, u32


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, with what, and knowing what."""

    account: Account
    keys: DeviceKeys
    checkpoint: tuple[int, Digest]
    at: int  # milliseconds since 1970
    entropy: Entropy


@dataclass(frozen=True, slots=True)
class Written:
    """An entry, and what goes beside it."""

    entry: bytes
    wraps: tuple[WrapFor, ...] = ()
    history: tuple[HistoryWrap, ...] = ()
    secret: EpochSecret | None = None


def create(writer: Writer, policy: Policy, members: Iterable[tuple[Account, Role]]) -> Written:
    """Return a thread's first entry. The writer is one of the members, as a manager.

    Raises:
        Refused: a member has no encryption key, or delegates whom the policy forbids.
    """
    joined = sorted(members, key=lambda member: member[0].id)
    nonce = writer.entropy(NONCE_BYTES)
    accounts = {account.id: account for account, _ in joined}
    context = thread_context(writer.account.id, nonce)
    rotation, wraps, secret = _new_epoch(writer, context, 1, accounts, policy)
    body = Create(
        nonce, policy, tuple(Joined(account.id, role) for account, role in joined), rotation
    )
    place = _place(writer, ThreadId.zero(), 0, Digest.zero())
    return Written(_sign(writer, place, body), wraps, (), secret)


def add(
    writer: Writer,
    thread: Thread,
    accounts: Mapping[AccountId, Account],
    added: Sequence[Added],
    secrets: Mapping[int, EpochSecret],
) -> Written:
    """Return the entry that adds members, with the secrets of what they may read of before.

    Args:
        writer: who adds.
        thread: as its whole log says.
        accounts: the verified accounts of all members and of those who are added.
        added: who, as what, and from which epoch on.
        secrets: what the writer holds, by epoch.

    Raises:
        Refused: a member has no encryption key, or an older secret is not at hand (`WRONG_EPOCH`).
    """
    ids = {*thread.members, *(each.account for each in added)}
    rotation, wraps, secret = _next_epoch(writer, thread, accounts, ids)
    ordered = sorted(added, key=lambda each: each.account)
    history = [
        HistoryWrap(each.account, epoch, wrap)
        for each in ordered
        for epoch in range(each.history_from, thread.epoch.number + 1)
        for wrap in [_wrap(writer, thread.context, epoch, known(accounts, each.account), secrets)]
    ]
    body = Add(tuple(ordered), rotation)
    return Written(_follow(writer, thread, body), wraps, tuple(history), secret)


def remove(
    writer: Writer,
    thread: Thread,
    accounts: Mapping[AccountId, Account],
    gone: AccountId,
    reason: RemovalReason,
) -> Written:
    """Return the entry that removes a member, and begins an epoch without them.

    Raises:
        Refused: a member has no encryption key.
    """
    left = set(thread.members) - {gone}
    rotation, wraps, secret = _next_epoch(writer, thread, accounts, left)
    return Written(_follow(writer, thread, Remove(gone, reason, rotation)), wraps, (), secret)


def rotate(writer: Writer, thread: Thread, accounts: Mapping[AccountId, Account]) -> Written:
    """Return the entry that begins an epoch with the same members.

    Raises:
        Refused: a member has no encryption key.
    """
    rotation, wraps, secret = _next_epoch(writer, thread, accounts, set(thread.members))
    return Written(_follow(writer, thread, Rotate(rotation)), wraps, (), secret)


def set_policy(writer: Writer, thread: Thread, policy: Policy) -> Written:
    """Return the entry that changes the policy."""
    return Written(_follow(writer, thread, SetPolicy(policy)))


def close(writer: Writer, thread: Thread) -> Written:
    """Return the entry that ends the exchanges."""
    return Written(_follow(writer, thread, CloseThread()))


def leave(writer: Writer, thread: Thread) -> Written:
    """Return the entry by which the writer goes."""
    return Written(_follow(writer, thread, Leave()))


def resolve_fork(writer: Writer, thread: Thread, number: int, abandoned: Digest) -> Written:
    """Return the entry that says which of two logs the writer goes on with."""
    return Written(_follow(writer, thread, ForkResolve(number, abandoned)))


def open_wrap(
    wrap: bytes,
    thread: Thread,
    epoch: int,
    own: AccountId,
    keys: Mapping[int, AekKeys],
) -> EpochSecret:
    """Return an epoch's secret from the wrap for our account.

    Args:
        wrap: the sealed box, of the epoch itself or given later as history.
        thread: whose log committed to the epoch.
        epoch: its number.
        own: the account it is for.
        keys: that account's generations, by number.

    Raises:
        OpenFailed: it is not for us, not of this thread and epoch, or not the secret that the
            epoch's entry committed to.
    """
    if not 1 <= epoch <= len(thread.epochs) or len(wrap) != Wrap.SIZE:
        raise OpenFailed
    committed = thread.epochs[epoch - 1].rotation.commitment
    for number in sorted(keys, reverse=True):
        try:
            opened = keys[number].open(wrap)
        except OpenFailed:
            continue
        return _unwrapped(opened, thread.context, epoch, own, number, committed)
    raise OpenFailed


def _unwrapped(
    opened: bytes, context: Digest, epoch: int, own: AccountId, number: int, committed: Digest
) -> EpochSecret:
    reader = Reader(opened)
    try:
        reader.magic(Label.WRAP.prefix)
        found = reader.fixed(Digest), reader.u32(), reader.fixed(AccountId), reader.u32()
        secret = reader.fixed(EpochSecret)
        reader.end()
    except Malformed as error:
        raise OpenFailed from error
    if found != (context, epoch, own, number):
        raise OpenFailed
    if not sodium.are_equal(epoch_commitment(secret, context, epoch), committed):
        raise OpenFailed
    return secret


def _next_epoch(
    writer: Writer,
    thread: Thread,
    accounts: Mapping[AccountId, Account],
    members: set[AccountId],
) -> tuple[Rotation, tuple[WrapFor, ...], EpochSecret]:
    chosen = {id_: known(accounts, id_) for id_ in members}
    number = thread.epoch.number + 1
    return _new_epoch(writer, thread.context, number, chosen, thread.policy)


def _new_epoch(
    writer: Writer,
    context: Digest,
    number: int,
    members: Mapping[AccountId, Account],
    policy: Policy,
) -> tuple[Rotation, tuple[WrapFor, ...], EpochSecret]:
    secret = EpochSecret(writer.entropy(32))
    ordered = [members[id_] for id_ in sorted(members)]
    for account in ordered:
        check_recipient(account, policy, writer.at)
    wraps = tuple(
        WrapFor(account.id, _wrap(writer, context, number, account, {number: secret}))
        for account in ordered
    )
    keys = tuple(
        EpochMember(account.id, account.generation.number, account.generation.aek)
        for account in ordered
        if account.generation is not None
    )
    commitment = epoch_commitment(secret, context, number)
    return Rotation(number, keys, commitment, digest_of_wraps(wraps)), wraps, secret


def check_recipient(account: Account, policy: Policy, at: int) -> None:
    """Check that an account may be given an epoch's secret.

    Raises:
        Refused: it has no encryption key (`WRONG_GENERATION`), somebody holds that key who should
            no longer (`ROTATION_DUE`), it is closed, or it has delegates and the thread allows
            none (`DELEGATION_FORBIDDEN`).
    """
    if account.is_closed:
        raise Refused(Reason.CLOSED)
    if account.generation is None:
        raise Refused(Reason.WRONG_GENERATION)
    if account.is_stale(at):
        raise Refused(Reason.ROTATION_DUE)
    if not policy.is_delegation_allowed and any(
        at <= delegation.not_after for delegation in account.delegations.values()
    ):
        raise Refused(Reason.DELEGATION_FORBIDDEN)


def _wrap(
    writer: Writer,
    context: Digest,
    epoch: int,
    account: Account,
    secrets: Mapping[int, EpochSecret],
) -> Wrap:
    secret, generation = secrets.get(epoch), account.generation
    if secret is None:
        raise Refused(Reason.WRONG_EPOCH)
    if generation is None:
        raise Refused(Reason.WRONG_GENERATION)
    message = (
        Label.WRAP.prefix + context + u32(epoch) + account.id + u32(generation.number) + secret
    )
    return Wrap(sodium.seal(message, generation.aek, BoxSecret(writer.entropy(32))))


def _place(writer: Writer, thread: ThreadId, number: int, link: Digest) -> Place:
    return Place(
        thread,
        number,
        link,
        writer.account.id,
        writer.keys.id,
        writer.account.number,
        *writer.checkpoint,
        writer.at,
    )


def _follow(writer: Writer, thread: Thread, body: ControlBody) -> bytes:
    # Another member's clock may be ahead of ours: time never goes back in a log.
    place = _place(writer, thread.id, thread.number + 1, thread.head)
    return _sign(writer, replace(place, at=max(place.at, thread.at)), body)


def _sign(writer: Writer, place: Place, body: ControlBody) -> bytes:
    unsigned = unsigned_control(place, body)
    return unsigned + writer.keys.signing.sign(Label.SIGN_CONTROL, unsigned)
