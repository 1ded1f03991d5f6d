"""What a client knows of the directory and of other accounts, and never lets anybody take back.

A client keeps the newest checkpoint and, of each account, the number and head of its chain. Word
that contradicts what is kept is an alarm, raised before anything is sealed for the account. What
is told of a change that is allowed (a new device, another root) is an event, for people to see.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from carnet_crypto.account import ROOT_DELAY, Account
from carnet_crypto.chain import read_entry
from carnet_crypto.chain_bodies import AddDevice, AekRotate, EntryType, RevokeDevice, RotateRoot
from carnet_crypto.checkpoint import FRESH, Checkpoint, NoteKey, advance, verify_checkpoint
from carnet_crypto.device import Device
from carnet_crypto.directory import (
    Binding,
    binding_leaf,
    chain_leaf,
    verify_binding,
    verify_leaf,
)
from carnet_crypto.errors import Malformed, ProofFailed, Reason, Refused
from carnet_crypto.merkle import verify_consistency
from carnet_crypto.safety import account_number, safety_number
from carnet_crypto.values import AccountId, Blind, DeviceId, Digest, Label32, SignPublic

MOST_EARLIER = 64  # checkpoints kept beside the newest
MOST_SKEW = 10 * 60 * 1000  # milliseconds by which an entry may be ahead of the log's clock


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry of a chain or a binding, and the proof that the log holds it."""

    entry: bytes
    blind: Blind
    index: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NewDevice:
    """An account has one device more."""

    account: AccountId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class DeviceRevoked:
    """An account has one device less."""

    account: AccountId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class RootChanged:
    """The safety number is another one: whoever was verified has to be verified again."""

    account: AccountId
    is_pending: bool  # it takes effect after its delay, and can still be objected to


@dataclass(frozen=True, slots=True)
class ChainChanged:
    """An account has said something else of itself: of recovery, delegates, its team, its end."""

    account: AccountId
    number: int
    what: EntryType


@dataclass(frozen=True, slots=True)
class Rebound:
    """Whoever a label is of has another account: whoever was verified has to be verified again."""

    label: Label32
    before: AccountId
    account: AccountId


ContactEvent = NewDevice | DeviceRevoked | RootChanged | ChainChanged | Rebound


@dataclass(frozen=True, slots=True)
class Trust:
    """What a client was built or configured with."""

    log: NoteKey
    witnesses: tuple[NoteKey, ...] = ()
    quorum: int = 0


@dataclass(frozen=True, slots=True)
class Pin:
    """What is kept of an account, so that it never goes back."""

    number: int
    head: Digest


@dataclass(frozen=True, slots=True)
class BindingPin:
    """What is kept of a label, so that it never goes back."""

    version: int
    account: AccountId


class Contacts:
    """See the module. Every method that raises has changed nothing."""

    def __init__(
        self,
        trust: Trust,
        checkpoint: Checkpoint | None = None,
        pins: Mapping[AccountId, Pin] | None = None,
        labels: Mapping[Label32, BindingPin] | None = None,
    ) -> None:
        self.trust = trust
        self.checkpoint = checkpoint
        self._pins = dict(pins or {})
        self._labels = dict(labels or {})
        self._accounts: dict[AccountId, Account] = {}
        self._before = deque[Checkpoint](maxlen=MOST_EARLIER)  # the newest

    @property
    def accounts(self) -> Mapping[AccountId, Account]:
        """All accounts whose chains were read."""
        return self._accounts

    @property
    def pins(self) -> Mapping[AccountId, Pin]:
        """What has to be kept over a restart."""
        return self._pins

    @property
    def labels(self) -> Mapping[Label32, BindingPin]:
        """What has to be kept over a restart."""
        return self._labels

    def take_checkpoint(self, text: str, proof: Sequence[bytes]) -> Checkpoint:
        """Go on to a newer checkpoint, which is shown to hold all of the known one.

        Raises:
            Malformed, Refused, SignatureFailed, ProofFailed: as `checkpoint.verify_checkpoint`
                and `checkpoint.advance`; `Refused` with `SPLIT_VIEW` or `SHRUNK_LOG` is an alarm.
        """
        found = verify_checkpoint(
            text, self.trust.log, witnesses=self.trust.witnesses, quorum=self.trust.quorum
        )
        if self.checkpoint is not None and found.at < self.checkpoint.at:
            raise Refused(Reason.SHRUNK_LOG)
        advanced = advance(self.checkpoint, found, proof)
        if self.checkpoint is not None:
            self._before.append(self.checkpoint)
        self.checkpoint = advanced
        return advanced

    def check_fresh(self, at: int) -> None:
        """Refuse to add anybody, or to rotate, on what may be long out of date.

        Raises:
            Refused: the newest checkpoint is older than a day, or there is none
                (`STALE_CHECKPOINT`).
        """
        if self.checkpoint is None or abs(at - self.checkpoint.at) > FRESH:
            raise Refused(Reason.STALE_CHECKPOINT)

    def take_chain(self, account: AccountId, entries: Iterable[LoggedEntry]) -> list[ContactEvent]:
        """Read a chain, or what of it follows the part that was read before.

        Args:
            account: whose it is said to be.
            entries: from the first that is not yet known on.

        Raises:
            Refused: it is of another account, goes back behind what was seen before
                (`BROKEN_LINK`, `OUT_OF_ORDER`): an alarm; or it is dated later than the checkpoint
                it was logged by (`AHEAD_OF_TIME`), or sets a root and is dated a day before the log
                had it (`TIME_REGRESSED`): a delay of days would be over at once.
            ProofFailed: the log does not hold an entry.
            Malformed, SignatureFailed: an entry does not hold.
        """
        known = self._accounts.get(account)
        found, told = known, list[ContactEvent]()
        pin, is_first = self._pins.get(account), account not in self._pins
        for logged in entries:
            self._check_logged(account, found, logged)
            found = Account.begin(logged.entry) if found is None else found.extend(logged.entry)
            if found.id != account:
                raise Refused(Reason.WRONG_ACCOUNT)
            if pin is not None and found.number == pin.number and found.head != pin.head:
                raise Refused(Reason.BROKEN_LINK)
            self._check_dated(logged, found)
            if known is not None or (pin is not None and found.number > pin.number):
                told.extend(_events(found, logged.entry))
        if found is None:
            raise Malformed("a chain begins with GENESIS")
        if not is_first and pin is not None and found.number < pin.number:
            raise Refused(Reason.OUT_OF_ORDER)
        self._accounts[account] = found
        self._pins[account] = Pin(found.number, found.head)
        return told

    def account(self, account: AccountId) -> Account:
        """Return an account whose chain was read.

        Raises:
            Refused: it was not (`UNKNOWN_MEMBER`).
        """
        found = self._accounts.get(account)
        if found is None:
            raise Refused(Reason.UNKNOWN_MEMBER)
        return found

    def made(self, account: Account) -> None:
        """Take note of an account that this client itself has just made or extended."""
        self._accounts[account.id] = account
        self._pins[account.id] = Pin(account.number, account.head)

    def take_binding(
        self, label: Label32, logged: LoggedEntry, issuer: str, issuer_key: SignPublic, at: int
    ) -> tuple[Binding, list[ContactEvent]]:
        """Return whose account a label is, and whether that has changed.

        Args:
            label: what was asked for.
            logged: the binding, and the proof that the log holds it.
            issuer: the issuer that is pinned for this class of handles.
            issuer_key: that issuer's key.
            at: now, in milliseconds since 1970.

        Raises:
            Refused: as `directory.verify_binding`; or it is older than what was seen before
                (`OUT_OF_ORDER`), or another of the same version (`SPLIT_VIEW`): an alarm.
            Malformed, SignatureFailed, ProofFailed: it does not hold.
        """
        if self.checkpoint is None:
            raise Refused(Reason.STALE_CHECKPOINT)
        binding = verify_binding(
            logged.entry, label=label, issuer=issuer, issuer_key=issuer_key, at=at
        )
        leaf = binding_leaf(label, binding.version, logged.entry, logged.blind)
        verify_leaf(leaf, logged.index, logged.proof, self.checkpoint)
        pin, told = self._labels.get(label), list[ContactEvent]()
        if pin is not None:
            if binding.version < pin.version:
                raise Refused(Reason.OUT_OF_ORDER)
            if binding.account != pin.account:
                if binding.version == pin.version:
                    raise Refused(Reason.SPLIT_VIEW)
                told.append(Rebound(label, pin.account, binding.account))
        self._labels[label] = BindingPin(binding.version, binding.account)
        return binding, told

    def check_gossip(self, size: int, root: Digest, proof: Sequence[bytes] | None = None) -> None:
        """Compare a checkpoint that a member had seen with ours.

        Args:
            size: of theirs.
            root: of theirs.
            proof: that ours extends theirs, where theirs is smaller; None if it was not asked for.

        Raises:
            Refused: two views of one log are being shown (`SPLIT_VIEW`): an alarm, for which both
                checkpoints are kept. Or theirs is larger than any that was shown to us
                (`STALE_CHECKPOINT`): go on to a newer one first.
        """
        ours = self.checkpoint
        if ours is None or size > ours.size:
            raise Refused(Reason.STALE_CHECKPOINT)
        if size == ours.size:
            if root != ours.root:
                raise Refused(Reason.SPLIT_VIEW)
        elif proof is not None:
            try:
                verify_consistency(size, root, ours.size, ours.root, proof)
            except ProofFailed as error:
                raise Refused(Reason.SPLIT_VIEW) from error

    def safety_number(self, one: AccountId, other: AccountId) -> str:
        """Return what the people of two accounts compare."""
        numbers = [account_number(id_, self.account(id_).root) for id_ in (one, other)]
        return safety_number(*numbers)

    def _check_dated(self, logged: LoggedEntry, found: Account) -> None:
        """Compare an entry's time with those of checkpoints that had it, or had it not."""
        if self.checkpoint is not None and found.at > self.checkpoint.at + MOST_SKEW:
            raise Refused(Reason.AHEAD_OF_TIME)
        if found.pending_root is None or found.pending_root[1] != found.at + ROOT_DELAY:
            return
        if any(logged.index >= old.size and found.at < old.at - FRESH for old in self._before):
            raise Refused(Reason.TIME_REGRESSED)

    def _check_logged(self, account: AccountId, known: Account | None, logged: LoggedEntry) -> None:
        if self.checkpoint is None:
            raise Refused(Reason.STALE_CHECKPOINT)
        number = 0 if known is None else known.number + 1
        leaf = chain_leaf(account, number, logged.entry, logged.blind)
        verify_leaf(leaf, logged.index, logged.proof, self.checkpoint)


def own_surprises(
    account: Account, made: Iterable[DeviceId], known: Account | None
) -> list[Device]:
    """Return devices of our own account that nobody here has added or seen: an alarm."""
    expected = {*made, *(known.devices if known is not None else ())}
    return [device for id_, device in account.devices.items() if id_ not in expected]


def _events(account: Account, data: bytes) -> list[ContactEvent]:
    """Return what an entry tells, which made the account what it is."""
    match read_entry(data).body:
        case AddDevice() as body:
            return [NewDevice(account.id, body.device)]
        case RevokeDevice() as body:
            return [DeviceRevoked(account.id, body.device)]
        case RotateRoot():
            return [RootChanged(account.id, account.pending_root is not None)]
        case AekRotate():
            return []
        case body:
            return [ChainChanged(account.id, account.number, body.TYPE)]
