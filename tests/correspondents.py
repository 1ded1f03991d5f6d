"""People who write to each other by the protocol alone: no server, a directory log in memory."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.control_bodies import Policy
from carnet_crypto.kinds import AccountKind, DeviceFlag, History, RevocationReason, Role, Roles
from carnet_crypto.secret import identity
from carnet_crypto.secret.conversation import Writer, Written, create, open_wrap
from carnet_crypto.secret.keys import AekKeys, DeviceKeys, RootKey
from carnet_crypto.secret.recovery import (
    RecoveryCode,
    RecoveryKeys,
    Stretching,
    recovery_entry,
    seal_backup,
    stretch,
)
from carnet_crypto.secret.transcript import Transcript
from carnet_crypto.values import AccountId, Digest, SignSeed

Entropy = Callable[[int], bytes]
NOW = 1_800_000_000_000  # milliseconds since 1970
POLICY = Policy(Roles.MANAGER, Roles.MANAGER, History.ALL, True, 1, 0)
CHECKPOINT = (0, Digest.zero())


def seeded(seed: int) -> Entropy:
    """Return randomness that is the same each time."""
    return random.Random(seed).randbytes  # noqa: S311 — for tests that are to repeat themselves


_STRETCHED: dict[bytes, RecoveryKeys] = {}


def cheap_recovery(entropy: Entropy) -> tuple[RecoveryCode, RecoveryKeys]:
    """Return a code and its keys; the stretching of one code is done once in a process."""
    code = RecoveryCode(b"twenty bytes of code")
    if code.bits not in _STRETCHED:
        _STRETCHED[code.bits] = stretch(code, "", Stretching.default(seeded(0)))
    return code, _STRETCHED[code.bits]


@dataclass
class Person:
    """An account with its devices; the first one holds the root."""

    account: Account
    root: RootKey
    recovery: RecoveryKeys
    devices: list[DeviceKeys]
    aeks: dict[int, AekKeys]
    chain: list[bytes]
    backup: bytes = b""
    entropy: Entropy = os.urandom
    others: dict[AccountId, Account] = field(default_factory=dict)

    @staticmethod
    def enrol(
        entropy: Entropy = os.urandom, kind: AccountKind = AccountKind.PERSON, at: int = NOW
    ) -> Person:
        root = RootKey(SignSeed(entropy(32)))
        _, recovery = cheap_recovery(entropy)
        first = identity.genesis(kind, root, recovery.box, recovery.signing.public, at)
        account = Account.begin(first)
        person = Person(account, root, recovery, [], {}, [first], entropy=entropy)
        person.add_device(at=at)
        person.rotate(at=at)
        person.backup = seal_backup(recovery, account.id, person.account.number + 1, root)
        entry = recovery_entry(recovery, person.backup)
        person.extend(identity.set_recovery(person.account, root, entry, at))
        return person

    @property
    def id(self) -> AccountId:
        return self.account.id

    @property
    def newest(self) -> AekKeys | None:
        return self.aeks[max(self.aeks)] if self.aeks else None

    def extend(self, entry: bytes) -> None:
        self.account = self.account.extend(entry)
        self.chain.append(entry)

    def add_device(
        self, flag: DeviceFlag = DeviceFlag.PRIMARY, at: int = NOW, not_after: int = 0
    ) -> DeviceKeys:
        keys = DeviceKeys.generate(self.entropy)
        offered = identity.offer(self.id, keys, flag, not_after)
        entry = identity.add_device(self.account, self.root, offered, self.newest, at, self.entropy)
        self.extend(entry)
        self.devices.append(keys)
        return keys

    def rotate(self, at: int = NOW) -> None:
        entry, made = identity.rotate_aek(
            self.account, self.root, self.newest, self.others, at, self.entropy
        )
        self.extend(entry)
        self.aeks[made.number] = made

    def revoke(
        self, keys: DeviceKeys, checkpoint: tuple[int, Digest] = CHECKPOINT, at: int = NOW
    ) -> None:
        reason = RevocationReason.LOST
        self.extend(
            identity.revoke_device(self.account, self.root, keys.id, reason, checkpoint, at)
        )
        self.rotate(at)

    def writer(
        self,
        at: int = NOW,
        keys: DeviceKeys | None = None,
        checkpoint: tuple[int, Digest] = CHECKPOINT,
    ) -> Writer:
        return Writer(self.account, keys or self.devices[0], checkpoint, at, self.entropy)


def accounts(*people: Person) -> dict[AccountId, Account]:
    return {person.id: person.account for person in people}


def open_thread(
    author: Person, *others: Person, policy: Policy = POLICY, at: int = NOW
) -> tuple[Written, dict[AccountId, Transcript]]:
    """Return a new thread's first entry, and what each member makes of it."""
    members = [(author.account, Role.MANAGER), *((o.account, Role.MEMBER) for o in others)]
    written = create(author.writer(at), policy, members)
    views = {person.id: Transcript(person.id) for person in (author, *others)}
    for person in (author, *others):
        take(views[person.id], person, written, author)
    return written, views


def take(view: Transcript, person: Person, written: Written, author: Person) -> None:
    """Let a member read an entry with what goes beside it."""
    thread = view.log.take(written.entry, author.account)
    for wrap in written.wraps:
        if wrap.account == person.id:
            view.secrets[thread.epoch.number] = open_wrap(
                wrap.wrap, thread, thread.epoch.number, person.id, person.aeks
            )
    for older in written.history:
        if older.account == person.id:
            view.secrets[older.epoch] = open_wrap(
                older.wrap, thread, older.epoch, person.id, person.aeks
            )


def signing(person: Person) -> sodium.SigningKey:
    return person.devices[0].signing
