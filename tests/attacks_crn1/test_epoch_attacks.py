"""T08-T13: stale keys, wraps that are missing, moved or of another secret, epochs that go back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from correspondents import NOW
from forging import control_entry, message, with_rotation
from honest_client import HonestClient, Meeting, denied, meet
from tapping import post, written_for

from carnet_crypto.contacts import LoggedEntry
from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import Added
from carnet_crypto.envelope import read_envelope
from carnet_crypto.errors import OpenFailed, ProofFailed, Reason, Refused
from carnet_crypto.kinds import Role
from carnet_crypto.rotation import HistoryWrap, Wrap, WrapFor, digest_of_wraps
from carnet_crypto.secret import conversation
from carnet_crypto.secret.content import ComplaintAbout, Text
from carnet_crypto.secret.conversation import Written, open_wrap
from carnet_crypto.secret.happenings import Complained, Rejected
from carnet_crypto.secret.messages import open_message
from carnet_crypto.thread import check_wraps
from carnet_crypto.values import EpochSecret


def test_t08_stale_aek() -> None:
    met = meet()
    patient = met.patient.person
    old = len(patient.chain)
    patient.rotate()
    met.relay.publish(patient)
    met.doctor.look()
    # Known already, and taken back over a restart.
    met.relay.lies["chain"] = lambda viewer, honest, account: (
        [] if account != patient.id else [e for e in honest if e.entry in patient.chain[:old]]
    )
    again = met.doctor.restarted()
    with denied(again, Reason.OUT_OF_ORDER):
        again.contacts.take_chain(
            patient.id, met.relay.chain(again, patient.id, -1, again.contacts.checkpoint.size)
        )
    # Never known to somebody: what others sealed shows that there is a newer one.
    met.doctor.rotate(met.thread)
    del met.relay.lies["chain"]
    met.doctor.add(met.thread, met.nurse.own, 2)
    fresh = HonestClient(met.relay, met.nurse.person)
    met.relay.lies["chain"] = lambda viewer, honest, account: (
        [e for e in honest if e.entry in patient.chain[:old]]
        if account == patient.id and viewer is fresh
        else honest
    )
    fresh.look()
    with pytest.raises(Refused) as caught:
        fresh.read(met.thread)
    assert caught.value.reason is Reason.WRONG_GENERATION
    stale = {**fresh.contacts.accounts}
    newest = met.doctor.room(met.thread).view.thread
    with pytest.raises(Refused) as caught:
        newest.rotation_due({**met.doctor.contacts.accounts, **stale}, NOW, 0)
    assert caught.value.reason is Reason.WRONG_GENERATION
    # A chain with an entry changed is not in the log.
    met.relay.lies["chain"] = lambda viewer, honest, account: [
        LoggedEntry(e.entry[:-1] + b"x", e.blind, e.index, e.proof) for e in honest
    ]
    other = HonestClient(met.relay, met.nurse.person)
    with pytest.raises(ProofFailed):
        other.look(patient.id)
    assert other.contacts.accounts == {}


def _spoilt(met: Meeting, spoil) -> Written:
    """Return a rotation of the doctor's that gives the patient something else."""
    made = written_for(met.doctor, met)
    wraps = tuple(
        WrapFor(w.account, spoil(w.wrap)) if w.account == met.patient.own else w for w in made.wraps
    )
    body = with_rotation(read_control(made.entry).body, wraps=digest_of_wraps(wraps))
    return Written(control_entry(met.doctor, met.thread, body), wraps, (), made.secret)


def test_t09_missing_wrap() -> None:
    for spoil in (lambda wrap: Wrap(bytes(166)), lambda wrap: Wrap(wrap[:-1] + b"\x00")):
        met = meet(nurse=True)
        bad = _spoilt(met, spoil)
        met.relay.append(bad)
        met.doctor.send(met.thread, Text("the patient cannot read this"))
        met.patient.read(met.thread)
        room = met.patient.room(met.thread)
        assert room.bad_wraps == [read_control(bad.entry).digest] and room.words == []
        assert room.alarms == [Rejected(1, None, Reason.WRONG_EPOCH)]
        met.patient.complain(met.thread)
        for client in (met.doctor, met.nurse):
            told = client.read(met.thread)
            assert isinstance(told[-1], Complained)
            assert told[-1].complaint.about is ComplaintAbout.WRAP
            assert told[-1].complaint.reference == read_control(bad.entry).digest
    # One left out by the server is noticed by whom it was for; one by the author, by all.
    met = meet()
    met.doctor.rotate(met.thread)
    posted = met.relay.threads[met.thread].posted[-1]
    kept = tuple(wrap for wrap in posted.wraps if wrap.account != met.patient.own)
    met.relay.threads[met.thread].posted[-1] = replace(posted, wraps=kept)
    met.patient.read(met.thread)
    assert len(met.patient.room(met.thread).bad_wraps) == 1
    with pytest.raises(Refused):
        check_wraps(read_control(posted.entry).rotation, kept)


def test_t10_wrap_transplant() -> None:
    met = meet(nurse=True)
    other = met.doctor.open((met.patient.own, Role.MEMBER))
    met.patient.read(other)
    first = met.relay.threads[met.thread].posted[0].wraps
    elsewhere = met.relay.threads[other].posted[0].wraps
    mine = next(w.wrap for w in first if w.account == met.patient.own)
    of_other_thread = next(w.wrap for w in elsewhere if w.account == met.patient.own)
    of_another = next(w.wrap for w in first if w.account == met.nurse.own)
    met.doctor.rotate(met.thread)
    thread = met.doctor.room(met.thread).view.thread
    own, keys = met.patient.own, met.patient.aeks
    assert open_wrap(mine, thread, 1, own, keys)
    for wrap, epoch in ((mine, 2), (of_other_thread, 1), (of_another, 1), (mine, 3), (mine, 0)):
        with pytest.raises(OpenFailed):
            open_wrap(wrap, thread, epoch, own, keys)
    with pytest.raises(OpenFailed):  # its recipient's account is named inside
        open_wrap(mine, thread, 1, met.nurse.own, keys)
    for transplant in (mine, of_other_thread, of_another):
        met.relay.lies["control"] = lambda viewer, honest, after, wrap=transplant: [
            replace(each, wraps=(WrapFor(met.patient.own, wrap),)) for each in honest
        ]
        again = met.patient.restarted()
        again.look()
        again.room(met.thread).view.log._pin = None
        again.read(met.thread)
        assert 2 not in again.room(met.thread).view.secrets


def test_t11_epoch_secret_substitution() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("before"))
    view = met.doctor.room(met.thread).view
    chosen = {1: EpochSecret(b"chosen by a lying member 32 byte")}
    accounts = met.doctor.known_members(met.thread, [met.nurse.own])
    added = [Added(met.nurse.own, Role.MEMBER, 1)]
    lying = conversation.add(met.doctor.writer(), view.thread, accounts, added, chosen)
    met.relay.append(lying)
    met.nurse.read(met.thread)
    room = met.nurse.room(met.thread)
    assert sorted(room.view.secrets) == [2] and len(room.bad_wraps) == 1
    assert room.words == []
    # The right one, from anybody, is taken: the entry has committed to it.
    honest = conversation.add(met.doctor.writer(), view.thread, accounts, added, view.secrets)
    wrap = honest.history[0]
    assert isinstance(wrap, HistoryWrap)
    secret = open_wrap(wrap.wrap, room.view.thread, 1, met.nurse.own, met.nurse.aeks)
    assert secret == view.secrets[1]


def test_t12_epoch_regress() -> None:
    met = meet()
    old = met.doctor.room(met.thread).view.thread
    secrets = met.doctor.room(met.thread).view.secrets
    met.doctor.rotate(met.thread)
    met.doctor.send(met.thread, Text("in the new epoch"))
    met.patient.read(met.thread)
    met.relay.is_lawless = True
    back = {"epoch": 1, "secret": secrets[1]}
    checkpoint = met.doctor.contacts.checkpoint
    for changed, reason in (
        ({**back, "control_head": old.head}, Reason.WRONG_EPOCH),
        (back, Reason.WRONG_EPOCH),
        ({"control_head": old.head}, Reason.WRONG_EPOCH),
        ({"checkpoint": (checkpoint.size - 1, checkpoint.root)}, Reason.SHRUNK_LOG),
    ):
        _, envelope = message(met.doctor, met.thread, Text("back"), **changed)
        told = met.patient.take(met.thread, 2, envelope)
        assert [type(each) for each in told] == [Rejected]
        assert told[0].reason is reason
    assert met.patient.room(met.thread).words == ["in the new epoch"]
    # An entry that begins an epoch that was is refused as well.
    body = read_control(written_for(met.doctor, met).entry).body
    post(met, control_entry(met.doctor, met.thread, with_rotation(body, epoch=2)))
    with denied(met.patient, Reason.WRONG_EPOCH):
        met.patient.read_control(met.thread)


def test_t13_post_removal_read() -> None:
    met = meet(nurse=True)
    met.doctor.send(met.thread, Text("the nurse was there"))
    met.nurse.read(met.thread)
    met.doctor.remove(met.thread, met.nurse.own)
    met.doctor.send(met.thread, Text("the nurse is gone"))
    met.patient.send(met.thread, Text("indeed"))
    log = met.relay.threads[met.thread]
    # Everything that the server holds, with every key that the nurse ever had.
    met.relay.lies["envelopes"] = lambda viewer, honest: list(enumerate(log.envelopes, 1))
    met.nurse.read(met.thread)
    room = met.nurse.room(met.thread)
    assert sorted(room.view.secrets) == [1]
    secrets = dict(room.view.secrets)
    for posted in log.posted:
        for wrap in (*posted.wraps, *posted.history):
            for keys in met.nurse.aeks.values():
                try:
                    opened = keys.open(wrap.wrap)
                except OpenFailed:
                    continue
                assert wrap.account == met.nurse.own and opened[-32:] == secrets[1]
    for envelope in log.envelopes:
        is_old = read_envelope(envelope).epoch == 1
        for secret in (*secrets.values(), *(EpochSecret(k.seed) for k in met.nurse.aeks.values())):
            try:
                open_message(envelope, secret, met.nurse.contacts.accounts)
            except OpenFailed:
                continue
            assert is_old
    assert room.words == ["the nurse was there"]
