"""What is known of other accounts, against a log in memory."""

from __future__ import annotations

from hashlib import sha256

import pytest
from correspondents import NOW, Person, seeded

from carnet_crypto import merkle, sodium
from carnet_crypto.checkpoint import Checkpoint, NoteKey, checkpoint_body, signed_note
from carnet_crypto.contacts import MOST_SKEW, Contacts, LoggedEntry, RootChanged, Trust
from carnet_crypto.directory import chain_leaf
from carnet_crypto.errors import Reason, Refused
from carnet_crypto.secret import identity
from carnet_crypto.secret.keys import RootKey
from carnet_crypto.values import Blind, SignSeed

DAY = 24 * 3600 * 1000


class Log:
    """A directory log that holds chains' entries."""

    def __init__(self) -> None:
        self._key = sodium.SigningKey(SignSeed(sha256(b"log").digest()))
        self.key = NoteKey("log.example", self._key.public)
        self.leaves: list[bytes] = []
        self._blinds: list[Blind] = []

    def add(self, person: Person, number: int) -> None:
        blind = Blind(sha256(bytes([len(self.leaves)])).digest())
        self.leaves.append(chain_leaf(person.id, number, person.chain[number], blind))
        self._blinds.append(blind)

    def _root(self, start: int, end: int) -> bytes:
        if end - start == 1:
            return merkle.leaf_hash(self.leaves[start])
        middle = start + merkle._split(end - start)
        return merkle.node_hash(self._root(start, middle), self._root(middle, end))

    def checkpoint(self, at: int) -> str:
        size = len(self.leaves)
        body = checkpoint_body(self.key.name, size, self._root(0, size), at)
        signature = sodium.bindings.crypto_sign(body, self._key._secret)[:64]
        return signed_note(body, self.key, signature)

    def consistency(self, old: int) -> list[bytes]:
        return [self._root(*each) for each in merkle.consistency_ranges(old, len(self.leaves))]

    def logged(self, person: Person, numbers: range) -> list[LoggedEntry]:
        size = len(self.leaves)
        return [
            LoggedEntry(
                person.chain[number],
                self._blinds[number],
                number,
                tuple(self._root(*each) for each in merkle.inclusion_ranges(number, size)),
            )
            for number in numbers
        ]


def known(person: Person, log: Log, at: int = NOW) -> Contacts:
    for number in range(len(log.leaves), len(person.chain)):
        log.add(person, number)
    contacts = Contacts(Trust(log.key))
    contacts.take_checkpoint(log.checkpoint(at), [])
    contacts.take_chain(person.id, log.logged(person, range(len(person.chain))))
    return contacts


def advance(contacts: Contacts, person: Person, log: Log, at: int) -> range:
    old = contacts.checkpoint
    assert isinstance(old, Checkpoint)
    start = len(log.leaves)
    for number in range(start, len(person.chain)):
        log.add(person, number)
    contacts.take_checkpoint(log.checkpoint(at), log.consistency(old.size))
    return range(start, len(person.chain))


def test_a_root_set_by_the_root_is_told_as_what_it_is() -> None:
    person, log = Person.enrol(seeded(11)), Log()
    contacts = known(person, log)
    new = RootKey(SignSeed(person.entropy(32)))
    person.extend(identity.rotate_root(person.account, person.root, new, NOW))
    numbers = advance(contacts, person, log, NOW)
    assert contacts.take_chain(person.id, log.logged(person, numbers)) == [
        RootChanged(person.id, is_pending=False)
    ]


def test_a_root_set_by_the_recovery_key_alone_waits() -> None:
    person, log = Person.enrol(seeded(12)), Log()
    contacts = known(person, log)
    new = RootKey(SignSeed(person.entropy(32)))
    person.extend(identity.rotate_root(person.account, person.recovery.signing, new, NOW))
    numbers = advance(contacts, person, log, NOW)
    assert contacts.take_chain(person.id, log.logged(person, numbers)) == [
        RootChanged(person.id, is_pending=True)
    ]


def test_a_waiting_root_cannot_date_itself_past_its_delay() -> None:
    person, log = Person.enrol(seeded(13)), Log()
    contacts = known(person, log)
    new = RootKey(SignSeed(person.entropy(32)))
    person.extend(identity.rotate_root(person.account, person.recovery.signing, new, NOW))
    person.root = new
    person.extend(identity.close(person.account, new, NOW + 3 * DAY))  # holds, by its own word
    numbers = advance(contacts, person, log, NOW + 1)
    before = contacts.account(person.id)
    with pytest.raises(Refused) as refused:
        contacts.take_chain(person.id, log.logged(person, numbers))
    assert refused.value.reason is Reason.AHEAD_OF_TIME
    assert contacts.account(person.id) is before
    later = NOW + 3 * DAY - MOST_SKEW
    contacts.take_checkpoint(log.checkpoint(later), [])
    contacts.take_chain(person.id, log.logged(person, numbers))
    assert contacts.account(person.id).is_closed


def test_a_chain_that_goes_back_or_forks_is_an_alarm() -> None:
    person, log = Person.enrol(seeded(14)), Log()
    contacts = known(person, log)
    short = Contacts(Trust(log.key), contacts.checkpoint, contacts.pins)
    with pytest.raises(Refused) as refused:
        short.take_chain(person.id, log.logged(person, range(2)))
    assert refused.value.reason is Reason.OUT_OF_ORDER


def test_two_roots_of_one_size_are_an_alarm() -> None:
    person, log = Person.enrol(seeded(15)), Log()
    contacts = known(person, log)
    kept = contacts.checkpoint
    log.leaves[0] = b"another"
    with pytest.raises(Refused) as refused:
        contacts.take_checkpoint(log.checkpoint(NOW), [])
    assert refused.value.reason is Reason.SPLIT_VIEW
    assert contacts.checkpoint == kept
