"""Every allowed read has its journal row, every row its read, and a refused read has none."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import graph
import pytest
import scene
import world
from scene import AUTHORED, FRESH, HELD, MASKED, PLAIN, SECRET, Scene
from sqlalchemy import select

from carnet.access.journal_tables import JournalChain, JournalEntry
from carnet.access.tables import DelegationScope
from carnet.people.actor import Actor, Anonymous, Patient, Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql import immunizations, profile
from carnet_graphql.node import write_id

REASON = "Patient inconscient aux urgences"
DOCUMENTS = """query($id: ID!) { record(id: $id) { documents { totalCount edges { node { title
  contents { url } permissions { mask } } } } } }"""
PROFILE = """query($id: ID!) { record(id: $id) { profile {
  conditions { edges { node { label } } }
  immunizations { edges { node { vaccineLabel sources { vaccineLabel } } } }
  nothingToDeclare { section } } } }"""
ACCESS = """query($id: ID!) { record(id: $id) { access { settings { revision }
  careTeam { totalCount edges { node { id professional { rpps } } } }
  delegations { edges { node { id delegateName } } } } } }"""
Row = tuple[str, str, frozenset[UUID]]


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    return await scene.make(database, blobs, hide_results_days=0)


async def entries(made: Scene) -> list[JournalEntry]:
    async with made.database.read() as work:
        found = await work.session.scalars(
            select(JournalEntry)
            .where(JournalEntry.record_id == made.record)
            .order_by(JournalEntry.at, JournalEntry.chain, JournalEntry.number)
        )
        return list(found)


async def written(made: Scene, actor: Actor, query: str, **variables: Any) -> list[JournalEntry]:
    """Return what one operation added to the journal."""
    before = {entry.id for entry in await entries(made)}
    _, errors = await graph.execute(made.database, made.blobs, actor, query, **variables)
    assert errors == []
    return [entry for entry in await entries(made) if entry.id not in before]


def shape(rows: list[JournalEntry], chain: JournalChain = JournalChain.MAIN) -> set[Row]:
    return {(r.action, r.rule, frozenset(r.object_ids)) for r in rows if r.chain is chain}


def ids(of: dict[str, UUID], *names: str) -> frozenset[UUID]:
    return frozenset(of[name] for name in names)


async def member(made: Scene, role: str = "MEMBER") -> Professional:
    doctor = await world.professional(made.database)
    await made.done(
        made.holder,
        "nameCareTeamMember",
        recordId=made.record_id,
        grantee={"professionalId": scene.professional_id(doctor)},
        role=role,
    )
    return doctor


async def test_a_holders_reads_are_written_down_once_for_each_kind(made: Scene) -> None:
    rows = await written(made, made.holder, DOCUMENTS, id=made.record_id)
    names = (PLAIN, MASKED, SECRET, FRESH, AUTHORED)
    assert shape(rows) == {
        ("READ_RECORD", "holder", frozenset()),
        ("READ_DOCUMENT", "holder", ids(made.documents, *names)),
    }
    assert {(r.actor_kind, r.actor_id, r.on_behalf_of, r.is_emergency) for r in rows} == {
        ("PATIENT", made.holder.person_id, None, False)
    }
    rows = await written(made, made.holder, PROFILE, id=made.record_id)
    assert shape(rows) == {
        ("READ_RECORD", "holder", frozenset()),
        ("READ_PROFILE", "holder", ids(made.entries, *names)),
        ("READ_PROFILE", "holder", ids(made.doses, *names)),
    }
    rows = await written(made, made.holder, ACCESS, id=made.record_id)
    assert shape(rows) == {
        ("READ_RECORD", "holder", frozenset()),
        ("READ_ACCESS", "holder", frozenset()),
    }


async def test_what_the_holder_may_not_know_of_is_written_into_the_held_chain(
    made: Scene,
) -> None:
    doctor = await member(made)
    rows = await written(made, doctor, DOCUMENTS, id=made.record_id)
    rule = "care-team.member"
    assert shape(rows, JournalChain.HELD) == {("READ_DOCUMENT", rule, ids(made.documents, HELD))}
    assert ("READ_DOCUMENT", rule, ids(made.documents, PLAIN, SECRET, FRESH)) in shape(rows)
    rows = await written(made, doctor, PROFILE, id=made.record_id)
    assert shape(rows, JournalChain.HELD) == {
        ("READ_PROFILE", rule, ids(made.entries, HELD)),
        ("READ_PROFILE", rule, ids(made.doses, HELD)),
    }
    hidden = {made.documents[HELD], made.entries[HELD], made.doses[HELD]}
    assert not any(hidden & found for _, _, found in shape(rows))
    for id_ in (
        made.document_id(HELD),
        write_id(profile.Condition, made.entries[HELD]),
        write_id(immunizations.Immunization, made.doses[HELD]),
    ):
        rows = await written(made, doctor, "query($id: ID!) { node(id: $id) { id } }", id=id_)
        assert [row.chain for row in rows] == [JournalChain.HELD]
    async with made.client(doctor) as client:
        for name, chain in ((HELD, JournalChain.HELD), (PLAIN, JournalChain.MAIN)):
            before = {entry.id for entry in await entries(made)}
            assert (await client.get(made.content_path(name))).status_code == 200
            (row,) = [entry for entry in await entries(made) if entry.id not in before]
            assert (row.chain, row.action, row.rule) == (chain, "READ_CONTENT", rule)
            assert row.object_ids == [made.documents[name]]


async def test_who_acts_for_the_holder_is_written_down_as_such(made: Scene) -> None:
    caregiver = await world.holder(made.database)
    given = await world.delegation(made.database, made.holder, caregiver)
    for query in (DOCUMENTS, PROFILE, ACCESS):
        rows = await written(made, caregiver, query, id=made.record_id)
        assert len(rows) >= 2
        assert {(r.actor_id, r.on_behalf_of, r.rule) for r in rows} == {
            (caregiver.person_id, made.holder.person_id, "delegate.caregiver")
        }
    async with made.client(caregiver) as client:
        assert (await client.get(made.content_path(PLAIN))).status_code == 200
    last = (await entries(made))[-1]
    assert (last.action, last.actor_id, last.on_behalf_of) == (
        "READ_CONTENT",
        caregiver.person_id,
        made.holder.person_id,
    )
    node = "query($id: ID!) { node(id: $id) { id ... on Delegation { delegateName } } }"
    other = await world.holder(made.database)
    await world.delegation(made.database, made.holder, other)
    rows = await written(made, other, node, id=scene.delegation_id(given))
    assert shape(rows) == {("READ_ACCESS", "delegate.caregiver", frozenset())}
    assert await written(made, caregiver, "{ viewer { __typename } }") == []


async def test_an_emergency_is_flagged_at_every_read(made: Scene) -> None:
    doctor = await world.professional(made.database)
    await made.done(doctor, "openEmergencyAccess", patient=made.patient(), reason=REASON)
    opened = next(e for e in await entries(made) if e.action == "OPEN_EMERGENCY")
    assert opened.is_emergency
    assert opened.text_digest is not None
    for query in (DOCUMENTS, PROFILE):
        rows = await written(made, doctor, query, id=made.record_id)
        assert {(r.rule, r.is_emergency) for r in rows} == {("emergency.break-glass", True)}
    patients = "{ viewer { ... on Professional { patients { totalCount edges { node { id holder {"
    patients += " birthFamilyName } } } } } } }"
    rows = await written(made, doctor, patients)
    assert shape(rows) == {("READ_RECORD", "emergency.break-glass", frozenset())}


async def test_an_author_without_a_grant_is_written_down_as_author(
    database: Database, blobs: BlobStore
) -> None:
    author = await world.professional(database)
    made = await scene.make(database, blobs, author=author)
    node = "query($id: ID!) { node(id: $id) { id } }"
    rows = await written(made, author, node, id=made.document_id(AUTHORED))
    assert shape(rows) == {("READ_DOCUMENT", "document.author", ids(made.documents, AUTHORED))}


async def test_what_is_refused_is_not_written_down(made: Scene) -> None:
    doctor, stranger = await member(made), await world.holder(made.database)
    profile_only = await world.holder(made.database)
    await world.delegation(
        made.database, made.holder, profile_only, frozenset({DelegationScope.PROFILE})
    )
    before = await scene.tables(made.database)
    everything = [
        made.record_id,
        *(made.document_id(name) for name in scene.NAMES),
        *(write_id(profile.Condition, key) for key in made.entries.values()),
        *(write_id(immunizations.Immunization, key) for key in made.doses.values()),
    ]
    for actor in (stranger, Anonymous(), await world.publisher(made.database)):
        found = await made.run(actor, scene.NODES, ids=everything)
        assert found["nodes"] == [None] * len(everything)
        async with made.client(actor) as client:
            for name in scene.NAMES:
                assert (await client.get(made.content_path(name))).status_code == 404
    async with made.client(doctor) as client:
        assert (await client.get(made.content_path(MASKED))).status_code == 404
    before["publishers"] = (await scene.tables(made.database))["publishers"]
    assert await scene.tables(made.database) == before
    explain = "query($d: ID!, $p: ID!) { accessExplanation(document: $d, professional: $p) {"
    explain += " isAllowed rule { code } } }"
    asked = {"d": made.document_id(PLAIN), "p": scene.professional_id(doctor)}
    for actor, rule in ((doctor, "access.holder-only"),):
        found, errors = await graph.execute(made.database, made.blobs, actor, explain, **asked)
        assert found == {"accessExplanation": None}
        assert errors[0]["extensions"]["rule"] == rule
    assert await scene.tables(made.database) == before


async def test_an_explanation_is_written_down_as_a_read_of_access(made: Scene) -> None:
    doctor = await member(made)
    explain = "query($d: ID!, $p: ID!) { accessExplanation(document: $d, professional: $p) {"
    explain += " isAllowed rule { code } } }"
    for name, allowed, rule in (
        (PLAIN, True, "care-team.member"),
        (MASKED, False, "document.masked"),
    ):
        asked = {"d": made.document_id(name), "p": scene.professional_id(doctor)}
        found = await made.run(made.holder, explain, **asked)
        assert found["accessExplanation"] == {"isAllowed": allowed, "rule": {"code": rule}}
        rows = await written(made, made.holder, explain, **asked)
        assert ("READ_ACCESS", "holder", frozenset()) in shape(rows)
    rows = await written(
        made, made.holder,
        "query($id: ID!) { record(id: $id) { previewAs(role: {standing: CARE_TEAM,"
        ' profession: "10"}) { edges { node { title } } } } }',
        id=made.record_id,
    )  # fmt: skip
    assert ("READ_DOCUMENT", "holder", ids(made.documents, PLAIN, SECRET, FRESH)) in shape(rows)


async def test_numbers_have_no_gap_under_concurrent_readers(made: Scene) -> None:
    readers: list[Patient | Professional] = [made.holder]
    readers += [await member(made) for _ in range(4)]
    caregiver = await world.holder(made.database)
    await world.delegation(made.database, made.holder, caregiver)
    readers.append(caregiver)

    async def read(actor: Actor, query: str) -> None:
        await made.run(actor, query, id=made.record_id)

    async def download(actor: Actor) -> None:
        async with made.client(actor) as client:
            assert (await client.get(made.content_path(PLAIN))).status_code == 200

    async with asyncio.TaskGroup() as group:
        for turn in range(20):
            actor = readers[turn % len(readers)]
            group.create_task(read(actor, (DOCUMENTS, PROFILE)[turn % 2]))
            group.create_task(download(actor))
    rows = await entries(made)
    for chain in JournalChain:
        numbers = sorted(row.number for row in rows if row.chain is chain)
        assert len(numbers) > 3
        assert numbers == list(range(1, len(numbers) + 1))
    assert sum(row.action == "READ_CONTENT" for row in rows) == 20
    assert sum(row.action == "READ_RECORD" for row in rows) >= 20
