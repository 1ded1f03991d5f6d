import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import ValidationFailed
from carnet.values import Identifier, PartialDate


@pytest.mark.parametrize("text", ["1975", "1975-03", "1975-03-28", "2024-02-29", "0001"])
def test_a_partial_date_is_a_year_a_month_or_a_day(text: str) -> None:
    assert PartialDate.parse(text).text == text


@pytest.mark.parametrize(
    "text",
    ["", "75", "1975-3", "1975-13", "1975-00", "2023-02-29", "1975-03-28T10:00", "0000", "١٩٧٥"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed):
        PartialDate.parse(text)


@given(st.dates())
def test_a_day_keeps_its_precision(day) -> None:
    assert PartialDate.of(day).day == day


def test_text_order_is_time_order() -> None:
    texts = ["1975", "1975-03", "1975-03-01", "1975-03-28", "1975-04", "1976"]
    assert sorted(PartialDate(t) for t in reversed(texts)) == [PartialDate(t) for t in texts]


def test_an_identifier_does_not_show_its_value() -> None:
    assert "279035121518989" not in repr(Identifier("urn:oid:1.2", "279035121518989"))
