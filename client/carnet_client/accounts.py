"""Our own accounts: begun with a recovery code, recovered by it, and kept in order.

An account is a person's own, that of somebody they act for, or that of where they work. Each has
keys of its own on each device, so that a device can be taken from one and stay with another.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from carnet_client.answers import Viewer
from carnet_client.core import Core
from carnet_client.directory import Directory
from carnet_client.errors import ServerRefusal, StaleChain, UserMistake
from carnet_client.events import RolledBack
from carnet_client.state import OwnAccount, Pending
from carnet_crypto.account import Account
from carnet_crypto.errors import Malformed, OpenFailed, ProtocolError
from carnet_crypto.kinds import AccountKind, DeviceFlag, RevocationReason
from carnet_crypto.secret import identity
from carnet_crypto.secret.generations import open_generations, open_recovered
from carnet_crypto.secret.keys import AekKeys, DeviceKeys, RootKey
from carnet_crypto.secret.pairing import OldDevice
from carnet_crypto.secret.recovery import (
    RecoveryCode,
    Stretching,
    open_backup,
    recovery_entry,
    seal_backup,
    stretch,
)
from carnet_crypto.values import AccountId, DeviceId, SignSeed

ATTEMPTS = 5  # at an entry, while the chain grows meanwhile
Others = Mapping[AccountId, Account]  # delegates and the roster, as their own chains say
_OWN_KINDS = ("PERSON", "PROFESSIONAL")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a new account is: ours where nothing is said."""

    record_id: str | None = None  # of somebody we act for
    organization_id: str | None = None  # where we work
    team: str | None = None  # a team of where we work

    @property
    def is_self(self) -> bool:
        """Whether it is ours."""
        return self.record_id is None and self.organization_id is None and self.team is None

    @property
    def kind(self) -> AccountKind:
        """What kind of account it is."""
        if self.team is not None:
            return AccountKind.TEAM
        return AccountKind.PERSON if self.organization_id is None else AccountKind.ORGANIZATION

    def inputs(self) -> dict[str, str]:
        """Return what the server is told."""
        said = {
            "recordId": self.record_id,
            "organizationId": self.organization_id,
            "team": self.team,
        }
        return {name: value for name, value in said.items() if value is not None}


class Enrolment:
    """An account that is about to begin: its recovery code has to be written down first."""

    def __init__(self, code: RecoveryCode, accounts: Accounts, owner: Owner, phrase: str) -> None:
        self._code, self._accounts = code, accounts
        self._owner, self._phrase = owner, phrase

    @property
    def code(self) -> str:
        """The recovery code. It is shown once, and kept nowhere."""
        return self._code.text

    async def confirm(self, typed: str) -> AccountId:
        """Begin the account, once its holder has typed the code from paper.

        Raises:
            UserMistake: it is not the code.
            ServerRefusal: the server takes no such account.
        """
        try:
            right = secrets.compare_digest(RecoveryCode.read(typed).bits, self._code.bits)
        except Malformed:
            right = False
        if not right:
            raise UserMistake("That is not the recovery code: look at what you wrote down.")
        return await self._accounts.begin(self._code, self._phrase, self._owner)

    def __repr__(self) -> str:
        return "<Enrolment>"


class Accounts:
    """See the module."""

    def __init__(self, core: Core, directory: Directory) -> None:
        self._core, self._directory = core, directory
        self._admitting: OldDevice | None = None

    # --- the first device

    async def enrol(
        self, owner: Owner | None = None, passphrase: str = "", *, is_anew: bool = False
    ) -> Enrolment:
        """Prepare an account; nothing begins before its code is confirmed.

        Args:
            owner: whose; None is our own.
            passphrase: what is needed beside the code to recover; empty for nothing.
            is_anew: give up the account that its owner has: its history is lost, and their
                contacts see another safety number.

        Raises:
            UserMistake: the owner has an account, which is to be paired with or recovered.
        """
        owner = owner or Owner()
        if not owner.is_self:
            self._core.own()
        if owner.is_self and self._core.state.own is not None:
            raise UserMistake("This device is enrolled already.")
        if owner.is_self and not is_anew and _own(await self._core.relay.viewer()):
            raise UserMistake(
                "You have an account on another device: pair this one, or recover by your code."
            )
        return Enrolment(RecoveryCode.generate(self._core.entropy), self, owner, passphrase)

    async def begin(self, code: RecoveryCode, passphrase: str, owner: Owner) -> AccountId:
        """Begin an account with this device, and keep what its recovery code opens."""
        core, at = self._core, self._core.clock()
        keys = await asyncio.to_thread(stretch, code, passphrase, Stretching.default(core.entropy))
        root = RootKey(SignSeed(core.entropy(32)))
        entries = [identity.genesis(owner.kind, root, keys.box, keys.signing.public, at)]
        account = Account.begin(entries[0])
        device = DeviceKeys.generate(core.entropy)
        offered = identity.offer(account.id, device, DeviceFlag.PRIMARY)
        entries.append(identity.add_device(account, root, offered, None, at, core.entropy))
        account = account.extend(entries[-1])
        rotated, _ = identity.rotate_aek(account, root, None, {}, at, core.entropy)
        account = account.extend(rotated)
        backup = seal_backup(keys, account.id, account.number + 1, root)
        recovery = identity.set_recovery(account, root, recovery_entry(keys, backup), at)
        account = account.extend(recovery)
        entries += [rotated, recovery]
        pending = Pending(str(uuid4()), tuple(entries), backup, owner.inputs())
        own = OwnAccount(account.id, device, root, {device.id}, pending)
        if owner.is_self:
            core.state.own = own
        else:
            core.state.others[own.id] = own
        await core.save()  # before anybody hears of it: its keys are nowhere else
        await self._hand_in(own)
        return account.id

    async def resume(self) -> None:
        """Hand in what was made and may not have arrived, after a crash or a cut."""
        for own in list(self._core.all_own().values()):
            if own.pending is not None:
                await self._hand_in(own)

    async def _hand_in(self, own: OwnAccount) -> None:
        core, pending = self._core, own.pending
        if pending is None:
            return
        try:
            await core.relay.create_account(pending.entries, pending.owner, pending.key)
        except ServerRefusal:
            known = {info.id for info in (await core.relay.viewer()).accounts}
            if own.id not in known:
                self._give_up(own)
                await core.save()
                raise
        await core.relay.put_backup(own.id, pending.backup)
        own.pending = None
        await self._directory.look([own.id])
        await core.save()

    def _give_up(self, own: OwnAccount) -> None:
        self._core.state.others.pop(own.id, None)
        if self._core.state.own is own:
            self._core.state.own = None

    # --- a device that comes later

    async def recover(
        self, typed: str, passphrase: str = "", account: AccountId | None = None, *, keep: bool
    ) -> AccountId:
        """Make this device one of an account, by its recovery code.

        Args:
            typed: the code.
            passphrase: what was set beside it; empty for nothing.
            account: which; None is our own.
            keep: whether the account's other devices stay; else they are revoked as lost.

        Raises:
            UserMistake: there is no such account, or the code or the passphrase is wrong: which,
                nobody can tell.
        """
        core = self._core
        before = dict(core.state.others), core.state.own
        try:
            code = RecoveryCode.read(typed)
        except Malformed as error:
            raise UserMistake(f"That is no recovery code: {error}.") from None
        viewer = await core.relay.viewer()
        chosen = account or _own(viewer)
        backup = None if chosen is None else await core.relay.backup(chosen)
        if chosen is None or backup is None:
            raise UserMistake("There is no account of yours to recover.")
        await self._directory.look([chosen])
        chain = self._directory.accounts[chosen]
        try:
            root, keys = await asyncio.to_thread(open_backup, backup, chain, code, passphrase)
            generations = open_recovered(chain, keys.box, keys.box_secret)
        except (OpenFailed, ProtocolError):
            raise UserMistake("The recovery code or its passphrase is wrong.") from None
        device = DeviceKeys.generate(core.entropy)
        own = OwnAccount(chosen, device, root, {device.id})
        if keep:
            own.known |= set(chain.devices)
        if chosen == _own(viewer):
            core.state.own = own
        else:
            core.own()
            core.state.others[chosen] = own
        await core.save()
        try:
            await self._join(own, root, generations, keep=keep)
        except ServerRefusal:
            core.state.others, core.state.own = before
            await core.save()
            raise
        return chosen

    async def _join(
        self, own: OwnAccount, root: RootKey, generations: dict[int, AekKeys], *, keep: bool
    ) -> None:
        core, at = self._core, self._core.clock()
        account = self._directory.accounts[own.id]
        offered = identity.offer(account.id, own.device, DeviceFlag.PRIMARY)
        newest = generations[max(generations)] if generations else None
        entries = [identity.add_device(account, root, offered, newest, at, core.entropy)]
        lost = [] if keep else [device.id for device in account.active_devices(at)]
        account = account.extend(entries[0])
        reason, where = RevocationReason.LOST, self._directory.checkpoint
        for device in lost:
            entries.append(identity.revoke_device(account, root, device, reason, where, at))
            account = account.extend(entries[-1])
        others = await self._others(account)
        rotated, _ = identity.rotate_aek(account, root, newest, others, at, core.entropy)
        entries.append(rotated)
        await core.relay.append(own.id, entries)
        own.known |= set(lost)
        await self._directory.look([own.id])
        await core.save()

    # --- what a chain needs over time

    def admitting(self, account: Account) -> OldDevice:
        """Return the side of pairing that counts what failed, over all tries of this run."""
        if self._admitting is None:
            self._admitting = OldDevice(account, self._core.entropy)
        return self._admitting

    async def add_device(self, own: OwnAccount, offered: identity.DeviceOffer) -> None:
        """Add a device that was paired.

        Raises:
            UserMistake: this device does not hold the account's root.
        """
        root = _root(own)
        own.known.add(offered.device)

        def make(account: Account, newest: AekKeys | None, others: Others) -> list[bytes]:
            at = self._core.clock()
            made = identity.add_device(account, root, offered, newest, at, self._core.entropy)
            return [made]

        await self._append(own, make)
        self._admitting = None

    async def revoke(
        self, device: DeviceId, reason: RevocationReason, account: AccountId | None = None
    ) -> None:
        """Take a device from an account, and begin a key that it does not get.

        Raises:
            UserMistake: this device does not hold the root, or it is the last one.
        """
        own = self._core.acting(account)
        root = _root(own)
        if device == own.device.id:
            raise UserMistake("A device cannot revoke itself: do it from another one.")

        def make(account: Account, newest: AekKeys | None, others: Others) -> list[bytes]:
            at, entropy = self._core.clock(), self._core.entropy
            where = self._directory.checkpoint
            revoked = identity.revoke_device(account, root, device, reason, where, at)
            after = account.extend(revoked)
            rotated, _ = identity.rotate_aek(after, root, newest, others, at, entropy)
            return [revoked, rotated]

        await self._append(own, make)
        own.known.add(device)
        await self._core.save()

    async def freshen(self, own: OwnAccount) -> None:
        """Begin a new key where somebody has the newest one who should no longer.

        That is also so where a delegate, or somebody of the roster, has begun a new key of theirs:
        whoever lost theirs, such as a device that they revoked, could open ours with it.
        """
        account = await self._directory.account(own.id)
        device, at = account.devices.get(own.device.id), self._core.clock()
        if account.generation is None or account.is_closed:
            return
        if device is None or device.flag is not DeviceFlag.PRIMARY or not device.may_act(at):
            return
        if not account.is_stale(at) and not await self._has_moved_on(account):
            return

        def make(account: Account, newest: AekKeys | None, others: Others) -> list[bytes]:
            at, entropy = self._core.clock(), self._core.entropy
            return [identity.rotate_aek(account, own.device, newest, others, at, entropy)[0]]

        await self._append(own, make)

    async def _append(
        self, own: OwnAccount, make: Callable[[Account, AekKeys | None, Others], list[bytes]]
    ) -> None:
        for _ in range(ATTEMPTS):
            await self._directory.look([own.id])
            self._directory.check_fresh()
            account = self._directory.accounts[own.id]
            others = await self._others(account)
            try:
                generations = open_generations(account, own.device)
                newest = generations[max(generations)] if generations else None
                entries = make(account, newest, others)
            except ProtocolError as error:
                raise UserMistake(f"That cannot be done: {error}.") from None
            await self._core.save()  # what it stands upon, and whom it adds, is not forgotten
            try:
                await self._core.relay.append(own.id, entries)
            except StaleChain:
                await self._directory.look([own.id])
                if self._directory.accounts[own.id].number == account.number:
                    raise self._core.unsafe(RolledBack(account=own.id)) from None
                continue
            await self._directory.look([own.id])
            await self._core.save()
            return
        raise UserMistake("The account changes too fast: try again.")

    async def _has_moved_on(self, account: Account) -> bool:
        """Whether the newest key was given to a key that its holder has replaced since."""
        newest = account.generation
        if newest is None:
            return False
        given = list(newest.rotation.accounts)
        given += [d.wrap for d in account.delegations.values() if d.given_in > newest.entry]
        try:
            others = await self._others(account)
        except ServerRefusal:
            return False  # whoever is not there any more has begun nothing
        for wrap in given:
            theirs = others[wrap.account].generation if wrap.account in others else None
            if theirs is not None and theirs.number > wrap.generation:
                return True
        return False

    async def _others(self, account: Account) -> Others:
        ids = {*account.delegations, *account.roster}
        if ids:
            await self._directory.look(ids)
        return {id_: self._directory.accounts[id_] for id_ in ids}


def _own(viewer: Viewer) -> AccountId | None:
    """Return the viewer's own account; the server lists it first."""
    first = viewer.accounts[0] if viewer.accounts else None
    return first.id if first is not None and first.kind in _OWN_KINDS else None


def _root(own: OwnAccount) -> RootKey:
    if own.root is None:
        raise UserMistake("Only a device that holds the root can do that: your first one.")
    return own.root
