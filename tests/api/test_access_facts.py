"""Facts read from a hidden document: nothing of them shows, not even through what is left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import scene
import world
from scene import HELD, MASKED, Scene
from sqlalchemy import delete

from carnet.access.tables import DelegationScope
from carnet.clock import MovableClock
from carnet.people.actor import Actor
from carnet.records.tables import Immunization, ImmunizationSource, ProfileEntry
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.values import PartialDate
from carnet_crypto.encoding import from_base64url

DOSES = """query($id: ID!, $first: Int, $after: Cursor, $order: EntryOrder) { record(id: $id) {
  profile { immunizations(first: $first, after: $after, order: $order) { totalCount
    edges { cursor node { id vaccineLabel givenOn lotNumber sources { vaccineLabel } } }
    pageInfo { hasNextPage endCursor } } } } }"""


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    made = await scene.make(database, blobs, hide_results_days=0)
    await dose(made, "BCG", {None: "1996", HELD: "1996-03-12", MASKED: "1996-03"})
    await dose(made, "Polio", {None: "1996-02-20"})
    return made


async def dose(made: Scene, label: str, reports: dict[str | None, str]) -> None:
    """Add a dose with a report of each date, from a document or from nobody's."""
    async with made.database.write() as work:
        sharpest = max(reports.values(), key=len)
        row = Immunization(
            id=work.new_id(),
            record_id=made.record,
            vaccine_label=label if len(reports) == 1 else f"{label} du document caché",
            disease_codes=[],
            given_on=PartialDate(sharpest),
            sort_on=sharpest,
            lot_number="LOT-SECRET",
            created_at=work.now,
            updated_at=work.now,
        )
        work.session.add(row)
        await work.session.flush()
        for name, given_on in reports.items():
            source = ImmunizationSource(
                id=work.new_id(),
                immunization_id=row.id,
                source_key=f"{label} {name}",
                stated_by="PUBLISHER",
                source_document_id=made.documents[name] if name else None,
                vaccine_label=label if name is None else f"{label} du document caché",
                disease_codes=[],
                given_on=PartialDate(given_on),
                lot_number="LOT-SECRET" if name else None,
                stated_at=work.now,
            )
            work.session.add(source)


async def doses(made: Scene, actor: Actor, **page: Any) -> dict[str, Any]:
    found = await made.run(actor, DOSES, id=made.record_id, **page)
    connection: dict[str, Any] = found["record"]["profile"]["immunizations"]
    return connection


async def shown(made: Scene, actor: Actor, order: str) -> list[tuple[str, str | None]]:
    """Return the doses in their order, read page by page."""
    found: list[tuple[str, str | None]] = []
    after = None
    while True:
        page = await doses(made, actor, first=1, after=after, order=order)
        found += [(e["node"]["vaccineLabel"], e["node"]["givenOn"]) for e in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            assert len(found) == page["totalCount"]
            return found


def own(doses: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """Return the doses of this module: those of 1996."""
    return [dose for dose in doses if (dose[1] or "").startswith("1996")]


async def test_a_dose_says_what_is_seen_of_it_and_is_sorted_by_that(
    made: Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    await made.done(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    for actor, label, given_on in (
        (made.holder, "BCG du document caché", "1996-03"),
        (doctor, "BCG du document caché", "1996-03-12"),
    ):
        newest = await shown(made, actor, "NEWEST")
        assert own(newest) == [(label, given_on), ("Polio", "1996-02-20")]
        assert await shown(made, actor, "OLDEST") == newest[::-1]
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    newest = await shown(made, caregiver, "NEWEST")
    assert own(newest)[:1] == [("BCG du document caché", "1996-03")]


async def test_a_cursor_says_no_more_than_its_dose(made: Scene, database: Database) -> None:
    caregiver = await world.holder(database)
    only = frozenset({DelegationScope.PROFILE})
    await world.delegation(database, made.holder, caregiver, only)
    found = await doses(made, caregiver)
    nodes = [(edge["node"]["vaccineLabel"], edge["node"]["givenOn"]) for edge in found["edges"]]
    assert nodes == [("Polio", "1996-02-20"), ("BCG", "1996")]
    assert found["edges"][1]["node"]["lotNumber"] is None
    assert [source["vaccineLabel"] for source in found["edges"][1]["node"]["sources"]] == ["BCG"]
    for actor, secret in ((caregiver, b"1996-03"), (made.holder, b"1996-03-12")):
        page = await doses(made, actor)
        cursors = [from_base64url(edge["cursor"]) for edge in page["edges"]]
        assert not any(secret in cursor for cursor in cursors), cursors
    assert await shown(made, caregiver, "NEWEST") == nodes
    assert await shown(made, caregiver, "OLDEST") == nodes[::-1]


async def test_nothing_to_declare_stands_beside_what_is_hidden(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    """Who sees no entry of the section sees the declaration, as if the hidden one had not come."""
    made = await scene.make(database, blobs)
    async with database.write() as work:
        shown = ProfileEntry.id != made.entries[HELD], ProfileEntry.record_id == made.record
        await work.session.execute(delete(ProfileEntry).where(*shown))
    await made.done(made.holder, "declareNothing", recordId=made.record_id, section="CONDITIONS")
    query = "query($id: ID!) { record(id: $id) { profile { nothingToDeclare { section } } } }"

    async def declared(actor: Actor) -> list[str]:
        found = await made.run(actor, query, id=made.record_id)
        return [one["section"] for one in found["record"]["profile"]["nothingToDeclare"]]

    doctor = await world.professional(database)
    await made.done(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    assert await declared(made.holder) == ["CONDITIONS"]
    assert await declared(doctor) == []
    clock.offset = timedelta(days=21)
    assert await declared(made.holder) == []
    refused = await made.do(
        made.holder, "declareNothing", recordId=made.record_id, section="CONDITIONS"
    )
    assert refused["code"] == "CONFLICT"
