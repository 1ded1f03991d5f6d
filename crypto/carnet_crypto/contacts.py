"""What a client knows of the directory and of other accounts, and never lets anybody take back.

A client keeps the newest checkpoint and, of each account, the number and head of its chain. Word
that contradicts what is kept is an alarm, raised before anything is sealed for the account. What
is told of a change that is allowed (a new device, another root) is an event, for people to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from carnet_crypto.account import Account, Device
from carnet_crypto.chain import AddDevice, RevokeDevice, RotateRoot, read_entry
from carnet_crypto.checkpoint import FRESH, Checkpoint, NoteKey, advance, verify_checkpoint
from carnet_crypto.directory import chain_leaf, verify_leaf
from carnet_crypto.errors import Malformed, Reason, Refused
from carnet_crypto.safety import account_number, safety_number
from carnet_crypto.values import AccountId, Blind, DeviceId, Digest

# Milliseconds by which an author's clock may be ahead of the log's.
CLOCKS_DIFFER = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry of a chain, and the proof that the log holds it."""

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


ContactEvent = NewDevice | DeviceRevoked | RootChanged


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


class Contacts:
    """See the module. Every method that raises has changed nothing."""

    def __init__(
        self,
        trust: Trust,
        checkpoint: Checkpoint | None = None,
        pins: Mapping[AccountId, Pin] | None = None,
    ) -> None:
        self.trust = trust
        self.checkpoint = checkpoint
        self._pins = dict(pins or {})
        self._accounts: dict[AccountId, Account] = {}

    @property
    def accounts(self) -> Mapping[AccountId, Account]:
        """All accounts whose chains were read."""
        return self._accounts

    @property
    def pins(self) -> Mapping[AccountId, Pin]:
        """What has to be kept over a restart."""
        return self._pins

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
        self.checkpoint = advance(self.checkpoint, found, proof)
        return self.checkpoint

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
            Refused: it is of another account, or goes back behind what was seen before
                (`BROKEN_LINK`, `OUT_OF_ORDER`): an alarm. Or an entry is dated after the
                checkpoint that holds it (`AHEAD_OF_TIME`): a delay that is counted in the times
                of entries would end before anybody had seen it.
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
            if self.checkpoint is None or found.at > self.checkpoint.at + CLOCKS_DIFFER:
                raise Refused(Reason.AHEAD_OF_TIME)
            if pin is not None and found.number == pin.number and found.head != pin.head:
                raise Refused(Reason.BROKEN_LINK)
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

    def check_gossip(self, size: int, root: Digest) -> None:
        """Compare a checkpoint that a member had seen with ours, where both are of one size.

        Raises:
            Refused: they differ: two views of one log are being shown (`SPLIT_VIEW`).
        """
        ours = self.checkpoint
        if ours is not None and size == ours.size and root != ours.root:
            raise Refused(Reason.SPLIT_VIEW)

    def safety_number(self, one: AccountId, other: AccountId) -> str:
        """Return what the people of two accounts compare."""
        numbers = [account_number(id_, self.account(id_).root) for id_ in (one, other)]
        return safety_number(*numbers)

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
        case _:
            return []
