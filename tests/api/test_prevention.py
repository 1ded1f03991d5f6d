"""The prevention calendar through the API: the guide's operations, as every kind of actor."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import graph
import pytest
import scene
import world
from sqlalchemy import select

from carnet.access.journal_tables import JournalEntry
from carnet.people.actor import Actor, Patient
from carnet.records.actions import DoseDraft, report_dose
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.values import Coding, PartialDate
from carnet_graphql.node import write_id
from carnet_graphql.records import Record

GUIDE = (Path(__file__).parents[2] / "docs/prevention.md").read_text()
OPERATIONS = {
    re.search(r"\w+ (\w+)", text)[1]: text  # type: ignore[index]
    for text in re.findall(r"```graphql\n(.*?)```", GUIDE, re.DOTALL)
}
(DONE, DECIDE, FACT, APPOINTMENT, FEED) = (
    json.loads(text) for text in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
)
REMOVE = """mutation Remove($input: RemovePreventionStatementInput!) {
  removePreventionStatement(input: $input) {
    __typename ... on UserError { code }
  }
}"""


class Calendar:
    """One record's calendar, asked by anybody."""

    def __init__(self, database: Database, blobs: BlobStore, record: str) -> None:
        self.database, self.blobs, self.record = database, blobs, record

    async def ask(self, actor: Actor, name: str, **variables: Any) -> Any:
        query = OPERATIONS[name]
        if "$record" in query:
            variables["record"] = self.record
        return await graph.data(self.database, self.blobs, actor, query, **variables)

    async def do(self, actor: Actor, name: str, given: dict[str, Any]) -> Any:
        given = {"input": {**given["input"], "recordId": self.record}}
        (answer,) = (await self.ask(actor, name, **given)).values()
        return answer

    async def entries(self, actor: Actor) -> dict[str, Any]:
        found = (await self.ask(actor, "Calendar"))["record"]
        if found is None:
            return {}
        nodes = [edge["node"] for edge in found["calendar"]["edges"]]
        assert found["calendar"]["totalCount"] == len(nodes)
        return {node.get("key", node["title"]): node for node in nodes}

    async def item(self, actor: Actor, key: str) -> Any:
        return (await self.ask(actor, "Why", key=key))["record"]["prevention"]["item"]


async def made(database: Database, blobs: BlobStore, patient: Patient) -> Calendar:
    record_id = await world.record_of(database, patient)
    return Calendar(database, blobs, write_id(Record, record_id))


def years_ago(database: Database, years: int, days: int = 0) -> str:
    today = database.clock.now().date()
    return (today.replace(day=1, year=today.year - years) - timedelta(days=days)).isoformat()


async def test_what_is_due_and_why(database: Database, blobs: BlobStore) -> None:
    holder = await world.holder(database, born=years_ago(database, 66))
    calendar = await made(database, blobs, holder)
    entries = await calendar.entries(holder)
    assert entries["VAC_ZONA"]["status"] == "OVERDUE"
    assert entries["DEP_SEIN"]["title"] == "Breast cancer screening"
    assert [node["date"] for node in entries.values()] == sorted(
        node["date"] for node in entries.values()
    )
    item = await calendar.item(holder, "VAC_ZONA")
    assert item["due"] == years_ago(database, 1)
    (reason,) = item["why"]
    assert reason["facts"] == "minimum age 65 years"
    assert reason["place"].startswith("vaccines-adults.yaml:")
    assert reason["source"] == "Calendrier des vaccinations 2025"
    assert "doctor" in item["nextStep"]


async def test_what_is_stated_changes_what_is_asked(database: Database, blobs: BlobStore) -> None:
    holder = await world.holder(database, born=years_ago(database, 55))
    calendar = await made(database, blobs, holder)
    assert (await calendar.item(holder, "DEP_SEIN"))["history"] == []
    done_on = years_ago(database, 1)
    done = await calendar.do(holder, "Done", {"input": {**DONE["input"], "doneOn": done_on}})
    item = await calendar.item(holder, "DEP_SEIN")
    assert [verdict["doneOn"] for verdict in item["history"]] == [done_on]
    assert item["due"][:4] == str(int(done_on[:4]) + 2)
    twice = await calendar.do(holder, "Done", {"input": {**DONE["input"], "doneOn": done_on}})
    assert twice == done
    statement = {"input": {"statementId": done["act"]["id"]}}
    data = await graph.data(database, blobs, holder, REMOVE, **statement)
    kind = data["removePreventionStatement"]["__typename"]
    assert kind == "RemovePreventionStatementSuccess"
    assert (await calendar.item(holder, "DEP_SEIN"))["history"] == []

    decided = await calendar.do(holder, "Decide", DECIDE)
    assert decided["record"]["prevention"]["items"] == [{"key": "DEP_COLORECTAL"}]
    assert "VAC_FLU" not in " ".join(await calendar.entries(holder))
    await calendar.do(holder, "Fact", FACT)
    assert any(key.startswith("VAC_FLU/") for key in await calendar.entries(holder))


async def test_a_dose_of_the_profile_counts(database: Database, blobs: BlobStore) -> None:
    holder = await world.holder(database, born=years_ago(database, 66))
    calendar = await made(database, blobs, holder)
    record_id = await world.record_of(database, holder)
    async with database.write() as work:
        for given_on in (years_ago(database, 0, 1), "2024", None):
            draft = DoseDraft(
                vaccine_label="Shingrix",
                codings=(Coding("http://hl7.org/fhir/sid/cvx", "187"),),
                given_on=PartialDate(given_on) if given_on else None,
            )
            await report_dose(holder, work, record_id, draft)
    prevention = (await calendar.ask(holder, "Why", key="VAC_ZONA"))["record"]["prevention"]
    item = prevention["item"]
    assert [verdict["doneOn"] for verdict in item["history"]] == [years_ago(database, 0, 1)]
    assert item["history"][0]["immunization"]["id"]
    assert item["doseNumber"] == 2
    reasons = [aside["reason"] for aside in prevention["setAside"]]
    assert reasons and set(reasons) <= {"the date is not complete", "the dose has no date"}


async def test_an_appointment_stands_in_the_calendar(database: Database, blobs: BlobStore) -> None:
    holder = await world.holder(database, born=years_ago(database, 55))
    calendar = await made(database, blobs, holder)
    soon = (database.clock.now() + timedelta(days=9)).isoformat()
    appointment = {**APPOINTMENT["input"]["appointment"], "startsAt": soon}
    set_ = await calendar.do(holder, "Appointment", {"input": {"appointment": appointment}})
    assert set_["appointment"]["sequence"] == 0
    assert (await calendar.entries(holder))["Mammographie"]["__typename"] == "Appointment"
    change = """mutation($input: ChangeAppointmentInput!) { changeAppointment(input: $input) {
      ... on ChangeAppointmentSuccess { appointment { sequence title } }
      ... on UserError { code } } }"""
    changed = {
        "appointmentId": set_["appointment"]["id"],
        "sequence": 0,
        "appointment": {**appointment, "title": "Mammographie, salle 2"},
    }
    first = await graph.data(database, blobs, holder, change, input=changed)
    assert first["changeAppointment"]["appointment"]["sequence"] == 1
    second = await graph.data(database, blobs, holder, change, input=changed)
    assert second["changeAppointment"] == {"code": "CONFLICT"}


async def test_nobody_else_sees_or_changes_a_calendar(database: Database, blobs: BlobStore) -> None:
    holder = await world.holder(database, born=years_ago(database, 55))
    calendar = await made(database, blobs, holder)
    stranger = await world.holder(database)
    doctor = await world.professional(database)
    before = await scene.tables(database)
    for other in (stranger, doctor):
        assert (await calendar.ask(other, "Calendar")) == {"record": None}
        for name, given in (
            ("Done", DONE), ("Decide", DECIDE), ("Fact", FACT),
            ("Appointment", APPOINTMENT), ("Feed", FEED),
        ):  # fmt: skip
            assert (await calendar.do(other, name, given))["code"] == "NOT_FOUND"
    assert await scene.tables(database) == before


async def test_who_sees_the_profile_sees_what_follows_from_it(
    database: Database, blobs: BlobStore
) -> None:
    holder = await world.holder(database, born=years_ago(database, 66))
    calendar = await made(database, blobs, holder)
    doctor = await world.professional(database)
    await world.care_team(database, holder, doctor)
    assert (await calendar.item(doctor, "VAC_ZONA"))["due"] == years_ago(database, 1)
    late = await calendar.ask(doctor, "Late")
    (edge,) = late["viewer"]["patients"]["edges"]
    assert "VAC_ZONA" in {item["key"] for item in edge["node"]["prevention"]["items"]}
    assert (await calendar.do(doctor, "Decide", DECIDE))["record"]
    assert (await calendar.do(doctor, "Feed", FEED))["code"] == "ACCESS_DENIED"
    async with database.read() as work:
        actions = set(await work.session.scalars(select(JournalEntry.action)))
    assert {"READ_CALENDAR", "CHANGE_CALENDAR"} <= actions


@pytest.mark.parametrize(
    ("name", "given", "path"),
    [
        ("Done", {"act": "NOTHING"}, ["act"]),
        ("Done", {"act": "HPV"}, ["act"]),
        ("Done", {"act": "FIT", "doneOn": "2999"}, ["doneOn"]),
        ("Decide", {"itemKey": "NOTHING", "choice": "REFUSED"}, ["itemKey"]),
        ("Fact", {"code": "NOTHING"}, ["code"]),
        ("Fact", {"code": "PREGNANT"}, ["code"]),
        ("Fact", {"code": "CERVIX", "since": "2020-01-02", "until": "2020-01-01"}, ["until"]),
        ("Appointment", {"appointment": {"title": " ", "startsOn": "2100-01-01"}}, ["title"]),
        ("Appointment", {"appointment": {"title": "x"}}, ["startsAt"]),
        (
            "Appointment",
            {"appointment": {"title": "x", "startsOn": "2100-01-01", "timeZone": "../etc"}},
            ["timeZone"],
        ),
    ],
)
async def test_a_mistake_is_named(
    database: Database, blobs: BlobStore, name: str, given: dict[str, Any], path: list[str]
) -> None:
    holder = await world.holder(database)
    calendar = await made(database, blobs, holder)
    refused = await calendar.do(holder, name, {"input": given})
    assert (refused["code"], refused["path"]) == ("VALIDATION_FAILED", path)
