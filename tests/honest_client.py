"""One device of somebody, who puts the protocol's parts together as any client has to.

Directory first, then chains, then the control log, then messages; nothing is sealed for an account
that was not read from its logged chain, and nothing is changed by what is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile

from correspondents import POLICY, Person, seeded
from lying_relay import LyingRelay, Posted

from carnet_crypto.account import Account
from carnet_crypto.contacts import ContactEvent, Contacts
from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import Added, Policy
from carnet_crypto.errors import OpenFailed, ProtocolError, Reason, Refused
from carnet_crypto.kinds import RemovalReason, Role
from carnet_crypto.secret import conversation
from carnet_crypto.secret.attachments import FileFacts, Opener, Sealer
from carnet_crypto.secret.content import Complaint, ComplaintAbout, Content, Manifest, Receipt
from carnet_crypto.secret.control_log import Behind
from carnet_crypto.secret.conversation import Writer, Written, open_wrap
from carnet_crypto.secret.filenames import safe_name
from carnet_crypto.secret.generations import open_delegated, open_generations
from carnet_crypto.secret.happenings import ALARMS, Happening, Shown
from carnet_crypto.secret.keys import AekKeys, DeviceKeys
from carnet_crypto.secret.messages import seal
from carnet_crypto.secret.transcript import Transcript
from carnet_crypto.values import AccountId, Digest, ThreadId


@dataclass
class Room:
    """A thread, as this device sees it."""

    view: Transcript
    cursor: int = 0  # the relay's number of the last message read
    told: list[Happening] = field(default_factory=list)
    bad_wraps: list[Digest] = field(default_factory=list)  # entries that gave us no key

    @property
    def alarms(self) -> list[Happening]:
        return [happening for happening in self.told if isinstance(happening, ALARMS)]

    @property
    def words(self) -> list[str]:
        contents = (shown.content for shown in self.view.in_order())
        return [content.text for content in contents if hasattr(content, "text")]


class HonestClient:
    """See the module. ``own`` is another account where the person acts for somebody."""

    def __init__(
        self,
        relay: LyingRelay,
        person: Person,
        keys: DeviceKeys | None = None,
        own: AccountId | None = None,
        quorum: int = 0,
    ) -> None:
        self.relay, self.person = relay, person
        self.keys = keys or person.devices[0]
        self.own = own or person.id
        self.contacts = Contacts(relay.trust(quorum))
        self.rooms: dict[ThreadId, Room] = {}
        self.events: list[ContactEvent] = []

    # --- directory and chains

    def look(self, *accounts: AccountId) -> None:
        """Go on to the newest checkpoint, and read all known chains and these to their ends."""
        known = 0 if self.contacts.checkpoint is None else self.contacts.checkpoint.size
        self.contacts.take_checkpoint(*self.relay.checkpoint(self, known))
        for account in {self.person.id, self.own, *accounts, *self.contacts.accounts}:
            self.read_chain(account)

    def read_chain(self, account: AccountId) -> None:
        checkpoint = self.contacts.checkpoint
        assert checkpoint is not None
        known = self.contacts.accounts.get(account)
        after = -1 if known is None else known.number
        found = self.relay.chain(self, account, after, checkpoint.size)
        self.events += self.contacts.take_chain(account, found)

    def account(self, id_: AccountId, number: int = 0) -> Account:
        """Return an account that is known at least up to an entry, if the log has it."""
        known = self.contacts.accounts.get(id_)
        if known is None or known.number < number:
            self.look(id_)
        return self.contacts.account(id_)

    @property
    def aeks(self) -> dict[int, AekKeys]:
        """The encryption keys of the account we read as, opened from its chain."""
        mine = open_generations(self.account(self.person.id), self.keys)
        if self.own == self.person.id:
            return mine
        return open_delegated(self.account(self.own), self.person.id, mine)

    def writer(self) -> Writer:
        checkpoint = self.contacts.checkpoint
        assert checkpoint is not None
        return Writer(
            self.account(self.person.id),
            self.keys,
            (checkpoint.size, checkpoint.root),
            self.relay.now,
            self.person.entropy,
        )

    # --- threads

    def open(self, *others: tuple[AccountId, Role], policy: Policy = POLICY) -> ThreadId:
        self.look(*(id_ for id_, _ in others))
        self.contacts.check_fresh(self.relay.now)
        members = [(self.account(self.own), Role.MANAGER)]
        members += [(self.account(id_), role) for id_, role in others]
        id_ = self.relay.append(conversation.create(self.writer(), policy, members))
        self.read(id_)
        return id_

    def room(self, id_: ThreadId) -> Room:
        return self.rooms.setdefault(id_, Room(Transcript(self.own, author=self.person.id)))

    def read(self, id_: ThreadId) -> list[Happening]:
        """Read a thread on to its end; return what is new."""
        room = self.room(id_)
        self.read_control(id_)
        told = list[Happening]()
        for number, envelope in self.relay.envelopes(self, self.own, id_, room.cursor):
            told += self.take(id_, number, envelope)
            room.cursor = max(room.cursor, number)
        return told

    def take(self, id_: ThreadId, number: int, envelope: bytes) -> list[Happening]:
        """Read one envelope, by whatever way it came."""
        room = self.room(id_)
        try:
            told = room.view.take_message(number, envelope, self.contacts.accounts)
        except Behind as behind:
            self.look()
            if behind.account is not None and behind.account not in self.contacts.accounts:
                with suppress(ProtocolError):  # there may be no such account
                    self.read_chain(behind.account)
            self.read_control(id_)
            told = room.view.take_message(number, envelope, self.contacts.accounts, is_current=True)
        room.told += told
        for happening in told:
            if isinstance(happening, Shown):
                self._gossip(happening)
        return told

    def _gossip(self, shown: Shown) -> None:
        size, ours = shown.header.checkpoint_size, self.contacts.checkpoint
        if ours is None or size > ours.size:
            self.look()
        ours = self.contacts.checkpoint
        assert ours is not None
        proof = self.relay.consistency(self, size, ours.size)
        self.contacts.check_gossip(size, shown.header.checkpoint_root, proof)

    def read_control(self, id_: ThreadId) -> None:
        room = self.room(id_)
        after = room.view.log.number
        for posted in self.relay.control(self, id_, after):
            self.take_control(room, posted)
        room.view.log.check_complete()

    def take_control(self, room: Room, posted: Posted) -> None:
        entry = read_control(posted.entry)
        author = self.account(entry.author, entry.chain_number)
        members = () if entry.rotation is None else entry.rotation.members
        for member in members:
            known = self.contacts.accounts.get(member.account)
            if known is None or len(known.generations) < member.generation:
                self.look(member.account)
        thread = room.view.log.take(
            posted.entry, author, is_history=True, accounts=self.contacts.accounts
        )
        wraps = [(thread.epoch.number, wrap) for wrap in posted.wraps if entry.rotation is not None]
        older = [(wrap.epoch, wrap) for wrap in posted.history]
        for epoch, wrap in [*wraps, *older]:
            if wrap.account == self.own:
                self._open_wrap(room, entry.digest, epoch, wrap.wrap)
        is_member = any(member.account == self.own for member in members)
        if is_member and thread.epoch.number not in room.view.secrets:
            self._note_bad(room, entry.digest)

    def _open_wrap(self, room: Room, entry: Digest, epoch: int, wrap: bytes) -> None:
        try:
            room.view.secrets[epoch] = open_wrap(wrap, room.view.thread, epoch, self.own, self.aeks)
        except (OpenFailed, Refused):  # not sealed for us, or we write for them no more
            self._note_bad(room, entry)

    def _note_bad(self, room: Room, entry: Digest) -> None:
        if entry not in room.bad_wraps:
            room.bad_wraps.append(entry)

    def known_members(
        self, id_: ThreadId, more: Iterable[AccountId] = ()
    ) -> dict[AccountId, Account]:
        members = {*self.room(id_).view.thread.members, *more}
        self.look(*members)
        return {member: self.account(member) for member in members}

    def is_rotation_due(self, id_: ThreadId) -> bool:
        room = self.room(id_)
        accounts = self.known_members(
            id_, (member.account for member in room.view.thread.epoch.rotation.members)
        )
        return room.view.thread.rotation_due(accounts, self.relay.now, room.view.messages_in_epoch)

    def rotate(self, id_: ThreadId) -> None:
        self.write(
            id_,
            conversation.rotate(
                self._fresh_writer(id_), self.room(id_).view.thread, self.known_members(id_)
            ),
        )

    def add(
        self, id_: ThreadId, who: AccountId, history_from: int, role: Role = Role.MEMBER
    ) -> None:
        view = self.room(id_).view
        self.write(
            id_,
            conversation.add(
                self._fresh_writer(id_),
                view.thread,
                self.known_members(id_, [who]),
                [Added(who, role, history_from)],
                view.secrets,
            ),
        )

    def remove(self, id_: ThreadId, who: AccountId) -> None:
        self.write(
            id_,
            conversation.remove(
                self._fresh_writer(id_),
                self.room(id_).view.thread,
                self.known_members(id_),
                who,
                RemovalReason.OTHER,
            ),
        )

    def leave(self, id_: ThreadId) -> None:
        self.write(id_, conversation.leave(self.writer(), self.room(id_).view.thread))

    def close(self, id_: ThreadId) -> None:
        self.write(id_, conversation.close(self.writer(), self.room(id_).view.thread))

    def write(self, id_: ThreadId, written: Written) -> None:
        """Post an entry, and read it back like everybody else."""
        self.relay.append(written)
        self.read_control(id_)

    def _fresh_writer(self, id_: ThreadId) -> Writer:
        self.look()
        self.room(id_).view.check_writable()
        self.contacts.check_fresh(self.relay.now)
        return self.writer()

    # --- messages

    def seal(self, id_: ThreadId, content: Content, expires_at: int = 0) -> tuple[int, bytes]:
        """Return a sealed message and its sequence, not sent."""
        view, writer = self.room(id_).view, self.writer()
        draft = view.draft(self.keys.id, content, writer.checkpoint, writer.at)
        draft = replace(draft, expires_at=expires_at)
        envelope, mid = seal(draft, view.secrets[draft.epoch], self.keys, writer.entropy)
        view.wrote(self.keys.id, draft.sequence, mid)
        return draft.sequence, envelope

    def send(self, id_: ThreadId, content: Content, expires_at: int = 0) -> list[Happening]:
        """Read on, begin an epoch where one is due, and send."""
        self.look()
        self.read(id_)
        if self.is_rotation_due(id_):
            self.rotate(id_)
        sequence, envelope = self.seal(id_, content, expires_at)
        self.relay.send(id_, self.keys.id, sequence, envelope)
        return self.read(id_)

    # --- files

    def upload(self, data: bytes, name: str = "scan.pdf", created_at: int = 0) -> Manifest:
        """Seal a file and give it to the relay; return what a message has to say of it."""
        sealer = Sealer(len(data), self.person.entropy)
        blob = sealer.begin + sealer.push(data)
        rest, manifest = sealer.finish(FileFacts(name, "application/pdf", created_at))
        self.relay.blobs[manifest.file] = blob + rest
        return manifest

    def save(self, manifest: Manifest, folder: Path, piece: int = 10_000) -> Path:
        """Save a file under a name of its own once all of it holds, and else nothing.

        Raises:
            OpenFailed: it does not hold.
        """
        blob = self.relay.blobs.get(manifest.file, b"")
        opener = Opener(manifest)
        with NamedTemporaryFile(dir=folder, prefix=".", delete=False) as file:
            try:
                for at in range(0, len(blob), piece):
                    file.write(opener.push(blob[at : at + piece]))
                opener.finish()
            except OpenFailed:
                Path(file.name).unlink()
                raise
        target = folder / safe_name(manifest.name)
        for number in count(1):
            if not target.exists():
                break
            target = target.with_stem(f"{target.stem} ({number})")
        return Path(file.name).rename(target)

    def hint(self, id_: ThreadId, number: int, envelope: bytes) -> list[Happening]:
        """Take an event of a subscription: whatever it says, it only makes us read on."""
        return self.read(id_)

    def beat(self, id_: ThreadId) -> list[Happening]:
        """Answer what was read, where that is due."""
        self.read(id_)
        if not self.room(id_).view.owes_heartbeat(self.keys.id, self.relay.now):
            return []
        return self.send(id_, Receipt(()))

    def complain(self, id_: ThreadId) -> list[Happening]:
        """Tell the members of the keys we did not get, in the last epoch we can write in."""
        room = self.room(id_)
        about = Complaint(ComplaintAbout.WRAP, room.bad_wraps.pop(0))
        self.rotate(id_)
        return self.send(id_, about)

    # --- what is kept

    def restarted(self) -> HonestClient:
        """Return the same device after a restart: with what is kept, and nothing else."""
        again = HonestClient(self.relay, self.person, self.keys, self.own)
        again.contacts = Contacts(
            self.contacts.trust, self.contacts.checkpoint, self.contacts.pins, self.contacts.labels
        )
        for id_, room in self.rooms.items():
            view = Transcript(self.own, room.view.log.pin, author=self.person.id)
            for wrote in room.view.written:
                view.wrote(*wrote)
            again.rooms[id_] = Room(view)
        return again

    def state(self) -> object:
        """Return all that a denial must not change, to compare."""
        return (
            self.contacts.checkpoint,
            dict(self.contacts.pins),
            dict(self.contacts.labels),
            {id_: account.head for id_, account in self.contacts.accounts.items()},
            {
                id_: (
                    room.view.log.number,
                    room.view.log.number >= 0 and room.view.log.pin,
                    dict(room.view.shown),
                    dict(room.view.secrets),
                    room.view.is_frozen,
                    room.view.log.is_unvouched,
                )
                for id_, room in self.rooms.items()
            },
        )


@contextmanager
def denied(client: HonestClient, reason: Reason | type[ProtocolError]) -> Iterator[None]:
    """Expect a refusal for a reason, or an error of a type, that changes nothing."""
    before = client.state()
    try:
        yield
    except ProtocolError as error:
        found = error.reason if isinstance(error, Refused) else type(error)
        assert found is reason, f"{found} instead of {reason}"
    else:
        raise AssertionError("it was taken")
    assert client.state() == before


@dataclass
class Meeting:
    """A doctor, a patient and a nurse; the doctor has opened a thread with the patient."""

    relay: LyingRelay
    doctor: HonestClient
    patient: HonestClient
    nurse: HonestClient
    thread: ThreadId

    @property
    def clients(self) -> tuple[HonestClient, HonestClient, HonestClient]:
        return self.doctor, self.patient, self.nurse


def meet(seed: int = 1, *, nurse: bool = False, policy: Policy = POLICY) -> Meeting:
    """Return a meeting, with the nurse in the thread or not."""
    relay, entropy = LyingRelay(1000 + seed), seeded(seed)
    people = [Person.enrol(entropy) for _ in range(3)]
    for person in people:
        relay.publish(person)
    doctor, patient, third = (HonestClient(relay, person) for person in people)
    others = [(patient.own, Role.MEMBER), (third.own, Role.MEMBER)]
    thread = doctor.open(*(others if nurse else others[:1]), policy=policy)
    for client in (patient, third)[: 1 + nurse]:
        client.look()
        client.read(thread)
    third.look()
    return Meeting(relay, doctor, patient, third, thread)
