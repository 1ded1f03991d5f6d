"""Acting for somebody else: who may, how many, until when, and how it is traced."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import graph
import pytest
import scene
import world
from scene import MASKED, PLAIN, Scene
from sqlalchemy import select

from carnet.access.journal_tables import JournalEntry
from carnet.access.tables import Delegation, DelegationScope
from carnet.clock import MovableClock
from carnet.documents.tables import Document
from carnet.people.actor import Actor, Patient, actor_key
from carnet.records.tables import ImmunizationSource, ProfileEntry, Record, RecordState
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.node import write_id
from carnet_graphql.people import Patient as PatientNode

ALL = [scope.value for scope in DelegationScope]
ENTRY = {"section": "ALLERGIES", "label": "Noix"}
CHANGES = {
    "PROFILE": {"ADD_ENTRY", "DECLARE_NOTHING", "REPORT_DOSE"},
    "DOCUMENTS": {"DEPOSIT_DOCUMENT", "MASK_DOCUMENT"},
    "ACCESS": {
        "CHANGE_SETTINGS",
        "JOIN_CARE_TEAM",
        "GIVE_CONSENT",
        "BLOCK",
        "LEAVE_CARE_TEAM",
        "REVOKE_CONSENT",
    },
}
DESCRIPTION = {"title": "Ordonnance", "category": "PRESCRIPTION"}


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    return await scene.make(database, blobs)


async def invited(made: Scene, by: Patient, kind: str = "CAREGIVER", **given: Any) -> str:
    """Return the code of a new invitation."""
    answer = await made.done(
        by, "inviteDelegate", recordId=made.record_id, kind=kind, scopes=ALL, **given
    )
    code: str = answer["invitationCode"]
    return code


async def minor(database: Database, blobs: BlobStore, clock: MovableClock, age: int) -> Scene:
    born = clock.now().replace(year=clock.now().year - age, day=1)
    return await scene.make(database, blobs, born=f"{born:%Y-%m-%d}")


async def in_force(made: Scene) -> int:
    found = await made.run(
        made.holder,
        "query($id: ID!) { record(id: $id) { access { delegations { edges { node { acceptedAt"
        " delegateName } } } } } }",
        id=made.record_id,
    )
    edges = found["record"]["access"]["delegations"]["edges"]
    return sum(edge["node"]["acceptedAt"] is not None for edge in edges)


async def test_an_invitation_is_accepted_once_by_somebody_else(
    made: Scene, database: Database
) -> None:
    code = await invited(made, made.holder)
    caregiver, other = await world.holder(database), await world.holder(database)
    before = await scene.tables(database)
    assert (await made.do(made.holder, "acceptDelegation", code=code))["code"] == "CONFLICT"
    for wrong in ("", "x" * 27, code + "x", "é" * 27):
        assert (await made.do(caregiver, "acceptDelegation", code=wrong))["code"] == "NOT_FOUND"
    doctor = await world.professional(database)
    refused = await made.do(doctor, "acceptDelegation", code=code)
    assert refused["rule"] == "delegation.only-persons"
    after = await scene.tables(database)
    for name in ("professionals", "accounts"):
        before[name] = after[name]
    assert after == before
    await made.done(caregiver, "acceptDelegation", code=code)
    before = await scene.tables(database)
    for again in (caregiver, other):
        assert (await made.do(again, "acceptDelegation", code=code))["code"] == "NOT_FOUND"
    assert await scene.tables(database) == before
    assert PLAIN in await made.sees(caregiver)
    assert await made.sees(other) == set()


async def test_an_invitation_runs_out_and_can_be_taken_back(
    made: Scene, database: Database, clock: MovableClock
) -> None:
    caregiver = await world.holder(database)
    answer = await made.done(
        made.holder, "inviteDelegate", recordId=made.record_id, scopes=["PROFILE"]
    )
    await made.done(made.holder, "revokeDelegation", delegationId=answer["delegation"]["id"])
    late = await invited(made, made.holder)
    refused = await made.do(caregiver, "acceptDelegation", code=answer["invitationCode"])
    assert refused["code"] == "NOT_FOUND"
    clock.offset = timedelta(days=7)
    assert (await made.do(caregiver, "acceptDelegation", code=late))["code"] == "NOT_FOUND"
    assert await in_force(made) == 0


async def test_three_caregivers_at_most_however_many_accept_at_once(
    made: Scene, database: Database, clock: MovableClock
) -> None:
    codes = [await invited(made, made.holder) for _ in range(3)]
    refused = await made.do(
        made.holder, "inviteDelegate", recordId=made.record_id, scopes=["PROFILE"]
    )
    assert refused["code"] == "QUOTA_EXCEEDED"
    people = [await world.holder(database) for _ in range(6)]
    answers = await asyncio.gather(
        *(
            made.do(person, "acceptDelegation", code=codes[number % 3])
            for number, person in enumerate(people)
        )
    )
    kinds = sorted(answer["__typename"] for answer in answers)
    assert kinds == ["AcceptDelegationSuccess"] * 3 + ["NotFound"] * 3
    assert await in_force(made) == 3
    clock.offset = timedelta(days=8)
    refused = await made.do(
        made.holder, "inviteDelegate", recordId=made.record_id, scopes=["PROFILE"]
    )
    assert refused["code"] == "QUOTA_EXCEEDED"


async def test_five_persons_at_most_for_a_caregiver_however_many_invite(
    database: Database, blobs: BlobStore
) -> None:
    caregiver = await world.holder(database)
    scenes = []
    for _ in range(7):
        ins = world.national_number()
        person = await world.holder(database, ins=ins)
        record = await world.record_of(database, person)
        scenes.append(Scene(database, blobs, person, ins, record))
    codes = [await invited(one, one.holder) for one in scenes]
    answers = await asyncio.gather(
        *(scenes[0].do(caregiver, "acceptDelegation", code=code) for code in codes)
    )
    kinds = sorted(answer["__typename"] for answer in answers)
    assert kinds == ["AcceptDelegationSuccess"] * 5 + ["QuotaExceeded"] * 2
    assert sum([await in_force(one) for one in scenes]) == 5


async def test_each_for_the_other_at_once(database: Database, blobs: BlobStore) -> None:
    one, other = await scene.make(database, blobs), await scene.make(database, blobs)
    codes = [await invited(one, one.holder), await invited(other, other.holder)]
    answers = await asyncio.gather(
        one.do(other.holder, "acceptDelegation", code=codes[0]),
        one.do(one.holder, "acceptDelegation", code=codes[1]),
    )
    assert {answer["__typename"] for answer in answers} == {"AcceptDelegationSuccess"}


async def test_a_minor_has_two_parents_and_chooses_no_caregivers(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    made = await minor(database, blobs, clock, 12)
    parent = await world.holder(database)
    await world.parent(database, made.holder, parent)
    for who, kind, rule in (
        (made.holder, "CAREGIVER", "delegation.minor"),
        (made.holder, "PARENT", "delegation.not-yours-to-give"),
        (parent, "CAREGIVER", "delegation.not-yours-to-give"),
    ):
        refused = await made.do(
            who, "inviteDelegate", recordId=made.record_id, kind=kind, scopes=ALL
        )
        assert refused["rule"] == rule
    partly = await made.do(
        parent, "inviteDelegate", recordId=made.record_id, kind="PARENT", scopes=["PROFILE"]
    )
    assert partly["code"] == "VALIDATION_FAILED"
    code = await invited(made, parent, "PARENT")
    full = await made.do(
        parent, "inviteDelegate", recordId=made.record_id, kind="PARENT", scopes=ALL
    )
    assert full["code"] == "QUOTA_EXCEEDED"
    two = [await world.holder(database) for _ in range(2)]
    answers = await asyncio.gather(
        *(made.do(person, "acceptDelegation", code=code) for person in two)
    )
    assert sorted(answer["__typename"] for answer in answers) == [
        "AcceptDelegationSuccess",
        "NotFound",
    ]
    assert await in_force(made) == 2


async def test_majority_ends_what_parents_are(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    made = await minor(database, blobs, clock, 17)
    parent = await world.holder(database)
    given = scene.delegation_id(await world.parent(database, made.holder, parent))
    refused = await made.do(made.holder, "revokeDelegation", delegationId=given)
    assert refused["code"] == "NOT_FOUND", "a minor does not end what their parents are by law"
    code = await invited(made, parent, "PARENT")
    clock.offset = timedelta(days=366)
    assert await made.sees(parent) == set()
    assert (await made.do(parent, "acceptDelegation", code=code))["code"] == "NOT_FOUND"
    refused = await made.do(
        parent, "inviteDelegate", recordId=made.record_id, kind="PARENT", scopes=ALL
    )
    assert refused["code"] == "NOT_FOUND"
    await invited(made, made.holder)
    adult = await made.do(
        made.holder, "inviteDelegate", recordId=made.record_id, kind="PARENT", scopes=ALL
    )
    assert adult["code"] == "ACCESS_DENIED"


async def test_either_side_ends_a_delegation(made: Scene, database: Database) -> None:
    stranger = await world.holder(database)
    for side in ("holder", "delegate"):
        caregiver = await world.holder(database)
        given = scene.delegation_id(await world.delegation(database, made.holder, caregiver))
        assert (await made.do(stranger, "revokeDelegation", delegationId=given))[
            "code"
        ] == "NOT_FOUND"
        by = made.holder if side == "holder" else caregiver
        await made.done(by, "revokeDelegation", delegationId=given)
        for again in (made.holder, caregiver):
            refused = await made.do(again, "revokeDelegation", delegationId=given)
            assert refused["code"] == "NOT_FOUND"
        assert await made.sees(caregiver) == set()
    async with database.read() as work:
        rows = await work.session.scalars(
            select(JournalEntry).where(JournalEntry.action == "REVOKE_DELEGATION")
        )
        traced = {(row.rule, row.on_behalf_of) for row in rows}
    assert traced == {("holder", None), ("delegate.caregiver", made.holder.person_id)}


async def delegates(made: Scene, actor: Actor, holder: Patient | None = None) -> dict[str, str]:
    """Return who acts for a holder, as somebody sees it; for themself without one."""
    query = """query($id: ID!) { node(id: $id) { ... on Patient { delegates { totalCount
      edges { node { id delegateName } } } } } }"""
    person = holder or made.holder
    found = await made.run(actor, query, id=write_id(PatientNode, person.person_id))
    if found["node"] is None:
        return {}
    page = found["node"]["delegates"]
    assert page["totalCount"] == len(page["edges"])
    return {edge["node"]["id"]: edge["node"]["delegateName"] for edge in page["edges"]}


async def test_who_acts_for_somebody_is_shown_to_who_manages_access(
    made: Scene, database: Database
) -> None:
    manager, reader, doctor = (
        await world.holder(database),
        await world.holder(database),
        await world.professional(database),
    )
    managing = frozenset({DelegationScope.ACCESS})
    given = scene.delegation_id(await world.delegation(database, made.holder, manager, managing))
    reading = frozenset({DelegationScope.DOCUMENTS})
    read = scene.delegation_id(await world.delegation(database, made.holder, reader, reading))
    await world.care_team(database, made.holder, doctor)
    assert set(await delegates(made, made.holder)) == {given, read}
    assert set(await delegates(made, manager)) == {given, read}
    assert set(await delegates(made, reader)) == {read}, "their own"
    assert await delegates(made, doctor) == {}
    assert await delegates(made, await world.holder(database)) == {}


@pytest.mark.parametrize("state", ["CLOSED", "SUSPENDED", "OPPOSED", "DELETION_REQUESTED"])
async def test_a_holder_ends_a_delegation_whatever_the_records_state(
    made: Scene, database: Database, state: str
) -> None:
    scopes = frozenset({DelegationScope.MESSAGES, DelegationScope.ACCESS})
    caregiver, other = await world.holder(database), await world.holder(database)
    given = scene.delegation_id(await world.delegation(database, made.holder, caregiver, scopes))
    others = scene.delegation_id(await world.delegation(database, made.holder, other, scopes))
    async with database.write() as work:
        (await work.session.get_one(Record, made.record)).state = RecordState(state)
    refused = await made.do(other, "revokeDelegation", delegationId=given)
    assert refused["code"] == "NOT_FOUND", "who manages access does so while there is any"
    assert await delegates(made, made.holder) == {given: "Alix DUPONT", others: "Alix DUPONT"}
    await made.done(made.holder, "revokeDelegation", delegationId=given)
    assert await delegates(made, made.holder) == {others: "Alix DUPONT"}
    async with database.read() as work:
        entries = select(JournalEntry.rule).where(JournalEntry.action == "REVOKE_DELEGATION")
        assert list(await work.session.scalars(entries)) == ["holder"]
        row = await work.session.scalar(
            select(Delegation).where(Delegation.delegate_person_id == caregiver.person_id)
        )
        assert row is not None and row.revoked_at is not None


async def upload(made: Scene, actor: Patient) -> str:
    async def chunks() -> Any:
        yield b"%PDF-1.4 new"

    stored = await made.blobs.receive(
        made.database,
        actor_key(actor),
        chunks(),
        media_type="application/pdf",
        limit_bytes=1000,
    )
    return str(stored.id)


async def of_each_scope(made: Scene, actor: Patient) -> dict[str, list[tuple[str, Any]]]:
    """Return mutations by the scope that they need of a delegate."""
    record = {"recordId": made.record_id}
    doctor = scene.professional_id(await world.professional(made.database))
    add = {**record, "blobId": await upload(made, actor), "description": DESCRIPTION}
    return {
        "PROFILE": [
            ("addProfileEntry", {**record, "entry": ENTRY}),
            ("declareNothing", {**record, "section": "STAYS"}),
            ("addImmunization", {**record, "vaccineLabel": "BCG"}),
        ],
        "DOCUMENTS": [
            ("addDocument", add),
            ("maskDocument", {"documentId": made.document_id(PLAIN)}),
        ],
        "ACCESS": [
            ("changeAccessSettings", {**record, "revision": 1, "hideResultsDays": 9}),
            ("nameCareTeamMember", {**record, "grantee": {"professionalId": doctor}}),
            ("giveConsent", {**record, "grantee": {"professionalId": doctor}}),
            ("blockAccess", {**record, "grantee": {"professionalId": doctor}}),
        ],
    }


@pytest.mark.parametrize("scope", [*DelegationScope])
async def test_a_delegate_does_what_the_scope_covers_in_the_holders_name(
    made: Scene, database: Database, scope: DelegationScope
) -> None:
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver, frozenset({scope}))
    mutations = await of_each_scope(made, caregiver)
    for needed, given in mutations.items():
        if needed == scope.value:
            continue
        before = await scene.tables(database)
        for name, variables in given:
            refused = await made.do(caregiver, name, **variables)
            hidden = name == "maskDocument"
            assert refused["code"] == ("NOT_FOUND" if hidden else "ACCESS_DENIED"), name
            assert hidden or refused["rule"] == "delegate.scope"
        assert await scene.tables(database) == before
    for name, variables in mutations.get(scope.value, []):
        await made.done(caregiver, name, **variables)
    async with database.read() as work:
        rows = list(
            await work.session.scalars(
                select(JournalEntry).where(JournalEntry.actor_id == caregiver.person_id)
            )
        )
        assert {(row.on_behalf_of, row.rule) for row in rows} <= {
            (made.holder.person_id, "delegate.caregiver")
        }
        own = caregiver.account_id
        entries = select(ProfileEntry.stated_by).where(ProfileEntry.stated_by_id == own)
        doses = select(ImmunizationSource.stated_by).where(ImmunizationSource.stated_by_id == own)
        deposits = select(Document.depositor).where(Document.depositor_account_id == own)
        for statement, needed in (
            (entries, "PROFILE"),
            (doses, "PROFILE"),
            (deposits, "DOCUMENTS"),
        ):
            expected = ["DELEGATE"] if scope.value == needed else []
            assert list(await work.session.scalars(statement)) == expected
    changed = {row.action for row in rows if not row.action.startswith("READ_")}
    assert changed == CHANGES.get(scope.value, set())


async def test_only_the_holder_invites_caregivers(made: Scene, database: Database) -> None:
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    refused = await made.do(
        caregiver, "inviteDelegate", recordId=made.record_id, scopes=["PROFILE"]
    )
    assert refused["rule"] == "delegation.not-yours-to-give"
    for wrong, code in (([], "VALIDATION_FAILED"), (["PROFILE"], "VALIDATION_FAILED")):
        answer = await made.do(
            made.holder,
            "inviteDelegate",
            recordId=made.record_id,
            scopes=wrong,
            expiresAt="2020-01-01T00:00:00Z",
        )
        assert answer["code"] == code


async def test_one_for_whom_one_acts_is_found_and_nobody_elses_are(
    made: Scene, database: Database
) -> None:
    caregiver = await world.holder(database)
    given = await world.delegation(database, made.holder, caregiver)
    query = """{ viewer { ... on Patient { actsFor { totalCount edges { node { id delegateName
      holder { birthFamilyName actsFor { totalCount } record { actingAs { id } } } } } } } } }"""
    found = (await made.run(caregiver, query))["viewer"]["actsFor"]
    assert found["totalCount"] == 1
    node = found["edges"][0]["node"]
    assert node["id"] == scene.delegation_id(given)
    assert node["holder"]["record"]["actingAs"] is not None
    assert node["holder"]["actsFor"]["totalCount"] == 0
    assert (await made.run(made.holder, query))["viewer"]["actsFor"]["totalCount"] == 0
    only = await world.holder(database)
    await world.delegation(database, made.holder, only, frozenset({DelegationScope.DOCUMENTS}))
    node_query = "query($id: ID!) { node(id: $id) { id } }"
    seen, errors = await graph.execute(
        database, made.blobs, only, node_query, id=scene.delegation_id(given)
    )
    assert (seen, errors) == ({"node": None}, [])
    async with database.read() as work:
        assert await work.session.get(Delegation, given) is not None
    assert MASKED in await made.sees(only)
