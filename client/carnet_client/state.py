"""What a client remembers between two runs: its secrets, and what nobody may take back.

It is kept as JSON inside the sealed file of `carnet_client.vault`; bytes are base64url. No words of
any message are kept: what a thread says is read and verified again, and compared with what is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from carnet_client.errors import DamagedKeyStore
from carnet_crypto.contacts import BindingPin, Pin
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.errors import ProtocolError
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.values import (
    AccountId,
    DeviceId,
    Digest,
    Fixed,
    Label32,
    MessageId,
    SignPublic,
    SignSeed,
    ThreadId,
)

VERSION = 1
F = TypeVar("F", bound=Fixed)


@dataclass
class OwnAccount:
    """An account that this device acts as: ours, a child's, a team's. Its repr shows no key."""

    id: AccountId
    device: DeviceKeys  # that the account's chain holds, and no other chain
    root: RootKey | None = None  # None where another device holds it
    known: set[DeviceId] = field(default_factory=set)  # devices that are known to be its own
    pending: Pending | None = None


@dataclass
class Pending:
    """An account that was made here, and that the server may not have heard of."""

    key: str  # of idempotency
    entries: tuple[bytes, ...] = field(repr=False)
    backup: bytes = field(repr=False)
    owner: dict[str, str] = field(default_factory=dict)


@dataclass
class Unsent:
    """A message that was sealed and may not have arrived: it is sent again as it is."""

    key: str  # of idempotency
    envelope: bytes = field(repr=False)
    sequence: int = 0
    id: MessageId = field(default_factory=MessageId.zero)
    blobs: tuple[str, ...] = ()
    expires_at: int = 0


@dataclass
class ThreadMemory:
    """What is kept of a thread, so that nobody shows us less of it than before."""

    control: tuple[int, Digest] | None = None  # number and head of the newest entry
    seen: dict[DeviceId, int] = field(default_factory=dict)  # highest number of each device
    written: tuple[int, MessageId] = (0, MessageId.zero())  # our own last
    unsent: Unsent | None = None
    account: AccountId | None = None  # whom we act for here; None for ourselves
    device: DeviceId | None = None  # of that account, that wrote from here


@dataclass
class Verified:
    """Somebody whose safety number was compared."""

    root: SignPublic
    at: int  # milliseconds since 1970


@dataclass
class ClientState:
    """See the module."""

    server: str
    login: str = ""
    token: str | None = field(default=None, repr=False)
    own: OwnAccount | None = None
    others: dict[AccountId, OwnAccount] = field(default_factory=dict)  # children, teams
    log_key: str | None = None
    checkpoint: str | None = None
    pins: dict[AccountId, Pin] = field(default_factory=dict)
    labels: dict[Label32, BindingPin] = field(default_factory=dict)
    verified: dict[AccountId, Verified] = field(default_factory=dict)
    names: dict[AccountId, str] = field(default_factory=dict)  # as their holders are called
    threads: dict[ThreadId, ThreadMemory] = field(default_factory=dict)

    @property
    def is_unused(self) -> bool:
        """Whether nobody has signed in with it yet, so that nothing in it is of the server's."""
        return self == ClientState(self.server)

    def encode(self) -> bytes:
        """Return the bytes to keep."""
        shape = {
            "version": VERSION,
            "server": self.server,
            "login": self.login,
            "token": self.token,
            "own": None if self.own is None else _account_shape(self.own),
            "others": [_account_shape(account) for account in self.others.values()],
            "logKey": self.log_key,
            "checkpoint": self.checkpoint,
            "pins": {_text(id_): [pin.number, _text(pin.head)] for id_, pin in self.pins.items()},
            "labels": {
                _text(label): [pin.version, _text(pin.account)]
                for label, pin in self.labels.items()
            },
            "verified": {_text(id_): [_text(v.root), v.at] for id_, v in self.verified.items()},
            "names": {_text(id_): name for id_, name in self.names.items()},
            "threads": {_text(id_): _thread_shape(kept) for id_, kept in self.threads.items()},
        }
        return json.dumps(shape, ensure_ascii=False).encode("utf-8", "surrogatepass")

    @staticmethod
    def decode(data: bytes) -> ClientState:
        """Read what `encode` wrote.

        Raises:
            DamagedKeyStore: it is something else, or of a newer client.
        """
        try:
            shape = json.loads(data)
            if shape["version"] != VERSION:
                raise DamagedKeyStore("This profile was written by a newer carnet-client.")
            return _read(shape)
        except (ValueError, KeyError, TypeError, AttributeError, ProtocolError) as error:
            raise DamagedKeyStore("What this profile keeps is damaged.") from error

    def thread(self, id_: ThreadId) -> ThreadMemory:
        """Return what is kept of a thread; a new memory where it is new."""
        return self.threads.setdefault(id_, ThreadMemory())


def _read(shape: Mapping[str, Any]) -> ClientState:
    return ClientState(
        server=shape["server"],
        login=shape["login"],
        token=shape["token"],
        own=None if shape["own"] is None else _read_account(shape["own"]),
        others={account.id: account for account in map(_read_account, shape["others"])},
        log_key=shape["logKey"],
        checkpoint=shape["checkpoint"],
        pins={
            _fixed(AccountId, id_): Pin(number, _fixed(Digest, head))
            for id_, (number, head) in shape["pins"].items()
        },
        labels={
            _fixed(Label32, label): BindingPin(version, _fixed(AccountId, id_))
            for label, (version, id_) in shape["labels"].items()
        },
        verified={
            _fixed(AccountId, id_): Verified(_fixed(SignPublic, root), at)
            for id_, (root, at) in shape["verified"].items()
        },
        names={_fixed(AccountId, id_): name for id_, name in shape["names"].items()},
        threads={
            _fixed(ThreadId, id_): _read_thread(kept) for id_, kept in shape["threads"].items()
        },
    )


def _account_shape(account: OwnAccount) -> dict[str, Any]:
    root, pending = account.root, account.pending
    return {
        "id": _text(account.id),
        "device": _text(account.device.secret_bytes()),
        "root": None if root is None else _text(root.secret_bytes()),
        "known": sorted(map(_text, account.known)),
        "pending": None
        if pending is None
        else [
            pending.key,
            [_text(entry) for entry in pending.entries],
            _text(pending.backup),
            pending.owner,
        ],
    }


def _read_account(shape: Mapping[str, Any]) -> OwnAccount:
    root, pending = shape["root"], shape["pending"]
    return OwnAccount(
        _fixed(AccountId, shape["id"]),
        DeviceKeys.load(_bytes(shape["device"])),
        None if root is None else RootKey(_fixed(SignSeed, root)),
        {_fixed(DeviceId, text) for text in shape["known"]},
        None
        if pending is None
        else Pending(
            pending[0], tuple(map(_bytes, pending[1])), _bytes(pending[2]), dict(pending[3])
        ),
    )


def _thread_shape(kept: ThreadMemory) -> dict[str, Any]:
    unsent = kept.unsent
    return {
        "control": None if kept.control is None else [kept.control[0], _text(kept.control[1])],
        "seen": {_text(device): number for device, number in kept.seen.items()},
        "written": [kept.written[0], _text(kept.written[1])],
        "device": None if kept.device is None else _text(kept.device),
        "unsent": None
        if unsent is None
        else [
            unsent.key,
            _text(unsent.envelope),
            unsent.sequence,
            _text(unsent.id),
            list(unsent.blobs),
            unsent.expires_at,
        ],
        "account": None if kept.account is None else _text(kept.account),
    }


def _read_thread(shape: Mapping[str, Any]) -> ThreadMemory:
    control, unsent = shape["control"], shape["unsent"]
    return ThreadMemory(
        control=None if control is None else (control[0], _fixed(Digest, control[1])),
        seen={_fixed(DeviceId, device): number for device, number in shape["seen"].items()},
        written=(shape["written"][0], _fixed(MessageId, shape["written"][1])),
        unsent=None
        if unsent is None
        else Unsent(
            unsent[0],
            _bytes(unsent[1]),
            unsent[2],
            _fixed(MessageId, unsent[3]),
            tuple(unsent[4]),
            unsent[5],
        ),
        account=None if shape["account"] is None else _fixed(AccountId, shape["account"]),
        device=None if shape.get("device") is None else _fixed(DeviceId, shape["device"]),
    )


def _text(data: bytes) -> str:
    return to_base64url(bytes(data))


def _bytes(text: str) -> bytes:
    return from_base64url(text)


def _fixed(kind: type[F], text: str) -> F:
    return kind(from_base64url(text))
