"""What a chain says an account is, verified entry by entry.

`Account.begin` takes GENESIS, `Account.extend` one more entry; both check everything that can be
checked from the chain alone, and return the account as it is then. Accounts never change: a caller
that keeps an older one can always say what was true when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from carnet_crypto import sodium
from carnet_crypto.admission import admit_box_key, admit_sign_key
from carnet_crypto.chain import (
    ChainEntry,
    change_of_root,
    device_id,
    possession_of_device,
    read_entry,
    recovery_signer,
    root_signer,
)
from carnet_crypto.chain_bodies import (
    AddDevice,
    AekRotate,
    Close,
    Delegate,
    Genesis,
    RecoverySet,
    RevokeDevice,
    Roster,
    RotateRoot,
    Undelegate,
)
from carnet_crypto.device import Device
from carnet_crypto.errors import Malformed, Reason, Refused
from carnet_crypto.generation import Generation
from carnet_crypto.hashing import digest
from carnet_crypto.kinds import AccountKind, DeviceFlag, RosterRole
from carnet_crypto.labels import Label
from carnet_crypto.mandate import Delegation, Mandate, mandates
from carnet_crypto.seeds import MOST_WRAPS, AccountWrap
from carnet_crypto.stretching import check_cost
from carnet_crypto.values import AccountId, BoxPublic, DeviceId, Digest, Signature, SignPublic
from carnet_crypto.wire import LARGEST

ROOT_DELAY = 72 * 3600 * 1000  # milliseconds for which a root set by the recovery key alone waits
MOST_DEVICES = MOST_WRAPS  # ever: a chain costs its readers no more than so many can
MOST_ENTRIES = 10_000  # of a chain: what replaying it may cost has an end


@dataclass(frozen=True, slots=True)
class Account:
    """An account at one moment of its chain."""

    id: AccountId
    kind: AccountKind
    root: SignPublic
    first_root: SignPublic
    recovery_box: BoxPublic
    recovery_sign: SignPublic
    number: int  # of its newest entry
    head: Digest  # what the next entry links to
    at: int  # time of its newest entry
    devices: Mapping[DeviceId, Device]
    generations: tuple[Generation, ...] = ()
    recovery: RecoverySet | None = None
    pending_root: tuple[SignPublic, int] | None = None  # and from when it holds
    delegations: Mapping[AccountId, Delegation] = field(default_factory=dict)
    roster: Mapping[AccountId, tuple[RosterRole, AccountWrap]] = field(default_factory=dict)
    roster_since: Mapping[AccountId, int] = field(default_factory=dict)  # milliseconds since 1970
    ended: tuple[Mandate, ...] = ()  # who wrote for the account once
    roots: tuple[tuple[int, SignPublic], ...] = ()  # (entry, root), each change
    needs_new_aek: bool = False  # somebody who has the newest seed should no longer
    is_closed: bool = False

    @property
    def generation(self) -> Generation | None:
        """The newest generation of its encryption key."""
        return self.generations[-1] if self.generations else None

    def active_devices(self, at: int) -> list[Device]:
        """Return the devices that may act at this time, by id."""
        return sorted((d for d in self.devices.values() if d.may_act(at)), key=lambda d: d.id)

    def active_delegations(self, at: int) -> list[Delegation]:
        """Return who may act for the account at this time, by account."""
        found = (d for d in self.delegations.values() if d.is_active(at))
        return sorted(found, key=lambda d: d.delegate)

    def mandate(self, who: AccountId, at: int) -> Mandate | None:
        """Return by what another account writes for this one at this time; None if by nothing."""
        given = [mandate for mandate in self.ended if mandate.who == who]
        delegation = self.delegations.get(who)
        if delegation is not None:
            given += mandates(delegation, delegation.not_after)
        if who in self.roster:
            given.append(Mandate(who, self.roster_since[who], LARGEST, False))
        holding = [mandate for mandate in given if mandate.not_before <= at <= mandate.not_after]
        return min(holding, key=lambda mandate: mandate.is_delegation, default=None)

    def root_at(self, at: int) -> SignPublic:
        """Return the root that holds at this time: a pending one after its delay."""
        if self.pending_root is not None and at >= self.pending_root[1]:
            return self.pending_root[0]
        return self.root

    def device(self, id_: DeviceId, at: int) -> Device:
        """Return a device that may act at this time.

        Raises:
            Refused: there is none (`UNKNOWN_DEVICE`), or no longer (`REVOKED_DEVICE`,
                `EXPIRED_DEVICE`).
        """
        device = self.devices.get(id_)
        if device is None:
            raise Refused(Reason.UNKNOWN_DEVICE)
        if device.revoked_in is not None:
            raise Refused(Reason.REVOKED_DEVICE)
        if not device.may_act(at):
            raise Refused(Reason.EXPIRED_DEVICE)
        return device

    def wrapped_for(self, at: int) -> tuple[list[DeviceId], list[AccountId]]:
        """Return who must get the next generation of the key, and nobody else: in their order."""
        delegates = {d.delegate for d in self.delegations.values() if at <= d.not_after}
        accounts = delegates | set(self.roster)
        return [device.id for device in self.active_devices(at)], sorted(accounts)

    def is_stale(self, at: int) -> bool:
        """Whether somebody has the newest seed who, at this time, should no longer have it."""
        newest = self.generation
        if newest is None:
            return False
        given = [
            (d.not_after, d.added_in)
            for d in self.devices.values()
            if d.not_after and d.revoked_in is None
        ]
        given += [(d.not_after, d.given_in) for d in self.delegations.values()]
        return self.needs_new_aek or any(
            end < at and (newest.at <= end or newest.entry < since) for end, since in given
        )

    @staticmethod
    def begin(data: bytes) -> Account:
        """Return the account that a GENESIS entry makes.

        Raises:
            Malformed: it is none.
            Refused: a key of it must not be used.
            SignatureFailed: its root did not sign it.
        """
        entry = read_entry(data)
        body = entry.body
        if not isinstance(body, Genesis):
            raise Malformed("a chain begins with GENESIS")
        if entry.number or not entry.account.is_zero or not entry.link.is_zero:
            raise Malformed("GENESIS has no account, number or link")
        admit_sign_key(body.root)
        admit_sign_key(body.recovery_sign)
        admit_box_key(body.recovery_box)
        if entry.signer != root_signer(body.root):
            raise Refused(Reason.UNKNOWN_SIGNER)
        sodium.verify(body.root, Label.SIGN_ACCOUNT, entry.signed, entry.signature)
        return Account(
            id=AccountId(digest(Label.ACCOUNT, data)),
            kind=body.kind,
            root=body.root,
            first_root=body.root,
            recovery_box=body.recovery_box,
            recovery_sign=body.recovery_sign,
            number=0,
            head=entry.digest,
            at=entry.at,
            devices=MappingProxyType({}),
            roots=((0, body.root),),
        )

    @staticmethod
    def replay(entries: Iterable[bytes]) -> Account:
        """Return the account that a whole chain makes.

        Raises:
            ProtocolError: as `begin` and `extend`.
        """
        account: Account | None = None
        for data in entries:
            account = Account.begin(data) if account is None else account.extend(data)
        if account is None:
            raise Malformed("a chain begins with GENESIS")
        return account

    def extend(self, data: bytes) -> Account:
        """Return the account after one more entry.

        Raises:
            Malformed: it is none.
            Refused: it does not follow, or says what it may not.
            SignatureFailed: it is not signed by whom it names.
        """
        entry = read_entry(data)
        if self.is_closed:
            raise Refused(Reason.CLOSED)
        if entry.account != self.id:
            raise Refused(Reason.WRONG_ACCOUNT)
        if entry.number != self.number + 1:
            raise Refused(Reason.OUT_OF_ORDER)
        if entry.number >= MOST_ENTRIES:
            raise Refused(Reason.TOO_MANY)
        if entry.link != self.head:
            raise Refused(Reason.BROKEN_LINK)
        if entry.at < self.at:
            raise Refused(Reason.TIME_REGRESSED)
        self._check_signer(entry)
        settled = self._settle_root(entry.at)
        changed = settled._apply(entry)
        return replace(changed, number=entry.number, head=entry.digest, at=entry.at)

    def _check_signer(self, entry: ChainEntry) -> None:
        """Find who signed by the id the entry names, and check that it is theirs to say."""
        root = self.root_at(entry.at)
        body = entry.body
        if entry.signer == root_signer(root):
            key = root
        elif entry.signer == recovery_signer(self.recovery_sign):
            if not isinstance(body, RotateRoot):
                raise Refused(Reason.NOT_AUTHORIZED)
            key = self.recovery_sign
        else:
            device_name = DeviceId(bytes(entry.signer))
            if device_name not in self.devices:
                raise Refused(Reason.UNKNOWN_SIGNER)
            device = self.device(device_name, entry.at)
            if not isinstance(body, AekRotate) or device.flag is not DeviceFlag.PRIMARY:
                raise Refused(Reason.NOT_AUTHORIZED)
            key = device.sign
        sodium.verify(key, Label.SIGN_ACCOUNT, entry.signed, entry.signature)

    def _settle_root(self, at: int) -> Account:
        """Let a pending root hold once its time has come."""
        if self.pending_root is None or at < self.pending_root[1]:
            return self
        root = self.pending_root[0]
        return replace(
            self, root=root, pending_root=None, roots=(*self.roots, (self.number + 1, root))
        )

    def _apply(self, entry: ChainEntry) -> Account:
        match entry.body:
            case AddDevice() as body:
                return self._add_device(body, entry)
            case RevokeDevice() as body:
                return self._revoke(body, entry)
            case AekRotate() as body:
                return self._rotate_aek(body, entry)
            case RotateRoot() as body:
                return self._rotate_root(body, entry)
            case RecoverySet() as body:
                return self._set_recovery(body)
            case Delegate() as body:
                return self._delegate(body, entry)
            case Undelegate() as body:
                return self._undelegate(body, entry)
            case Roster() as body:
                return self._set_roster(body, entry)
            case Close():
                return replace(self, is_closed=True)
            case _:
                raise Malformed("GENESIS stands first only")

    def _add_device(self, body: AddDevice, entry: ChainEntry) -> Account:
        admit_sign_key(body.sign)
        admit_box_key(body.box)
        if body.device != device_id(body.sign, body.box):
            raise Refused(Reason.BAD_DEVICE_ID)
        if body.device in self.devices:
            raise Refused(Reason.DUPLICATE)
        if len(self.devices) >= MOST_DEVICES:
            raise Refused(Reason.TOO_MANY)
        shown = possession_of_device(self.id, body.sign, body.box, body.flag, body.not_after)
        sodium.verify(body.sign, Label.SIGN_POSSESSION, shown, body.possession)
        if bool(body.wrap) != bool(self.generations):
            raise Refused(Reason.INCOMPLETE_WRAPS)
        if body.not_after and body.not_after <= entry.at:
            raise Refused(Reason.EXPIRED_DEVICE)
        added = Device(
            body.device, body.sign, body.box, body.flag, body.not_after, entry.number, body.wrap
        )
        return replace(self, devices=MappingProxyType({**self.devices, body.device: added}))

    def _revoke(self, body: RevokeDevice, entry: ChainEntry) -> Account:
        device = self.devices.get(body.device)
        if device is None:
            raise Refused(Reason.UNKNOWN_DEVICE)
        if device.revoked_in is not None:
            raise Refused(Reason.DUPLICATE)
        revoked = replace(device, revoked_in=entry.number, revoked_at_size=body.checkpoint_size)
        return replace(
            self,
            devices=MappingProxyType({**self.devices, body.device: revoked}),
            needs_new_aek=bool(self.generations),
        )

    def _rotate_aek(self, body: AekRotate, entry: ChainEntry) -> Account:
        if body.generation != len(self.generations) + 1:
            raise Refused(Reason.WRONG_GENERATION)
        if bool(body.previous) != bool(self.generations):
            raise Refused(Reason.INCOMPLETE_WRAPS)
        devices, accounts = self.wrapped_for(entry.at)
        if [wrap.device for wrap in body.devices] != devices:
            raise Refused(Reason.INCOMPLETE_WRAPS)
        if [wrap.account for wrap in body.accounts] != accounts:
            raise Refused(Reason.INCOMPLETE_WRAPS)
        admit_box_key(body.aek)
        made = Generation(body.generation, body.aek, body.commitment, body, entry.number, entry.at)
        return replace(self, generations=(*self.generations, made), needs_new_aek=False)

    def _rotate_root(self, body: RotateRoot, entry: ChainEntry) -> Account:
        admit_sign_key(body.root)
        shown = change_of_root(self.id, entry.number, entry.link, body.root)
        sodium.verify(body.root, Label.SIGN_POSSESSION, shown, body.possession)
        is_recovery = entry.signer == recovery_signer(self.recovery_sign)
        if body.consent:
            other = self.root if is_recovery else self.recovery_sign
            sodium.verify(other, Label.SIGN_ROOT_CHANGE, shown, Signature(body.consent))
        if is_recovery and not body.consent:
            return replace(self, pending_root=(body.root, entry.at + ROOT_DELAY))
        return replace(
            self,
            root=body.root,
            pending_root=None,
            roots=(*self.roots, (entry.number, body.root)),
        )

    def _set_recovery(self, body: RecoverySet) -> Account:
        if self.pending_root is not None:
            raise Refused(Reason.NOT_AUTHORIZED)
        admit_box_key(body.recovery_box)
        admit_sign_key(body.recovery_sign)
        check_cost(body.passes, body.memory_kib)
        return replace(
            self,
            recovery_box=body.recovery_box,
            recovery_sign=body.recovery_sign,
            recovery=body,
        )

    def _delegate(self, body: Delegate, entry: ChainEntry) -> Account:
        if body.delegate == self.id:
            raise Refused(Reason.WRONG_ACCOUNT)
        if not self.generations:
            raise Refused(Reason.WRONG_GENERATION)
        if body.not_after <= entry.at:
            raise Refused(Reason.NOT_AUTHORIZED)
        given = Delegation(
            body.delegate, body.scope, body.not_before, body.not_after, body.wrap, entry.number
        )
        changed = {**self.delegations, body.delegate: given}
        _check_wrappable({*changed, *self.roster})
        ended = self._ended(self.delegations.get(body.delegate), entry.at)
        return replace(self, delegations=MappingProxyType(changed), ended=ended)

    def _undelegate(self, body: Undelegate, entry: ChainEntry) -> Account:
        if body.delegate not in self.delegations:
            raise Refused(Reason.UNKNOWN_MEMBER)
        left = {key: value for key, value in self.delegations.items() if key != body.delegate}
        ended = self._ended(self.delegations[body.delegate], entry.at)
        return replace(self, delegations=MappingProxyType(left), ended=ended, needs_new_aek=True)

    def _ended(self, before: Delegation | None, at: int) -> tuple[Mandate, ...]:
        """Keep what a delegation allowed until it was replaced or ended."""
        if before is None:
            return self.ended
        return (*self.ended, *mandates(before, min(before.not_after, at)))

    def _set_roster(self, body: Roster, entry: ChainEntry) -> Account:
        if self.kind is AccountKind.PERSON or self.id in {m.wrap.account for m in body.members}:
            raise Refused(Reason.NOT_AUTHORIZED)
        if not self.generations:
            raise Refused(Reason.WRONG_GENERATION)
        members = {m.wrap.account: (m.role, m.wrap) for m in body.members}
        _check_wrappable({*members, *self.delegations})
        gone = sorted(set(self.roster) - set(members))
        since = {id_: self.roster_since.get(id_, entry.at) for id_ in members}
        left = (Mandate(id_, self.roster_since[id_], entry.at, False) for id_ in gone)
        return replace(
            self,
            roster=MappingProxyType(members),
            roster_since=MappingProxyType(since),
            ended=(*self.ended, *left),
            needs_new_aek=self.needs_new_aek or bool(gone),
        )


def _check_wrappable(accounts: set[AccountId]) -> None:
    """Refuse more accounts than one entry can seal a key for."""
    if len(accounts) > MOST_WRAPS:
        raise Refused(Reason.TOO_MANY)
