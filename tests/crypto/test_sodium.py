"""Primitives: the same as libsodium's own, and never more than was promised."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings, hash
from nacl.encoding import RawEncoder

from carnet_crypto import sodium
from carnet_crypto.errors import OpenFailed, SignatureFailed
from carnet_crypto.hashing import derive, digest
from carnet_crypto.labels import Label
from carnet_crypto.values import (
    AccountId,
    BoxPublic,
    BoxSecret,
    Digest,
    Key,
    Signature,
    SignPublic,
    SignSeed,
)

KEY = Key(b"\x07" * 32)
HEADER = b"\x09" * sodium.STREAM_HEADER


@given(st.binary(max_size=300))
def test_digests_are_libsodiums(data: bytes) -> None:
    assert digest(Label.BODY, data[:3], data[3:]) == hash.blake2b(
        Label.BODY.prefix + data, encoder=RawEncoder
    )
    assert derive(KEY, Label.BODY_KEY, data) == hash.blake2b(
        Label.BODY_KEY.prefix + data, key=KEY, encoder=RawEncoder
    )
    assert hashlib.sha256(data).digest() == bindings.crypto_hash_sha256(data)


@given(st.binary(max_size=100))
def test_signatures_are_libsodiums_over_the_label_too(data: bytes) -> None:
    key = sodium.SigningKey(SignSeed(b"\x01" * 32))
    signature = key.sign(Label.SIGN_MESSAGE, data)
    bindings.crypto_sign_open(signature + Label.SIGN_MESSAGE.prefix + data, key.public)
    sodium.verify(key.public, Label.SIGN_MESSAGE, data, signature)
    assert signature == sodium.sign(SignSeed(b"\x01" * 32), Label.SIGN_MESSAGE, data)
    for label in Label:
        if label is not Label.SIGN_MESSAGE:
            with pytest.raises(SignatureFailed):
                sodium.verify(key.public, label, data, signature)


def test_no_label_is_the_beginning_of_another() -> None:
    prefixes = [label.prefix for label in Label]
    assert len(set(prefixes)) == len(prefixes)
    for one in prefixes:
        assert [other for other in prefixes if other.startswith(one)] == [one]


def test_a_chunk_is_the_one_that_libsodium_opens() -> None:
    stream = sodium.PushStream(HEADER, KEY)
    sealed = [stream.push(b"one", b"0", is_final=False), stream.push(b"", b"1", is_final=True)]
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, HEADER, KEY)
    pull = bindings.crypto_secretstream_xchacha20poly1305_pull
    assert pull(state, sealed[0], b"0") == (b"one", sodium.TAG_MESSAGE)
    assert pull(state, sealed[1], b"1") == (b"", sodium.TAG_FINAL)


@pytest.mark.parametrize("tag", [1, 2])
def test_no_other_tag_is_taken(tag: int) -> None:
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, HEADER, KEY)
    sealed = bindings.crypto_secretstream_xchacha20poly1305_push(state, b"one", b"", tag)
    with pytest.raises(OpenFailed):
        sodium.PullStream(HEADER, KEY).pull(sealed, b"")


def test_nothing_follows_the_last_chunk() -> None:
    stream = sodium.PushStream(HEADER, KEY)
    last, more = (stream.push(b"x", b"", is_final=final) for final in (True, False))
    pulled = sodium.PullStream(HEADER, KEY)
    assert pulled.pull(last, b"") == (b"x", True)
    with pytest.raises(OpenFailed):
        pulled.pull(more, b"")


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 47, 48])
def test_what_is_too_short_does_not_open(length: int) -> None:
    secret = BoxSecret(b"\x02" * 32)
    for attempt in (
        lambda: sodium.decrypt(KEY, bytes(length), b""),
        lambda: sodium.PullStream(HEADER, KEY).pull(bytes(length), b""),
        lambda: sodium.open_sealed(bytes(length), sodium.box_public(secret), secret),
    ):
        with pytest.raises(OpenFailed):
            attempt()
    if length != sodium.STREAM_HEADER:
        for stream in (sodium.PushStream, sodium.PullStream):
            with pytest.raises(OpenFailed):
                stream(bytes(length), KEY)


def test_nothing_is_sealed_for_a_key_that_everybody_shares() -> None:
    with pytest.raises(OpenFailed):
        sodium.seal(b"words", BoxPublic(bytes(32)), BoxSecret(b"\x03" * 32))


def test_every_failure_looks_the_same() -> None:
    told = set()
    for failing in (bytes(10), bytes(100), sodium.encrypt(KEY, b"x", b"elsewhere")):
        with pytest.raises(OpenFailed) as failed:
            sodium.decrypt(KEY, failing, b"")
        told.add(str(failed.value))
    assert told == {"cannot be opened"}


def test_values_of_one_length_show_which_they_are() -> None:
    data = bytes(range(32))
    shown = {repr(kind(data)) for kind in (AccountId, Digest, SignPublic, BoxPublic)}
    assert shown == {
        "<AccountId 00010203…>",
        "<Digest 00010203…>",
        "<SignPublic 00010203…>",
        "<BoxPublic 00010203…>",
    }
    assert Digest.zero().is_zero and not Digest(data).is_zero
    assert Signature.zero() == bytes(64)
