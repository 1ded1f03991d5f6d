"""A new version that the holder may not know of: no event tells of it until it is released."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import scene
import world
from following import DOCUMENTS, INBOX, Served

from carnet.clock import MovableClock
from carnet.documents import announcements
from carnet.people.actor import Professional, actor_key
from carnet.store.blobs import BlobStore
from carnet.store.database import Database


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> scene.Scene:
    return await scene.make(database, blobs, hide_results_days=0)


@pytest.fixture
async def doctor(database: Database, made: scene.Scene) -> Professional:
    found = await world.professional(database)
    await made.done(found, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    return found


async def put(made: scene.Scene, doctor: Professional, mutation: str, **given: Any) -> str:
    async def chunks() -> Any:
        yield b"%PDF-1.4 new"

    stored = await made.blobs.receive(
        made.database, actor_key(doctor), chunks(), media_type="application/pdf", limit_bytes=99
    )
    is_held = given.pop("is_held", False)
    described = {"title": "Biopsie", "category": "LABORATORY", "isHiddenFromHolder": is_held}
    answer = await made.done(
        doctor, mutation, blobId=str(stored.id), description=described, **given
    )
    id_: str = answer["document"]["id"]
    return id_


async def test_the_holder_is_told_of_it_when_it_is_released(
    served: Served,
    made: scene.Scene,
    doctor: Professional,
    database: Database,
    clock: MovableClock,
) -> None:
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    async with (
        served.connected(made.holder) as own,
        served.connected(caregiver) as other,
        served.connected(doctor) as theirs,
    ):
        blind = [
            await client.subscribe(query, record=made.record_id)
            if query == DOCUMENTS
            else await client.subscribe(query)
            for client in (own, other)
            for query in (DOCUMENTS, INBOX)
        ]
        colleague = await theirs.subscribe(DOCUMENTS, record=made.record_id)
        for each in (*blind, colleague):
            await each.until_caught_up()
        first = await put(made, doctor, "addDocument", recordId=made.record_id)
        for each in (*blind, colleague):
            assert (await each.event())["__typename"] == "DocumentDeposited"
        new = await put(made, doctor, "replaceDocument", documentId=first, is_held=True)
        told = await colleague.event()
        assert (told["__typename"], told["document"]["id"]) == ("DocumentReplaced", new)
        # The next that they are told is the next that they may know of.
        mark = await put(made, doctor, "addDocument", recordId=made.record_id)
        for each in (*blind, colleague):
            assert (await each.event())["document"]["id"] == mark
        clock.offset += timedelta(days=30)
        await announcements.run(database)
        for each in blind:
            released = {e["document"]["id"]: e["__typename"] for e in await each.events(2)}
            assert released == {
                made.document_id(scene.HELD): "DocumentDeposited",  # the scene's own
                new: "DocumentReplaced",
            }
