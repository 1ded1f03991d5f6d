"""T28-T48: replayed, reordered, dropped, moved, forged and malformed messages."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import salamander
from correspondents import NOW, POLICY, seeded
from forging import RawBody, commitment, control_entry, header_of, message, reseal
from honest_client import HonestClient, Meeting, denied, meet
from lying_relay import Conflict, Posted
from nacl import bindings

from carnet_crypto import sodium
from carnet_crypto.chain import read_entry
from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import ControlType, SetPolicy
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.envelope import (
    HEADER_BYTES,
    MOST_ENVELOPE_BYTES,
    PREFIX_BYTES,
    SUITE,
    prefix,
    read_envelope,
)
from carnet_crypto.errors import Malformed, OpenFailed, ProtocolError, Reason
from carnet_crypto.hashing import digest
from carnet_crypto.kinds import Role
from carnet_crypto.labels import Label
from carnet_crypto.padding import pad, padded_length, unpad
from carnet_crypto.secret import header as headers
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
    read_content,
)
from carnet_crypto.secret.happenings import (
    Acknowledged,
    Edited,
    Equivocation,
    Erased,
    GapFilled,
    Read,
    Rejected,
    Retracted,
    Shown,
)
from carnet_crypto.secret.header import Kind
from carnet_crypto.secret.keys import DeviceKeys, body_key, message_keys
from carnet_crypto.secret.messages import open_message
from carnet_crypto.values import EpochSecret, Salt
from carnet_crypto.wire import LARGEST, Reader, u64

DAY = 24 * 3600 * 1000
VECTORS = json.loads((Path(__file__).parent / "salamander.json").read_text())


def secret_of(met: Meeting) -> EpochSecret:
    view = met.doctor.room(met.thread).view
    return view.secrets[view.thread.epoch.number]


def envelopes(met: Meeting) -> list[bytes]:
    return met.relay.threads[met.thread].envelopes


def kinds(told) -> list[type]:
    return [type(each) for each in told]


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


def test_t36_impersonation_inside() -> None:
    met = meet(nurse=True)
    met.nurse.look(met.doctor.own)
    for claims in (met.doctor.keys.id, met.nurse.keys.id):
        _, forged = message(
            met.nurse, met.thread, Text("as the doctor"), account=met.doctor.own, claims=claims
        )
        assert met.patient.take(met.thread, 1, forged) == [Rejected(1, None, None)]
    _, own = message(met.nurse, met.thread, Text("as myself"))
    assert kinds(met.patient.take(met.thread, 1, own)) == [Shown]


def test_t37_device_of_another_account() -> None:
    met = meet(nurse=True)
    # A true signature of the nurse's device, under the doctor's account and as a stranger's.
    for account in (met.doctor.own, met.patient.own, digest(Label.ACCOUNT, b"nobody")):
        _, forged = message(met.nurse, met.thread, Text("words"), account=account)
        assert met.patient.take(met.thread, 1, forged) == [Rejected(1, None, None)]
    assert met.patient.room(met.thread).words == []


def test_t38_salamander_message() -> None:
    found = VECTORS["xchacha"]
    ct, aad, nonce = (bytes.fromhex(found[name]) for name in ("ct", "aad", "nonce"))
    for key, plain in (("k1", "p1"), ("k2", "p2")):
        opened = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            ct, aad, nonce, bytes.fromhex(found[key])
        )
        assert opened.hex() == found[plain]  # the primitive does not commit
    # One header that opens under the secrets of two members' epochs, made for our own layout.
    met = meet()
    one, other = secret_of(met), EpochSecret(b"another secret, of the other one")
    start = prefix(met.thread, 1, Salt(b"s" * 32))
    keys = [message_keys(secret, start[8:]) for secret in (one, other)]
    for mine in keys:
        whole = start + commitment(mine[0], start)
        sealed = salamander.make(keys[0][1], keys[1][1], whole + b"H", HEADER_BYTES)
        for committing, header_key, _ in keys:
            assert len(sodium.decrypt(header_key, sealed, whole + b"H")) == HEADER_BYTES
            assert (commitment(committing, start) == whole[76:]) == (committing is mine[0])
        envelope = whole + len(sealed).to_bytes(4, "big") + sealed + bytes(4)
        assert read_envelope(envelope).is_erased
        with pytest.raises(OpenFailed):
            open_message(envelope, other, met.patient.contacts.accounts)
        assert met.patient.take(met.thread, 1, envelope) == [Rejected(1, None, None)]
    # A body, under the key of a header that is the author's own: its digest is signed.
    met.doctor.send(met.thread, Text("words"))
    envelope = read_envelope(envelopes(met)[0])
    salt = Salt(envelope.body[:32])
    start = envelope.prefix + b"B"
    both = [body_key(message_keys(s, envelope.keyed)[2], salt) for s in (one, other)]
    body = salamander.make(*both, start, len(envelope.body) - 48)
    assert all(sodium.decrypt(key, body, start) for key in both)
    head = envelope.data[: -len(envelope.body)]
    assert met.patient.take(met.thread, 1, head + salt + body) == [Rejected(1, None, None)]
    assert kinds(met.patient.take(met.thread, 1, envelope.data)) == [Shown]


def test_t40_bit_flips() -> None:
    met = meet(nurse=True)
    met.doctor.send(met.thread, Text("words"))
    envelope = envelopes(met)[0]
    view = met.patient.room(met.thread).view
    known = met.patient.contacts.accounts
    for at in range(len(envelope)):
        flipped = envelope[:at] + bytes([envelope[at] ^ 1 << at % 8]) + envelope[at + 1 :]
        told = view.take_message(1, flipped, known, is_current=True)
        assert kinds(told) == [Rejected], at
    for account in (met.doctor.person, met.patient.person):
        before = known[account.id]
        account.rotate()
        for number, entry in enumerate(account.chain):
            state = None if number == 0 else before
            if number not in (0, len(account.chain) - 1):
                continue
            for at in range(0, len(entry), 1 + len(entry) // 400):
                flipped = entry[:at] + bytes([entry[at] ^ 1 << at % 8]) + entry[at + 1 :]
                with pytest.raises(ProtocolError):
                    (type(before).begin if state is None else state.extend)(flipped)
    entry = control_entry(met.doctor, met.thread, SetPolicy(replace(POLICY, retention_days=1)))
    author = known[met.doctor.own]
    for at in range(len(entry)):
        flipped = entry[:at] + bytes([entry[at] ^ 1 << at % 8]) + entry[at + 1 :]
        with pytest.raises(ProtocolError):
            view.thread.extend(flipped, author)
    view.thread.extend(entry, author)


def test_t41_truncation_and_extension() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("words"))
    envelope = envelopes(met)[0]
    view = met.patient.room(met.thread).view
    known = met.patient.contacts.accounts
    body_at = PREFIX_BYTES + 4 + HEADER_BYTES + 16
    for length in range(len(envelope)):
        told = view.take_message(1, envelope[:length], known, is_current=True)
        assert told == [Rejected(1, None, None)]
    for more in (b"\x00", b"\x80", envelope):
        assert kinds(view.take_message(1, envelope + more, known)) == [Rejected]
    for length in (1, 47, 48, 303, 305, 2**32 - 1):
        changed = envelope[:body_at] + length.to_bytes(4, "big") + envelope[body_at + 4 :]
        assert kinds(view.take_message(1, changed, known)) == [Rejected]
    entry = met.doctor.person.chain[1]
    control = met.relay.threads[met.thread].posted[0].entry
    for data, read in ((entry, read_entry), (control, read_control)):
        assert read(data)
        for length in (*range(len(data)), len(data) + 1):
            with pytest.raises(Malformed):
                read((data + b"\x00")[:length])
    assert kinds(met.patient.read(met.thread)) == [Shown]


def test_t42_unknown_values_and_downgrade() -> None:
    met = meet()
    met.doctor.send(met.thread, Text("words"))
    envelope = envelopes(met)[0]
    view, known = met.patient.room(met.thread).view, met.patient.contacts.accounts
    for at, values in ((3, (0x30, 0x32)), (4, (0, 2)), (5, (0, 2, 255)), (6, (1,)), (7, (1,))):
        for value in values:
            changed = envelope[:at] + bytes([value]) + envelope[at + 1 :]
            assert view.take_message(1, changed, known) == [Rejected(1, None, None)]
    for at, values in ((4, (0, 2)), (5, (0, 9, 255))):
        for data, read in (
            (met.doctor.person.chain[1], read_entry),
            (met.relay.threads[met.thread].posted[0].entry, read_control),
        ):
            for value in values:
                with pytest.raises(Malformed):
                    read(data[:at] + bytes([255 if value == 9 else value]) + data[at + 1 :])
    for least, error in ((0, Malformed), (SUITE + 1, Reason.SUITE_TOO_LOW)):
        policy = replace(POLICY, least_suite=least)
        entry = control_entry(met.doctor, met.thread, SetPolicy(policy))
        met.relay.threads[met.thread].posted.append(Posted(entry, (), ()))
        with denied(met.patient, error):
            met.patient.read_control(met.thread)
        met.relay.threads[met.thread].posted.pop()
    unknown = control_entry(met.doctor, met.thread, RawBody(ControlType.CLOSE, b"\x00"))
    with pytest.raises(Malformed):
        read_control(unknown)
    with pytest.raises(Malformed):
        read_content(b"\x02" + encode_content(Text("words"))[1:], Kind.TEXT)
    with pytest.raises(Malformed):  # of another kind than its header says
        read_content(encode_content(Text("words")), Kind.SYSTEM)


def test_t43_not_canonical() -> None:
    for text in ("AA==", "AB", "A", "AA\n", " AA", "A+A", "A/A", "AAA=", "ÄA", "AAAAA", "\ud800"):
        with pytest.raises(Malformed):
            from_base64url(text)
    for data in (b"", b"\x00", bytes(range(256))):
        assert from_base64url(to_base64url(data)) == data
    with pytest.raises(Malformed):
        Reader((LARGEST + 1).to_bytes(8, "big")).u64()
    with pytest.raises(Malformed):
        u64(LARGEST + 1)
    assert Reader(u64(LARGEST)).u64() == LARGEST
    for words in ("\x00", "a\x00", "\ud800", "\udfff a"):
        with pytest.raises(Malformed):
            encode_content(Text(words))
    plain = encode_content(Text("ab"))
    for bad in (b"\xff\xfe", b"\x00a", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"):
        data = plain[:-6] + len(bad).to_bytes(4, "big") + bad
        with pytest.raises(Malformed):
            read_content(data, Kind.TEXT)
    for padded in (
        pad(b"words", 256) + bytes(1),
        b"words\x80" + bytes(1000),
        b"words" + bytes(251),
        b"words\x80" + bytes(249) + b"\x01",
        bytes(256),
        b"",
    ):
        with pytest.raises(Malformed):
            unpad(padded, 256)
    assert unpad(pad(b"words", 256), 256) == b"words"
    with pytest.raises(Malformed):
        headers.read_header(b"\x80" + bytes(HEADER_BYTES - 1))
    # A body of a length that nobody pads to is not even opened.
    met = meet()
    met.doctor.send(met.thread, Text("words"))
    envelope = read_envelope(envelopes(met)[0])
    for length in (0, 255, 257, 272 + 1):
        body = bytes(48 + length)
        start = envelope.data[: PREFIX_BYTES + 4 + HEADER_BYTES + 16]
        with pytest.raises(Malformed):
            read_envelope(start + len(body).to_bytes(4, "big") + body)


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
