"""T01-T19: ghosts, forged and hidden changes of membership, stale keys, revoked devices."""

from __future__ import annotations

from dataclasses import replace

import pytest
from correspondents import NOW, POLICY, Person, seeded
from forging import RawBody, control_entry, message, with_rotation
from honest_client import HonestClient, Meeting, denied, meet
from lying_relay import LyingRelay, Posted

from carnet_crypto.checkpoint import FRESH
from carnet_crypto.contacts import LoggedEntry, NewDevice, own_surprises
from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import Add, Added, ControlType, Remove, Rotate, SetPolicy
from carnet_crypto.envelope import read_envelope
from carnet_crypto.errors import (
    Malformed,
    OpenFailed,
    ProofFailed,
    Reason,
    Refused,
    SignatureFailed,
)
from carnet_crypto.kinds import AccountKind, DeviceFlag, RemovalReason, Role, RosterRole, Scope
from carnet_crypto.labels import Label
from carnet_crypto.rotation import HistoryWrap, Wrap, WrapFor, digest_of_wraps
from carnet_crypto.secret import conversation, identity
from carnet_crypto.secret.content import ComplaintAbout, Receipt, Text
from carnet_crypto.secret.conversation import Written, open_wrap
from carnet_crypto.secret.happenings import (
    Complained,
    Fork,
    Rejected,
    Shown,
    StaleAuthor,
    Withheld,
)
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.secret.messages import open_message
from carnet_crypto.thread import check_wraps
from carnet_crypto.values import EpochSecret, SignSeed
from carnet_crypto.wire import u8

HOUR = 3600 * 1000


def written_for(client: HonestClient, met: Meeting) -> Written:
    """Return a rotation that a client makes, not posted."""
    view = client.room(met.thread).view
    return conversation.rotate(client.writer(), view.thread, client.known_members(met.thread))


def post(met: Meeting, entry: bytes, like: Written | None = None) -> None:
    """Let the relay append any entry."""
    wraps, history = (like.wraps, like.history) if like else ((), ())
    met.relay.threads[met.thread].posted.append(Posted(entry, wraps, history))


def test_t01_ghost_device() -> None:
    met = meet()
    doctor = met.doctor.person
    thief, ghost = RootKey(SignSeed(b"t" * 32)), DeviceKeys.generate(seeded(9))
    offer = identity.offer(doctor.id, ghost, DeviceFlag.PRIMARY)
    forged = identity.add_device(doctor.account, thief, offer, doctor.newest, NOW, seeded(9))
    named = forged.replace(thief.signer, doctor.root.signer)
    for entry, error in ((forged, Reason.UNKNOWN_SIGNER), (named, SignatureFailed)):
        met.relay.log_entry(doctor.id, len(doctor.chain), entry)
        met.patient.contacts.take_checkpoint(*met.relay.checkpoint(None, _size(met.patient)))
        with denied(met.patient, error):
            _take_chain_at(met, met.patient, doctor.id, _size(met.patient))
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


def _size(client: HonestClient) -> int:
    return client.contacts.checkpoint.size


def _take_chain_at(met: Meeting, client: HonestClient, account, size: int) -> None:
    known = client.contacts.account(account).number
    client.contacts.take_chain(account, met.relay.chain(client, account, known, size))


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


def _stolen(met: Meeting) -> HonestClient:
    """Give the doctor a second device, which reads along."""
    keys = met.doctor.person.add_device(DeviceFlag.SECONDARY)
    met.relay.publish(met.doctor.person)
    client = HonestClient(met.relay, met.doctor.person, keys)
    client.look()
    client.read(met.thread)
    met.patient.look()
    return client


def _revoke(met: Meeting, client: HonestClient) -> None:
    met.doctor.look()
    checkpoint = met.doctor.contacts.checkpoint
    met.doctor.person.revoke(client.keys, (checkpoint.size, checkpoint.root))
    met.relay.publish(met.doctor.person)


def test_t14_revoked_device_send() -> None:
    met = meet()
    stolen = _stolen(met)
    stolen.send(met.thread, Text("while it was the doctor's"))
    met.patient.read(met.thread)
    _revoke(met, stolen)
    met.patient.look()
    stolen.look()
    _, envelope = message(stolen, met.thread, Text("by the thief"))
    told = met.patient.take(met.thread, 2, envelope)
    assert [type(each) for each in told] == [Rejected]
    assert told[0].reason is Reason.REVOKED_DEVICE
    assert met.patient.room(met.thread).words == ["while it was the doctor's"]
    # Whoever writes next begins an epoch that the thief has no key of.
    met.patient.send(met.thread, Text("after"))
    assert met.patient.room(met.thread).view.thread.epoch.number == 2
    stolen.read(met.thread)
    assert "after" not in stolen.room(met.thread).words
    # Nor may it change who is a member.
    met.doctor.read(met.thread)
    body = read_control(written_for(met.doctor, met).entry).body
    entry = control_entry(met.doctor, met.thread, body, signer=stolen.keys.signing,
                          device=stolen.keys.id)  # fmt: skip
    post(met, entry)
    with denied(met.patient, Reason.REVOKED_DEVICE):
        met.patient.read_control(met.thread)


def test_t15_backdated_by_revoked() -> None:
    met = meet()
    stolen = _stolen(met)
    stolen.send(met.thread, Text("while it was the doctor's"))
    met.patient.read(met.thread)
    met.patient.send(met.thread, Text("I saw that"))
    writer = stolen.writer()
    stolen.read(met.thread)
    _revoke(met, stolen)
    _, envelope = message(
        stolen,
        met.thread,
        Text("by the thief"),
        checkpoint=writer.checkpoint,
        sent_at=NOW - HOUR,
    )
    met.patient.look()
    told = met.patient.take(met.thread, 3, envelope)
    assert [type(each) for each in told] == [Withheld]
    assert met.patient.take(met.thread, 3, envelope) == []
    met.patient.send(met.thread, Text("going on"))
    assert met.patient.room(met.thread).words == [
        "while it was the doctor's",
        "I saw that",
        "going on",
    ]
    # Somebody new sees what an honest message stood upon, and not what the thief put there.
    log = met.relay.threads[met.thread]
    for order in ([1, 2, 3], [2, 1, 3], [3, 2, 1]):
        late = HonestClient(met.relay, met.patient.person)
        late.look()
        late.read_control(met.thread)
        messages = {1: log.envelopes[0], 2: log.envelopes[1], 3: envelope}
        for number in order:
            late.take(met.thread, number, messages[number])
        assert late.room(met.thread).words == ["while it was the doctor's", "I saw that"]
        assert not late.room(met.thread).view.is_frozen


def test_t15_backdated_entry_by_revoked_is_not_built_upon() -> None:
    met = meet(nurse=True)
    stolen = _stolen(met)
    _revoke(met, stolen)
    # A manager's stolen device adds its thief's account, as if it had done so before.
    thief = Person.enrol(seeded(77))
    met.relay.publish(thief)
    stolen.look(thief.id)
    old = stolen.contacts.account(stolen.own)
    view = stolen.room(met.thread).view
    accounts = stolen.known_members(met.thread, [thief.id])
    body = read_control(
        conversation.add(
            stolen.writer(), view.thread, accounts, [Added(thief.id, Role.MEMBER, 1)], view.secrets
        ).entry
    ).body
    assert isinstance(body, Add)
    met.doctor.look()
    revoked = met.doctor.contacts.account(met.doctor.own).devices[stolen.keys.id]
    back = {"chain_number": revoked.revoked_in - 1, "checkpoint_size": 1}
    post(met, control_entry(stolen, met.thread, body, **back))
    assert old.number >= revoked.revoked_in
    late = HonestClient(met.relay, met.patient.person)
    late.look()
    late.read_control(met.thread)
    room = late.room(met.thread)
    assert room.view.log.is_unvouched
    for act in (
        lambda: late.seal(met.thread, Text("words")),
        lambda: late.rotate(met.thread),
        lambda: late.remove(met.thread, thief.id),
    ):
        with denied(late, Reason.REVOKED_DEVICE):
            act()
    # People were asked, and it was the doctor after all; or somebody who was there goes on with it.
    room.view.log.trust_unvouched()
    met.relay.is_lawless = True
    late.rotate(met.thread)
    assert not room.view.log.is_unvouched
    again = HonestClient(met.relay, met.patient.person)
    again.look()
    again.read_control(met.thread)
    assert not again.room(met.thread).view.log.is_unvouched


def test_t16_revocation_withheld() -> None:
    met = meet(nurse=True)
    stale = met.relay.checkpoint(met.patient, _size(met.patient))
    met.relay.now += FRESH + 1
    met.relay.lies["checkpoint"] = lambda viewer, honest: stale
    for act in (
        lambda: met.doctor.rotate(met.thread),
        lambda: met.doctor.remove(met.thread, met.nurse.own),
        lambda: met.doctor.open((met.patient.own, Role.MEMBER)),
        lambda: met.doctor.add(met.thread, met.nurse.own, 1),
        lambda: met.doctor.contacts.check_fresh(met.relay.now),  # the warning before sending
    ):
        with denied(met.doctor, Reason.STALE_CHECKPOINT):
            act()
    # One that is dated ahead is no better, and an older one is never gone back to.
    ahead = met.relay.sign_checkpoint(at=met.relay.now + FRESH + 1)
    other = HonestClient(met.relay, met.nurse.person)
    other.contacts.take_checkpoint(ahead, ())
    with denied(other, Reason.STALE_CHECKPOINT):
        other.contacts.check_fresh(met.relay.now)
    older = met.relay.sign_checkpoint(at=met.relay.now - 2 * FRESH)
    with denied(met.doctor, Reason.SHRUNK_LOG):
        met.doctor.contacts.take_checkpoint(older, ())
    del met.relay.lies["checkpoint"]
    met.doctor.rotate(met.thread)


def test_t17_expired_delegate() -> None:
    relay, entropy = LyingRelay(), seeded(3)
    doctor, child, parent = (Person.enrol(entropy) for _ in range(3))
    until = NOW + HOUR
    child.extend(
        identity.delegate(
            child.account, child.root, child.newest, parent.account, Scope.BOTH, NOW, until, NOW,
            entropy,
        )
    )  # fmt: skip
    child.others[parent.id] = parent.account
    for person in (doctor, child, parent):
        relay.publish(person)
    asks, own = HonestClient(relay, doctor), HonestClient(relay, child)
    acting = HonestClient(relay, parent, own=child.id)
    acting.look()
    thread = asks.open((child.id, Role.MEMBER))
    acting.read(thread)
    asks.look(parent.id)
    with denied(acting, Reason.NOT_AUTHORIZED):
        acting.seal(thread, Text("as nobody"))
    acting.send(thread, Text("as the child's parent", child.id))
    assert [type(each) for each in asks.read(thread)] == [Shown]
    old = acting.writer()
    _, in_time = message(acting, thread, Text("an hour too late", child.id))
    # It is over. Nothing is sealed for the child before the child's key is another one.
    relay.now = until + 1
    assert asks.is_rotation_due(thread)
    with denied(asks, Reason.ROTATION_DUE):
        asks.rotate(thread)
    relay.is_lawless = True
    _, late = message(acting, thread, Text("too late", child.id))
    told = asks.take(thread, 2, late)
    assert [each.reason for each in told] == [Reason.NOT_AUTHORIZED]
    child.rotate(relay.now)
    relay.publish(child)
    asks.send(thread, Text("for the child alone"))
    assert asks.room(thread).view.thread.epoch.number == 2
    acting.read(thread)
    assert "for the child alone" not in acting.room(thread).words
    assert 2 not in acting.room(thread).view.secrets
    own.look(parent.id)
    own.read(thread)
    assert own.room(thread).words == ["as the child's parent", "for the child alone"]
    # What is dated back is of an epoch that is over, and flagged.
    told = asks.take(thread, 3, in_time)
    assert any(isinstance(each, StaleAuthor) for each in told)
    assert old.at < until
    # A device that has an end is refused after it, by what it knew if not by what it says.
    assert asks.contacts.account(child.id).mandate(parent.id, until) is not None
    assert asks.contacts.account(child.id).mandate(parent.id, until + 1) is None


def test_t18_silent_delegate() -> None:
    met = meet()
    patient, thief = met.patient.person, Person.enrol(seeded(8))
    met.relay.publish(thief)

    def give(root) -> bytes:
        return identity.delegate(
            patient.account, root, patient.newest, thief.account, Scope.BOTH, NOW, NOW + HOUR, NOW,
            seeded(4),
        )  # fmt: skip

    forged = give(thief.root)
    by_device = forged[:-64].replace(thief.root.signer, bytes(met.patient.keys.id))
    by_device += met.patient.keys.signing.sign(Label.SIGN_ACCOUNT, by_device)
    for entry, error in (
        (forged, Reason.UNKNOWN_SIGNER),
        (forged.replace(thief.root.signer, patient.root.signer), SignatureFailed),
        (by_device, Reason.NOT_AUTHORIZED),
    ):
        met.relay.log_entry(patient.id, len(patient.chain), entry)
        met.doctor.contacts.take_checkpoint(*met.relay.checkpoint(None, _size(met.doctor)))
        with denied(met.doctor, error):
            _take_chain_at(met, met.doctor, patient.id, _size(met.doctor))
        met.relay.chains[patient.id].pop()
    # A true one is not sealed for where the thread is confidential.
    confidential = replace(POLICY, is_delegation_allowed=False)
    quiet = met.doctor.open((patient.id, Role.MEMBER), policy=confidential)
    met.patient.read(quiet)
    patient.extend(give(patient.root))
    met.relay.publish(patient)
    for act in (
        lambda: met.doctor.open((patient.id, Role.MEMBER), policy=confidential),
        lambda: met.doctor.rotate(quiet),
    ):
        met.doctor.look()
        with denied(met.doctor, Reason.DELEGATION_FORBIDDEN):
            act()
    # And what the delegate writes there is not shown.
    thread = met.doctor.room(quiet).view
    acting = HonestClient(met.relay, thief, own=patient.id)
    acting.look()
    acting.read(quiet)
    sent = message(acting, quiet, Text("for the child?", patient.id))
    met.doctor.look(thief.id)
    told = met.doctor.take(quiet, 1, sent[1])
    assert [each.reason for each in told] == [Reason.DELEGATION_FORBIDDEN]
    assert thread.shown == {}


def test_t19_roster_stuffing() -> None:
    relay, entropy = LyingRelay(), seeded(6)
    patient, surgeon, intruder = (Person.enrol(entropy) for _ in range(3))
    team = Person.enrol(entropy, AccountKind.TEAM)

    def roster(root, *members) -> bytes:
        return identity.set_roster(
            team.account, root, team.newest, [(m.account, RosterRole.MEMBER) for m in members], NOW,
            entropy,
        )  # fmt: skip

    team.extend(roster(team.root, surgeon))
    team.others[surgeon.id] = surgeon.account
    for person in (patient, surgeon, intruder, team):
        relay.publish(person)
    asks = HonestClient(relay, patient)
    asks.look(team.id, surgeon.id, intruder.id)
    stuffed = roster(intruder.root, surgeon, intruder)
    for entry, error in (
        (stuffed, Reason.UNKNOWN_SIGNER),
        (stuffed.replace(intruder.root.signer, team.root.signer), SignatureFailed),
        (roster(team.root, surgeon)[:-64] + stuffed[-64:], SignatureFailed),
    ):
        relay.log_entry(team.id, len(team.chain), entry)
        asks.contacts.take_checkpoint(*relay.checkpoint(None, _size(asks)))
        with denied(asks, error):
            found = relay.chain(asks, team.id, asks.contacts.account(team.id).number, _size(asks))
            asks.contacts.take_chain(team.id, found)
        relay.chains[team.id].pop()
    # Who is of the team writes for it; who is not, does not, even as a member of the thread.
    works = HonestClient(relay, surgeon, own=team.id)
    thread = asks.open((team.id, Role.MEMBER), (intruder.id, Role.MEMBER))
    works.look(patient.id, intruder.id)
    works.read(thread)
    works.send(thread, Text("from surgery", team.id))
    assert [type(each) for each in asks.read(thread)] == [Shown]
    other = HonestClient(relay, intruder)
    other.look(team.id)
    other.read(thread)
    _, envelope = message(other, thread, Text("from surgery as well", team.id))
    assert asks.take(thread, 2, envelope)[0].reason is Reason.NOT_AUTHORIZED
    _, envelope = message(other, thread, Text("as myself"))
    assert [type(each) for each in asks.take(thread, 2, envelope)] == [Shown]
    works.rotate(thread)
    asks.read(thread)
    assert asks.room(thread).view.thread.epoch.number == 2
    # Whoever has left reads nothing new; what they wrote stays theirs, and is still shown.
    team.extend(roster(team.root))
    team.rotate()
    relay.publish(team)
    asks.send(thread, Text("who is there now?"))
    works.read(thread)
    assert "who is there now?" not in works.room(thread).words
    late = HonestClient(relay, patient)
    late.look(surgeon.id, intruder.id)
    late.read(thread)
    assert "from surgery" in late.room(thread).words
    assert asks.send(thread, Receipt(())) != []
