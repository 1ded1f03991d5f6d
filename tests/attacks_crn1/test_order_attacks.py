"""T28-T35: replayed, reordered, dropped and moved messages."""

from __future__ import annotations

import itertools

from forging import header_of, message, reseal
from honest_client import Meeting, denied, meet
from tapping import DAY, envelopes, kinds, secret_of

from carnet_crypto.errors import Reason
from carnet_crypto.kinds import Role
from carnet_crypto.secret.content import Text
from carnet_crypto.secret.happenings import Equivocation, GapFilled, Rejected, Shown
from carnet_crypto.secret.header import Kind
from carnet_crypto.secret.messages import open_message


def test_t28_replay() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("once"))
    assert kinds(met.patient.read(met.thread)) == [Shown]
    for number in (1, 2, 77):
        with_same = met.patient.state()
        assert met.patient.take(met.thread, number, envelopes(met)[0]) == []
        assert met.patient.state() == with_same
    assert met.patient.room(met.thread).words == ["once"]


def test_t29_replay_of_what_a_member_sealed_anew() -> None:
    met = meet(nurse=True)
    met.doctor.send(met.thread, Text("once"))
    met.patient.read(met.thread)
    secret = secret_of(met)
    again = reseal(envelopes(met)[0], secret, met.thread, 1, secret, b"n" * 32)
    assert header_of(again, secret) == header_of(envelopes(met)[0], secret)
    assert met.patient.take(met.thread, 2, again) == [Rejected(2, None, None)]
    assert met.patient.room(met.thread).words == ["once"]


def _chat(met: Meeting, *words: str) -> None:
    for number, each in enumerate(words):
        (met.doctor, met.patient)[number % 2].send(met.thread, Text(each))


def test_t30_reorder() -> None:
    met = meet(nurse=True)
    _chat(met, "one", "two", "three", "four")
    sent = list(enumerate(envelopes(met), 1))
    for order in itertools.permutations(sent):
        late = met.nurse.restarted()
        late.look()
        late.read_control(met.thread)
        told = []
        for number, envelope in order:
            told += late.take(met.thread, number, envelope)
        assert late.room(met.thread).words == ["one", "two", "three", "four"]
        assert late.room(met.thread).alarms == []
        marks = [each for each in told if isinstance(each, Shown | GapFilled)]
        out_of_order = [each for each in marks if isinstance(each, GapFilled) or each.missing]
        assert bool(out_of_order) == (
            [n for n, _ in order if n % 2] != [1, 3]
            or [n for n, _ in order if n % 2 == 0] != [2, 4]
        )
        in_order = late.room(met.thread).view.in_order()
        assert all(each.missing == each.missing_heads == 0 for each in in_order)


def test_t31_drop_middle() -> None:
    met = meet()
    for words in ("one", "two", "three", "four"):
        met.doctor.send(met.thread, Text(words))
    met.relay.lies["envelopes"] = lambda viewer, honest: [
        each for each in honest if each[0] not in (2, 3)
    ]
    shown = met.patient.read(met.thread)
    assert [(each.content.text, each.missing) for each in shown] == [("one", 0), ("four", 2)]
    # Of others' messages, whoever answers shows it.
    met = meet(nurse=True)
    _chat(met, "question", "answer")
    met.relay.lies["envelopes"] = lambda viewer, honest: [e for e in honest if e[0] != 1]
    (shown,) = met.nurse.read(met.thread)
    assert (shown.missing, shown.missing_heads) == (0, 1)
    del met.relay.lies["envelopes"]
    assert kinds(met.nurse.take(met.thread, 1, envelopes(met)[0])) == [Shown]
    (_, shown) = met.nurse.room(met.thread).view.in_order()
    assert shown.missing_heads == 0


def test_t32_drop_tail() -> None:
    met = meet(nurse=True)
    _chat(met, "question", "answer")
    met.doctor.read(met.thread)
    met.relay.lies["envelopes"] = lambda viewer, honest: (
        [e for e in honest if e[0] != 2] if viewer is met.nurse else honest
    )
    (shown,) = met.nurse.read(met.thread)
    assert (shown.missing, shown.missing_heads) == (0, 0)  # nothing to be noticed yet
    met.relay.now += DAY - 1
    assert met.doctor.beat(met.thread) == []
    met.relay.now += 1
    told = met.doctor.beat(met.thread)
    assert told[0].header.kind is Kind.RECEIPT
    assert met.doctor.beat(met.thread) == []  # and nobody answers a receipt with a receipt
    assert met.patient.beat(met.thread) == []
    (receipt,) = met.nurse.read(met.thread)
    assert receipt.missing_heads == 1


def test_t33_duplicate_sequence_equivocation() -> None:
    met = meet(nurse=True)
    met.doctor.send(met.thread, Text("begin"))
    for client in (met.patient, met.nurse):
        client.read(met.thread)
    (_, one), (_, other) = (
        message(met.doctor, met.thread, Text(words)) for words in ("take 5", "take 50")
    )
    _, follows = _after(met, other)
    assert kinds(met.patient.take(met.thread, 2, one)) == [Shown]
    assert kinds(met.nurse.take(met.thread, 2, other)) == [Shown]
    # What follows is linked to one of the two: who has the other knows at once.
    assert kinds(met.nurse.take(met.thread, 3, follows)) == [Shown]
    told = met.patient.take(met.thread, 3, follows)
    assert kinds(told) == [Equivocation, Shown]
    told = met.patient.take(met.thread, 4, other)
    assert kinds(told) == [Equivocation, Shown]
    ids = {each.id for each in met.patient.room(met.thread).view.in_order()}
    assert {told[0].first, told[0].second} <= ids  # both are kept
    assert kinds(met.nurse.take(met.thread, 4, one)) == [Equivocation, Shown]
    for client in (met.patient, met.nurse):
        assert set(client.room(met.thread).words) == {"begin", "take 5", "take 50", "more"}
        with denied(client, Reason.SPLIT_VIEW):
            client.seal(met.thread, Text("words"))


def _after(met: Meeting, envelope: bytes) -> tuple[int, bytes]:
    """Return what the doctor writes after a message that nobody else may have."""
    found = open_message(envelope, secret_of(met), met.doctor.contacts.accounts)
    return message(
        met.doctor,
        met.thread,
        Text("more"),
        sequence=found.header.sequence + 1,
        previous=found.id,
        heads=(),
    )


def test_t34_cross_thread() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("here"))
    other = met.doctor.open(*[(met.patient.own, Role.MEMBER)])
    met.patient.read(other)
    envelope = envelopes(met)[0]
    moved = envelope[:8] + other + envelope[40:]
    epoch = envelope[:40] + (2).to_bytes(4, "big") + envelope[44:]
    assert met.patient.take(met.thread, 1, moved) == [Rejected(1, None, Reason.WRONG_THREAD)]
    assert met.patient.take(other, 1, envelope) == [Rejected(1, None, Reason.WRONG_THREAD)]
    assert met.patient.take(other, 1, moved) == [Rejected(1, None, None)]
    assert met.patient.take(met.thread, 1, epoch) == [Rejected(1, None, Reason.WRONG_EPOCH)]
    met.doctor.rotate(met.thread)
    met.patient.read_control(met.thread)
    assert met.patient.take(met.thread, 1, epoch) == [Rejected(1, None, None)]
    assert met.patient.room(other).words == met.patient.room(met.thread).words == []


def test_t35_surreptitious_forwarding() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("you have to come at once"))
    met.patient.read(met.thread)
    # The patient opens a thread with the nurse and puts the doctor's signed words there.
    other = met.patient.open((met.nurse.own, Role.MEMBER), (met.doctor.own, Role.MEMBER))
    met.nurse.look(met.doctor.own)
    met.nurse.read(other)
    secret = met.patient.room(other).view.secrets[1]
    moved = reseal(envelopes(met)[0], secret_of(met), other, 1, secret, b"s" * 32)
    assert header_of(moved, secret).account == met.doctor.own
    assert met.nurse.take(other, 1, moved) == [Rejected(1, None, None)]
    # In another epoch of the same thread it is not the doctor's either.
    met.doctor.rotate(met.thread)
    met.patient.read_control(met.thread)
    view = met.patient.room(met.thread).view
    moved = reseal(envelopes(met)[0], view.secrets[1], met.thread, 2, view.secrets[2], b"s" * 32)
    assert met.patient.take(met.thread, 2, moved) == [Rejected(2, None, None)]
