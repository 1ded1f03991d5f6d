"""One idempotency key, sent by twenty at once: one deed, one entry of the journal."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import scene
from scene import PLAIN, Scene
from sqlalchemy import select

from carnet.access.journal_tables import JournalEntry
from carnet.people.actor import actor_key
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

AT_ONCE = 20
DESCRIPTION = {"title": "Lettre", "category": "PERSONAL"}
ENTRY = {"section": "ALLERGIES", "label": "Noix"}
ICS = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//FR\r\nBEGIN:VEVENT\r\nUID:a@x\r\n"
    "DTSTART:{:%Y%m%d}T080000Z\r\nSUMMARY:Contrôle\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
APPOINTMENT = {"title": "Contrôle", "startsOn": "2100-01-01"}


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    return await scene.make(database, blobs, hide_results_days=0)


async def blob(made: Scene) -> str:
    async def chunks() -> Any:
        yield b"%PDF-1.4 a"

    stored = await made.blobs.receive(
        made.database,
        actor_key(made.holder),
        chunks(),
        media_type="application/pdf",
        limit_bytes=100,
    )
    return str(stored.id)


async def own_document(made: Scene) -> str:
    added = await made.done(
        made.holder,
        "addDocument",
        recordId=made.record_id,
        blobId=await blob(made),
        description=DESCRIPTION,
    )
    id_: str = added["document"]["id"]
    return id_


async def written(made: Scene) -> Counter[str]:
    async with made.database.read() as work:
        actions = await work.session.scalars(
            select(JournalEntry.action).where(~JournalEntry.action.startswith("READ_"))
        )
        return Counter(actions)


async def given_for(made: Scene, name: str) -> dict[str, Any]:
    """Return an input with which the holder's mutation succeeds."""
    record = {"recordId": made.record_id}
    match name:
        case "addDocument":
            return {**record, "blobId": await blob(made), "description": DESCRIPTION}
        case "replaceDocument":
            document = {"documentId": await own_document(made), "blobId": await blob(made)}
            return {**document, "description": DESCRIPTION}
        case "correctDocument":
            document = {"documentId": await own_document(made), "revision": 1}
            return {**document, "description": {**DESCRIPTION, "title": "Autre"}}
        case "deleteDocument":
            return {"documentId": await own_document(made)}
        case "maskDocument" | "hideFromRepresentatives":
            return {"documentId": made.document_id(PLAIN)}
        case "addProfileEntry":
            return {**record, "entry": ENTRY}
        case "addImmunization":
            return {**record, "vaccineLabel": "BCG"}
        case "declareNothing":
            return {**record, "section": "STAYS"}
        case "addAppointment":
            return {**record, "appointment": APPOINTMENT}
        case "addPreventionAct":
            return {**record, "act": "FIT"}
        case "statePreventionFact":
            return {**record, "code": "CHRONIC_RESPIRATORY"}
        case "decidePrevention":
            return {**record, "itemKey": "VAC_ROR", "choice": "REFUSED"}
        case "importAppointments":
            soon = made.database.clock.now() + timedelta(days=9)
            return {**record, "ics": ICS.format(soon)}
    return record


ACTIONS = {
    "addDocument": "DEPOSIT_DOCUMENT",
    "replaceDocument": "REPLACE_DOCUMENT",
    "correctDocument": "CORRECT_DOCUMENT",
    "deleteDocument": "DELETE_DOCUMENT",
    "maskDocument": "MASK_DOCUMENT",
    "hideFromRepresentatives": "HIDE_DOCUMENT",
    "addProfileEntry": "ADD_ENTRY",
    "addImmunization": "REPORT_DOSE",
    "declareNothing": "DECLARE_NOTHING",
    "addAppointment": "CHANGE_CALENDAR",
    "addPreventionAct": "CHANGE_CALENDAR",
    "statePreventionFact": "CHANGE_CALENDAR",
    "decidePrevention": "CHANGE_CALENDAR",
    "importAppointments": "CHANGE_CALENDAR",
    "createCalendarFeed": "CHANGE_CALENDAR",
    "requestExport": "EXPORT",
    "requestDeletion": "CHANGE_STATE",
}
"""Mutations, and what the journal says of one of them once."""


@pytest.mark.parametrize("name", ACTIONS)
async def test_twenty_at_once_are_one(made: Scene, name: str) -> None:
    given = await given_for(made, name) | {"idempotencyKey": str(uuid4())}
    kind = f"{name[0].upper()}{name[1:]}"
    query = f"mutation($input: {kind}Input!) {{ {name}(input: $input) {{ __typename }} }}"
    before = await written(made)
    answers = await asyncio.gather(
        *(made.run(made.holder, query, input=given) for _ in range(AT_ONCE))
    )
    assert {answer[name]["__typename"] for answer in answers} == {f"{kind}Success"}
    assert await written(made) - before == Counter({ACTIONS[name]: 1})


async def test_a_key_is_its_actors(made: Scene) -> None:
    """Another's key, and what it did, is nothing to whoever sends the same."""
    key = str(uuid4())
    given = await given_for(made, "addProfileEntry") | {"idempotencyKey": key}
    mine = await made.done(made.holder, "addProfileEntry", **given)
    stranger = await scene.make(made.database, made.blobs)
    refused = await made.do(stranger.holder, "addProfileEntry", **given)
    assert refused["code"] == "NOT_FOUND"
    own = await made.done(
        stranger.holder, "addProfileEntry", **(given | {"recordId": stranger.record_id})
    )
    assert own["entry"]["id"] != mine["entry"]["id"]
