"""Whole stories by the protocol alone."""

import random

import pytest
from correspondents import CHECKPOINT, NOW, Person, accounts, open_thread, take
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet_crypto import sodium
from carnet_crypto.control_bodies import Added
from carnet_crypto.envelope import read_envelope
from carnet_crypto.errors import OpenFailed, Refused
from carnet_crypto.kinds import RemovalReason, Role
from carnet_crypto.secret import conversation
from carnet_crypto.secret.attachments import CHUNK, FileFacts, Opener, Sealer, sealed_length
from carnet_crypto.secret.content import Edit, Receipt, Seen, Text
from carnet_crypto.secret.generations import open_generations, open_recovered
from carnet_crypto.secret.happenings import Edited, Erased, Read, Rejected, Shown
from carnet_crypto.secret.messages import seal
from carnet_crypto.secret.recovery import RecoveryCode, open_backup
from carnet_crypto.secret.transcript import Transcript


def say(view: Transcript, person: Person, content, at=NOW):
    draft = view.draft(person.devices[0].id, content, CHECKPOINT, at)
    return seal(draft, view.secrets[draft.epoch], person.devices[0], person.entropy)[0]


def test_two_people_write_to_each_other() -> None:
    doctor, patient = Person.enrol(), Person.enrol()
    _, views = open_thread(doctor, patient)
    known = accounts(doctor, patient)
    sent = []
    for number in range(6):
        author = (doctor, patient)[number % 2]
        envelope = say(views[author.id], author, Text(f"words {number}"))
        sent.append(envelope)
        for view in views.values():
            told = view.take_message(number + 1, envelope, known)
            assert [type(each) for each in told] == [Shown]
            assert told[0].content == Text(f"words {number}")
            assert told[0].missing == told[0].missing_heads == 0
            assert view.take_message(number + 1, envelope, known) == []
    one, other = (view.in_order() for view in views.values())
    assert [shown.content.text for shown in one] == [f"words {n}" for n in range(6)]
    assert [shown.id for shown in one] == [shown.id for shown in other]
    first = one[0].id
    edit = say(views[doctor.id], doctor, Edit(first, "other words"))
    told = views[patient.id].take_message(7, edit, known)
    assert isinstance(told[-1], Edited) and told[-1].text == "other words"
    views[doctor.id].take_message(7, edit, known)
    receipt = say(views[patient.id], patient, Receipt((Seen(doctor.devices[0].id, 3),)))
    assert isinstance(views[doctor.id].take_message(8, receipt, known)[-1], Read)
    forged = say(views[patient.id], patient, Edit(first, "not mine"))
    told = views[doctor.id].take_message(9, forged, known)
    assert isinstance(told[-1], Rejected)


def test_somebody_joins_with_history_and_goes() -> None:
    doctor, patient, nurse = Person.enrol(), Person.enrol(), Person.enrol()
    _, views = open_thread(doctor, patient)
    known = accounts(doctor, patient, nurse)
    envelope = say(views[doctor.id], doctor, Text("before"))
    for view in views.values():
        view.take_message(1, envelope, known)
    mine = views[doctor.id]
    added = conversation.add(
        doctor.writer(), mine.thread, known, [Added(nurse.id, Role.MEMBER, 1)], mine.secrets
    )
    for person in (doctor, patient):
        take(views[person.id], person, added, doctor)
    assert views[patient.id].thread.epoch.number == 2
    removed = conversation.remove(
        doctor.writer(), mine.thread, known, nurse.id, RemovalReason.OTHER
    )
    take(mine, doctor, removed, doctor)
    take(views[patient.id], patient, removed, doctor)
    assert nurse.id not in views[patient.id].thread.members
    assert all(wrap.account != nurse.id for wrap in removed.wraps)


def test_a_new_member_reads_what_was_written_before() -> None:
    doctor, patient, nurse = Person.enrol(), Person.enrol(), Person.enrol()
    created, views = open_thread(doctor, patient)
    known = accounts(doctor, patient, nurse)
    envelope = say(views[doctor.id], doctor, Text("before"))
    mine = views[doctor.id]
    mine.take_message(1, envelope, known)
    added = conversation.add(
        doctor.writer(), mine.thread, known, [Added(nurse.id, Role.MEMBER, 1)], mine.secrets
    )
    late = Transcript(nurse.id)
    late.log.take(created.entry, doctor.account, is_history=True)
    take(late, nurse, added, doctor)
    assert sorted(late.secrets) == [1, 2]
    told = late.take_message(1, envelope, known)
    assert isinstance(told[0], Shown) and told[0].content == Text("before")


def test_devices_reach_all_generations_and_revoked_ones_no_more() -> None:
    person = Person.enrol()
    for _ in range(4):
        person.rotate()
    second = person.add_device()
    assert sorted(open_generations(person.account, second)) == [1, 2, 3, 4, 5]
    person.revoke(second)
    assert sorted(open_generations(person.account, second)) == [1, 2, 3, 4, 5]
    assert sorted(open_generations(person.account, person.devices[0])) == [1, 2, 3, 4, 5, 6]
    again = open_recovered(person.account, person.recovery.box, person.recovery.box_secret)
    assert again[6].seed == person.aeks[6].seed


def test_a_recovery_code_brings_the_root_back() -> None:
    person = Person.enrol()
    code = RecoveryCode(b"twenty bytes of code")
    typed = RecoveryCode.read(code.text.lower().replace("-", "  ").replace("0", "o"))
    root, _ = open_backup(person.backup, person.account, typed, "")
    assert root.secret_bytes() == person.root.secret_bytes()
    with pytest.raises(OpenFailed):
        open_backup(person.backup, person.account, typed, "a passphrase")
    with pytest.raises(OpenFailed):
        open_backup(person.backup[:-1] + b"x", person.account, typed, "")


def test_a_message_moved_anywhere_does_not_open() -> None:
    doctor, patient = Person.enrol(), Person.enrol()
    _, views = open_thread(doctor, patient)
    known = accounts(doctor, patient)
    envelope = say(views[doctor.id], doctor, Text("words"))
    for at in range(len(envelope)):
        flipped = envelope[:at] + bytes([envelope[at] ^ 1]) + envelope[at + 1 :]
        told = views[patient.id].take_message(1, flipped, known, is_current=True)
        assert [type(each) for each in told] == [Rejected], at
    assert isinstance(views[patient.id].take_message(1, envelope, known)[0], Shown)
    erased = read_envelope(envelope).erased()
    told = views[patient.id].take_message(1, erased, known)
    assert len(told) == 1
    assert told[0] == Erased(views[patient.id].in_order()[0].id)


def test_a_frozen_thread_is_not_written_to() -> None:
    doctor, patient = Person.enrol(), Person.enrol()
    _, views = open_thread(doctor, patient)
    views[doctor.id].is_frozen = True
    with pytest.raises(Refused):
        say(views[doctor.id], doctor, Text("words"))


@settings(max_examples=25, deadline=None)
@given(
    st.one_of(
        st.integers(0, 600),
        st.integers(CHUNK - 300, CHUNK + 300),
        st.integers(3 * CHUNK - 9000, 3 * CHUNK + 9000),
    ),
    st.integers(1, CHUNK + 7),
    st.integers(0, 2**32),
)
def test_files_of_every_length_come_back(length: int, piece: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 — to repeat itself
    data = chance.randbytes(length)
    sealer = Sealer(length, chance.randbytes)
    blob = sealer.begin
    for at in range(0, length, piece):
        blob += sealer.push(data[at : at + piece])
    rest, manifest = sealer.finish(FileFacts("scan.pdf", "application/pdf", NOW))
    blob += rest
    assert len(blob) == sealed_length(length) == manifest.sealed_bytes
    for size in (piece, len(blob), 1 + piece // 2):
        opener = Opener(manifest)
        opened = b"".join(opener.push(blob[at : at + size]) for at in range(0, len(blob), size))
        opener.finish()
        assert opened == data
    spoilt = bytearray(blob)
    spoilt[chance.randrange(len(blob))] ^= 1
    opener = Opener(manifest)
    with pytest.raises(OpenFailed):
        opener.push(bytes(spoilt))
        opener.finish()


def test_a_sealed_box_is_libsodiums(monkeypatch: pytest.MonkeyPatch) -> None:
    from nacl.public import PrivateKey, SealedBox

    from carnet_crypto.values import BoxPublic, BoxSecret

    secret = PrivateKey.generate()
    sealed = sodium.seal(b"words", BoxPublic(bytes(secret.public_key)), BoxSecret(b"\x07" * 32))
    assert SealedBox(secret).decrypt(sealed) == b"words"
