"""T01-T07: ghosts, forged and hidden changes of membership."""

from __future__ import annotations

from dataclasses import replace

import pytest
from correspondents import NOW, POLICY, seeded
from forging import RawBody, control_entry, with_rotation
from honest_client import denied, meet
from lying_relay import Posted
from tapping import post, size, take_chain_at, written_for

from carnet_crypto.contacts import NewDevice, own_surprises
from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import Added, ControlType, Remove, Rotate, SetPolicy
from carnet_crypto.envelope import read_envelope
from carnet_crypto.errors import Malformed, Reason, Refused, SignatureFailed
from carnet_crypto.kinds import DeviceFlag, RemovalReason, Role
from carnet_crypto.rotation import WrapFor
from carnet_crypto.secret import conversation, identity
from carnet_crypto.secret.content import Text
from carnet_crypto.secret.happenings import Fork, Rejected, Shown, StaleAuthor
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.thread import check_wraps
from carnet_crypto.values import SignSeed
from carnet_crypto.wire import u8


def test_t01_ghost_device() -> None:
    met = meet()
    doctor = met.doctor.person
    thief, ghost = RootKey(SignSeed(b"t" * 32)), DeviceKeys.generate(seeded(9))
    offer = identity.offer(doctor.id, ghost, DeviceFlag.PRIMARY)
    forged = identity.add_device(doctor.account, thief, offer, doctor.newest, NOW, seeded(9))
    named = forged.replace(thief.signer, doctor.root.signer)
    for entry, error in ((forged, Reason.UNKNOWN_SIGNER), (named, SignatureFailed)):
        met.relay.log_entry(doctor.id, len(doctor.chain), entry)
        met.patient.contacts.take_checkpoint(*met.relay.checkpoint(None, size(met.patient)))
        with denied(met.patient, error):
            take_chain_at(met, met.patient, doctor.id, size(met.patient))
        met.relay.chains[doctor.id].pop()
    # Nothing is ever sealed for it: an AEK goes to the devices of the chain only.
    doctor.rotate()
    sealed = {wrap.device for wrap in doctor.account.generations[-1].rotation.devices}
    assert sealed == {met.doctor.keys.id}
    # A device that a stolen root added is real to others, who are told, and an alarm to its owner.
    before = doctor.account
    added = doctor.add_device()
    met.relay.publish(doctor)
    met.patient.look()
    assert NewDevice(doctor.id, added.id) in met.patient.events
    met.doctor.look()
    own = met.doctor.contacts.account(doctor.id)
    assert [d.id for d in own_surprises(own, [met.doctor.keys.id], before)] == [added.id]
    assert own_surprises(own, [met.doctor.keys.id, added.id], before) == []


def test_t02_ghost_member() -> None:
    met = meet()
    ghost = met.nurse
    met.relay.threads[met.thread].first_epochs[ghost.own] = 1  # the relay's list has it
    met.doctor.send(met.thread, Text("for the patient only"))
    met.relay.lies["control"] = lambda viewer, honest, after: [
        replace(each, wraps=(*each.wraps, WrapFor(ghost.own, each.wraps[0].wrap)))
        if each.wraps
        else each
        for each in honest
    ]
    ghost.read(met.thread)
    assert ghost.room(met.thread).words == []
    assert not ghost.room(met.thread).view.secrets
    met.patient.read(met.thread)
    assert ghost.own not in met.patient.room(met.thread).view.thread.members
    met.patient.rotate(met.thread)
    posted = met.relay.threads[met.thread].posted[-1]
    assert {wrap.account for wrap in posted.wraps} == {met.doctor.own, met.patient.own}
    rotation = read_control(posted.entry).rotation
    check_wraps(rotation, posted.wraps)
    with pytest.raises(Refused):
        check_wraps(rotation, (*posted.wraps, WrapFor(ghost.own, posted.wraps[0].wrap)))


def test_t03_forged_control() -> None:
    met = meet()
    met.doctor.look(met.nurse.own)
    view = met.patient.room(met.thread).view
    accounts = met.patient.known_members(met.thread, [met.nurse.own])
    added = [Added(met.nurse.own, Role.MEMBER, 1)]
    forged = conversation.add(met.patient.writer(), view.thread, accounts, added, view.secrets)
    post(met, forged.entry, forged)
    honest = written_for(met.doctor, met)
    post(met, honest.entry, honest)  # whatever follows is not read either
    with denied(met.doctor, Reason.NOT_AUTHORIZED):
        met.doctor.read_control(met.thread)
    # A server's own key, as a device of the doctor's, and in the name of the doctor's own.
    server = DeviceKeys.generate(seeded(5))
    body = read_control(written_for(met.doctor, met).entry).body
    unknown = control_entry(met.doctor, met.thread, body, signer=server.signing, device=server.id)
    named = control_entry(met.doctor, met.thread, body, signer=server.signing)
    for entry, error in ((unknown, Reason.UNKNOWN_DEVICE), (named, SignatureFailed)):
        del met.relay.threads[met.thread].posted[1:]
        post(met, entry)
        with denied(met.patient, error):
            met.patient.read_control(met.thread)
    del met.relay.threads[met.thread].posted[1:]
    met.doctor.rotate(met.thread)
    met.patient.read(met.thread)
    assert view.thread.epoch.number == 2


def test_t04_control_rollback() -> None:
    met = meet()
    met.doctor.rotate(met.thread)
    met.patient.read(met.thread)
    met.relay.lies["control"] = lambda viewer, honest, after: honest[: max(0, 1 - after - 1)]
    again = met.patient.restarted()
    again.look()
    with pytest.raises(Refused) as caught:
        again.read(met.thread)
    assert caught.value.reason is Reason.OUT_OF_ORDER
    del met.relay.lies["control"]
    met.patient.restarted().read(met.thread)
    # Another entry under a number that was seen is found out as well.
    again = met.patient.restarted()
    other = written_for(met.doctor, met)
    body = read_control(other.entry).body
    forked = control_entry(
        met.doctor,
        met.thread,
        with_rotation(body, epoch=2),
        number=1,
        link=read_control(met.relay.threads[met.thread].posted[0].entry).digest,
    )
    first = met.relay.threads[met.thread].posted[0]
    met.relay.lies["control"] = lambda viewer, honest, after: [
        first,
        Posted(forked, other.wraps, ()),
    ][after + 1 :]
    with pytest.raises(Refused) as caught:
        again.read(met.thread)
    assert caught.value.reason is Reason.SPLIT_VIEW


def test_t05_control_fork() -> None:
    met = meet(nurse=True)
    one, other = (
        control_entry(met.doctor, met.thread, SetPolicy(replace(POLICY, retention_days=days)))
        for days in (30, 60)
    )
    # The doctor signs both; the relay shows one to each.
    met.relay.lies["control"] = lambda viewer, honest, after: (
        [] if after > 0 else [*honest, Posted(other if viewer is met.nurse else one, (), ())]
    )
    for client in met.clients:
        client.read(met.thread)
    assert [c.room(met.thread).alarms for c in met.clients] == [[], [], []]
    met.nurse.send(met.thread, Text("on my log"))
    told = met.patient.read(met.thread)
    theirs = read_control(other).digest
    assert [type(each) for each in told] == [Fork] and told[0].theirs == theirs
    assert met.patient.room(met.thread).words == []
    with denied(met.patient, Reason.SPLIT_VIEW):
        met.patient.seal(met.thread, Text("words"))
    with denied(met.patient, Reason.SPLIT_VIEW):
        met.patient.rotate(met.thread)


def test_t05_control_fork_with_epochs_of_their_own() -> None:
    met = meet(nurse=True)
    ours, theirs = written_for(met.doctor, met), written_for(met.doctor, met)
    logs = {met.nurse: theirs}
    met.relay.is_lawless = True

    def control(viewer, honest, after):
        made = logs.get(viewer, ours)
        return [] if after > 0 else [*honest, Posted(made.entry, made.wraps, ())]

    met.relay.lies["control"] = control
    for client in met.clients:
        client.read(met.thread)
    met.nurse.send(met.thread, Text("on my log"))
    told = met.patient.read(met.thread)
    # The header does not even open: no word of it is shown, and every message is an alarm.
    assert told == [Rejected(1, None, None)]


def test_t06_remove_suppressed() -> None:
    met = meet(nurse=True)
    met.doctor.remove(met.thread, met.nurse.own)
    met.doctor.send(met.thread, Text("without the nurse"))
    met.relay.is_lawless = True
    met.relay.lies["control"] = lambda viewer, honest, after: (
        [] if viewer is met.patient else honest
    )
    met.relay.lies["envelopes"] = lambda viewer, honest: [] if viewer is met.patient else honest
    met.patient.send(met.thread, Text("the nurse can read this"))
    told = met.doctor.read(met.thread)
    assert [type(each) for each in told] == [Shown, StaleAuthor]
    # The sender sees that there is an epoch that the relay keeps from them: an alarm, no words.
    del met.relay.lies["envelopes"]
    told = met.patient.read(met.thread)
    assert told[0] == Rejected(1, None, Reason.WRONG_EPOCH)
    # Once it is no longer hidden, what is sent next is of the new epoch.
    del met.relay.lies["control"]
    met.patient.send(met.thread, Text("and not this"))
    assert read_envelope(met.relay.threads[met.thread].envelopes[-1]).epoch == 2
    met.nurse.read(met.thread)
    assert "and not this" not in met.nurse.room(met.thread).words


def test_t07_no_rotate_on_remove() -> None:
    met = meet(nurse=True)
    alone = RawBody(ControlType.REMOVE, met.nurse.own + u8(RemovalReason.OTHER))
    post(met, control_entry(met.doctor, met.thread, alone))
    with denied(met.patient, Malformed):
        met.patient.read_control(met.thread)
    # A rotation that still has the member is none either.
    kept = read_control(written_for(met.doctor, met).entry).body
    assert isinstance(kept, Rotate)
    body = Remove(met.nurse.own, RemovalReason.OTHER, kept.rotation)
    met.relay.threads[met.thread].posted[-1].entry = control_entry(met.doctor, met.thread, body)
    with denied(met.patient, Reason.INCOMPLETE_WRAPS):
        met.patient.read_control(met.thread)
    met.relay.threads[met.thread].posted.pop()
    met.doctor.remove(met.thread, met.nurse.own)
    met.patient.read_control(met.thread)
    assert met.nurse.own not in met.patient.room(met.thread).view.thread.members
