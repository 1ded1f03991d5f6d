"""Who the vectors are about: accounts and threads made from a stream of repeatable randomness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.chain import unsigned_entry
from carnet_crypto.chain_bodies import Body
from carnet_crypto.control import Place, unsigned_control
from carnet_crypto.control_bodies import ControlBody, Policy
from carnet_crypto.kinds import (
    AccountKind,
    DeviceFlag,
    History,
    RevocationReason,
    Role,
    Roles,
    Scope,
)
from carnet_crypto.labels import Label
from carnet_crypto.secret import identity, recovery
from carnet_crypto.secret.conversation import Writer, Written, open_wrap
from carnet_crypto.secret.keys import AekKeys, DeviceKeys, RootKey
from carnet_crypto.thread import Thread
from carnet_crypto.values import AccountId, Digest, EpochSecret, SignSeed

NOW = 1_800_000_000_000  # milliseconds since 1970
MINUTE = 60_000
DAY = 24 * 3600 * 1000
CHECKPOINT = (7, Digest(bytes(range(32))))
POLICY = Policy(Roles.MANAGER, Roles.MANAGER, History.ALL, True, 1, 0)


class Stream:
    """Bytes that anybody can make again: BLAKE2b-512 of the seed and a counter of eight bytes."""

    def __init__(self, seed: bytes) -> None:
        self._seed, self._counter, self._left = seed, 0, b""

    def __call__(self, length: int) -> bytes:
        """Return the next bytes."""
        while len(self._left) < length:
            counter = self._counter.to_bytes(8, "big")
            self._left += blake2b(self._seed + counter, digest_size=64).digest()
            self._counter += 1
        taken, self._left = self._left[:length], self._left[length:]
        return taken


@dataclass
class Actor:
    """An account with all its secrets, and the chain that it has written."""

    name: str
    entropy: Callable[[int], bytes]
    root: RootKey
    code: recovery.RecoveryCode
    recovery: recovery.RecoveryKeys
    account: Account
    chain: list[bytes]
    devices: list[DeviceKeys] = field(default_factory=list)
    aeks: dict[int, AekKeys] = field(default_factory=dict)
    others: dict[AccountId, Account] = field(default_factory=dict)

    @staticmethod
    def begin(name: str, kind: AccountKind = AccountKind.PERSON, passphrase: str = "") -> Actor:
        """Return an account that has only its first entry."""
        entropy = Stream(b"carnet vectors: " + name.encode())
        root = RootKey(SignSeed(entropy(32)))
        code = recovery.RecoveryCode.generate(entropy)
        keys = recovery.stretch(code, passphrase, recovery.Stretching.default(entropy))
        first = identity.genesis(kind, root, keys.box, keys.signing.public, NOW)
        return Actor(name, entropy, root, code, keys, Account.begin(first), [first])

    @staticmethod
    def enrol(name: str, kind: AccountKind = AccountKind.PERSON) -> Actor:
        """Return an account with a device, an encryption key and a backup."""
        actor = Actor.begin(name, kind)
        actor.add(actor.device())
        actor.add(actor.rotated())
        return actor

    @property
    def id(self) -> AccountId:
        """The account's id."""
        return self.account.id

    @property
    def newest(self) -> AekKeys | None:
        """The newest generation."""
        return self.aeks.get(len(self.account.generations))

    def add(self, entry: bytes) -> None:
        """Take an entry into the chain."""
        self.account = self.account.extend(entry)
        self.chain.append(entry)

    def device(
        self, flag: DeviceFlag = DeviceFlag.PRIMARY, not_after: int = 0, at: int = NOW
    ) -> bytes:
        """Return the entry that adds a new device."""
        keys = DeviceKeys.generate(self.entropy)
        self.devices.append(keys)
        offered = identity.offer(self.id, keys, flag, not_after)
        return identity.add_device(self.account, self.root, offered, self.newest, at, self.entropy)

    def rotated(self, signer: DeviceKeys | None = None, at: int = NOW) -> bytes:
        """Return the entry that begins a generation."""
        entry, made = identity.rotate_aek(
            self.account, signer or self.root, self.newest, self.others, at, self.entropy
        )
        self.aeks[made.number] = made
        return entry

    def revoked(self, keys: DeviceKeys, at: int = NOW) -> bytes:
        """Return the entry that revokes a device."""
        return identity.revoke_device(
            self.account, self.root, keys.id, RevocationReason.LOST, CHECKPOINT, at
        )

    def delegated(self, to: Actor, until: int, at: int = NOW) -> bytes:
        """Return the entry that lets another account act for this one."""
        newest = self.newest
        if newest is None:
            raise ValueError("an encryption key comes first")
        self.others[to.id] = to.account
        return identity.delegate(
            self.account, self.root, newest, to.account, Scope.BOTH, at, until, at, self.entropy
        )

    def signed(
        self,
        body: Body,
        key: sodium.SigningKey | None = None,
        *,
        signer: bytes | None = None,
        at: int | None = None,
        **changes: Any,
    ) -> bytes:
        """Return an entry with any body, as nobody would make it: signed by any key, anywhere."""
        account = replace(self.account, **changes)
        key = key or self.root.signing
        unsigned = unsigned_entry(
            account.id,
            account.number + 1,
            account.head,
            account.at if at is None else at,
            self.root.signer if signer is None else type(self.root.signer)(signer),
            body,
        )
        return unsigned + key.sign(Label.SIGN_ACCOUNT, unsigned)

    def writer(self, at: int = NOW, keys: DeviceKeys | None = None) -> Writer:
        """Return what control entries are written with."""
        return Writer(self.account, keys or self.devices[0], CHECKPOINT, at, self.entropy)


@dataclass
class Log:
    """A thread's control log, and what goes beside it."""

    thread: Thread
    entries: list[dict[str, Any]]
    written: list[Written]
    secrets: dict[int, EpochSecret]

    @staticmethod
    def begin(written: Written, author: Actor) -> Log:
        """Return the log that CREATE begins."""
        log = Log(Thread.begin(written.entry, author.account), [], [], {})
        log._take(written, author)
        return log

    def add(self, written: Written, author: Actor) -> None:
        """Take one more entry."""
        self.thread = self.thread.extend(written.entry, author.account)
        self._take(written, author)

    def _take(self, written: Written, author: Actor) -> None:
        self.entries.append({"author": author.name, "entry": written.entry.hex()})
        self.written.append(written)
        if written.secret is not None:
            self.secrets[self.thread.epoch.number] = written.secret

    def open(self, written: Written, who: Actor) -> EpochSecret:
        """Return the newest epoch's secret from somebody's wrap."""
        epoch = self.thread.epoch.number
        (wrap,) = [each.wrap for each in written.wraps if each.account == who.id]
        return open_wrap(wrap, self.thread, epoch, who.id, who.aeks)

    def signed(
        self, author: Actor, body: ControlBody, keys: DeviceKeys | None = None, **changes: Any
    ) -> bytes:
        """Return an entry with any body at any place, as nobody would make it."""
        keys = keys or author.devices[0]
        place = Place(
            self.thread.id,
            self.thread.number + 1,
            self.thread.head,
            author.id,
            keys.id,
            author.account.number,
            *CHECKPOINT,
            self.thread.at,
        )
        unsigned = unsigned_control(replace(place, **changes), body)
        return unsigned + keys.signing.sign(Label.SIGN_CONTROL, unsigned)


__all__ = ["CHECKPOINT", "DAY", "MINUTE", "NOW", "POLICY", "Actor", "Log", "Role", "Stream"]
