import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url


@given(st.binary(max_size=300))
def test_every_byte_string_has_one_text(data: bytes) -> None:
    text = to_base64url(data)
    assert from_base64url(text) == data
    assert "=" not in text


@pytest.mark.parametrize("text", ["AA==", "A", "AB", "A+/A", "AAé", " AAAA", "AAAA\n", "AA AA"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        from_base64url(text)
