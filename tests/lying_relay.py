"""A relay with a real directory log and key. It serves the truth, or any lie a test asks for.

Each answer passes through the test's lie, if there is one: ``relay.lies["control"]`` and so on take
who asks and the honest answer, and return what is served. What it stores and orders follows the
rules of the real relay as far as clients depend on them: compare-and-swap on chains, control logs
and sequences, the newest epoch, nothing after CLOSE. ``relay.is_lawless`` drops these rules too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from correspondents import NOW, Person, seeded

from carnet_crypto import merkle
from carnet_crypto.account import Account
from carnet_crypto.checkpoint import (
    NoteKey,
    checkpoint_body,
    cosignature_line,
    cosigned_bytes,
    read_checkpoint,
    signed_note,
)
from carnet_crypto.contacts import LoggedEntry, Trust
from carnet_crypto.control import ControlEntry, read_control, thread_id
from carnet_crypto.directory import HandleClass, binding_leaf, chain_leaf, unsigned_binding
from carnet_crypto.envelope import read_envelope
from carnet_crypto.errors import ProtocolError
from carnet_crypto.labels import Label
from carnet_crypto.rotation import HistoryWrap, WrapFor
from carnet_crypto.secret.conversation import Written
from carnet_crypto.sodium import SigningKey
from carnet_crypto.thread import Thread, check_keys, check_wraps
from carnet_crypto.values import AccountId, Blind, Digest, Label32, SignSeed, ThreadId

ORIGIN = "log.carnet.example"
ISSUER = "register.example"


class Conflict(Exception):
    """Somebody was faster, or the relay's rules forbid it. Nothing was stored."""


def plain_sign(key: SigningKey, message: bytes) -> bytes:
    """Sign without a label, as formats of others want it."""
    from nacl import bindings

    return bindings.crypto_sign(message, key._secret)[:64]


class DirectoryLog:
    """An RFC 9162 tree in memory."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self._nodes: dict[tuple[int, int], bytes] = {}

    def append(self, leaf: bytes) -> int:
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    def _node(self, level: int, index: int) -> bytes:
        found = self._nodes.get((level, index))
        if found is None:
            if level == 0:
                found = merkle.leaf_hash(self.leaves[index])
            else:
                found = merkle.node_hash(
                    self._node(level - 1, 2 * index), self._node(level - 1, 2 * index + 1)
                )
            self._nodes[level, index] = found
        return found

    def _fold(self, start: int, end: int) -> bytes:
        return merkle.fold([self._node(*place) for place in merkle.range_nodes(start, end)])

    def root(self, size: int) -> Digest:
        return Digest(self._fold(0, size))

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        return tuple(self._fold(*ends) for ends in merkle.inclusion_ranges(index, size))

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        return tuple(self._fold(*ends) for ends in merkle.consistency_ranges(old, new))


@dataclass
class Posted:
    """An entry of a control log with all its wraps."""

    entry: bytes
    wraps: tuple[WrapFor, ...]
    history: tuple[HistoryWrap, ...]


@dataclass
class ThreadLog:
    """A thread as the relay keeps it."""

    posted: list[Posted] = field(default_factory=list)
    thread: Thread | None = None
    envelopes: list[bytes] = field(default_factory=list)
    sequences: dict[bytes, int] = field(default_factory=dict)
    epoch: int = 1
    first_epochs: dict[AccountId, int] = field(default_factory=dict)
    has_left: bool = False
    is_closed: bool = False


class LyingRelay:
    """See the module."""

    def __init__(self, seed: int = 1000, now: int = NOW) -> None:
        self.entropy = seeded(seed)
        self.now = now
        self.key = SigningKey(SignSeed(self.entropy(32)))
        self.note = NoteKey(ORIGIN, self.key.public)
        self.issuer = SigningKey(SignSeed(self.entropy(32)))
        self.witnesses: list[tuple[NoteKey, SigningKey]] = []
        self.log = DirectoryLog()
        self.chains: dict[AccountId, list[tuple[bytes, Blind, int]]] = {}
        self.bindings: dict[Label32, list[tuple[bytes, Blind, int]]] = {}
        self.threads: dict[ThreadId, ThreadLog] = {}
        self.blobs: dict[bytes, bytes] = {}
        self.lies: dict[str, Callable[..., Any]] = {}
        self.is_lawless = False
        self._accounts: dict[AccountId, Account] = {}

    def trust(self, quorum: int = 0) -> Trust:
        """Return what honest clients are built with."""
        return Trust(self.note, tuple(note for note, _ in self.witnesses), quorum)

    def _serve(self, what: str, viewer: object, honest: Any, *about: object) -> Any:
        lie = self.lies.get(what)
        return honest if lie is None else lie(viewer, honest, *about)

    # --- the directory

    def publish(self, person: Person) -> None:
        """Log what is new of a person's chain."""
        logged = self.chains.setdefault(person.id, [])
        for number in range(len(logged), len(person.chain)):
            self.log_entry(person.id, number, person.chain[number])

    def log_entry(self, account: AccountId, number: int, entry: bytes) -> None:
        """Log any bytes as an entry of an account."""
        blind = Blind(self.entropy(32))
        index = self.log.append(chain_leaf(account, number, entry, blind))
        self.chains.setdefault(account, []).append((entry, blind, index))

    def bind(
        self, label: Label32, account: AccountId, version: int = 1, signer: SigningKey | None = None
    ) -> bytes:
        """Log that a label is an account's, signed by the issuer or by somebody else."""
        unsigned = unsigned_binding(
            HandleClass.PROFESSIONAL, label, version, account, ISSUER, self.now - 1000, 0
        )
        data = unsigned + (signer or self.issuer).sign(Label.SIGN_BINDING, unsigned)
        blind = Blind(self.entropy(32))
        index = self.log.append(binding_leaf(label, version, data, blind))
        self.bindings.setdefault(label, []).append((data, blind, index))
        return data

    def sign_checkpoint(
        self,
        size: int | None = None,
        *,
        root: bytes | None = None,
        at: int | None = None,
        key: SigningKey | None = None,
        cosigned: int | None = None,
    ) -> str:
        """Return a signed checkpoint: the truth, but for what is asked otherwise."""
        size = len(self.log.leaves) if size is None else size
        root = self.log.root(size) if root is None else root
        body = checkpoint_body(ORIGIN, size, root, self.now if at is None else at)
        text = signed_note(body, self.note, plain_sign(key or self.key, body))
        checkpoint = read_checkpoint(text)
        for note, signing in self.witnesses[:cosigned]:
            seconds = self.now // 1000
            signature = plain_sign(signing, cosigned_bytes(checkpoint, seconds))
            text += cosignature_line(note, seconds, signature)
        return text

    def checkpoint(self, viewer: object, known_size: int) -> tuple[str, tuple[bytes, ...]]:
        """Return the newest checkpoint, and the proof that it extends the viewer's."""
        proof = self.log.consistency(known_size, len(self.log.leaves))
        return self._serve("checkpoint", viewer, (self.sign_checkpoint(), proof))

    def consistency(self, viewer: object, old: int, new: int) -> tuple[bytes, ...]:
        """Return a proof between two sizes."""
        honest = self.log.consistency(old, new) if old <= new <= len(self.log.leaves) else ()
        return self._serve("consistency", viewer, honest)

    def chain(self, viewer: object, account: AccountId, after: int, size: int) -> list[LoggedEntry]:
        """Return the entries after a number, with proofs for a checkpoint's size."""
        honest = [
            LoggedEntry(entry, blind, index, self.log.inclusion(index, size))
            for entry, blind, index in self.chains.get(account, [])[after + 1 :]
            if index < size
        ]
        return self._serve("chain", viewer, honest, account)

    # --- threads

    def append(self, written: Written) -> ThreadId:
        """Take an entry of a control log if it is the next one.

        Raises:
            Conflict: it is not.
        """
        entry = read_control(written.entry)
        id_ = thread_id(written.entry) if entry.thread.is_zero else entry.thread
        log = self.threads.setdefault(id_, ThreadLog())
        if not self.is_lawless:
            if entry.number != len(log.posted):
                raise Conflict
            try:
                log.thread = self._checked(log, entry, written)
            except ProtocolError as error:
                raise Conflict from error
        log.posted.append(Posted(written.entry, written.wraps, written.history))
        self._note_control(log, entry)
        return id_

    def _checked(self, log: ThreadLog, entry: ControlEntry, written: Written) -> Thread:
        author = self.account(entry.author)
        represented = [self.account(id_) for id_ in self.chains]
        if log.thread is None:
            thread = Thread.begin(written.entry, author, represented=represented)
        else:
            thread = log.thread.extend(written.entry, author, represented=represented)
        if entry.rotation is not None:
            check_keys(
                entry.rotation, {m.account: self.account(m.account) for m in entry.rotation.members}
            )
            check_wraps(entry.rotation, written.wraps)
        return thread

    def account(self, id_: AccountId) -> Account:
        """Return an account as its whole chain says."""
        entries = [entry for entry, _, _ in self.chains[id_]]
        known, number = self._accounts.get(id_), 0
        if known is not None and known.number < len(entries):
            number = known.number + 1
        else:
            known = None
        for entry in entries[number:]:
            known = Account.begin(entry) if known is None else known.extend(entry)
        assert known is not None
        self._accounts[id_] = known
        return known

    def _note_control(self, log: ThreadLog, entry: Any) -> None:
        name = type(entry.body).__name__
        if entry.rotation is not None:
            log.epoch, log.has_left = entry.rotation.epoch, False
            for member in entry.rotation.members:
                log.first_epochs.setdefault(member.account, log.epoch)
        for added in getattr(entry.body, "added", ()):
            log.first_epochs[added.account] = min(added.history_from, log.epoch)
        if name == "Remove":
            log.first_epochs.pop(entry.body.account, None)
        if name == "Leave":
            log.has_left = True
            log.first_epochs.pop(entry.author, None)
        if name == "CloseThread":
            log.is_closed = True

    def control(self, viewer: object, id_: ThreadId, after: int) -> list[Posted]:
        """Return the control entries after a number."""
        return self._serve("control", viewer, self.threads[id_].posted[after + 1 :], after)

    def send(self, id_: ThreadId, device: bytes, sequence: int, envelope: bytes) -> int:
        """Take a message if it is the device's next, under the newest epoch; return its number.

        Raises:
            Conflict: it is not, or the thread takes none.
        """
        log = self.threads[id_]
        stale = log.is_closed or log.has_left or read_envelope(envelope).epoch != log.epoch
        if (stale or sequence != log.sequences.get(device, 0) + 1) and not self.is_lawless:
            raise Conflict
        log.sequences[device] = sequence
        log.envelopes.append(envelope)
        return len(log.envelopes)

    def envelopes(
        self, viewer: object, account: AccountId, id_: ThreadId, after: int
    ) -> list[tuple[int, bytes]]:
        """Return the messages after a number that an account has the epochs of."""
        log = self.threads[id_]
        first = log.first_epochs.get(account, 2**40)
        honest = [
            (number, envelope)
            for number, envelope in enumerate(log.envelopes, 1)
            if number > after and read_envelope(envelope).epoch >= first
        ]
        return self._serve("envelopes", viewer, honest)

    def erase(self, id_: ThreadId, number: int) -> None:
        """Forget a message's body."""
        log = self.threads[id_]
        log.envelopes[number - 1] = read_envelope(log.envelopes[number - 1]).erased()

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Yield all that the relay holds, and the names it holds it under."""
        for account, entries in self.chains.items():
            yield from ((f"the chain of {account!r}", b"".join(entry)) for *entry, _ in entries)
        for log in self.threads.values():
            for posted in log.posted:
                yield "a control log", posted.entry
                yield from (("a wrap", wrap.account + wrap.wrap) for wrap in posted.wraps)
                yield from (("an old wrap", wrap.account + wrap.wrap) for wrap in posted.history)
            yield from (("a message", envelope) for envelope in log.envelopes)
        for name, blob in self.blobs.items():
            yield "a blob", name + blob
        yield "the log", b"".join(self.log.leaves)
