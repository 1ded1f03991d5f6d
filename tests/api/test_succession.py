"""Who may not know of a new version goes on with the one before it, as if nothing had come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

import exporting
import pytest
import scene
import world

from carnet.clock import MovableClock
from carnet.documents.deposits import Deposit, land, withdraw
from carnet.documents.tables import DocumentCategory
from carnet.people.actor import Actor, Patient, Professional, actor_key
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.documents import Document
from carnet_graphql.node import write_id

SHAPE = """id title status version revision updatedAt readableContent { url }
  permissions { mask correct replace delete }
  versions { totalCount edges { node { id status } } }"""
LISTS = f"""query($id: ID!) {{ record(id: $id) {{
  current: documents(filter: {{title: "Biopsie"}}) {{ totalCount edges {{ node {{ {SHAPE} }} }} }}
  all: documents(filter: {{title: "Biopsie", withFormerVersions: true}}) {{
    totalCount edges {{ node {{ id status }} }} }}
  last: documents(last: 100) {{ totalCount edges {{ cursor node {{ id status }} }} }} }} }}"""
NODE = f"query($id: ID!) {{ node(id: $id) {{ ... on Document {{ {SHAPE} }} }} }}"
PREVIEW = """query($id: ID!, $role: RoleInput!) { record(id: $id) { previewAs(role: $role) {
  totalCount edges { node { id status } } } } }"""
RELEASE = """mutation($id: ID!) { releaseDocument(input: {documentId: $id}) { __typename } }"""
SHOW = """mutation($id: ID!) { hideFromRepresentatives(input: {documentId: $id, hidden: false}) {
  __typename } }"""

HELD, SECRET, NEW = "held", "secret", "new"
"""Why a new version is not seen: hidden from the holder, from who acts for them, too new."""


@dataclass
class People:
    made: scene.Scene
    clock: MovableClock
    doctor: Professional
    caregiver: Patient

    @property
    def holder(self) -> Patient:
        return self.made.holder

    def blind(self, why: str) -> list[Patient]:
        return [self.caregiver] if why == SECRET else [self.holder, self.caregiver]

    async def blob(self) -> str:
        async def chunks() -> Any:
            yield b"%PDF-1.4 new"

        stored = await self.made.blobs.receive(
            self.made.database,
            actor_key(self.doctor),
            chunks(),
            media_type="application/pdf",
            limit_bytes=1000,
        )
        return str(stored.id)

    async def describe(self, why: str | None = None) -> dict[str, Any]:
        return {
            "title": "Biopsie",
            "category": "LABORATORY",
            "isHiddenFromHolder": why == HELD,
            "isHiddenFromRepresentatives": why == SECRET,
        }

    async def deposit(self) -> str:
        """Deposit a result that everybody sees by now; return its id."""
        added = await self.made.done(
            self.doctor,
            "addDocument",
            recordId=self.made.record_id,
            blobId=await self.blob(),
            description=await self.describe(),
        )
        self.clock.offset += timedelta(days=4)
        id_: str = added["document"]["id"]
        return id_

    async def replace(self, id_: str, why: str) -> str:
        answer = await self.made.done(
            self.doctor,
            "replaceDocument",
            documentId=id_,
            blobId=await self.blob(),
            description=await self.describe(why),
        )
        if why == SECRET:  # else it is too new for all
            self.clock.offset += timedelta(days=4)
        new: str = answer["document"]["id"]
        return new

    async def release(self, why: str, new: str) -> None:
        match why:
            case "held":
                self.clock.offset += timedelta(days=30)
            case "secret":
                await self.made.run(self.doctor, SHOW, id=new)
            case "new":
                self.clock.offset += timedelta(days=3)

    async def told(self, actor: Actor, *ids: str) -> dict[str, Any]:
        """Return all that lists, counts, search and nodes tell."""
        found = {"lists": await self.made.run(actor, LISTS, id=self.made.record_id)}
        for id_ in ids:
            found[id_] = (await self.made.run(actor, NODE, id=id_))["node"]
        return found

    async def current(self, actor: Actor) -> list[tuple[str, str]]:
        found = (await self.made.run(actor, LISTS, id=self.made.record_id))["record"]["current"]
        nodes = [edge["node"] for edge in found["edges"]]
        assert found["totalCount"] == len(nodes)
        return [(node["id"], node["status"]) for node in nodes]


@pytest.fixture
async def people(database: Database, blobs: BlobStore, clock: MovableClock) -> People:
    made = await scene.make(database, blobs)  # results are seen after three days
    caregiver, doctor = await world.holder(database), await world.professional(database)
    await world.delegation(database, made.holder, caregiver)
    await made.done(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    return People(made, clock, doctor, caregiver)


@pytest.mark.parametrize("why", [HELD, SECRET, NEW])
async def test_nothing_changes_for_who_may_not_know_of_it_until_it_is_shown(
    people: People, why: str
) -> None:
    first = await people.deposit()
    others = {actor: await people.told(actor, first) for actor in people.blind(why)}
    new = await people.replace(first, why)
    for actor, before in others.items():
        after = await people.told(actor, first)
        assert after[first] == before[first]
        assert after[first]["status"] == "CURRENT"
        assert await people.told(actor, new) == {"lists": after["lists"], new: None}
        assert after["lists"]["record"]["current"] == before["lists"]["record"]["current"]
    for actor in {people.holder, people.caregiver, people.doctor} - set(others):
        assert await people.current(actor) == [(new, "CURRENT")]
        found = (await people.told(actor, first))[first]
        assert found["status"] == "SUPERSEDED" and found["versions"]["totalCount"] == 2
    await people.release(why, new)
    for actor in (people.holder, people.caregiver, people.doctor):
        assert await people.current(actor) == [(new, "CURRENT")]
        found = (await people.told(actor, first))[first]
        assert found["status"] == "SUPERSEDED"
        assert [edge["node"] for edge in found["versions"]["edges"]] == [
            {"id": new, "status": "CURRENT"},
            {"id": first, "status": "SUPERSEDED"},
        ]


async def test_of_many_hidden_versions_none_is_told_and_one_that_is_shown_is_current(
    people: People,
) -> None:
    first = await people.deposit()
    before = await people.told(people.holder, first)
    second = await people.replace(first, HELD)
    third = await people.replace(second, HELD)
    assert await people.told(people.holder, first) == before
    assert await people.current(people.doctor) == [(third, "CURRENT")]
    fourth = await people.replace(third, "")
    people.clock.offset += timedelta(days=4)
    assert await people.current(people.holder) == [(fourth, "CURRENT")]
    assert (await people.told(people.holder, first))[first]["status"] == "SUPERSEDED"


async def test_a_release_before_its_time_makes_it_current(people: People) -> None:
    first = await people.deposit()
    new = await people.replace(first, HELD)
    people.clock.offset += timedelta(days=4)
    assert await people.current(people.holder) == [(first, "CURRENT")]
    await people.made.run(people.doctor, RELEASE, id=new)
    assert await people.current(people.holder) == [(new, "CURRENT")]


async def test_what_is_deleted_goes_with_all_its_versions(people: People) -> None:
    first = await people.deposit()
    new = await people.replace(first, HELD)
    await people.made.done(people.doctor, "deleteDocument", documentId=new)
    assert await people.current(people.holder) == []
    assert (await people.told(people.holder, first))[first] is None


async def test_a_preview_shows_what_is_current_for_whom_it_imagines(people: People) -> None:
    first = await people.deposit()
    new = await people.replace(first, SECRET)

    async def previewed(actor: Actor, **role: str) -> set[str]:
        found = await people.made.run(actor, PREVIEW, id=people.made.record_id, role=role)
        shown = found["record"]["previewAs"]
        ids = {edge["node"]["id"] for edge in shown["edges"]}
        assert shown["totalCount"] == len(ids)
        return ids & {first, new}

    team = {"standing": "CARE_TEAM", "profession": "10"}
    assert await previewed(people.holder, **team) == {new}
    assert await previewed(people.holder, standing="REPRESENTATIVE") == {first}
    assert await previewed(people.caregiver, **team) == {first}
    held = await people.replace(new, HELD)
    assert held not in await previewed(people.holder, **team)
    assert await previewed(people.holder, **team) == {new}


def of(publisher: Any, record_id: Any, id_: str, **more: Any) -> Deposit:
    return Deposit(
        record_id=record_id,
        publisher_id=publisher.publisher_id,
        unique_id=id_,
        content_key=sha256(id_.encode()).digest(),
        title="Biopsie",
        category=DocumentCategory.REPORT,
        **more,
    )


@pytest.fixture(params=["in order", "the new one first"])
def order(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


async def test_a_publishers_version_is_kept_from_them_in_any_order_also_when_it_is_withdrawn(
    people: People, database: Database, order: str
) -> None:
    publisher = await world.publisher(database)
    record_id = people.made.record
    sent = [
        of(publisher, record_id, "1"),
        of(publisher, record_id, "2", replaces_unique_id="1", is_hidden_from_holder=True),
    ]
    for deposit in sent if order == "in order" else reversed(sent):
        async with database.write() as work:
            document = (await land(work, deposit, [])).document
            if deposit.unique_id == "1":
                first = write_id(Document, document.id)
            else:
                new = write_id(Document, document.id)
    for actor in (people.holder, people.caregiver):
        assert await people.current(actor) == [(first, "CURRENT")]
    assert await people.current(people.doctor) == [(new, "CURRENT")]
    before = await people.told(people.holder, first)
    async with database.write() as work:
        await withdraw(work, record_id, publisher.publisher_id, "2")
    assert await people.told(people.holder, first) == before
    assert await people.current(people.doctor) == []


async def test_a_version_that_was_never_current_is_none_because_of_another(
    people: People, database: Database
) -> None:
    publisher = await world.publisher(database)
    async with database.write() as work:
        await land(work, of(publisher, people.made.record, "1", is_superseded=True), [])
    assert await people.current(people.holder) == []


async def test_the_archive_says_the_same(
    people: People, database: Database, blobs: BlobStore
) -> None:
    first = await people.deposit()
    new = await people.replace(first, HELD)

    async def listed() -> tuple[list[str], list[tuple[int, str]]]:
        export_id = await exporting.ask(database, people.holder, people.made.record)
        await exporting.work_off(database, blobs)
        zipped = await exporting.archive_of(database, blobs, export_id)
        rows = exporting.read(zipped, "documents/index.json")
        ours = [row for row in rows if row["title"] == "Biopsie"]
        files = [part["file"] for row in ours for part in row["contents"] if part["file"]]
        assert set(files) <= set(zipped.namelist())
        return files, [(row["version"], row["status"]) for row in ours]

    files, versions = await listed()
    assert (len(files), versions) == (1, [(1, "CURRENT")])
    await people.release(HELD, new)
    files, versions = await listed()
    assert (len(files), sorted(versions)) == (1, [(1, "SUPERSEDED"), (2, "CURRENT")])


async def test_statements_do_not_grow_with_the_versions(people: People) -> None:
    sent = []
    for _ in range(3):
        await people.replace(await people.deposit(), HELD)
        people.clock.offset += timedelta(days=4)
        with scene.statements(people.made.database) as collected:
            await people.told(people.holder)
        sent.append(len(collected))
    assert sent[0] == sent[1] == sent[2]
