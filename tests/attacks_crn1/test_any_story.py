"""Any story: random people, devices, messages, losses, reorderings, replays and changes.

Whatever happens, honest clients with the same messages have the same order, and those who had less
have it once they are given the rest; nobody reads an epoch they were not given; what was lost is
noticed by whoever reads an answer to it; nothing but the protocol's own errors ever comes out.
`CARNET_STORIES=500` tells so many stories, each of sixty steps.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

from correspondents import POLICY, Person, seeded
from honest_client import HonestClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from lying_relay import Conflict, LyingRelay

from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import Leave
from carnet_crypto.envelope import read_envelope
from carnet_crypto.errors import ProtocolError
from carnet_crypto.kinds import RevocationReason, Role
from carnet_crypto.secret import identity
from carnet_crypto.secret.content import Edit, Receipt, Retraction, RetractionReason, Seen, Text
from carnet_crypto.secret.control_log import Behind
from carnet_crypto.secret.happenings import Equivocation, Fork, Rejected, Shown
from carnet_crypto.secret.header import MOST_HEADS
from carnet_crypto.values import AccountId, MessageId

STORIES = int(os.environ.get("CARNET_STORIES", "0"))
MOST_DEVICES = 7
ENROLLED = [Person.enrol(seeded(400 + number)) for number in range(4)]

picks = st.integers(0, 10**6)
several = st.lists(picks, min_size=1, max_size=5)


@dataclass
class Network:
    """What of the relay's messages reaches a client, and in which order."""

    lost: set[int] = field(default_factory=set)  # numbers that are kept back
    disorder: int = 0  # seed of the order in which the others come; 0 for theirs
    control_at_most: int = 10**6  # entries of the control log


def copy_of(person: Person, entropy) -> Person:
    """Return somebody anew, as they were when they enrolled."""
    return Person(
        person.account, person.root, person.recovery, list(person.devices), dict(person.aeks),
        list(person.chain), person.backup, entropy,
    )  # fmt: skip


class AnyStory(RuleBasedStateMachine):
    """See the module."""

    @initialize(seed=picks)
    def begin(self, seed: int) -> None:
        self.relay = LyingRelay(2000)
        self.people = [copy_of(person, seeded(seed + n)) for n, person in enumerate(ENROLLED)]
        for person in self.people:
            self.relay.publish(person)
        self.clients = [HonestClient(self.relay, person) for person in self.people]
        self.networks = {client: Network() for client in self.clients}
        self.gone: set[HonestClient] = set()  # of devices that were revoked
        self.sent: dict[int, MessageId] = {}
        # By a message's number: those its author had seen, where all heads could be named.
        self.seen_by_author: dict[int, set[MessageId]] = {}
        self.relay.lies["envelopes"] = self._envelopes
        self.relay.lies["control"] = self._control
        doctor, patient = self.clients[:2]
        others = [(self.clients[at].own, Role.MEMBER) for at in (1, 2)]
        self.thread = doctor.open(*others, policy=POLICY)
        patient.look()
        self.words = 0

    def _envelopes(self, viewer: HonestClient, honest: list[tuple[int, bytes]]):
        network = self.networks[viewer]
        left = [each for each in honest if each[0] not in network.lost]
        if network.disorder:
            random.Random(network.disorder).shuffle(left)  # noqa: S311
        return left

    def _control(self, viewer: HonestClient, honest, after: int):
        return honest[: max(0, self.networks[viewer].control_at_most - after - 1)]

    def _client(self, pick: int) -> HonestClient:
        return self.clients[pick % len(self.clients)]

    def _manager(self) -> HonestClient:
        return self.clients[0]

    def _try(self, act, *arguments):
        """Act; what the protocol or the relay refuses is refused, and changes no thread."""
        try:
            return act(*arguments)
        except (ProtocolError, Behind, Conflict):
            return None

    @property
    def log(self):
        return self.relay.threads[self.thread]

    # --- what people do

    def _send(self, client: HonestClient, content) -> None:
        before = len(self.log.envelopes)
        self._try(client.send, self.thread, content)
        if len(self.log.envelopes) == before:
            return
        number = before + 1
        room = client.rooms[self.thread]
        secret = room.view.secrets.get(read_envelope(self.log.envelopes[-1]).epoch)
        assert secret is not None
        _, _, id_ = room.view.written[[w[0] for w in room.view.written].index(client.keys.id)]
        self.sent[number] = id_
        heads = {s.id for s in room.view.shown.values() if s.id != id_}
        named = room.view.shown.get(id_)
        if named is None or len(named.header.heads) < MOST_HEADS:
            self.seen_by_author[number] = heads

    def _say(self, client: HonestClient) -> None:
        self.words += 1
        self._send(client, Text(f"words {self.words}"))

    @rule(who=several)
    def talk(self, who: list[int]) -> None:
        for pick in who:
            self._say(self._client(pick))

    @rule(who=several, losers=several)
    def talk_over_a_bad_line(self, who: list[int], losers: list[int]) -> None:
        """Somebody who does not get all that is said answers what they got."""
        for pick, loser in zip(who, losers, strict=False):
            before = len(self.log.envelopes)
            self._say(self._client(pick))
            network = self.networks[self._client(loser)]
            network.lost |= set(range(before + 1, len(self.log.envelopes) + 1))
            network.disorder = loser
            self._say(self._client(loser))

    @rule(who=several, seed=picks)
    def talk_at_once(self, who: list[int], seed: int) -> None:
        """Several write before anybody reads."""
        writers = {self._client(pick) for pick in who}
        for client in writers:
            self._try(client.look)
            self._try(client.read, self.thread)
            self.networks[client].lost |= set(range(len(self.log.envelopes) + 1, 10_000))
        for client in sorted(writers, key=lambda each: each.keys.id):
            self._say(client)
        for client in writers:
            self.networks[client].lost -= set(range(1, 10_000))
            self.networks[client].disorder = seed

    @rule(who=several)
    def all_read(self, who: list[int]) -> None:
        for pick in who:
            self._again(self._client(pick))

    def _again(self, client: HonestClient) -> None:
        """Let a client be given what was kept back, and all once more."""
        self.networks[client].lost.clear()
        if self.thread in client.rooms:
            client.rooms[self.thread].cursor = 0
        self._try(client.read, self.thread)

    @rule(pick=picks, which=picks)
    def change_words(self, pick: int, which: int) -> None:
        client = self._client(pick)
        room = client.rooms.get(self.thread)
        shown = sorted(room.view.shown) if room else []
        if not shown:
            return
        target = shown[which % len(shown)]
        edit = Edit(target, f"other words {which}")
        taken = Retraction(target, RetractionReason.MISTAKE)
        seen = Receipt(tuple(Seen(*each) for each in room.view.seen() if each[1]))
        self._send(client, (edit, taken, seen)[which % 3])

    @rule(pick=picks, history=st.integers(1, 4) | st.just(2**32 - 1))
    def join(self, pick: int, history: int) -> None:
        who = self._client(2 + pick % 2)
        if who.own not in self.members():
            self._try(self._manager().read, self.thread)
            self._try(self._manager().add, self.thread, who.own, history)

    @rule(pick=picks)
    def remove(self, pick: int) -> None:
        self._try(self._manager().read, self.thread)
        self._try(self._manager().remove, self.thread, self._client(2 + pick % 2).own)

    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        who = self._client(2 + pick % 2)
        if who.own != self._manager().own:
            self._try(who.read, self.thread)
            self._try(who.leave, self.thread)

    @rule(pick=picks, again=picks)
    def close(self, pick: int, again: int) -> None:
        if pick % 20 == 1 and again % 3 == 1:
            self._try(self._manager().read, self.thread)
            self._try(self._manager().close, self.thread)

    @rule(pick=picks)
    def add_device(self, pick: int) -> None:
        if len(self.clients) >= MOST_DEVICES:
            return
        person = self.people[pick % len(self.people)]
        client = HonestClient(self.relay, person, person.add_device(at=self.relay.now))
        self.relay.publish(person)
        client.look()
        self.clients.append(client)
        self.networks[client] = Network()

    @rule(pick=picks)
    def revoke_device(self, pick: int) -> None:
        seconds = [c for c in self.clients if c.keys is not c.person.devices[0]]
        if not seconds:
            return
        client = seconds[pick % len(seconds)]
        first = next(c for c in self.clients if c.keys is client.person.devices[0])
        first.look()
        checkpoint = first.contacts.checkpoint
        person = client.person
        person.extend(
            identity.revoke_device(
                person.account, person.root, client.keys.id, RevocationReason.LOST,
                (checkpoint.size, checkpoint.root), self.relay.now,
            )
        )  # fmt: skip
        person.rotate(self.relay.now)
        self.relay.publish(person)
        self.clients.remove(client)
        self.gone.add(client)

    @rule(pick=picks)
    def rotate_account(self, pick: int) -> None:
        person = self.people[pick % len(self.people)]
        person.rotate(self.relay.now)
        self.relay.publish(person)

    @rule(hours=st.integers(1, 200))
    def wait(self, hours: int) -> None:
        self.relay.now += hours * 3600 * 1000

    @rule(pick=picks)
    def restart(self, pick: int) -> None:
        at = pick % len(self.clients)
        old = self.clients[at]
        self.clients[at] = new = old.restarted()
        self.networks[new] = self.networks.pop(old)

    # --- what the network does

    @rule(pick=picks, number=picks)
    def lose(self, pick: int, number: int) -> None:
        if self.log.envelopes:
            network = self.networks[self._client(pick)]
            network.lost.add(1 + len(self.log.envelopes) - number % 4)

    @rule(pick=picks, seed=picks)
    def disorder(self, pick: int, seed: int) -> None:
        self.networks[self._client(pick)].disorder = seed

    @rule(pick=picks, back=st.integers(0, 3))
    def keep_control_back(self, pick: int, back: int) -> None:
        client = self._client(pick)
        self.networks[client].control_at_most = max(1, len(self.log.posted) - back)
        self._say(client)
        self._try(self._manager().rotate, self.thread)
        self._say(client)
        self.networks[client].control_at_most = 10**6

    @rule(pick=picks, number=picks)
    def replay(self, pick: int, number: int) -> None:
        if self.log.envelopes:
            at = number % len(self.log.envelopes)
            client = self._client(pick)
            if self.thread in client.rooms and client.room(self.thread).view.log.number >= 0:
                self._try(client.take, self.thread, number, self.log.envelopes[at])

    @rule(pick=picks, data=st.binary(max_size=40), at=picks)
    def garbage(self, pick: int, data: bytes, at: int) -> None:
        client = self._client(pick)
        if self.thread not in client.rooms or client.room(self.thread).view.log.number < 0:
            return
        whole = self.log.envelopes[at % len(self.log.envelopes)] if self.log.envelopes else b""
        place = at % (len(whole) + 1)
        spoilt = whole[:place] + data + whole[place + len(data) :]
        known = {*client.room(self.thread).view.shown}
        if spoilt not in self.log.envelopes:
            self._try(client.take, self.thread, at, spoilt)
            assert {*client.room(self.thread).view.shown} == known

    @rule(number=picks)
    def erase(self, number: int) -> None:
        if self.log.envelopes:
            self.relay.erase(self.thread, 1 + number % len(self.log.envelopes))

    # --- what holds

    def members(self) -> set[AccountId]:
        members = set[AccountId]()
        for posted in self.log.posted:
            entry = read_control(posted.entry)
            if entry.rotation is not None:
                members = {member.account for member in entry.rotation.members}
            if isinstance(entry.body, Leave):
                members.discard(entry.author)
        return members

    def epochs_of(self, account: AccountId) -> set[int]:
        """Return the epochs that an account was given, by the whole log."""
        given = set[int]()
        for posted in self.log.posted:
            rotation = read_control(posted.entry).rotation
            if rotation is not None and any(w.account == account for w in posted.wraps):
                given.add(rotation.epoch)
            given |= {wrap.epoch for wrap in posted.history if wrap.account == account}
        return given

    @invariant()
    def same_messages_have_one_order(self) -> None:
        orders: dict[frozenset[MessageId], list[MessageId]] = {}
        for client in [*self.clients, *self.gone]:
            if self.thread not in client.rooms:
                continue
            order = [shown.id for shown in client.room(self.thread).view.in_order()]
            assert orders.setdefault(frozenset(order), order) == order

    @invariant()
    def nobody_reads_more_than_they_were_given(self) -> None:
        for client in [*self.clients, *self.gone]:
            if self.thread not in client.rooms:
                continue
            view = client.room(self.thread).view
            given = self.epochs_of(client.own)
            assert set(view.secrets) <= given
            numbers = {number for number, id_ in self.sent.items() if id_ in view.shown}
            for number in numbers:
                assert read_envelope(self.log.envelopes[number - 1]).epoch in given

    @invariant()
    def nobody_is_accused(self) -> None:
        """Everybody is honest here, however bad the network is."""
        for client in self.clients:
            if self.thread in client.rooms:
                room = client.room(self.thread)
                assert not room.view.is_frozen
                assert not any(isinstance(each, Equivocation | Fork) for each in room.told)

    @invariant()
    def losses_are_noticed(self) -> None:
        for client in self.clients:
            if self.thread not in client.rooms:
                continue
            view = client.room(self.thread).view
            wanted = set[MessageId]()
            for number, seen in self.seen_by_author.items():
                if self.sent[number] in view.shown:
                    wanted |= seen
            if wanted - set(view.shown):
                assert any(each.missing or each.missing_heads for each in view.in_order())

    def teardown(self) -> None:
        if hasattr(self, "clients"):
            self.deliver_everything()

    def deliver_everything(self) -> None:
        """In the end everybody is given everything, and all agree."""
        for network in self.networks.values():
            network.lost.clear()
            network.disorder = 0
            network.control_at_most = 10**6
        for client in self.clients:
            # Removed members' accounts may still be named by old entries; all chains are public.
            client.look(*(person.id for person in self.people))
            self._read_anew(client)
        views = {
            client: client.room(self.thread).view
            for client in self.clients
            if self.thread in client.rooms and client.room(self.thread).view.log.number >= 0
        }
        for client, view in views.items():
            if client.own in self.members():
                assert view.log.number == len(self.log.posted) - 1
            first = self.log.first_epochs.get(client.own)
            if first is None:
                continue
            for number, id_ in self.sent.items():
                is_given = read_envelope(self.log.envelopes[number - 1]).epoch >= first
                if is_given and id_ not in view.shown:
                    assert id_ in view._withheld, number
        self.same_messages_have_one_order()
        self.nobody_reads_more_than_they_were_given()
        self.nobody_is_accused()

    def _read_anew(self, client: HonestClient) -> None:
        room = client.room(self.thread)
        room.cursor = 0
        if client.own in self.members() or room.view.log.number >= 0:
            told = client.read(self.thread)
            assert not [
                each
                for each in told
                if isinstance(each, Rejected)
                and each.number in self.sent
                and not isinstance(each, Shown)
                and each.id is None
            ]


TestAnyStory = AnyStory.TestCase
TestAnyStory.settings = settings(
    max_examples=STORIES or 40,
    stateful_step_count=60 if STORIES else 30,
    deadline=None,
    derandomize=not STORIES,
    suppress_health_check=list(HealthCheck),
    # Stories are long, and so is making them shorter.
    phases=[
        Phase.explicit,
        Phase.generate,
        *([Phase.shrink] if "CARNET_SHRINK" in os.environ else []),
    ],
    report_multiple_bugs=False,
)
