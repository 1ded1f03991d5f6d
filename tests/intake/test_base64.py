"""Base64 from the field: two faults are repaired and told, everything else is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import ValidationFailed
from carnet.intake.base64 import WHITE_SPACE, decode


@given(st.binary(max_size=200))
def test_flawless_base64_is_not_repaired(data: bytes) -> None:
    found = decode(base64.b64encode(data).decode())
    assert (found.data, found.was_repaired) == (data, False)


@given(st.binary(min_size=1, max_size=200), st.integers(1, 2))
def test_missing_padding_is_repaired(data: bytes, missing: int) -> None:
    text = base64.b64encode(data).decode()
    shorter = text[:-missing] if text.endswith("=" * missing) else text
    found = decode(shorter)
    assert (found.data, found.was_repaired) == (data, shorter != text)


@given(st.binary(min_size=1, max_size=200))
def test_lines_are_joined(data: bytes) -> None:
    found = decode(base64.encodebytes(data))
    assert (found.data, found.was_repaired) == (data, True)


@pytest.mark.parametrize(
    "text",
    [
        "Q",
        "QQ===",
        "QUJD=",
        "QUJD====",
        "=",
        "====",
        "QQ==QQ==",
        "Q=Q=",
        "Q-Q_",
        "QQ*=",
        "é",
        "Q\0Q=",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed):
        decode(text)


@pytest.mark.parametrize("text", ["", " ", "\r\n\t"])
def test_nothing_is_nothing(text: str) -> None:
    assert decode(text).data == b""


def test_the_limit_is_for_the_content_and_not_its_white_space() -> None:
    spread = b"".join(bytes([sign]) + WHITE_SPACE for sign in base64.b64encode(b"abcdef"))
    assert decode(spread, limit_bytes=6).data == b"abcdef"
    with pytest.raises(ValidationFailed):
        decode(spread, limit_bytes=5)
    with pytest.raises(ValidationFailed):
        decode(base64.b64encode(bytes(1000)), limit_bytes=5)


def test_the_content_stays_out_of_reprs() -> None:
    assert "secret" not in repr(decode(base64.b64encode(b"secret")))
