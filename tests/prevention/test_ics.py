"""iCalendar: feeds that other readers take, and files of other calendars."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import graph
import httpx
import pytest
import world
from hypothesis import given, settings
from hypothesis import strategies as some
from icalendar import Calendar
from starlette.applications import Starlette

from carnet.access.delegations import revoke
from carnet.access.tables import DelegationScope
from carnet.errors import ValidationFailed
from carnet.http.app import create_app
from carnet.http.calendar_feeds import ROUTES
from carnet.http.services import Services
from carnet.people.actor import Patient
from carnet.prevention import ics_import
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.node import write_id
from carnet_graphql.records import Record

SAMPLES = Path(os.environ.get("CARNET_SAMPLES") or Path(__file__).parents[3] / "shared/data")
FILES = sorted((SAMPLES / "icalendar").glob("*.ics"))
EXPECTED = SAMPLES / "EXPECTED_ics_icalendar7.json"
NOW = datetime(2026, 1, 15, tzinfo=UTC)
CREATE = """mutation($input: CreateCalendarFeedInput!) { createCalendarFeed(input: $input) {
  ... on CreateCalendarFeedSuccess { feed { id path } } ... on UserError { code } } }"""
REVOKE = """mutation($input: RevokeCalendarFeedInput!) { revokeCalendarFeed(input: $input) {
  __typename ... on UserError { code } } }"""
ADD = """mutation($input: AddAppointmentInput!) { addAppointment(input: $input) {
  ... on AddAppointmentSuccess { appointment { id } } ... on UserError { code path } } }"""
CANCEL = """mutation($input: CancelAppointmentInput!) { cancelAppointment(input: $input) {
  __typename ... on UserError { code } } }"""
DECIDE = """mutation($input: DecidePreventionInput!) { decidePrevention(input: $input) {
  __typename ... on UserError { code } } }"""
IMPORT = """mutation($input: ImportAppointmentsInput!) { importAppointments(input: $input) {
  ... on ImportAppointmentsSuccess {
    created changed cancelled unchanged skipped { reason count } }
  ... on UserError { code path } } }"""


def event(uid: str, start: datetime, more: str = "", title: str = "Contrôle") -> str:
    at = start.strftime("%Y%m%dT%H%M%SZ")
    return f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:{at}\r\nSUMMARY:{title}\r\n{more}END:VEVENT\r\n"


def file(*events: str) -> str:
    head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//other//FR\r\n"
    return head + "".join(events) + "END:VCALENDAR\r\n"


class Phone:
    """A holder with a phone, over HTTP."""

    def __init__(self, database: Database, blobs: BlobStore, holder: Patient, record: str) -> None:
        self.database, self.blobs, self.holder, self.record = database, blobs, holder, record
        services = Services(
            Settings(), database, blobs, graph.SCHEMA, None, None,  # type: ignore[arg-type]
            graph.SIGNER, graph.CURSORS, graph.FEEDS,
        )  # fmt: skip
        self.app: Starlette = create_app(services, ROUTES)

    async def do(self, mutation: str, **given: Any) -> Any:
        if "recordId" in given:
            given["recordId"] = self.record
        data = await graph.data(self.database, self.blobs, self.holder, mutation, input=given)
        (answer,) = data.values()
        return answer

    async def get(self, path: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path, headers=headers)


@pytest.fixture
async def phone(database: Database, blobs: BlobStore) -> Phone:
    today = database.clock.now().date()
    holder = await world.holder(
        database, born=today.replace(day=1, year=today.year - 66).isoformat()
    )
    record_id = await world.record_of(database, holder)
    return Phone(database, blobs, holder, write_id(Record, record_id))


async def test_a_feed_says_nothing_of_health_unless_it_was_asked_to(phone: Phone) -> None:
    await phone.do(
        ADD, recordId="", appointment={
            "title": "Cardiologue", "place": "Hôpital", "remindMinutes": 60,
            "startsAt": (phone.database.clock.now() + timedelta(days=3)).isoformat(),
        },
    )  # fmt: skip
    plain = (await phone.do(CREATE, recordId=""))["feed"]
    detailed = (await phone.do(CREATE, recordId="", isDetailed=True))["feed"]
    shown = await phone.get(plain["path"])
    assert shown.status_code == 200
    assert shown.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert "Cardiologue" not in shown.text and "Zona" not in shown.text
    assert {str(e["SUMMARY"]) for e in Calendar.from_ical(shown.text).walk("VEVENT")} == {
        "Prévention : quelque chose est à faire", "Rendez-vous",
    }  # fmt: skip
    told = await phone.get(detailed["path"], **{"Accept-Language": "en-GB"})
    titles = {str(e["SUMMARY"]) for e in Calendar.from_ical(told.text).walk("VEVENT")}
    assert {"Cardiologue", "Herpes zoster"} <= titles
    again = await phone.get(plain["path"], **{"If-None-Match": shown.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_change_has_a_number_and_what_goes_is_cancelled(phone: Phone) -> None:
    set_ = await phone.do(
        ADD, recordId="", appointment={"title": "Dentiste", "startsOn": "2100-01-01"}
    )
    path = (await phone.do(CREATE, recordId="", isDetailed=True))["feed"]["path"]

    async def entries() -> dict[str, tuple[int, str, str]]:
        shown = Calendar.from_ical((await phone.get(path)).text)
        return {
            str(e["SUMMARY"]): (int(e["SEQUENCE"]), str(e["STATUS"]), str(e["UID"]))
            for e in shown.walk("VEVENT")
        }

    before = await entries()
    assert before == await entries()
    assert before["Zona"][:2] == (0, "CONFIRMED")
    await phone.do(CANCEL, appointmentId=set_["appointment"]["id"])
    await phone.do(DECIDE, recordId="", itemKey="VAC_ZONA", choice="REFUSED")
    after = await entries()
    assert after["Dentiste"] == (1, "CANCELLED", before["Dentiste"][2])
    assert (1, "CANCELLED", before["Zona"][2]) in after.values()
    assert "Zona" not in after
    await phone.do(DECIDE, recordId="", itemKey="VAC_ZONA", choice=None)
    assert (await entries())["Zona"] == (2, "CONFIRMED", before["Zona"][2])


async def test_only_its_own_address_opens_a_feed_until_it_is_revoked(phone: Phone) -> None:
    made = (await phone.do(CREATE, recordId=""))["feed"]
    path = made["path"]
    assert (await phone.get(path)).status_code == 200
    last = path[-5]
    for wrong in (
        path[:-5] + ("A" if last != "A" else "B") + ".ics",
        path[:-4],
        "/calendar/.ics",
        "/calendar/%00.ics",
        "/calendar/" + "A" * 3000 + ".ics",
    ):
        assert (await phone.get(wrong)).status_code == 404, wrong
    assert (await phone.do(REVOKE, feedId=made["id"]))["__typename"] == "RevokeCalendarFeedSuccess"
    assert (await phone.get(path)).status_code == 404


async def test_ten_feeds_at_most_however_many_are_made_at_once(phone: Phone) -> None:
    answers = await asyncio.gather(*(phone.do(CREATE, recordId="") for _ in range(20)))
    assert (
        sorted(answer.get("code", "") for answer in answers) == [""] * 10 + ["QUOTA_EXCEEDED"] * 10
    )


async def test_a_delegates_address_opens_nothing_once_they_act_no_more(
    phone: Phone, database: Database
) -> None:
    caregiver, holder = await world.holder(database), phone.holder
    delegation_id = await world.delegation(database, holder, caregiver)
    phone.holder = caregiver
    path = (await phone.do(CREATE, recordId=""))["feed"]["path"]
    assert (await phone.get(path)).status_code == 200
    async with database.write() as work:
        await revoke(holder, work, delegation_id)
    assert (await phone.get(path)).status_code == 404
    scopes = frozenset({DelegationScope.DOCUMENTS})
    await world.delegation(database, holder, caregiver, scopes)
    assert (await phone.get(path)).status_code == 404, "the profile is not covered"


async def test_a_file_is_taken_once_however_often_it_is_given(phone: Phone) -> None:
    soon = phone.database.clock.now() + timedelta(days=5)
    weekly = "RRULE:FREQ=WEEKLY;COUNT=3\r\n"
    text = file(event("a@x", soon), event("b@x", soon, weekly), event("c@x", soon - timedelta(900)))
    first = await phone.do(IMPORT, recordId="", ics=text)
    assert first == {"created": 4, "changed": 0, "cancelled": 0, "unchanged": 0, "skipped": []}
    assert (await phone.do(IMPORT, recordId="", ics=text))["unchanged"] == 4
    moved = file(
        event("a@x", soon + timedelta(hours=1)),
        event("b@x", soon, weekly + "STATUS:CANCELLED\r\n"),
        "BEGIN:VEVENT\r\nSUMMARY:x\r\nEND:VEVENT\r\n",
    )
    second = await phone.do(IMPORT, recordId="", ics=moved)
    assert (second["changed"], second["cancelled"]) == (1, 3)
    assert second["skipped"] == [{"reason": "no start or no UID", "count": 1}]
    refused = await phone.do(IMPORT, recordId="", ics="none")
    assert refused == {"code": "VALIDATION_FAILED", "path": ["ics"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_sample_is_read_or_refused(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    wanted = json.loads(EXPECTED.read_text())[path.name]["components"].get("VEVENT", 0)
    for now in (NOW, datetime(2004, 1, 1, tzinfo=UTC), datetime(1997, 9, 10, tzinfo=UTC)):
        reading = ics_import.read(text, now)
        assert len({each.uid for each in reading.found}) == len(reading.found) or wanted > 1
        assert wanted or not reading.found


async def test_a_repeated_key_tells_what_the_first_call_told(phone: Phone) -> None:
    soon = phone.database.clock.now() + timedelta(days=9)
    text = file(event("a", soon), event("b", soon), event("", soon))
    given = {"recordId": "", "ics": text, "idempotencyKey": str(uuid4())}
    first, again = [await phone.do(IMPORT, **given) for _ in range(2)]
    assert (first["created"], [each["count"] for each in first["skipped"]]) == (2, [1])
    assert again == first


def test_a_feed_comes_back_from_an_import(phone: Phone) -> None:
    start = NOW + timedelta(days=40)
    (found,) = ics_import.read(file(event("a@x", start, title="É\\, à l'heure")), NOW).found
    assert (found.uid, found.draft.title, found.draft.starts_at) == ("a@x", "É, à l'heure", start)


@pytest.mark.parametrize(
    ("rule", "skipped"),
    [
        ("RRULE:FREQ=SECONDLY\r\n", "repeated more often than daily"),
        ("RRULE:FREQ=DAILY\r\n", "more than are taken at once"),
    ],
)
def test_what_repeats_without_end_is_bounded(rule: str, skipped: str) -> None:
    reading = ics_import.read(file(event("a@x", NOW, rule)), NOW)
    assert len(reading.found) <= ics_import.MOST_APPOINTMENTS
    assert skipped in reading.skipped


@settings(max_examples=150, deadline=None)
@given(some.text(max_size=300), some.sampled_from(FILES), some.integers(0, 4000))
def test_whatever_a_file_holds_it_is_read_or_refused(text: str, path: Path, at: int) -> None:
    whole = path.read_bytes().decode("utf-8", "replace")
    for broken in (text, file(text), whole[:at] + text + whole[at:]):
        try:
            ics_import.read(broken, NOW)
        except ValidationFailed as refused:
            assert refused.path == ("ics",)
