"""T44-T48, T69, T70: erased bodies, edits of others, forged receipts, sizes, copied devices."""

from __future__ import annotations

import random

import pytest
from correspondents import NOW, seeded
from forging import header_of, message
from honest_client import HonestClient, meet
from lying_relay import Conflict
from tapping import DAY, envelopes, kinds, secret_of

from carnet_crypto import sodium
from carnet_crypto.envelope import MOST_ENVELOPE_BYTES, read_envelope
from carnet_crypto.errors import Reason
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.padding import pad, padded_length
from carnet_crypto.secret.content import (
    Acknowledgement,
    Edit,
    Receipt,
    Retraction,
    RetractionReason,
    Seen,
    Text,
    Verdict,
    encode_content,
)
from carnet_crypto.secret.happenings import (
    Acknowledged,
    Edited,
    Erased,
    Read,
    Rejected,
    Retracted,
    Shown,
)
from carnet_crypto.secret.keys import DeviceKeys, body_key, message_keys
from carnet_crypto.values import Salt
from carnet_crypto.wire import LARGEST


def test_t44_body_erased() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("it is 4711"))
    met.patient.read(met.thread)
    room = met.patient.room(met.thread)
    envelope = read_envelope(envelopes(met)[0])
    met.relay.erase(met.thread, 1)
    erased = envelopes(met)[0]
    assert read_envelope(erased).name == envelope.name
    assert kinds(met.patient.take(met.thread, 1, erased)) == [Erased]
    assert room.view.in_order()[0].content is None and room.words == []
    assert met.patient.take(met.thread, 1, envelope.data) == []  # nor does it come back
    assert room.words == []
    # For somebody new it is there, its author's, in its place, and without words.
    late = met.patient.restarted()
    late.look()
    (shown,) = late.read(met.thread)
    assert shown.content is None and shown.header.account == met.doctor.own
    met.doctor.send(met.thread, Text("another"))
    assert late.read(met.thread)[0].missing == 0
    # A member with the epoch's key cannot test what it may have been: the salt went with it.
    kept = header_of(erased, secret_of(met)).body
    key = message_keys(secret_of(met), envelope.keyed)[2]
    assert kept not in read_envelope(erased).data
    for guess in ("it is 4711", "it is 4712"):
        plain = pad(encode_content(Text(guess)), 256)
        for salt in (Salt.zero(), envelope.salt, Salt(seeded(1)(32))):
            sealed = sodium.encrypt(body_key(key, salt), plain, envelope.prefix + b"B")
            assert digest(Label.BODY, salt, sealed) != kept
    true = Salt(envelope.body[:32])
    plain = pad(encode_content(Text("it is 4711")), 256)
    sealed = sodium.encrypt(body_key(key, true), plain, envelope.prefix + b"B")
    assert digest(Label.BODY, true, sealed) == kept  # with it, and only with it, one could


def test_t45_edit_by_another() -> None:
    met = meet(nurse=True)
    met.doctor.send(met.thread, Text("take 5"))
    met.nurse.read(met.thread)
    (shown,) = met.patient.read(met.thread)
    for content in (
        Edit(shown.id, "take 50"),
        Retraction(shown.id, RetractionReason.MISTAKE),
    ):
        met.nurse.send(met.thread, content)
        told = met.patient.read(met.thread)
        assert kinds(told) == [Shown, Rejected] and told[1].reason is Reason.NOT_AUTHORIZED
        assert met.patient.room(met.thread).view.text(shown.id) == "take 5"
    # What cannot be taken back: a clinical word, by its own author neither.
    met.nurse.send(met.thread, Acknowledgement(shown.id, Verdict.AGREED, ""))
    told = met.patient.read(met.thread)
    assert kinds(told) == [Shown, Acknowledged]
    met.nurse.send(met.thread, Retraction(told[0].id, RetractionReason.MISTAKE))
    assert kinds(met.patient.read(met.thread)) == [Shown, Rejected]
    # By the author: other words, then none, whatever comes after or again.
    met.doctor.send(met.thread, Edit(shown.id, "take 4"))
    assert kinds(met.patient.read(met.thread)) == [Shown, Edited]
    assert met.patient.room(met.thread).view.text(shown.id) == "take 4"
    met.doctor.send(met.thread, Retraction(shown.id, RetractionReason.MISTAKE))
    assert kinds(met.patient.read(met.thread)) == [Shown, Retracted]
    met.doctor.send(met.thread, Edit(shown.id, "take 3"))
    assert kinds(met.patient.read(met.thread)) == [Shown]
    for envelope in envelopes(met):
        met.patient.take(met.thread, 1, envelope)
    view = met.patient.room(met.thread).view
    assert view.text(shown.id) is None
    left = repr([each.content for each in view.in_order()])
    assert not any(words in left for words in ("take 5'", "take 4", "take 3"))


def test_t45_what_expires_is_dropped() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("for a day"), expires_at=NOW + DAY)
    met.doctor.send(met.thread, Text("for good"))
    met.patient.read(met.thread)
    view = met.patient.room(met.thread).view
    assert view.expire(NOW + DAY - 1) == []
    assert kinds(view.expire(NOW + DAY)) == [Erased] and view.expire(NOW + DAY) == []
    assert met.patient.room(met.thread).words == ["for good"]


def test_t46_back_dated_edit() -> None:
    met = meet(nurse=True)
    met.doctor.send(met.thread, Text("take 5"))
    (shown,) = met.patient.read(met.thread)
    edits = []
    for words, at in (("take 6", NOW + 10), ("take 7", NOW - DAY)):
        _, envelope = message(met.doctor, met.thread, Edit(shown.id, words), sent_at=at)
        edits.append(envelope)
        met.doctor.take(met.thread, 1 + len(edits), envelope)
    for order in ((0, 1), (1, 0)):
        late = met.nurse.restarted()
        late.look()
        late.read(met.thread)
        for number in order:
            late.take(met.thread, 2 + number, edits[number])
        view = late.room(met.thread).view
        assert view.text(shown.id) == "take 7"  # the chain says so, whatever the clock said
        assert [e.content.text for e in view.in_order()] == ["take 5", "take 6", "take 7"]


def test_t47_receipt_forgery() -> None:
    met = meet(nurse=True)
    met.doctor.send(met.thread, Text("one"))
    met.patient.read(met.thread)
    device = met.doctor.keys.id
    for seen in (Seen(device, 2), Seen(met.nurse.keys.id, 1), Seen(device, LARGEST)):
        met.patient.send(met.thread, Receipt((Seen(device, 1), seen)))
        assert kinds(met.doctor.read(met.thread)) == [Shown]
    met.patient.send(met.thread, Receipt((Seen(device, 1),)))
    assert kinds(met.doctor.read(met.thread)) == [Shown, Read]
    # Once somebody is no member, their receipts say nothing.
    met.nurse.read(met.thread)
    _, late = message(met.nurse, met.thread, Receipt((Seen(device, 1),)))
    met.doctor.remove(met.thread, met.nurse.own)
    head = met.doctor.room(met.thread).view.thread.head
    secret = met.nurse.room(met.thread).view.secrets[1]
    _, forged = message(
        met.nurse, met.thread, Receipt((Seen(device, 1),)), control_head=head, secret=secret
    )
    told = met.doctor.take(met.thread, 9, forged)
    assert told == [Rejected(9, told[0].id, Reason.UNKNOWN_MEMBER)]
    assert kinds(met.doctor.take(met.thread, 9, late)) == [Shown, Read]  # it was true when sent


def test_t48_subscription_lies() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("one"))
    true = envelopes(met)[0]
    _, forged = message(met.patient, met.thread, Text("two"), account=met.doctor.own)
    for number, envelope in (
        (7, b""),
        (1, forged),
        (2, bytes(MOST_ENVELOPE_BYTES)),
        (0, true[:-1]),
    ):
        fresh = met.patient.restarted()
        fresh.look()
        before = fresh.read(met.thread)
        assert kinds(before) == [Shown]
        state = fresh.state()
        assert fresh.hint(met.thread, number, envelope) == []
        assert fresh.hint(met.thread, number, envelope) == []
        assert fresh.state() == state
    met.doctor.send(met.thread, Text("two"))
    for order in ((2, 1), (2, 2, 1, 1)):
        fresh = met.patient.restarted()
        fresh.look()
        for number in order:
            fresh.hint(met.thread, number, envelopes(met)[number - 1])
        assert fresh.room(met.thread).words == ["one", "two"]
        assert fresh.room(met.thread).alarms == []


def test_t69_size_classes() -> None:
    chance = random.Random(7)  # noqa: S311
    sizes = set()
    for _ in range(10_000):
        length = chance.randrange(0, 48_000)
        plain = encode_content(Text("x" * length))
        sizes.add(len(pad(plain, 256)))
    classes = {padded_length(length, 256) for length in range(48_100)}
    assert sizes <= classes and len(classes) < 130
    met = meet()
    lengths = set()
    for words in ("", "no", "yes", "x" * 120):
        met.doctor.send(met.thread, Text(words))
        lengths.add(len(envelopes(met)[-1]))
    assert lengths == {948}


def test_t70_a_copied_device_uses_no_key_twice() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("before"))
    view, keys = met.doctor.room(met.thread).view, met.doctor.keys
    sent = [message(met.doctor, met.thread, Text("the same words")) for _ in range(50)]
    assert {sequence for sequence, _ in sent} == {2}
    salts, used = set(), set()
    for _, envelope in sent:
        found = read_envelope(envelope)
        _, header_key, key = message_keys(view.secrets[1], found.keyed)
        salts |= {found.salt, found.body[:32]}
        used |= {header_key, body_key(key, Salt(found.body[:32]))}
    assert len(salts) == len(used) == 100
    # The relay takes one of two; the other copy reads it and goes on from there.
    met.relay.send(met.thread, keys.id, *sent[0])
    with pytest.raises(Conflict):
        met.relay.send(met.thread, keys.id, *sent[1])
    met.doctor.send(met.thread, Text("after"))
    met.patient.read(met.thread)
    assert met.patient.room(met.thread).words == ["before", "the same words", "after"]
    assert met.patient.room(met.thread).alarms == []
    # A relay that hides our last message does not make us sign another in its place.
    met.relay.lies["envelopes"] = lambda viewer, honest: honest[:-1] if viewer is again else honest
    again = met.doctor.restarted()
    again.look()
    again.read(met.thread)
    assert again.seal(met.thread, Text("next"))[0] == 4


def test_a_new_device_is_looked_up_before_its_words_are_refused() -> None:
    met = meet()
    keys = met.doctor.person.add_device()
    met.relay.publish(met.doctor.person)
    second = HonestClient(met.relay, met.doctor.person, keys)
    second.look()
    second.read(met.thread)
    second.send(met.thread, Text("from my telephone"))
    assert kinds(met.patient.read(met.thread)) == [Shown]
    # One that no chain has is looked up as well, and refused.
    stranger = DeviceKeys.generate(seeded(3))
    _, forged = message(second, met.thread, Text("words"), claims=stranger.id)
    assert met.patient.take(met.thread, 2, forged) == [Rejected(2, None, None)]
