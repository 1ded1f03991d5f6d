"""The journal as its readers see it, and as they prove it without the server."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import graph
import pytest
import world
from sqlalchemy import event, update

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.access.sealing import seal
from carnet.access.tables import AccessSettings
from carnet.clock import MovableClock
from carnet.documents import journal as journals
from carnet.documents.tables import Document, DocumentCategory
from carnet.people.actor import Patient, Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_client import journal as client
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.headfile import head_from_json, head_to_json
from carnet_crypto.merkle import leaf_hash, verify_inclusion
from carnet_crypto.signatures import verify_head
from carnet_graphql.node import write_id
from carnet_graphql.records import Record

JOURNAL = """
query ($size: String!, $filter: JournalFilterInput) {
  viewer { ... on Patient { record { journal(first: 100, filter: $filter) { totalCount edges { node {
    id at action actorKind actorName professional { familyName } onBehalfOf { givenNames }
    rule { code meaning } isEmergency objectCount documents { title } chain number leaf leafIndex
    inclusionProof(treeSize: $size)
  } } } } } }
  journalHead { log size root signedAt keyId signature publicKey }
}
"""
LATEST = """
{ viewer { ... on Patient { record { journal(first: 1, filter: {actions: [READ_DOCUMENT]}) {
  edges { node { documents { title } } } } } } } }
"""
RECORD = """
query ($id: ID!) { record(id: $id) { documents(first: 5) { edges { node { title } } } } }
"""


async def sealed(database: Database) -> None:
    while await seal(database, graph.SIGNER):
        pass


async def entries(
    database: Database, blobs: BlobStore, actor: Patient, size: int = 0, **filter: Any
) -> list[dict[str, Any]]:
    found = await graph.data(database, blobs, actor, JOURNAL, size=str(size), filter=filter or None)
    page = found["viewer"]["record"]["journal"]
    assert page["totalCount"] == len(page["edges"])
    return [edge["node"] for edge in page["edges"]]


@pytest.fixture
async def holder(database: Database) -> Patient:
    return await world.holder(database)


@pytest.fixture
async def doctor(database: Database, holder: Patient) -> Professional:
    doctor = await world.professional(database, profession="10")
    await world.care_team(database, holder, doctor)
    return doctor


async def test_who_looked_at_what_and_why(
    database: Database, blobs: BlobStore, holder: Patient, doctor: Professional
) -> None:
    record_id = await world.record_of(database, holder)
    await world.document(database, record_id, title="Bilan")
    await graph.data(database, blobs, doctor, RECORD, id=write_id(Record, record_id))
    looked = await entries(database, blobs, holder, byOthers=True)
    assert {(one["action"], one["rule"]["code"]) for one in looked} == {
        ("READ_RECORD", "care-team.member"),
        ("READ_DOCUMENT", "care-team.member"),
    }
    (read,) = (one for one in looked if one["action"] == "READ_DOCUMENT")
    assert (read["actorKind"], read["actorName"]) == ("PROFESSIONAL", "Lou FAURE")
    assert read["professional"] == {"familyName": "FAURE"}
    assert read["documents"] == [{"title": "Bilan"}]
    assert (read["objectCount"], read["isEmergency"], read["chain"]) == (1, False, "MAIN")


async def test_reading_the_journal_is_in_the_journal(
    database: Database, blobs: BlobStore, holder: Patient
) -> None:
    for _ in range(3):
        await entries(database, blobs, holder)  # the first finds nothing to read
    again = await entries(database, blobs, holder, actions=["READ_JOURNAL"])
    assert [one["rule"]["code"] for one in again] == ["holder", "holder"]
    numbers = [int(one["number"]) for one in await entries(database, blobs, holder)]
    assert numbers == list(range(len(numbers), 0, -1))


async def test_documents_of_an_entry_are_read_together(
    database: Database, blobs: BlobStore, holder: Patient, doctor: Professional
) -> None:
    record_id = await world.record_of(database, holder)
    asked = []
    for count in (2, 9):
        ids = [await world.document(database, record_id, title="Bilan") for _ in range(count)]
        fact = Fact(
            record_id, JournalAction.READ_DOCUMENT, "holder", ObjectKind.DOCUMENT, tuple(ids)
        )
        async with database.write() as work:
            await write(holder, work, [fact])
        seen: list[str] = []

        def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
            seen.append(statement)  # noqa: B023 — removed before the next round

        event.listen(database.engine.sync_engine, "before_cursor_execute", note)
        found = await graph.data(database, blobs, holder, LATEST)
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
        (edge,) = found["viewer"]["record"]["journal"]["edges"]
        assert len(edge["node"]["documents"]) == count
        asked.append(sum("documents" in statement for statement in seen))
    assert asked[0] == asked[1] > 0


async def test_others_read_no_journal(
    database: Database, blobs: BlobStore, holder: Patient, doctor: Professional
) -> None:
    record_id = await world.record_of(database, holder)
    await entries(database, blobs, holder)
    one = (await entries(database, blobs, holder))[0]["id"]
    query = "query ($id: ID!, $entry: ID!) { record(id: $id) { journal { totalCount edges { cursor } } } node(id: $entry) { id } }"
    found = await graph.data(
        database, blobs, doctor, query, id=write_id(Record, record_id), entry=one
    )
    assert found == {"record": {"journal": {"totalCount": 0, "edges": []}}, "node": None}
    stranger = await world.holder(database)
    found = await graph.data(
        database, blobs, stranger, query, id=write_id(Record, record_id), entry=one
    )
    assert found == {"record": None, "node": None}


async def test_a_hidden_document_leaves_no_trace_until_it_is_released(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    doctor: Professional,
    clock: MovableClock,
) -> None:
    record_id = await world.record_of(database, holder)
    secret = await world.document(database, record_id, title="Secret")
    async with database.write() as work:
        await work.session.execute(
            update(Document)
            .where(Document.id == secret)
            .values(hidden_from_holder_until=work.now + timedelta(days=30))
        )
    await graph.data(database, blobs, doctor, RECORD, id=write_id(Record, record_id))
    told = await entries(database, blobs, holder, byOthers=True)
    assert {one["action"] for one in told} == {"READ_RECORD"}
    clock.offset = timedelta(days=31)
    told = await entries(database, blobs, holder, byOthers=True)
    assert {(one["action"], one["chain"]) for one in told} == {
        ("READ_RECORD", "MAIN"),
        ("READ_DOCUMENT", "HELD"),
    }


async def test_what_was_held_does_not_tell_of_what_still_is(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    doctor: Professional,
    clock: MovableClock,
) -> None:
    record_id = await world.record_of(database, holder)
    for days in (60, 30):
        document_id = await world.document(database, record_id, title="Secret")
        fact = Fact(
            record_id,
            JournalAction.READ_DOCUMENT,
            "care-team.member",
            ObjectKind.DOCUMENT,
            (document_id,),
            is_held=True,
        )
        async with database.write() as work:
            await work.session.execute(
                update(Document)
                .where(Document.id == document_id)
                .values(hidden_from_holder_until=work.now + timedelta(days=days))
            )
            await write(doctor, work, [fact])
    await sealed(database)
    clock.offset = timedelta(days=31)  # the one that was read second is released, the first not
    (told,) = await entries(database, blobs, holder, size=2, byOthers=True)
    assert (told["chain"], told["objectCount"]) == ("HELD", 1)
    assert [told[name] for name in ("number", "leaf", "leafIndex", "inclusionProof")] == [None] * 4
    shape = await archived(database, holder, record_id)
    client.verify(client.read_journal(json.dumps(shape)))
    (released,) = shape["released"]
    assert (released["action"], released["chain"]) == ("READ_DOCUMENT", "HELD")
    assert "number" not in released
    assert {json.loads(from_base64url(one["leaf"]))["chain"] for one in shape["entries"]} <= {
        "MAIN"
    }


async def test_a_client_proves_every_entry_against_the_signed_head(
    database: Database, blobs: BlobStore, holder: Patient
) -> None:
    for _ in range(3):
        await entries(database, blobs, holder)
    await sealed(database)
    found = await graph.data(database, blobs, holder, JOURNAL, size="0", filter=None)
    head = found["journalHead"]
    size = int(head["size"])
    proved = 0
    for one in await entries(database, blobs, holder, size):
        if one["leafIndex"] is None:
            assert one["inclusionProof"] is None
            continue
        hashes = [from_base64url(hash_) for hash_ in one["inclusionProof"]]
        leaf = leaf_hash(from_base64url(one["leaf"]))
        root = from_base64url(head["root"])
        verify_inclusion(leaf, int(one["leafIndex"]), size, hashes, root)
        proved += 1
    assert proved == size


@pytest.fixture
async def archive(database: Database, blobs: BlobStore, holder: Patient) -> dict[str, Any]:
    """The journal of a record as its archive has it: eight entries in the log, and one too young."""
    for _ in range(4):
        await entries(database, blobs, holder)
    await sealed(database)
    await entries(database, blobs, holder)
    record_id = await world.record_of(database, holder)
    return await archived(database, holder, record_id)


async def archived(database: Database, holder: Patient, record_id: UUID) -> dict[str, Any]:
    async with database.read() as work:
        key = graph.SIGNER.public_key
        pieces = [piece async for piece in journals.archive(holder, work, record_id, key)]
    shape: dict[str, Any] = json.loads(b"".join(pieces))
    return shape


def proved(shape: dict[str, Any]) -> client.Proof:
    return client.verify(client.read_journal(json.dumps(shape)))


async def test_an_archived_journal_proves_itself(archive: dict[str, Any]) -> None:
    proof = proved(archive)
    assert proof.proved == len(archive["entries"]) - proof.unsealed
    assert proof.unsealed == 2
    head, key = head_from_json(archive["head"])
    verify_head(head, key)
    with pytest.raises(client.HeadForged):
        client.verify(client.read_journal(json.dumps(archive)), bytes(32))


def changed_leaf(shape: dict[str, Any], **changes: Any) -> dict[str, Any]:
    entry = shape["entries"][2]
    leaf = json.loads(from_base64url(entry["leaf"])) | changes
    entry["leaf"] = to_base64url(json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode())
    return shape


def without(shape: dict[str, Any], place: int) -> dict[str, Any]:
    del shape["entries"][place]
    return shape


def swapped(shape: dict[str, Any]) -> dict[str, Any]:
    one, other = shape["entries"][0], shape["entries"][1]
    one["leaf"], other["leaf"] = other["leaf"], one["leaf"]
    return shape


def signed_for(log: str, head: dict[str, Any]) -> dict[str, Any]:
    """Return a head that the server's own key signed for another log of this size and root."""
    like, key = head_from_json(head)
    return head_to_json(graph.SIGNER.sign(log, like.size, like.root, like.signed_at), key)


TAMPERINGS = {
    "a changed rule": (lambda shape: changed_leaf(shape, rule="x.y"), client.EntryForged),
    "another number": (lambda shape: changed_leaf(shape, number=99), client.EntryForged),
    "the first removed": (lambda shape: without(shape, 0), client.EntryMissing),
    "one removed": (lambda shape: without(shape, 3), client.EntryMissing),
    "two swapped": (swapped, client.EntryForged),
    "another size": (
        lambda shape: shape | {"head": shape["head"] | {"size": shape["head"]["size"] - 1}},
        client.HeadForged,
    ),
    "another root": (
        lambda shape: shape | {"head": shape["head"] | {"root": to_base64url(bytes(32))}},
        client.HeadForged,
    ),
    "the head of another log": (
        lambda shape: shape | {"head": signed_for("keys", shape["head"])},
        client.HeadForged,
    ),
    "no head": (lambda shape: shape | {"head": None}, client.EntryForged),
    "no entries": (lambda shape: {"head": shape["head"]}, client.NotAJournal),
}


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_a_client_finds_what_was_done_to_a_file(archive: dict[str, Any], name: str) -> None:
    tamper, error = TAMPERINGS[name]
    with pytest.raises(error):
        proved(tamper(archive))


async def test_a_later_journal_keeps_what_an_earlier_one_proved(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    archive: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await sealed(database)
    later = await archived(database, holder, await world.record_of(database, holder))
    files = {"earlier": archive, "later": later, "other": swapped(json.loads(json.dumps(later)))}
    for name, shape in files.items():
        (tmp_path / name).write_text(json.dumps(shape))
    paths = {name: str(tmp_path / name) for name in files}
    assert client.main([paths["later"], "--since", paths["earlier"]]) == 0
    assert "The journal is whole" in capsys.readouterr().out
    assert client.main([paths["earlier"], "--since", paths["later"]]) == 1
    assert "LogRewritten" in capsys.readouterr().err
    assert client.main([paths["other"]]) == 1
    assert client.main([str(tmp_path / "nowhere")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
    lost = client.read_journal(json.dumps(without(later, 0)))
    with pytest.raises(client.EntryLost):
        client.verify_since(lost, client.read_journal(json.dumps(archive)))


async def test_a_journal_is_whole_while_its_holder_waits_for_results(
    database: Database,
    blobs: BlobStore,
    holder: Patient,
    doctor: Professional,
    clock: MovableClock,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record_id = await world.record_of(database, holder)
    async with database.write() as work:
        waits = AccessSettings(record_id=record_id, hide_results_days=3, updated_at=work.now)
        work.session.add(waits)
    await world.document(database, record_id, title="Secret", category=DocumentCategory.LABORATORY)
    for _ in range(2):
        await graph.data(database, blobs, doctor, RECORD, id=write_id(Record, record_id))
    await sealed(database)
    earlier = await archived(database, holder, record_id)
    proof = proved(earlier)
    assert (proof.withheld, proof.unsealed) == (2, 0)
    withheld = [one for one in earlier["entries"] if "leaf" not in one]
    assert [sorted(one) for one in withheld] == [
        ["inclusionProof", "leafHash", "leafIndex", "number"]
    ] * 2
    for error, spoilt in (
        (client.EntryForged, {"leafHash": to_base64url(bytes(32))}),
        (client.EntryMissing, {"number": 99}),
    ):
        shape = json.loads(json.dumps(earlier))
        next(one for one in shape["entries"] if "leaf" not in one).update(spoilt)
        with pytest.raises(error):
            proved(shape)
    clock.offset = timedelta(days=4)
    later = await archived(database, holder, record_id)
    assert proved(later).withheld == 0
    client.verify_since(*(client.read_journal(json.dumps(one)) for one in (later, earlier)))
    (tmp_path / "journal.json").write_text(json.dumps(earlier))
    assert client.main([str(tmp_path / "journal.json")]) == 0
    assert "2 of them about results you chose to see later" in capsys.readouterr().out


async def test_consistency_is_proved_to_a_client(
    database: Database, blobs: BlobStore, holder: Patient
) -> None:
    query = (
        "query ($from: String!, $to: String!) { journalConsistency(fromSize: $from, toSize: $to) }"
    )
    heads = []
    for _ in range(2):
        await entries(database, blobs, holder)
        await sealed(database)
        found = await graph.data(database, blobs, holder, JOURNAL, size="0", filter=None)
        told = found["journalHead"] | {"size": int(found["journalHead"]["size"]), "signedAt": 0}
        heads.append(head_from_json(told)[0])
    sizes = {"from": str(heads[0].size), "to": str(heads[1].size)}
    answer = await graph.data(database, blobs, holder, query, **sizes)
    hashes = [from_base64url(hash_) for hash_ in answer["journalConsistency"]]
    client.verify_extension(heads[0], heads[1], hashes)
    with pytest.raises(client.LogRewritten):
        client.verify_extension(heads[0], heads[1], hashes[:-1])
    _, errors = await graph.execute(database, blobs, holder, query, **{"from": "1", "to": "9999"})
    assert errors[0]["extensions"]["code"] == "VALIDATION_FAILED"


async def test_a_delegate_is_traced_for_whom(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    child = await world.holder(database, born="2020-01-01")
    parent = await world.holder(database)
    await world.parent(database, child, parent)
    record_id = await world.record_of(database, child)
    await graph.data(database, blobs, parent, RECORD, id=write_id(Record, record_id))
    looked = await entries(database, blobs, child, byOthers=True)
    reads = [one for one in looked if one["action"] == "READ_RECORD"]
    assert [one["rule"]["code"] for one in reads] == ["delegate.parent"]
    assert reads[0]["onBehalfOf"] == {"givenNames": ["Alix"]}
    assert reads[0]["actorName"] == "Alix DUPONT"
