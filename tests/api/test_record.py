"""What a holder sees and does, and what nobody else does, through GraphQL."""

from typing import Any
from uuid import UUID, uuid4

import graph
import pytest
import world
from sqlalchemy import event, func, select

from carnet.documents.tables import Document
from carnet.intake.actions import take_in
from carnet.people.actor import Anonymous, Assurance, Operator, Patient, Professional, Publisher
from carnet.people.tables import Account, AccountKind, PersonIdentifier
from carnet.records.tables import ProfileEntry, RecordState
from carnet.sandbox.bundles import bundles
from carnet.sandbox.personas import HOLDERS
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.tables import Blob

STRANGERS = [
    Anonymous(),
    Professional(uuid4(), uuid4(), Assurance.SANDBOX),
    Operator(uuid4(), Assurance.SANDBOX),
    Publisher(uuid4()),
]


async def fed(database: Database, blobs: BlobStore, handle: str) -> Patient:
    """Return a holder of the sandbox whose history was taken in."""
    publisher = await world.publisher(database)
    number = next(h.national_number for h in HOLDERS if h.handle == handle)
    for _, body in bundles():
        if number.encode() in body:
            await take_in(publisher, database, blobs, body, "application/fhir+json")
    async with database.write() as work:
        person_id = await work.session.scalar(
            select(PersonIdentifier.person_id).where(PersonIdentifier.value == number)
        )
        assert person_id is not None
        account = Account(
            id=work.new_id(),
            kind=AccountKind.PATIENT,
            person_id=person_id,
            created_at=work.now,
        )
        work.session.add(account)
        return Patient(person_id, account.id, Assurance.SANDBOX)


async def upload(database: Database, blobs: BlobStore, actor: Patient, data: bytes) -> UUID:
    async def chunks():
        yield data

    owner = f"account:{actor.account_id}"
    stored = await blobs.receive(
        database, owner, chunks(), media_type="application/pdf", limit_bytes=10_000
    )
    return stored.id


RECORD = "{ viewer { ... on Patient { record { id } } } }"


async def record_id(database: Database, blobs: BlobStore, actor: Patient) -> str:
    found = await graph.data(database, blobs, actor, RECORD)
    id_: str = found["viewer"]["record"]["id"]
    return id_


EVERYTHING = """
{ viewer { ... on Patient {
    givenNames birthFamilyName usedFamilyName birthDate sex
    identifiers { system value isKeyValid }
    record { id state
      documents { totalCount edges { node {
        id title category status version type { code display } authors { familyName }
        flags isMasked permissions { mask correct replace delete }
        versions { edges { node { title status version } } }
        contents { part role mediaType fileName sizeBytes sha256 url }
        readableContent { mediaType } } } }
      profile {
        allergies { edges { node { label criticality startedOn statedBy sourceDocument { id } } } }
        conditions { totalCount edges { node { label startedOn } } }
        immunizations { totalCount edges { node { vaccineLabel givenOn doseRank lotNumber
          diseases { code name(locale: EN) } sources { statedBy vaccineLabel document { id } } } } }
        nothingToDeclare { section }
} } } } }
"""


async def test_the_holder_reads_the_whole_record(database: Database, blobs: BlobStore) -> None:
    camille = await fed(database, blobs, "camille")
    viewer = (await graph.data(database, blobs, camille, EVERYTHING))["viewer"]
    assert (viewer["birthFamilyName"], viewer["usedFamilyName"]) == ("GARNIER", "MOREAU")
    assert [i["isKeyValid"] for i in viewer["identifiers"]] == [True]
    record = viewer["record"]
    nodes = [edge["node"] for edge in record["documents"]["edges"]]
    assert [node["title"] for node in nodes] == [
        "Bilan sanguin (corrigé)",
        "Lettre de liaison à la sortie de maternité",
        "Échographie du deuxième trimestre",
    ]
    assert [(v["node"]["version"], v["node"]["status"]) for v in nodes[0]["versions"]["edges"]] == [
        (2, "CURRENT"),
        (1, "SUPERSEDED"),
    ]
    assert nodes[0]["category"] == "LABORATORY"
    assert nodes[0]["permissions"] == {
        "mask": True,
        "correct": False,
        "replace": False,
        "delete": False,
    }
    assert nodes[2]["authors"] == [{"familyName": "FAURE"}]
    assert [part["mediaType"] for part in nodes[0]["contents"]] == ["application/pdf"]
    profile = record["profile"]
    assert profile["immunizations"]["totalCount"] == 3
    doses = {e["node"]["vaccineLabel"]: e["node"] for e in profile["immunizations"]["edges"]}
    assert doses["Vaccin rougeole oreillons rubéole"]["givenOn"] == "1996"
    diseases = {d["code"] for d in doses["Rappel dTcaP"]["diseases"]}
    assert diseases == {"diphtheria", "tetanus", "pertussis", "poliomyelitis"}


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda one: one.kind)
async def test_nobody_else_sees_anything_on_any_path(
    database: Database, blobs: BlobStore, stranger: Any
) -> None:
    camille = await fed(database, blobs, "camille")
    seen = (await graph.data(database, blobs, camille, EVERYTHING))["viewer"]["record"]
    other = await world.holder(database)
    document_id = seen["documents"]["edges"][0]["node"]["id"]
    for actor in (stranger, other):
        found = await graph.data(
            database,
            blobs,
            actor,
            "query($r: ID!, $d: ID!) { record(id: $r) { id } node(id: $d) { id }"
            " nodes(ids: [$r, $d]) { id } }",
            r=seen["id"],
            d=document_id,
        )
        assert found == {"record": None, "node": None, "nodes": [None, None]}
        before = await rows(database)
        answer = await graph.data(
            database, blobs, actor, MASK, input={"documentId": document_id, "masked": True}
        )
        assert answer["maskDocument"]["__typename"] == "NotFound"
        assert await rows(database) == before


MASK = """mutation($input: MaskDocumentInput!) { maskDocument(input: $input) { __typename
  ... on MaskDocumentSuccess { document { isMasked revision } } } }"""


async def rows(database: Database) -> tuple[int, int, int]:
    async with database.read() as work:
        masked = await work.session.scalar(
            select(func.count()).select_from(Document).where(Document.is_masked)
        )
        documents = await work.session.scalar(select(func.count()).select_from(Document))
        entries = await work.session.scalar(select(func.count()).select_from(ProfileEntry))
        return masked or 0, documents or 0, entries or 0


async def test_a_result_hidden_from_its_holder_shows_after_a_month(
    database: Database, blobs: BlobStore, clock: Any
) -> None:
    from datetime import timedelta

    marc = await fed(database, blobs, "marc")
    query = (
        "{ viewer { ... on Patient { record { documents { totalCount edges { node { title }}}}}}}"
    )

    async def titles() -> list[str]:
        found = (await graph.data(database, blobs, marc, query))["viewer"]["record"]["documents"]
        assert found["totalCount"] == len(found["edges"])
        return [edge["node"]["title"] for edge in found["edges"]]

    assert "Compte rendu d'anatomopathologie" not in await titles()
    clock.offset = timedelta(days=31)
    assert "Compte rendu d'anatomopathologie" in await titles()


async def test_sql_statements_depend_on_the_shape_not_on_the_rows(
    database: Database, blobs: BlobStore
) -> None:
    counts: dict[str, int] = {}
    for handle in ("hugo", "camille", "marc"):
        holder = await fed(database, blobs, handle)
        statements: list[str] = []

        def note(_c: Any, _cur: Any, statement: str, *_: Any, into: Any = statements) -> None:
            into.append(statement)

        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        await graph.data(database, blobs, holder, EVERYTHING)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        counts[handle] = len(statements)
    # Hers alone has former versions: one statement asks what all of them are to her.
    assert counts["hugo"] == counts["marc"] == counts["camille"] - 1, counts
    assert counts["camille"] <= 30  # of which 8 judge once more, write the journal, 4 permit


ADD = """mutation($input: AddDocumentInput!) { addDocument(input: $input) { __typename
  ... on AddDocumentSuccess { document { id title revision category
    permissions { delete replace } contents { sizeBytes url } } }
  ... on UserError { code message path } } }"""
REPLACE = """mutation($input: ReplaceDocumentInput!) { replaceDocument(input: $input) { __typename
  ... on ReplaceDocumentSuccess { document { id version versions { totalCount } } }
  ... on UserError { code } } }"""
CORRECT = """mutation($input: CorrectDocumentInput!) { correctDocument(input: $input) { __typename
  ... on CorrectDocumentSuccess { document { title revision } } ... on UserError { code } } }"""
DELETE = """mutation($input: DeleteDocumentInput!) { deleteDocument(input: $input) { __typename
  ... on UserError { code } ... on AccessDenied { rule } } }"""


async def test_a_document_of_the_holder_lives_through_all_changes(
    database: Database, blobs: BlobStore
) -> None:
    alix = await world.holder(database)
    record = await record_id(database, blobs, alix)
    blob = await upload(database, blobs, alix, b"%PDF-1.4 one")
    description = {"title": "Ordonnance", "category": "PRESCRIPTION"}
    payload = {
        "recordId": record,
        "blobId": str(blob),
        "description": description,
        "idempotencyKey": str(uuid4()),
    }
    first = (await graph.data(database, blobs, alix, ADD, input=payload))["addDocument"]
    again = (await graph.data(database, blobs, alix, ADD, input=payload))["addDocument"]
    assert first == again
    assert first["document"]["permissions"] == {"delete": True, "replace": True}
    assert first["document"]["contents"][0]["sizeBytes"] == 12.0
    other_body = payload | {"description": description | {"title": "Autre"}}
    conflict = await graph.data(database, blobs, alix, ADD, input=other_body)
    assert conflict["addDocument"]["code"] == "CONFLICT"

    document = first["document"]
    correction = {
        "documentId": document["id"],
        "revision": document["revision"],
        "description": description | {"title": "Ordonnance de mai"},
    }
    corrected = await graph.data(database, blobs, alix, CORRECT, input=correction)
    assert corrected["correctDocument"]["document"]["title"] == "Ordonnance de mai"
    stale = await graph.data(database, blobs, alix, CORRECT, input=correction)
    assert stale["correctDocument"]["code"] == "CONFLICT"

    second = await upload(database, blobs, alix, b"%PDF-1.4 two")
    replaced = await graph.data(
        database,
        blobs,
        alix,
        REPLACE,
        input={
            "documentId": document["id"],
            "blobId": str(second),
            "description": description,
        },
    )
    version = replaced["replaceDocument"]["document"]
    assert (version["version"], version["versions"]["totalCount"]) == (2, 2)
    masked = await graph.data(database, blobs, alix, MASK, input={"documentId": version["id"]})
    assert masked["maskDocument"]["document"]["isMasked"] is True

    deleted = await graph.data(database, blobs, alix, DELETE, input={"documentId": version["id"]})
    assert deleted["deleteDocument"]["__typename"] == "DeleteDocumentSuccess"
    async with database.read() as work:
        unclaimed = await work.session.scalars(select(Blob.id).where(Blob.claimed_at.is_(None)))
        assert set(unclaimed) == {blob, second}
    gone = "query($d: ID!) { node(id: $d) { id } }"
    assert await graph.data(database, blobs, alix, gone, d=document["id"]) == {"node": None}


async def test_what_others_deposited_is_masked_and_not_deleted(
    database: Database, blobs: BlobStore
) -> None:
    camille = await fed(database, blobs, "camille")
    found = (await graph.data(database, blobs, camille, EVERYTHING))["viewer"]["record"]
    document = found["documents"]["edges"][0]["node"]["id"]
    before = await rows(database)
    refused = await graph.data(database, blobs, camille, DELETE, input={"documentId": document})
    assert refused["deleteDocument"] == {
        "__typename": "AccessDenied",
        "code": "ACCESS_DENIED",
        "rule": "document.not-depositor",
    }
    assert await rows(database) == before


async def test_a_blob_of_another_account_is_not_there(database: Database, blobs: BlobStore) -> None:
    alix, eve = await world.holder(database), await world.holder(database)
    blob = await upload(database, blobs, alix, b"%PDF-1.4")
    payload = {
        "recordId": await record_id(database, blobs, eve),
        "blobId": str(blob),
        "description": {"title": "x", "category": "OTHER"},
    }
    answer = await graph.data(database, blobs, eve, ADD, input=payload)
    assert answer["addDocument"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("state", [RecordState.CLOSED, RecordState.SUSPENDED, RecordState.OPPOSED])
async def test_a_record_that_is_not_open_is_not_there(
    database: Database, blobs: BlobStore, state: RecordState
) -> None:
    alix = await world.holder(database, state)
    assert (await graph.data(database, blobs, alix, RECORD)) == {"viewer": {"record": None}}


ENTRY = """mutation($input: AddProfileEntryInput!) { addProfileEntry(input: $input) { __typename
  ... on AddProfileEntrySuccess { entry { __typename id label version startedOn } }
  ... on UserError { code path } } }"""
FIX = """mutation($input: CorrectProfileEntryInput!) { correctProfileEntry(input: $input) { __typename
  ... on CorrectProfileEntrySuccess { entry { label version } } ... on UserError { code } } }"""
REMOVE = """mutation($input: RemoveProfileEntryInput!) { removeProfileEntry(input: $input) {
  __typename ... on UserError { code } } }"""
NOTHING = """mutation($input: DeclareNothingInput!) { declareNothing(input: $input) { __typename
  ... on DeclareNothingSuccess { record { profile { nothingToDeclare { section } } } }
  ... on UserError { code } } }"""


async def test_a_statement_lives_through_all_changes(database: Database, blobs: BlobStore) -> None:
    alix = await world.holder(database)
    record = await record_id(database, blobs, alix)
    declared = await graph.data(
        database, blobs, alix, NOTHING, input={"recordId": record, "section": "ALLERGIES"}
    )
    assert declared["declareNothing"]["record"]["profile"]["nothingToDeclare"] == [
        {"section": "ALLERGIES"}
    ]
    entry = {"section": "ALLERGIES", "label": "Noix", "startedOn": "2001"}
    added = await graph.data(
        database, blobs, alix, ENTRY, input={"recordId": record, "entry": entry}
    )
    node = added["addProfileEntry"]["entry"]
    assert (node["__typename"], node["startedOn"], node["version"]) == ("Allergy", "2001", 1)
    held = await graph.data(
        database, blobs, alix, NOTHING, input={"recordId": record, "section": "ALLERGIES"}
    )
    assert held["declareNothing"]["code"] == "CONFLICT"
    change = {"entryId": node["id"], "version": 1, "entry": entry | {"label": "Noix de cajou"}}
    fixed = await graph.data(database, blobs, alix, FIX, input=change)
    assert fixed["correctProfileEntry"]["entry"] == {"label": "Noix de cajou", "version": 2}
    stale = await graph.data(database, blobs, alix, FIX, input=change)
    assert stale["correctProfileEntry"]["code"] == "CONFLICT"
    gone = await graph.data(database, blobs, alix, REMOVE, input={"entryId": node["id"]})
    assert gone["removeProfileEntry"]["__typename"] == "RemoveProfileEntrySuccess"
    again = await graph.data(database, blobs, alix, REMOVE, input={"entryId": node["id"]})
    assert again["removeProfileEntry"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"section": "ALLERGIES", "label": ""}, ["label"]),
        ({"section": "ALLERGIES", "label": "x", "value": "3"}, ["value"]),
        ({"section": "ALLERGIES", "label": "x", "unit": "kg"}, ["unit"]),
        ({"section": "PROCEDURES", "label": "x", "unit": ""}, ["unit"]),
        ({"section": "MEASUREMENTS", "label": "x", "value": "3", "unit": "k" * 101}, ["unit"]),
        (
            {"section": "STAYS", "label": "x", "startedOn": "2020-02", "endedOn": "2019"},
            ["endedOn"],
        ),
        (
            {"section": "ALLERGIES", "label": "x", "details": [{"name": "dosage", "value": "1"}]},
            ["details"],
        ),
        ({"section": "IMMUNIZATIONS", "label": "x"}, ["section"]),
    ],
)
async def test_a_statement_that_cannot_be_kept_says_where(
    database: Database, blobs: BlobStore, entry: dict[str, Any], path: list[str]
) -> None:
    alix = await world.holder(database)
    record = await record_id(database, blobs, alix)
    before = await rows(database)
    answer = await graph.data(
        database, blobs, alix, ENTRY, input={"recordId": record, "entry": entry}
    )
    assert answer["addProfileEntry"]["code"] == "VALIDATION_FAILED"
    assert answer["addProfileEntry"]["path"] == path
    assert await rows(database) == before


DOSE = """mutation($input: AddImmunizationInput!) { addImmunization(input: $input) { __typename
  ... on AddImmunizationSuccess { immunization { id diseases { code } sources { statedBy } } }
  ... on UserError { code path } } }"""
UNDOSE = """mutation($input: RemoveImmunizationInput!) { removeImmunization(input: $input) {
  __typename ... on RemoveImmunizationSuccess { immunization { sources { statedBy } } }
  ... on UserError { code } } }"""


async def test_a_holders_report_merges_with_what_software_reported(
    database: Database, blobs: BlobStore
) -> None:
    camille = await fed(database, blobs, "camille")
    record = await record_id(database, blobs, camille)
    dose = {
        "recordId": record,
        "vaccineLabel": "Grippe",
        "codings": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "140"}],
        "givenOn": "2025-10-22",
    }
    added = (await graph.data(database, blobs, camille, DOSE, input=dose))["addImmunization"]
    merged = added["immunization"]
    assert [s["statedBy"] for s in merged["sources"]] == ["PUBLISHER", "HOLDER"]
    left = await graph.data(
        database, blobs, camille, UNDOSE, input={"immunizationId": merged["id"]}
    )
    assert [s["statedBy"] for s in left["removeImmunization"]["immunization"]["sources"]] == [
        "PUBLISHER"
    ]
    denied = await graph.data(
        database, blobs, camille, UNDOSE, input={"immunizationId": merged["id"]}
    )
    assert denied["removeImmunization"]["code"] == "ACCESS_DENIED"
    future = await graph.data(database, blobs, camille, DOSE, input=dose | {"givenOn": "2999"})
    assert future["addImmunization"]["path"] == ["givenOn"]


FILTERED = """query($filter: DocumentFilterInput, $order: DocumentOrder!, $after: Cursor) {
  viewer { ... on Patient { record { documents(filter: $filter, order: $order, first: 1,
    after: $after) { totalCount pageInfo { hasNextPage endCursor } edges { node { title } } } } } } }"""


@pytest.mark.parametrize(
    ("wanted", "titles"),
    [
        ({"categories": ["IMAGING"]}, ["Échographie du deuxième trimestre"]),
        ({"typeCodes": ["11502-2"]}, ["Bilan sanguin (corrigé)"]),
        ({"author": "faure"}, ["Échographie du deuxième trimestre"]),
        ({"title": "MATERNITÉ"}, ["Lettre de liaison à la sortie de maternité"]),
        ({"title": "%"}, []),
        (
            {"since": "2026-03-01T00:00:00Z", "until": "2026-09-01T00:00:00Z"},
            ["Lettre de liaison à la sortie de maternité"],
        ),
        (
            {"typeCodes": ["11502-2"], "withFormerVersions": True},
            ["Bilan sanguin", "Bilan sanguin (corrigé)"],
        ),
    ],
)
async def test_documents_are_filtered_sorted_and_paged(
    database: Database, blobs: BlobStore, wanted: dict[str, Any], titles: list[str]
) -> None:
    camille = await fed(database, blobs, "camille")
    found: list[str] = []
    after = None
    while True:
        answer = await graph.data(
            database, blobs, camille, FILTERED, filter=wanted, order="TITLE", after=after
        )
        page = answer["viewer"]["record"]["documents"]
        assert page["totalCount"] == len(titles)
        found += [edge["node"]["title"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == titles
