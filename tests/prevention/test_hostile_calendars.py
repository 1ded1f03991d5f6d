"""Calendar files made to cost: each is read or refused at once, whatever its rules would come to."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from carnet.errors import ValidationFailed
from carnet.prevention import ics_import
from carnet.prevention.ics_lines import MOST_DATES, UNKNOWN_ZONE, UNREADABLE, UNUSABLE_RULE

NOW = datetime(2026, 1, 15, tzinfo=UTC)
MOST_SECONDS = 1  # of this thread's processor time; several of them never ended
HOURS = ",".join(map(str, range(24)))
MINUTES = ",".join(map(str, range(60)))


def event(more: str = "", start: str = "20260120T100000Z", uid: str = "a") -> str:
    return f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:{start}\r\nSUMMARY:x\r\n{more}\r\nEND:VEVENT\r\n"


def file(*parts: str) -> str:
    return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" + "".join(parts) + "END:VCALENDAR\r\n"


def zone(rule: str, offset: str = "+0500") -> str:
    return (
        "BEGIN:VTIMEZONE\r\nTZID:Odd\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZNAME:X\r\n"
        f"TZOFFSETFROM:+0100\r\nTZOFFSETTO:{offset}\r\n{rule}\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    )


IN_ODD = "BEGIN:VEVENT\r\nUID:a\r\nDTSTART;TZID=Odd:20260120T100000\r\nEND:VEVENT\r\n"
UNREPEATED = {"INTERVAL=0", "INTERVAL=-1", "INTERVAL=99999999999", "COUNT=999999999", "COUNT=0"}
RULES = [
    "FREQ=SECONDLY",
    "FREQ=HOURLY",
    f"FREQ=DAILY;BYHOUR={HOURS};BYMINUTE={MINUTES};BYSECOND={MINUTES}",
    f"FREQ=YEARLY;BYHOUR={HOURS};BYMINUTE={MINUTES};BYSECOND={MINUTES};BYSETPOS=1",
    *(f"FREQ={often};{end}" for often in ("DAILY", "YEARLY") for end in sorted(UNREPEATED)),
    "FREQ=YEARLY;BYSETPOS=" + ",".join(["366"] * 20_000),
    "FREQ=YEARLY;BYDAY=" + ",".join(["53MO"] * 10_000),
    "FREQ=YEARLY;BYEASTER=1",
    "FREQ=DAILY;COUNT=" + "9" * 3_000,
    "RSCALE=HEBREW;FREQ=DAILY",
]


def read(text: str) -> ics_import.Reading:
    began = time.thread_time()
    try:
        return ics_import.read(text, NOW)
    finally:
        assert time.thread_time() - began < MOST_SECONDS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule[:40])
def test_a_rule_that_costs_is_not_reckoned(rule: str) -> None:
    reading = read(file(event(f"RRULE:{rule}"), event(uid="b")))
    assert [each.uid for each in reading.found] == ["b"]
    assert sum(reading.skipped.values()) == 1
    assert set(reading.skipped) <= {UNUSABLE_RULE, UNREADABLE, "repeated more often than daily"}


@pytest.mark.parametrize(
    ("rule", "start", "found"),
    [
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "20260120T100000Z", 1),
        ("FREQ=DAILY;BYDAY=MO;BYSETPOS=300", "20260120T100000Z", 1),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=MO", "20260120T100000Z", 1),
        ("FREQ=DAILY", "00020101T000000Z", 500),
        ("FREQ=DAILY;UNTIL=99991231T000000Z", "20260120T100000Z", 500),
        ("FREQ=DAILY;UNTIL=00010101T000000Z", "20260120T100000Z", 1),
        ("FREQ=WEEKLY;COUNT=3", "20260120T100000Z", 3),
        ("FREQ=DAILY", "99981231T235959Z", 0),
    ],
)
def test_a_rule_costs_the_same_wherever_it_begins_and_whether_it_holds(
    rule: str, start: str, found: int
) -> None:
    assert len(read(file(event(f"RRULE:{rule}", start=start))).found) == found


@pytest.mark.parametrize(
    "text",
    {
        "many series": file(*(event("RRULE:FREQ=DAILY", uid=f"u{n}") for n in range(500))),
        "many that never hold": file(
            *(event("RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", uid=f"u{n}") for n in range(500))
        ),
        "many that count": file(
            *(event("RRULE:FREQ=DAILY;COUNT=90000", "19000101", f"u{n}") for n in range(500))
        ),
        "many changes": file(
            event("RRULE:FREQ=DAILY"),
            *(
                event(
                    f"RECURRENCE-ID;RANGE=THISANDFUTURE:2026{1 + n % 12:02}{1 + n % 28:02}T100000Z"
                )
                for n in range(499)
            ),
        ),
        "many dates": file(event("RDATE:" + ",".join(["20260120T100000Z"] * MOST_DATES))),
        "more dates": file(event("EXDATE:" + ",".join(["20260120T100000Z"] * 50_000))),
        "periods": file(event("RDATE;VALUE=PERIOD:" + ",".join(["20260120T100000Z/P9999D"] * 900))),
        "a length beyond all": file(event("DURATION:P9999999999999W")),
        "a negative length": file(event("DURATION:-P99999D\r\nRRULE:FREQ=DAILY")),
        "all of time": file(
            event("DTEND:99981231T000000Z\r\nRRULE:FREQ=DAILY", "00020101T000000Z")
        ),
        "the first moment": file(event("RRULE:FREQ=DAILY", start="00010101T000000Z")),
        "the last moment": file(event("RRULE:FREQ=DAILY", start="99991231T235959Z")),
        "many rules": file(event("RRULE:FREQ=DAILY\r\n" * 20_000)),
        "an excluding rule": file(event("RRULE:FREQ=DAILY\r\nEXRULE:FREQ=SECONDLY")),
        "a rule as a text": file(event("RRULE;VALUE=TEXT:FREQ=SECONDLY")),
        "an event in another": file(event("BEGIN:X\r\n" + event("RRULE:FREQ=SECONDLY") + "END:X")),
        "a zone's rule": file(zone("RRULE:FREQ=SECONDLY"), IN_ODD),
        "a zone's rule that never holds": file(
            zone("RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), IN_ODD
        ),
        "many zones": file(zone("RRULE:FREQ=YEARLY") * 3_000, event()),
        "a long zone": file(event(start="x", more="DTEND;TZID=" + "A" * 90_000 + ":20260120")),
        "a zone that is a path": file(IN_ODD.replace("Odd", "/../../../etc/passwd")),
        "many folds": file(event("DESCRIPTION:" + "\r\n a" * 200_000)),
        "many parameters": file(event("ATTENDEE" + ";X=Y" * 200_000 + ":x")),
        "many quotes": file(event('DTEND;X="' + '"' * 900_000 + ":20260120")),
        "many colons": file(event("SUMMARY" + ":" * 900_000)),
        "many backslashes": file(event("LOCATION:" + "\\" * 900_000)),
        "many categories": file(event("CATEGORIES:" + "," * 900_000)),
        "many lines": file(event("X:1\r\n" * 150_000)),
        "many calendars": file(event()) * 490,
        "twice": file(event("SUMMARY:a\r\nUID:b\r\nDTSTART:20260120\r\nSTATUS:A\r\nSTATUS:B")),
        "zeros": file(event("LOCATION:a\x00b")),
    }.items(),
    ids=lambda item: item[0],
)
def test_a_file_is_read_in_bounded_time(text: tuple[str, str]) -> None:
    reading = read(text[1])
    assert len(reading.found) <= ics_import.MOST_APPOINTMENTS
    assert reading.found or reading.skipped


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN:VCALENDAR\r\n" + "BEGIN:VEVENT\r\n" * 60_000,
        "BEGIN:VCALENDAR\r\n" * 25_000 + "END:VCALENDAR\r\n" * 25_000,
        file(event() * 501),
        "\r\n" * 400_000,
        " \n" * 400_000,
    ],
    ids=["open", "nested", "many", "lines", "folds"],
)
def test_what_is_too_much_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        read(text)
    assert caught.value.path == ("ics",)


def test_one_files_zone_does_not_set_anothers_times() -> None:
    first = read(file(zone("RRULE:FREQ=YEARLY", "-1100"), IN_ODD))
    second = read(file(zone("RRULE:FREQ=YEARLY", "+0500"), IN_ODD))
    for reading in (first, second):
        assert (reading.found, reading.skipped) == ([], {UNKNOWN_ZONE: 1})


@pytest.mark.parametrize(
    ("named", "known"),
    [
        ("Europe/Paris", "Europe/Paris"),
        ('"Romance Standard Time"', "Europe/Paris"),
        ("/example.org/20260101_1/Europe/Paris", "Europe/Paris"),
        ("America/Argentina/Ushuaia", "America/Argentina/Ushuaia"),
    ],
)
def test_a_zone_is_known_by_its_names(named: str, known: str) -> None:
    (found,) = read(file(IN_ODD.replace("Odd", named))).found
    assert found.draft.time_zone == known


def test_a_zone_that_there_is_not_is_refused() -> None:
    for none in ("Nowhere", "../../etc/passwd", "A" * 90_000):
        with pytest.raises(ValidationFailed) as caught:
            ics_import.read(file(event()), NOW, none)
        assert caught.value.path == ("timeZone",)


def test_changes_of_a_series_are_taken() -> None:
    text = file(
        event("RRULE:FREQ=DAILY;COUNT=5\r\nEXDATE:20260121T100000Z\r\nRDATE:20260201T100000Z"),
        event("RECURRENCE-ID:20260122T100000Z", start="20260122T150000Z"),
        event("RECURRENCE-ID;RANGE=THISANDFUTURE:20260123T100000Z", start="20260123T110000Z"),
    )
    assert [(each.uid, str(each.draft.starts_at)) for each in read(text).found] == [
        ("a/2026-01-20 10:00:00+00:00", "2026-01-20 10:00:00+00:00"),
        ("a/2026-01-22 10:00:00+00:00", "2026-01-22 15:00:00+00:00"),
        ("a/2026-01-23 10:00:00+00:00", "2026-01-23 11:00:00+00:00"),
        ("a/2026-01-24 10:00:00+00:00", "2026-01-24 11:00:00+00:00"),
        ("a/2026-02-01 10:00:00+00:00", "2026-02-01 11:00:00+00:00"),
    ]
