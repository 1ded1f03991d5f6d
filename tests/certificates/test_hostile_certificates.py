"""Certificates made to cost: a few hundred characters are refused at once, whatever they inflate to.

None of them is signed by anybody: whoever may write into a record can show one.
"""

from __future__ import annotations

import time
import zlib
from datetime import UTC, datetime

import base45
import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.certificates import cbor, dcc
from carnet.certificates.certificate import MOST_BYTES, MOST_CHARACTERS, Fault
from carnet.certificates.reading import read
from carnet.certificates.trust import TrustList
from carnet.errors import CertificateRefused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOST_SECONDS = 0.5  # of this thread's processor time; the worst took ten seconds
LARGE = MOST_BYTES - 100


def long(kind: int, size: int) -> bytes:
    """Return the head of a value of a kind: 2 bytes, 3 text, 4 array, 5 map."""
    return bytes([kind << 5 | 26]) + size.to_bytes(4)


BIGNUM = b"\xc2" + long(2, LARGE) + b"\xff" * LARGE
CASES = {
    "a decimal with a long mantissa": b"\xc4\x82\x01" + BIGNUM,
    "a decimal with a long exponent": b"\xc4\x82" + BIGNUM + b"\x01",
    "a decimal that is none": b"\xc4\x82\x61a\x61b",
    "a decimal beyond all": b"\xc4\x82\x1b\x7f" + b"\xff" * 7 + b"\x01",
    "a binary fraction with a long mantissa": b"\xc5\x82\x01" + BIGNUM,
    "a binary fraction with a long exponent": b"\xc5\x82" + BIGNUM + b"\x01",
    "a binary fraction beyond all": b"\xc5\x82\x1a\x3b\x9a\xc9\xff\x01",
    "a fraction": b"\xd8\x1e\x82" + BIGNUM[: LARGE // 2] + BIGNUM[: LARGE // 2],
    "a fraction of nothing": b"\xd8\x1e\x82\x01\x00",
    "a number without end": BIGNUM,
    "a pattern": b"\xd8\x23" + long(3, LARGE) + b"(a|" * (LARGE // 3),
    "a deep pattern": b"\xd8\x23" + long(3, LARGE) + b"(" * LARGE,
    "a message": b"\xd8\x24" + long(3, LARGE) + b"a:b\n" * (LARGE // 4),
    "a decimal as a key": b"\xa1\xc4\x82\x01" + BIGNUM + b"\x01",
    "many values": long(4, LARGE) + b"\x80" * LARGE,
    "many values without their number": b"\x9f" + b"\x01" * LARGE + b"\xff",
    "pieces without end": b"\x7f" + b"\x60" * LARGE,
    "arrays in each other": b"\x81" * LARGE,
    "tags in each other": b"\xd2" * LARGE,
    "more announced than is there": b"\x9b\x00\x00\x00\x01\x00\x00\x00\x00",
    "a text longer than memory": b"\x7b\x7f" + b"\xff" * 7,
}
PLACES = {
    "alone": lambda body: body,
    "in a header": lambda body: b"\xd2\x84\x43\xa1\x04\x40\xa1\x01" + body + b"\x40\x40",
    "in the protected header": lambda body: (
        b"\xd2\x84" + long(2, len(body)) + body + b"\xa0\x40\x40"
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", CASES)
def test_what_a_certificate_never_has_is_refused_before_it_is_made(case: str, place: str) -> None:
    data = PLACES[place](CASES[case])
    text = dcc.PREFIX + base45.b45encode(zlib.compress(data, 9)).decode()
    assert len(text) < 2_000
    began = time.thread_time()
    with pytest.raises(CertificateRefused) as caught:
        read(text, TrustList(), NOW)
    assert time.thread_time() - began < MOST_SECONDS
    assert caught.value.fault == Fault.STRUCTURE


@pytest.mark.parametrize(
    "text",
    [
        "HC1:" + "9" * (MOST_CHARACTERS - 4),
        "shc:/" + "0" * (MOST_CHARACTERS - 5),
        "shc:/1/1/0 " * (MOST_CHARACTERS // 11),
        '{"verifiableCredential":' + "[" * 30_000,
        "a" * MOST_CHARACTERS,
        "a." * (MOST_CHARACTERS // 2),
    ],
    ids=["base45", "digits", "codes", "nested", "letters", "dots"],
)
def test_long_texts_are_refused_at_once(text: str) -> None:
    began = time.thread_time()
    with pytest.raises(CertificateRefused):
        read(text, TrustList(), NOW)
    assert time.thread_time() - began < MOST_SECONDS


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.text() | st.binary()
    | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=3) | st.integers(-300, 300), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(value=_PLAIN)
def test_plain_values_come_back(value: object) -> None:
    assert cbor.load(cbor2.dumps(value)) == value


@given(data=st.binary(max_size=200))
def test_what_passes_is_what_the_decoder_reads_whole(data: bytes) -> None:
    try:
        found = cbor.load(data)
    except cbor.Unreadable:
        return
    assert cbor2.loads(cbor2.dumps(found)) == found or found != found or "nan" in repr(found)


def test_what_follows_a_value_is_refused() -> None:
    assert cbor.load(b"\x01") == 1
    with pytest.raises(cbor.Unreadable):
        cbor.load(b"\x01\x01")
