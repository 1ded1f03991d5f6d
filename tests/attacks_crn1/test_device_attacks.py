"""T14-T19: revoked devices, delegates whose time is over or who were hidden, stuffed rosters."""

from __future__ import annotations

from dataclasses import replace

from correspondents import NOW, POLICY, Person, seeded
from forging import control_entry, message
from honest_client import HonestClient, Meeting, denied, meet
from lying_relay import LyingRelay
from tapping import post, size, take_chain_at, written_for

from carnet_crypto.checkpoint import FRESH
from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import Add, Added
from carnet_crypto.errors import Reason, SignatureFailed
from carnet_crypto.kinds import AccountKind, DeviceFlag, Role, RosterRole, Scope
from carnet_crypto.labels import Label
from carnet_crypto.secret import conversation, identity
from carnet_crypto.secret.content import Receipt, Text
from carnet_crypto.secret.happenings import Rejected, Shown, StaleAuthor, Withheld

HOUR = 3600 * 1000


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
    stale = met.relay.checkpoint(met.patient, size(met.patient))
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
        met.doctor.contacts.take_checkpoint(*met.relay.checkpoint(None, size(met.doctor)))
        with denied(met.doctor, error):
            take_chain_at(met, met.doctor, patient.id, size(met.doctor))
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
        asks.contacts.take_checkpoint(*relay.checkpoint(None, size(asks)))
        with denied(asks, error):
            found = relay.chain(asks, team.id, asks.contacts.account(team.id).number, size(asks))
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
