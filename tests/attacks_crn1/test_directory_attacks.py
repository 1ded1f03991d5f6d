"""T20-T27: swapped keys, two views of one log, forged proofs and checkpoints, our own account."""

from __future__ import annotations

from dataclasses import replace

import pytest
from correspondents import NOW, Person, seeded
from honest_client import HonestClient, denied, meet
from lying_relay import ISSUER, LyingRelay

from carnet_crypto.account import Account
from carnet_crypto.chain_bodies import EntryType
from carnet_crypto.checkpoint import NoteKey, read_checkpoint
from carnet_crypto.contacts import (
    ChainChanged,
    Contacts,
    LoggedEntry,
    NewDevice,
    Rebound,
    RootChanged,
    own_surprises,
)
from carnet_crypto.directory import professional_label
from carnet_crypto.errors import (
    Malformed,
    ProofFailed,
    Reason,
    Refused,
    SignatureFailed,
)
from carnet_crypto.kinds import AccountKind, DeviceFlag, Role, Scope
from carnet_crypto.secret import identity
from carnet_crypto.secret.content import Text
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.sodium import SigningKey
from carnet_crypto.values import SignSeed

DOCTOR = professional_label("10003456789")


def logged(relay: LyingRelay, label, at: int = -1) -> LoggedEntry:
    data, blind, index = relay.bindings[label][at]
    return LoggedEntry(data, blind, index, relay.log.inclusion(index, len(relay.log.leaves)))


def test_t20_key_swap_first_contact() -> None:
    met = meet()
    doctor, mallory = met.doctor.own, met.nurse.own
    met.relay.bind(DOCTOR, doctor)
    other = professional_label("10009999999")
    met.relay.bind(other, mallory)
    forged = SigningKey(SignSeed(b"server's own key to bind with 32"))
    met.relay.bind(DOCTOR, mallory, 2, forged)
    contacts, issuer = met.patient.contacts, met.relay.issuer.public
    contacts.take_checkpoint(*met.relay.checkpoint(None, contacts.checkpoint.size))

    def ask(entry: LoggedEntry, at: int = NOW):
        return contacts.take_binding(DOCTOR, entry, ISSUER, issuer, at)

    with denied(met.patient, SignatureFailed):
        ask(logged(met.relay, DOCTOR))
    with denied(met.patient, Reason.WRONG_BINDING):
        ask(logged(met.relay, other))
    with denied(met.patient, Reason.WRONG_BINDING):
        ask(logged(met.relay, DOCTOR, 0), NOW - 2000)
    true = logged(met.relay, DOCTOR, 0)
    for entry in (
        replace(true, index=true.index + 1),
        replace(true, blind=logged(met.relay, other).blind),
        replace(true, proof=true.proof[:-1]),
    ):
        with denied(met.patient, ProofFailed):
            ask(entry)
    with denied(met.patient, SignatureFailed):
        ask(replace(true, entry=true.entry[:-1] + b"\x00"))
    assert ask(true)[0].account == doctor
    # The issuer says otherwise later: an event. What was before is never believed again.
    met.relay.bindings[DOCTOR].pop()
    met.relay.bind(DOCTOR, mallory, 1)
    contacts.take_checkpoint(*met.relay.checkpoint(None, contacts.checkpoint.size))
    with denied(met.patient, Reason.SPLIT_VIEW):
        ask(logged(met.relay, DOCTOR))
    met.relay.bind(DOCTOR, mallory, 2)
    contacts.take_checkpoint(*met.relay.checkpoint(None, contacts.checkpoint.size))
    assert ask(logged(met.relay, DOCTOR))[1] == [Rebound(DOCTOR, doctor, mallory)]
    again = met.patient.restarted()
    old = met.relay.bindings[DOCTOR][0]
    size = contacts.checkpoint.size
    entry = LoggedEntry(old[0], old[1], old[2], met.relay.log.inclusion(old[2], size))
    with denied(again, Reason.OUT_OF_ORDER):
        again.contacts.take_binding(DOCTOR, entry, ISSUER, issuer, NOW)


def test_t21_split_view() -> None:
    met = meet()
    shadow = LyingRelay()  # the same log's key, and another truth
    shadow.key, shadow.note = met.relay.key, met.relay.note
    shadow.log.leaves = list(met.relay.log.leaves)
    met.relay.log.append(b"what is shown to the doctor")
    shadow.log.append(b"what is shown to the patient")
    met.relay.lies["checkpoint"] = lambda viewer, honest: (
        honest if viewer is met.doctor else shadow.checkpoint(None, _size(viewer))
    )
    met.patient.look()
    met.doctor.send(met.thread, Text("words"))
    with pytest.raises(Refused) as caught:
        met.patient.read(met.thread)
    assert caught.value.reason is Reason.SPLIT_VIEW
    # Both checkpoints are there to be shown to others: ours with its signature.
    ours = met.patient.contacts.checkpoint
    theirs = met.patient.room(met.thread).view.in_order()[0].header
    assert theirs.checkpoint_size == ours.size and theirs.checkpoint_root != ours.root
    assert read_checkpoint(ours.text).root == ours.root
    # Another view is found out when it is smaller, too: no proof leads from it to ours.
    shadow.log.append(b"more")
    contacts = met.patient.contacts
    contacts.take_checkpoint(*shadow.checkpoint(None, ours.size))
    size, root = theirs.checkpoint_size, theirs.checkpoint_root
    for proof in ((), shadow.log.consistency(size, contacts.checkpoint.size)):
        with denied(met.patient, Reason.SPLIT_VIEW):
            contacts.check_gossip(size, root, proof)
    contacts.check_gossip(ours.size, ours.root, shadow.log.consistency(ours.size, ours.size + 1))
    # A member who knows of a larger one than we are shown: somebody keeps us in the past.
    with denied(met.patient, Reason.STALE_CHECKPOINT):
        contacts.check_gossip(contacts.checkpoint.size + 1, root)


def _size(client: HonestClient) -> int:
    return 0 if client.contacts.checkpoint is None else client.contacts.checkpoint.size


def flips(hash_: bytes):
    for at, bit in ((0, 0), (4, 3), (31, 7)):
        yield hash_[:at] + bytes([hash_[at] ^ 1 << bit]) + hash_[at + 1 :]


def changed(proof: tuple[bytes, ...]):
    """Yield proofs that are none, as the vectors of transparency-dev/merkle change them."""
    garbage = b"\x5a" * 32
    yield (*proof, garbage)
    yield (garbage, *proof)
    yield (*proof, b"")
    for at in range(len(proof)):
        yield proof[:at]
        yield proof[at + 1 :]
        for flipped in flips(proof[at]):
            yield (*proof[:at], flipped, *proof[at + 1 :])
        yield (*proof[:at], proof[at][:31], *proof[at + 1 :])


def test_t22_bad_inclusion() -> None:
    relay = LyingRelay()
    person = Person.enrol(seeded(2))
    for filler in range(5):
        relay.log.append(bytes([filler]))
    relay.publish(person)
    for filler in range(7):
        relay.log.append(bytes([filler]))
    client = HonestClient(relay, person)
    client.contacts.take_checkpoint(*relay.checkpoint(None, 0))
    size = _size(client)
    honest = relay.chain(None, person.id, -1, size)
    for at, each in enumerate(honest):
        lies = [replace(each, proof=proof) for proof in changed(each.proof)]
        lies += [replace(each, index=index) for index in (each.index - 1, each.index ^ 1, size)]
        lies += [replace(each, index=-1), replace(each, index=each.index ^ 2)]
        for lie in lies:
            with denied(client, ProofFailed):
                client.contacts.take_chain(person.id, [*honest[:at], lie])
    client.contacts.take_chain(person.id, honest)


def test_t23_bad_consistency() -> None:
    relay = LyingRelay()
    for filler in range(3):
        relay.log.append(bytes([filler]))
    for old, new in ((1, 8), (3, 7), (4, 8), (6, 8), (7, 15), (8, 9), (5, 21)):
        while len(relay.log.leaves) < new:
            relay.log.append(bytes([len(relay.log.leaves)]))
        client = HonestClient(relay, Person.enrol(seeded(1)))
        contacts = client.contacts
        contacts.take_checkpoint(relay.sign_checkpoint(old), ())
        proof = relay.log.consistency(old, new)
        text = relay.sign_checkpoint(new)
        for lie in changed(proof):
            with denied(client, ProofFailed):
                contacts.take_checkpoint(text, lie)
        for root in (*flips(relay.log.root(new)), relay.log.root(old)):
            with denied(client, ProofFailed):
                contacts.take_checkpoint(relay.sign_checkpoint(new, root=root), proof)
        with denied(client, Reason.SPLIT_VIEW):
            contacts.take_checkpoint(relay.sign_checkpoint(old, root=relay.log.root(new)), ())
        with denied(client, Reason.SHRUNK_LOG):
            contacts.take_checkpoint(relay.sign_checkpoint(old - 1), ())
        contacts.take_checkpoint(text, proof)


def test_t24_missing_witness() -> None:
    relay = LyingRelay()
    relay.log.append(b"something")
    for number in range(3):
        key = SigningKey(SignSeed(bytes([number + 1]) * 32))
        relay.witnesses.append((NoteKey(f"witness{number}.example", key.public), key))
    person = Person.enrol(seeded(1))
    client = HonestClient(relay, person, quorum=2)
    with denied(client, Reason.MISSING_WITNESS):
        client.contacts.take_checkpoint(relay.sign_checkpoint(cosigned=1), ())
    one = relay.sign_checkpoint(cosigned=1)
    line = one.splitlines(keepends=True)[-1]
    with denied(client, Reason.MISSING_WITNESS):  # the same one twice
        client.contacts.take_checkpoint(one + line, ())
    twin = NoteKey("another.example", relay.witnesses[0][1].public)
    both = Contacts(replace(client.contacts.trust, witnesses=(relay.witnesses[0][0], twin)))
    relay.witnesses[1] = (twin, relay.witnesses[0][1])
    with pytest.raises(Refused):  # the same key under two names
        both.take_checkpoint(relay.sign_checkpoint(cosigned=2), ())
    relay.witnesses[1] = (client.contacts.trust.witnesses[1], relay.witnesses[0][1])
    with denied(client, Reason.MISSING_WITNESS):  # signed by a key that is not the witness's
        client.contacts.take_checkpoint(relay.sign_checkpoint(cosigned=2), ())
    key = SigningKey(SignSeed(bytes([2]) * 32))
    relay.witnesses[1] = (client.contacts.trust.witnesses[1], key)
    client.contacts.take_checkpoint(relay.sign_checkpoint(cosigned=2), ())


def test_t25_log_key_swap() -> None:
    met = meet()
    other = SigningKey(SignSeed(b"k" * 32))
    for text, error in (
        (met.relay.sign_checkpoint(key=other), SignatureFailed),
        (_renamed(met.relay, other), SignatureFailed),
        (_renamed(met.relay, other, origin="log.other.example"), Reason.WRONG_LOG),
        (met.relay.sign_checkpoint().replace("\n\n", "\n\n\n"), Malformed),
        ("", Malformed),
        ("x" * 20_000, Malformed),
    ):
        with denied(met.patient, error):
            met.patient.contacts.take_checkpoint(text, ())
    met.patient.contacts.take_checkpoint(met.relay.sign_checkpoint(), ())


def _renamed(relay: LyingRelay, key: SigningKey, origin: str | None = None) -> str:
    lying = LyingRelay()
    lying.log, lying.key = relay.log, key
    lying.note = NoteKey(origin or relay.note.name, key.public)
    text = lying.sign_checkpoint()
    return text if origin is None else text.replace(relay.note.name, origin)


def test_t26_own_audit() -> None:
    met = meet()
    doctor = met.doctor.person
    met.relay.publish(doctor)
    met.doctor.look()
    kept = met.doctor.contacts.account(doctor.id)
    # A thief of the root acts behind the doctor's back; at the next login all of it is told.
    ghost = doctor.add_device()
    doctor.extend(
        identity.delegate(
            doctor.account, doctor.root, doctor.newest, met.nurse.person.account, Scope.BOTH, NOW,
            NOW + 1000, NOW, seeded(2),
        )
    )  # fmt: skip
    met.relay.publish(doctor)
    for client in (met.doctor, met.doctor.restarted()):
        client.look()
        number = doctor.account.number
        assert NewDevice(doctor.id, ghost.id) in client.events
        assert ChainChanged(doctor.id, number, EntryType.DELEGATE) in client.events
        found = client.contacts.account(doctor.id)
        assert [d.id for d in own_surprises(found, [], kept)] == [ghost.id]
    # A server without the root cannot do so: its entry is no entry, wherever it is logged.
    server = RootKey(SignSeed(b"s" * 32))
    offer = identity.offer(doctor.id, DeviceKeys.generate(seeded(4)), DeviceFlag.PRIMARY)
    forged = identity.add_device(doctor.account, server, offer, doctor.newest, NOW, seeded(4))
    met.relay.log_entry(doctor.id, len(doctor.chain), forged)
    with pytest.raises(Refused) as caught:
        met.doctor.look()
    assert caught.value.reason is Reason.UNKNOWN_SIGNER


def test_t27_genesis_swap() -> None:
    met = meet()
    doctor = met.doctor.own
    impostor = Person.enrol(seeded(50))
    fresh = HonestClient(met.relay, met.nurse.person)
    swapped = [entry for entry, _, _ in met.relay.chains[doctor]]
    for number, entry in enumerate(impostor.chain):
        met.relay.log_entry(doctor, number, entry)
    del met.relay.chains[doctor][: len(swapped)]
    fresh.contacts.take_checkpoint(*met.relay.checkpoint(None, 0))
    with denied(fresh, Reason.WRONG_ACCOUNT):
        fresh.read_chain(doctor)
    root = RootKey(SignSeed(b"r" * 32))
    other = identity.genesis(
        AccountKind.PERSON, root, impostor.recovery.box, impostor.recovery.signing.public, NOW
    )
    assert Account.begin(other).id != doctor
    # Of one that is known, nothing but what follows is read; under the id, nothing else fits.
    with denied(met.patient, ProofFailed):
        met.patient.contacts.take_chain(doctor, met.relay.chain(None, doctor, -1, _size(fresh)))
    assert met.patient.contacts.account(doctor).root == met.doctor.person.root.signing.public


def test_t67_root_rotation_shows() -> None:
    met = meet()
    patient = met.patient.person
    before = met.doctor.contacts.safety_number(met.doctor.own, patient.id)
    new = RootKey(SignSeed(b"n" * 32))
    entry = identity.rotate_root(patient.account, patient.recovery.signing, new, NOW)
    patient.extend(entry)
    met.relay.publish(patient)
    for client in (met.doctor, met.patient):
        client.look()
        assert RootChanged(patient.id, True) in client.events
    # Before 72 hours are over it signs nothing; nor does it by dating its entry ahead.
    early = Account.replay(patient.chain)
    ahead = identity.revoke_device(
        early, new, met.patient.keys.id, _lost(), (0, met.doctor.contacts.checkpoint.root), NOW
    )
    with pytest.raises(Refused) as caught:
        early.extend(ahead)
    assert caught.value.reason is Reason.UNKNOWN_SIGNER
    dated = identity.revoke_device(
        early, new, met.patient.keys.id, _lost(), (0, met.doctor.contacts.checkpoint.root),
        NOW + 72 * 3600 * 1000,
    )  # fmt: skip
    met.relay.log_entry(patient.id, len(patient.chain), dated)
    met.doctor.contacts.take_checkpoint(*met.relay.checkpoint(None, _size(met.doctor)))
    with denied(met.doctor, Reason.AHEAD_OF_TIME):
        found = met.relay.chain(None, patient.id, patient.account.number, _size(met.doctor))
        met.doctor.contacts.take_chain(patient.id, found)
    met.relay.chains[patient.id].pop()
    # The owner, who still has the root, objects; then the pending one holds never.
    patient.extend(identity.rotate_root(patient.account, patient.root, patient.root, NOW))
    assert patient.account.pending_root is None
    assert patient.account.root_at(NOW + 10**9) == patient.root.signing.public
    # Hidden from the owner: their own chain, as they know it, is shorter than what was shown.
    met.relay.publish(patient)
    met.patient.look()
    met.relay.lies["chain"] = lambda viewer, honest, account: honest[:-2]
    again = met.patient.restarted()
    again.contacts.take_checkpoint(*met.relay.checkpoint(None, _size(again)))
    with denied(again, Reason.OUT_OF_ORDER):
        again.read_chain(patient.id)
    # Of both keys together it holds at once, and the safety number is another one.
    newer = RootKey(SignSeed(b"w" * 32))
    del met.relay.lies["chain"]
    both = identity.rotate_root(
        patient.account, patient.recovery.signing, newer, NOW, consent=patient.root
    )
    patient.extend(both)
    met.relay.publish(patient)
    met.doctor.look()
    assert RootChanged(patient.id, False) in met.doctor.events
    assert met.doctor.contacts.safety_number(met.doctor.own, patient.id) != before


def test_t67_root_rotation_dated_back() -> None:
    met = meet()
    patient, day = met.patient.person, 24 * 3600 * 1000
    met.relay.now += 10 * day
    met.doctor.look()  # the doctor has seen that the log does not have it
    new = RootKey(SignSeed(b"n" * 32))
    entry = identity.rotate_root(patient.account, patient.recovery.signing, new, NOW + 6 * day)
    patient.extend(entry)
    met.relay.publish(patient)
    met.doctor.contacts.take_checkpoint(*met.relay.checkpoint(None, _size(met.doctor)))
    with denied(met.doctor, Reason.TIME_REGRESSED):
        met.doctor.read_chain(patient.id)


def _lost():
    from carnet_crypto.kinds import RevocationReason

    return RevocationReason.LOST


def test_a_thread_opened_with_a_stranger_reads_their_chain_first() -> None:
    met = meet()
    met.relay.lies["chain"] = lambda viewer, honest, account: (
        [] if account == met.nurse.own else honest
    )
    with denied(met.doctor, Malformed):
        met.doctor.open((met.nurse.own, Role.MEMBER))
