"""T36-T43: impersonated, keyed, flipped, cut, downgraded and other malformed envelopes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import salamander
from correspondents import POLICY
from forging import RawBody, commitment, control_entry, message
from honest_client import denied, meet
from lying_relay import Posted
from nacl import bindings
from tapping import envelopes, kinds, secret_of

from carnet_crypto import sodium
from carnet_crypto.chain import read_entry
from carnet_crypto.control import read_control
from carnet_crypto.control_bodies import ControlType, SetPolicy
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.envelope import HEADER_BYTES, PREFIX_BYTES, SUITE, prefix, read_envelope
from carnet_crypto.errors import Malformed, OpenFailed, ProtocolError, Reason
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.padding import pad, unpad
from carnet_crypto.secret import header as headers
from carnet_crypto.secret.content import Text, encode_content, read_content
from carnet_crypto.secret.happenings import Rejected, Shown
from carnet_crypto.secret.header import Kind
from carnet_crypto.secret.keys import body_key, message_keys
from carnet_crypto.secret.messages import open_message
from carnet_crypto.values import EpochSecret, Salt
from carnet_crypto.wire import LARGEST, Reader, u64

VECTORS = json.loads((Path(__file__).parent / "salamander.json").read_text())


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
