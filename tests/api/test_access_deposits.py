"""What professionals may deposit and change, and what the holder decided for new documents."""

from __future__ import annotations

from typing import Any

import pytest
import scene
import world
from scene import AUTHORED, PLAIN, Scene

from carnet.people.actor import Professional, actor_key
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

LOINC = "http://loinc.org"
READ_ONLY, READ_WRITE = "11502-2", "56445-0"  # for a pharmacist, in the sample matrix


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    return await scene.make(database, blobs, hide_results_days=0)


async def blob(made: Scene, actor: Professional, content: bytes = b"%PDF-1.4 new") -> str:
    async def chunks() -> Any:
        yield content

    stored = await made.blobs.receive(
        made.database,
        actor_key(actor),
        chunks(),
        media_type="application/pdf",
        limit_bytes=1000,
    )
    return str(stored.id)


def described(code: str, **further: Any) -> dict[str, Any]:
    return {
        "title": "Plan",
        "category": "OTHER",
        "type": {"system": LOINC, "code": code},
        **further,
    }


async def member(made: Scene, profession: str) -> Professional:
    who = await world.professional(made.database, profession=profession)
    await made.done(who, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    return who


async def deposit(made: Scene, who: Professional, code: str, **further: Any) -> dict[str, Any]:
    return await made.do(
        who,
        "addDocument",
        recordId=made.record_id,
        blobId=await blob(made, who),
        description=described(code, **further),
    )


async def test_the_matrix_bounds_what_a_profession_writes(made: Scene) -> None:
    pharmacist = await member(made, "21")
    refused = await deposit(made, pharmacist, READ_ONLY)
    assert refused["rule"] == "habilitation.read-only"
    refused = await deposit(made, pharmacist, "no-such")
    assert refused["rule"] == "habilitation.none"
    added = await deposit(made, pharmacist, READ_WRITE)
    assert added["document"]["depositedBy"] == "PROFESSIONAL"


async def test_a_document_becomes_no_type_that_its_author_may_not_write(made: Scene) -> None:
    pharmacist = await member(made, "21")
    document = (await deposit(made, pharmacist, READ_WRITE))["document"]["id"]
    new = await blob(made, pharmacist)
    before = await scene.tables(made.database)
    for code, rule in (
        (READ_ONLY, "habilitation.read-only"),
        ("no-such", "habilitation.none"),
    ):
        refused = await made.do(
            pharmacist,
            "correctDocument",
            documentId=document,
            revision=1,
            description=described(code),
        )
        assert (refused["code"], refused["rule"]) == ("ACCESS_DENIED", rule)
        refused = await made.do(
            pharmacist,
            "replaceDocument",
            documentId=document,
            blobId=new,
            description=described(code),
        )
        assert (refused["code"], refused["rule"]) == ("ACCESS_DENIED", rule)
    assert await scene.tables(made.database) == before
    await made.done(
        pharmacist,
        "correctDocument",
        documentId=document,
        revision=1,
        description=described(READ_WRITE, title="Plan corrigé"),
    )


async def test_an_author_who_sees_a_document_is_told_what_they_may_not_do(
    database: Database, blobs: BlobStore
) -> None:
    author = await world.professional(database)
    made = await scene.make(database, blobs, author=author)
    before = await scene.tables(database)
    for name, rule in (
        ("maskDocument", "document.masked-by-holder"),
        ("deleteDocument", "document.not-depositor"),
    ):
        refused = await made.do(author, name, documentId=made.document_id(AUTHORED))
        assert (refused["code"], refused.get("rule")) == ("ACCESS_DENIED", rule)
    refused = await made.do(author, "deleteDocument", documentId=made.document_id(PLAIN))
    assert refused["code"] == "NOT_FOUND"
    assert await scene.tables(database) == before


async def test_what_is_new_is_masked_where_the_holder_wants_it(made: Scene) -> None:
    doctor, other = await member(made, "10"), await member(made, "10")
    await made.done(
        made.holder,
        "changeAccessSettings",
        recordId=made.record_id,
        revision=0,
        isMaskedByDefault=True,
    )
    added = (await deposit(made, doctor, READ_WRITE))["document"]
    assert added["isMasked"]
    node = "query($id: ID!) { node(id: $id) { id } }"
    assert (await made.run(doctor, node, id=added["id"]))["node"] is not None
    assert (await made.run(other, node, id=added["id"]))["node"] is None
    await made.done(made.holder, "maskDocument", documentId=added["id"], masked=False)
    assert (await made.run(other, node, id=added["id"]))["node"] is not None


async def test_only_a_professional_hides_a_document_and_it_is_then_hidden(made: Scene) -> None:
    doctor = await member(made, "10")
    caregiver = await world.holder(made.database)
    await world.delegation(made.database, made.holder, caregiver)
    node = "query($id: ID!) { node(id: $id) { id } }"
    for flag, blind in (
        ("isHiddenFromHolder", {made.holder, caregiver}),
        ("isHiddenFromRepresentatives", {caregiver}),
    ):
        added = (await deposit(made, doctor, READ_WRITE, **{flag: True}))["document"]
        for actor in (made.holder, caregiver, doctor):
            found = await made.run(actor, node, id=added["id"])
            assert (found["node"] is None) == (actor in blind)
        refused = await made.do(
            made.holder,
            "addDocument",
            recordId=made.record_id,
            blobId="00000000-0000-0000-0000-000000000001",
            description=described(READ_WRITE, **{flag: True}),
        )
        assert refused["code"] == "VALIDATION_FAILED"


async def test_what_is_done_to_all_versions_is_told_of_those_that_the_holder_knows(
    made: Scene,
) -> None:
    doctor = await member(made, "10")
    first = (await deposit(made, doctor, READ_WRITE))["document"]["id"]
    described_anew = described(READ_WRITE, isHiddenFromHolder=True)
    await made.done(
        doctor,
        "replaceDocument",
        documentId=first,
        blobId=await blob(made, doctor),
        description=described_anew,
    )
    await made.done(made.holder, "maskDocument", documentId=first)
    query = """query($id: ID!) { record(id: $id) { journal(first: 100) { edges { node {
      action objectCount number chain } } } } }"""
    found = await made.run(made.holder, query, id=made.record_id)
    told = [edge["node"] for edge in found["record"]["journal"]["edges"]]
    masked = [
        (one["objectCount"], one["chain"]) for one in told if one["action"] == "MASK_DOCUMENT"
    ]
    assert masked == [(1, "MAIN")]
    assert [int(one["number"]) for one in told] == list(range(len(told), 0, -1))
    node = "query($id: ID!) { node(id: $id) { ... on Document { isMasked versions { edges { node {"
    both = (await made.run(doctor, node + " isMasked } } } } } }", id=first))["node"]["versions"]
    assert [edge["node"]["isMasked"] for edge in both["edges"]] == [True, True]
