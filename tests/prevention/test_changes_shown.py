"""What a new schedule changed is shown to whom the facts it was reckoned from are shown."""

from __future__ import annotations

import pytest
import scene
import world
from scene import AUTHORED, GONE, MASKED, SECRET, Scene

from carnet.documents.actions import hide_from_representatives, set_masked
from carnet.documents.deposits import retract_facts
from carnet.documents.tables import Document
from carnet.people.actor import Actor
from carnet.prevention.books import in_force, keep_shipped
from carnet.prevention.tables import PreventionChange
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

QUERY = "query($id: ID!) { record(id: $id) { prevention { changes { itemKey } } } }"


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    """A scene in which a new schedule changed something that follows from all documents."""
    found = await scene.make(database, blobs, hide_results_days=0)
    async with database.write() as work:
        digest, calendar = await in_force(work)
        await keep_shipped(work, digest, calendar)
        gone = await work.session.get_one(Document, found.documents[GONE])
        await retract_facts(work, [gone])
        change = PreventionChange(
            id=work.new_id(),
            record_id=found.record,
            digest=digest,
            item_key="VAC_ROR",
            was=None,
            is_now={"status": "NOT_COMPLETE"},
            created_at=work.now,
        )
        work.session.add(change)
    return found


async def shown(made: Scene, actor: Actor) -> list[str]:
    found = await made.run(actor, QUERY, id=made.record_id)
    return [change["itemKey"] for change in found["record"]["prevention"]["changes"]]


async def test_a_professional_learns_nothing_of_what_is_masked(
    made: Scene, database: Database
) -> None:
    doctor = await world.professional(database)
    await world.care_team(database, made.holder, doctor)
    assert await shown(made, made.holder) == ["VAC_ROR"]
    assert await shown(made, doctor) == []
    async with database.write() as work:
        for name in (MASKED, AUTHORED):
            await set_masked(made.holder, work, made.documents[name], False)
    assert await shown(made, doctor) == ["VAC_ROR"]


async def test_who_acts_for_the_holder_learns_nothing_of_a_secret(
    made: Scene, database: Database
) -> None:
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    assert await shown(made, caregiver) == []
    async with database.write() as work:
        await hide_from_representatives(made.holder, work, made.documents[SECRET], False)
    assert await shown(made, caregiver) == ["VAC_ROR"]
