"""A journal tells who acts for the holder nothing of what is hidden from them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import graph
import pytest
import scene
import world
from feeding import Feed, document
from scene import PLAIN, SECRET, Scene

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.sealing import seal
from carnet.documents import journal as journals
from carnet.intake.model import ImmunizationItem, WithdrawalItem
from carnet.people.actor import Patient
from carnet.records.tables import Immunization
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.values import Coding, PartialDate
from carnet_client import journal as client

JOURNAL = """query($id: ID!, $size: String!) { record(id: $id) { journal(first: 100) { totalCount
  edges { node { id action number leaf leafIndex inclusionProof(treeSize: $size) } } } } }"""
DAY = PartialDate("2024-03-01")
PROOF = ("number", "leaf", "leafIndex", "inclusionProof")


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    return await scene.make(database, blobs, hide_results_days=0)


@pytest.fixture
async def caregiver(made: Scene) -> Patient:
    found = await world.holder(made.database)
    await world.delegation(made.database, made.holder, found)
    return found


async def told(made: Scene, actor: Patient) -> list[dict[str, Any]]:
    found = await made.run(actor, JOURNAL, id=made.record_id, size="1")
    page = found["record"]["journal"]
    assert page["totalCount"] == len(page["edges"])
    return [edge["node"] for edge in page["edges"]]


async def archived(made: Scene, actor: Patient) -> dict[str, Any]:
    async with made.database.read() as work:
        key = graph.SIGNER.public_key
        pieces = [piece async for piece in journals.archive(actor, work, made.record, key)]
    shape: dict[str, Any] = json.loads(b"".join(pieces))
    return shape


async def note(made: Scene, action: JournalAction, kind: ObjectKind, *ids: UUID) -> None:
    sender = await world.publisher(made.database)
    async with made.database.write() as work:
        await write(sender, work, [Fact(made.record, action, "publisher.feeds", kind, ids)])


async def fed(made: Scene, name: str) -> None:
    """Write what intake writes of a document with a fact and a dose in it."""
    document, entry, dose = made.documents[name], made.entries[name], made.doses[name]
    await note(made, JournalAction.DEPOSIT_DOCUMENT, ObjectKind.DOCUMENT, document)
    await note(made, JournalAction.ADD_ENTRY, ObjectKind.PROFILE_ENTRY, entry)
    await note(made, JournalAction.REPORT_DOSE, ObjectKind.IMMUNIZATION, dose)


FED = {"DEPOSIT_DOCUMENT", "ADD_ENTRY", "REPORT_DOSE"}


@pytest.mark.parametrize(("name", "is_told"), [(PLAIN, True), (SECRET, False)])
async def test_what_a_hidden_document_said_leaves_no_trace(
    made: Scene, caregiver: Patient, name: str, is_told: bool
) -> None:
    await fed(made, name)
    entries = await told(made, made.holder)
    assert {one["action"] for one in entries} == FED
    seen = await told(made, caregiver)
    assert {one["action"] for one in seen} & FED == (FED if is_told else set())
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    found = await made.run(caregiver, query, ids=[one["id"] for one in entries])
    assert [node is not None for node in found["nodes"]] == [is_told] * len(entries)
    actions = {one["action"] for one in (await archived(made, caregiver))["released"]}
    assert actions & FED == (FED if is_told else set())


@pytest.mark.parametrize("go", ["withdrawn", "corrected"])
async def test_a_secret_dose_leaves_no_trace_when_it_goes(
    made: Scene, caregiver: Patient, go: str
) -> None:
    feed = Feed(made.database, made.blobs, await world.publisher(made.database), made.ins)
    secret = replace(document("s"), is_hidden_from_representatives=True)
    bcg, yellow = [Coding("http://hl7.org/fhir/sid/cvx", code) for code in ("19", "37")]
    told_in = ImmunizationItem("dose s", "p", "BCG", (bcg,), given_on=DAY, document="s")
    await feed.send(
        document("p"), replace(told_in, source_key="p", codings=(yellow,), document="p")
    )
    _, dose_id = await feed.send(secret, told_in)
    assert dose_id is not None
    await note(made, JournalAction.READ_PROFILE, ObjectKind.IMMUNIZATION, dose_id)
    of_doses = {"REPORT_DOSE", "READ_PROFILE"}
    before = {one["id"] for one in await told(made, caregiver) if one["action"] in of_doses}
    assert len(before) == 1
    if go == "withdrawn":
        await feed.send(WithdrawalItem("w", "p", "s"), WithdrawalItem("v", "p", "p"))
    else:  # into what is another dose
        await feed.send(secret, replace(told_in, codings=(yellow,)))
    async with made.database.read() as work:
        assert await work.session.get(Immunization, dose_id) is None
    after = {one["id"] for one in await told(made, caregiver) if one["action"] in of_doses}
    assert after == (before if go == "withdrawn" else set())
    own = [one["action"] for one in await told(made, made.holder) if one["action"] in of_doses]
    assert sorted(own) == ["READ_PROFILE"] + ["REPORT_DOSE"] * (2 if go == "withdrawn" else 3)


async def test_nor_does_one_that_its_holder_may_not_know_of_yet(made: Scene) -> None:
    feed = Feed(made.database, made.blobs, await world.publisher(made.database), made.ins)
    held = replace(document("h"), is_hidden_from_holder=True)
    await feed.send(held, ImmunizationItem("dose h", "p", "BCG", given_on=DAY, document="h"))
    await feed.send(WithdrawalItem("w", "p", "h"))
    assert {one["action"] for one in await told(made, made.holder)} & FED == set()


async def test_no_number_tells_that_something_is_left_out(made: Scene, caregiver: Patient) -> None:
    for name in (PLAIN, SECRET, PLAIN):
        await fed(made, name)
    while await seal(made.database, graph.SIGNER):
        pass
    seen = await told(made, caregiver)
    assert len(seen) == 6
    assert {one[name] for one in seen for name in PROOF} == {None}
    shape = await archived(made, caregiver)
    assert shape["entries"] == []
    assert all("number" not in one for one in shape["released"])
    assert len(shape["released"]) == 8  # with the two of reading it
    assert client.verify(client.read_journal(json.dumps(shape))).proved == 0


async def test_the_holder_is_told_every_number(made: Scene, caregiver: Patient) -> None:
    for name in (PLAIN, SECRET):
        await fed(made, name)
    await told(made, caregiver)
    numbers = [int(one["number"]) for one in await told(made, made.holder)]
    assert numbers == list(range(len(numbers), 0, -1))
    assert client.verify(client.read_journal(json.dumps(await archived(made, made.holder))))
