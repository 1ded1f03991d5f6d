from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import ValidationFailed
from carnet.intake.dates import PARIS, is_day, read_day, read_moment
from carnet.values import PartialDate


@pytest.mark.parametrize(
    ("text", "day", "moment"),
    [
        ("1975", "1975", "1975-01-01T00:00:00+00:00"),
        ("199911", "1999-11", "1999-11-01T00:00:00+00:00"),
        ("19750328", "1975-03-28", "1975-03-28T00:00:00+00:00"),
        ("2021040917", "2021-04-09", "2021-04-09T17:00:00+00:00"),
        ("202104091730", "2021-04-09", "2021-04-09T17:30:00+00:00"),
        ("20210409170000+0200", "2021-04-09", "2021-04-09T15:00:00+00:00"),
        ("20140531151542.706-0700", "2014-05-31", "2014-05-31T22:15:42.706000+00:00"),
        ("201409091904-0500", "2014-09-09", "2014-09-10T00:04:00+00:00"),
        ("20120912000000-0000", "2012-09-12", "2012-09-12T00:00:00+00:00"),
        ("2021-04-09T17:00:00+02:00", "2021-04-09", "2021-04-09T15:00:00+00:00"),
        ("2021-04-09T17:00:00Z", "2021-04-09", "2021-04-09T17:00:00+00:00"),
        ("20161231235960", "2016-12-31", "2016-12-31T23:59:59+00:00"),
        ("19750300", "1975-03", "1975-03-01T00:00:00+00:00"),
        ("19750000", "1975", "1975-01-01T00:00:00+00:00"),
        (" 19750328 ", "1975-03-28", "1975-03-28T00:00:00+00:00"),
    ],
)
def test_timestamps(text: str, day: str, moment: str) -> None:
    assert read_day(text) == PartialDate(day)
    assert read_moment(text).astimezone(UTC).isoformat() == moment


@pytest.mark.parametrize(
    "text",
    ["", "0", "75", "2021040", "20210230", "20211301", "201102019", "17991231", "30000101",
     "le 3 mai", "2021٠٤٠٩", "2021-04-09 17:00 CET", "1" * 100, "20210409170000+9900"],
)  # fmt: skip
def test_what_is_no_timestamp(text: str) -> None:
    with pytest.raises(ValidationFailed):
        read_moment(text)
    if not text.endswith("+9900"):
        assert not is_day(text)


def test_a_zone_is_assumed_where_none_is_written() -> None:
    assert read_moment("20240701120000", PARIS) == datetime(2024, 7, 1, 10, tzinfo=UTC)
    assert read_moment("20240101120000", PARIS) == datetime(2024, 1, 1, 11, tzinfo=UTC)
    assert read_moment("20240101120000-0500", PARIS) == datetime(2024, 1, 1, 17, tzinfo=UTC)


@given(st.datetimes(datetime(1800, 1, 2), datetime(2999, 12, 30)))
def test_every_moment_comes_back(moment: datetime) -> None:
    written = f"{moment:%Y%m%d%H%M%S}.{moment.microsecond:06d}+0000"
    assert read_moment(written) == moment.replace(tzinfo=UTC)
    assert read_day(written) == PartialDate.of(moment.date())


@given(st.text("0123456789+-.:TZ ", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for reader in (read_day, read_moment):
        try:
            reader(text)
        except ValidationFailed:
            continue
