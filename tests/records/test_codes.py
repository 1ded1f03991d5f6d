"""Codes that are typed from paper: what is meant is taken, what cannot be is told apart."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from carnet.records.codes import ALPHABET, enrolment_code, proof_key, read_code, reference, same

KEY = b"k" * 32
records = st.uuids()


@given(records, st.integers(1, 1000))
def test_a_code_is_read_back_however_it_is_typed(record_id: UUID, issue: int) -> None:
    code = enrolment_code(KEY, record_id, issue)
    assert len(code) == 14 and set(code) <= set(ALPHABET) | {"-"}
    for typed in (code, code.lower(), code.replace("-", ""), f" {code} ".replace("-", " ")):
        assert read_code(typed) == code
    assert read_code(code.replace("0", "O").replace("1", "l")) == code


@given(records, st.integers(0, 11), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(record_id: UUID, place: int, character: str) -> None:
    plain = enrolment_code(KEY, record_id, 1).replace("-", "")
    typed = plain[:place] + character + plain[place + 1 :]
    assert (read_code(typed) is not None) == (typed == plain)


@given(st.text(max_size=200))
def test_anything_can_be_typed(text: str) -> None:
    code = read_code(text)
    assert code is None or read_code(code) == code


@given(records, records)
def test_everything_that_goes_in_counts(one: UUID, other: UUID) -> None:
    at = datetime(2026, 5, 4, tzinfo=UTC)
    later = datetime(2026, 5, 5, tzinfo=UTC)
    codes = {
        enrolment_code(KEY, one, 1),
        enrolment_code(KEY, one, 2),
        enrolment_code(b"x" * 32, one, 1),
        reference(KEY, one, "CLOSING", at),
        reference(KEY, one, "OPPOSITION", at),
        reference(KEY, one, "OPPOSITION", later),
    }
    assert len(codes) == 6
    assert len({proof_key(KEY, one, at), proof_key(KEY, one, later)}) == 2
    assert same(enrolment_code(KEY, one, 1), enrolment_code(KEY, other, 1)) == (one == other)
