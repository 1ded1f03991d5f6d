"""Messaging accounts through the API: whose they are, who sees them, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import graph
import pytest
import world
from correspondents import Person
from sqlalchemy import func, select, update
from writing import Correspondent, now

from carnet.access.tables import DelegationScope
from carnet.clock import MovableClock
from carnet.messaging import account_actions
from carnet.messaging.tables import (
    AccountEntry,
    DirectoryBinding,
    MessagingAccount,
    MessagingDevice,
    PairingMessage,
    RecoveryBackup,
)
from carnet.notifications.tables import Notification
from carnet.people import tables as people
from carnet.people.actor import Anonymous, Assurance, Operator, Patient, Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.tables import LogNode, TreeHead
from carnet_crypto.directory import professional_label, read_binding
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.kinds import AccountKind, DeviceFlag, Role
from carnet_crypto.secret import identity
from carnet_graphql.messaging_accounts import MessagingAccountEntry
from carnet_graphql.node import write_id
from carnet_graphql.people import Organization
from carnet_graphql.records import Record

WATCHED = (
    MessagingAccount,
    AccountEntry,
    DirectoryBinding,
    MessagingDevice,
    RecoveryBackup,
    PairingMessage,
    LogNode,
    TreeHead,
    Notification,
)
FIND = """query($ids: [Base64Bytes!]!) { messagingAccounts(accountIds: $ids) {
  accountId kind displayName number endedAt bindings { binding leafIndex } } }"""


@pytest.fixture
async def patient(database: Database, blobs: BlobStore) -> Correspondent:
    return Correspondent(database, blobs, await world.holder(database))


@pytest.fixture
async def doctor(database: Database, blobs: BlobStore) -> Correspondent:
    return Correspondent(database, blobs, await world.professional(database))


async def rows(database: Database) -> list[tuple[Any, ...]]:
    """Return all that the tables of accounts and of the log hold."""
    found: list[tuple[Any, ...]] = []
    async with database.read() as work:
        for table in WATCHED:
            statement = select(*table.__table__.c).order_by(*table.__table__.primary_key)
            found += [(table.__tablename__, *row) for row in await work.session.execute(statement)]
    return found


async def append(who: Correspondent, *entries: bytes, account: bytes | None = None) -> Any:
    return await who.mutate(
        "appendMessagingAccountEntries",
        "account { number endedAt }",
        accountId=to_base64url(who.me.id if account is None else account),
        entries=[to_base64url(entry) for entry in entries],
    )


async def seen(who: Correspondent, *others: Correspondent) -> list[bool]:
    found = await who.ask(FIND, ids=[to_base64url(other.me.id) for other in others])
    return [each is not None for each in found["messagingAccounts"]]


async def record_id(database: Database, patient: Correspondent) -> str:
    assert isinstance(patient.actor, Patient)
    return write_id(Record, await world.record_of(database, patient.actor))


# --- beginning


async def test_a_device_may_have_an_end_that_no_calendar_has(patient: Correspondent) -> None:
    patient.me.add_device(not_after=2**53 - 1, at=now())
    assert (await patient.enrol())["__typename"] == "CreateMessagingAccountSuccess"
    patient.me.add_device(not_after=2**53 - 1, at=now())
    grown = await append(patient, patient.me.chain[-1])
    assert grown["account"]["number"] == patient.me.account.number


async def test_two_beginnings_at_once_leave_one_account_in_use(
    database: Database, blobs: BlobStore, patient: Correspondent
) -> None:
    twins = [patient, *(Correspondent(database, blobs, patient.actor) for _ in range(2))]
    done = await asyncio.gather(*(twin.enrol() for twin in twins))
    assert {each["__typename"] for each in done} == {"CreateMessagingAccountSuccess"}
    async with database.read() as work:
        in_use = select(func.count()).where(MessagingAccount.ended_at.is_(None))
        assert await work.session.scalar(in_use) == 1
        versions = select(DirectoryBinding.version).order_by(DirectoryBinding.version)
        assert list(await work.session.scalars(versions)) == [1, 2, 3]


async def test_one_chain_is_one_account_whoever_brings_it(
    database: Database, blobs: BlobStore, patient: Correspondent
) -> None:
    other = Correspondent(database, blobs, await world.holder(database))
    other.me = patient.me
    done = await asyncio.gather(patient.enrol(), other.enrol())
    assert sorted(each["__typename"] for each in done) == [
        "Conflict",
        "CreateMessagingAccountSuccess",
    ]
    before = await rows(database)
    assert [(await each.enrol())["code"] for each in (patient, other)] == ["CONFLICT", "CONFLICT"]
    assert await rows(database) == before


async def test_an_account_can_be_begun_anew_a_few_times_a_day(
    database: Database, blobs: BlobStore, clock: MovableClock, patient: Correspondent
) -> None:
    for _ in range(account_actions.MOST_BEGUN):
        again = Correspondent(database, blobs, patient.actor)
        assert (await again.enrol())["__typename"] == "CreateMessagingAccountSuccess"
    before = await rows(database)
    assert (await patient.enrol())["code"] == "QUOTA_EXCEEDED"
    assert await rows(database) == before


async def test_numbers_of_different_registers_are_different_labels(
    database: Database, blobs: BlobStore
) -> None:
    """Else whoever is registered with somebody's number as an organization takes their label."""
    hospital = await world.organization(database)
    doctor = Correspondent(database, blobs, await world.professional(database, hospital))
    assert isinstance(doctor.actor, Professional)
    async with database.write() as work:
        rpps = (
            await work.session.scalars(
                select(people.Professional.rpps).where(
                    people.Professional.id == doctor.actor.professional_id
                )
            )
        ).one()
        await work.session.execute(
            update(people.Organization)
            .where(people.Organization.id == hospital)
            .values(identifier_system="urn:oid:1.2.250.1.71.4.2.2", identifier_value=rpps)
        )
    assert (await doctor.enrol())["__typename"] == "CreateMessagingAccountSuccess"
    team = Correspondent(database, blobs, doctor.actor)
    team.me = Person.enrol(kind=AccountKind.ORGANIZATION, at=now())
    begun = await team.enrol(organizationId=write_id(Organization, hospital))
    assert begun["__typename"] == "CreateMessagingAccountSuccess", begun
    found = await doctor.ask(FIND, ids=[to_base64url(each.me.id) for each in (doctor, team)])
    bindings = [
        read_binding(from_base64url(account["bindings"][0]["binding"]))
        for account in found["messagingAccounts"]
    ]
    assert [each.version for each in bindings] == [1, 1]
    assert [each.label for each in bindings] == [
        professional_label(rpps),
        professional_label(f"urn:oid:1.2.250.1.71.4.2.2|{rpps}"),
    ]


async def test_a_caregiver_begins_an_account_and_replaces_none(
    database: Database, blobs: BlobStore, patient: Correspondent
) -> None:
    caregiver = Correspondent(database, blobs, await world.holder(database))
    assert isinstance(patient.actor, Patient) and isinstance(caregiver.actor, Patient)
    record = await record_id(database, patient)
    before = await rows(database)
    assert (await caregiver.enrol(recordId=record))["code"] == "NOT_FOUND"
    await world.delegation(
        database, patient.actor, caregiver.actor, frozenset({DelegationScope.DOCUMENTS})
    )
    assert (await caregiver.enrol(recordId=record))["code"] == "NOT_FOUND"
    assert await rows(database) == before
    other = Correspondent(database, blobs, await world.holder(database))
    assert isinstance(other.actor, Patient)
    await world.delegation(database, patient.actor, other.actor)
    assert (await other.enrol(recordId=record))["__typename"] == "CreateMessagingAccountSuccess"
    assert (await patient.enrol())["__typename"] == "CreateMessagingAccountSuccess"
    before = await rows(database)
    other.me = Person.enrol(at=now())
    refused = await other.enrol(recordId=record)
    assert (refused["code"], await rows(database)) == ("ACCESS_DENIED", before)


async def test_a_parent_begins_the_account_of_a_child_anew(
    database: Database, blobs: BlobStore
) -> None:
    child, parent = [
        Correspondent(database, blobs, await world.holder(database, born=born))
        for born in ("2020-01-01", "1985-01-01")
    ]
    assert isinstance(child.actor, Patient) and isinstance(parent.actor, Patient)
    await world.parent(database, child.actor, parent.actor)
    record = await record_id(database, child)
    for _ in range(2):
        parent.me = Person.enrol(at=now())
        done = await parent.enrol(recordId=record)
        assert done["__typename"] == "CreateMessagingAccountSuccess"
    async with database.read() as work:
        owners = set(await work.session.scalars(select(MessagingAccount.person_id)))
        assert owners == {child.actor.person_id}


async def test_who_has_nobody_to_write_for_begins_nothing(
    database: Database, blobs: BlobStore, patient: Correspondent, doctor: Correspondent
) -> None:
    elsewhere = write_id(Organization, await world.organization(database))
    hospital = await world.organization(database)
    nurse = Correspondent(database, blobs, await world.professional(database, hospital))
    others = [
        Correspondent(database, blobs, actor)
        for actor in (
            Anonymous(),
            Operator(UUID(int=7), Assurance.PASSWORD),
            await world.publisher(database),
        )
    ]
    record = await record_id(database, patient)
    before = await rows(database)
    for who, owner, code in [
        (others[0], {}, "ACCESS_DENIED"),
        (others[1], {}, "ACCESS_DENIED"),
        (others[2], {}, "ACCESS_DENIED"),
        (patient, {"team": "night"}, "ACCESS_DENIED"),
        (patient, {"organizationId": elsewhere}, "ACCESS_DENIED"),
        (doctor, {"recordId": record}, "NOT_FOUND"),
        (doctor, {"organizationId": elsewhere}, "NOT_FOUND"),
        (doctor, {"team": "night"}, "NOT_FOUND"),
        (nurse, {"organizationId": elsewhere}, "NOT_FOUND"),
        (nurse, {"organizationId": write_id(Organization, hospital)}, "VALIDATION_FAILED"),
        (nurse, {"team": " "}, "VALIDATION_FAILED"),
        (nurse, {"team": "x" * 101}, "VALIDATION_FAILED"),
    ]:
        refused = await who.enrol(**owner)
        allowed = {code, "UNAUTHENTICATED"} if who is others[0] else {code}
        assert refused["code"] in allowed, (who.actor, owner, refused)
    assert await rows(database) == before


# --- growing


async def test_forged_late_and_foreign_entries_change_nothing(
    database: Database, blobs: BlobStore, patient: Correspondent, doctor: Correspondent
) -> None:
    for each in (patient, doctor):
        await each.enrol()
    me = patient.me
    thief = Person.enrol(at=now())
    offered = identity.offer(me.id, thief.devices[0], DeviceFlag.PRIMARY, 0)
    ghost = identity.add_device(me.account, thief.root, offered, thief.newest, now(), me.entropy)
    fresh, _ = identity.rotate_aek(me.account, me.root, me.newest, {}, now(), me.entropy)
    early, _ = identity.rotate_aek(
        me.account, me.root, me.newest, {}, now() + 6 * 60_000, me.entropy
    )
    before = await rows(database)
    for entries in (
        [],
        [b""],
        [b"CRNA"],
        [fresh[:-1]],
        [fresh + b"\x00"],
        [fresh[:-1] + bytes([fresh[-1] ^ 1])],
        [ghost],
        [early],
        [fresh, fresh],
        [fresh] * 21,
        [bytes(300_000)],
    ):
        refused = await append(patient, *entries)
        assert refused["code"] == "VALIDATION_FAILED", (len(entries), refused)
    doctor_fresh, _ = identity.rotate_aek(
        doctor.me.account, doctor.me.root, doctor.me.newest, {}, now(), me.entropy
    )
    for account, entry, code in [
        (doctor.me.id, doctor_fresh, "NOT_FOUND"),
        (thief.id, fresh, "NOT_FOUND"),
        (b"", fresh, "NOT_FOUND"),
        (patient.me.id, patient.me.chain[-1], "STALE_CHAIN"),
        (patient.me.id, patient.me.chain[0], "STALE_CHAIN"),
    ]:
        assert (await append(patient, entry, account=account))["code"] == code
    assert await rows(database) == before
    assert (await append(patient, fresh))["account"]["number"] == me.account.number + 1


async def test_a_wrong_clock_at_the_server_and_at_the_device(
    database: Database, clock: MovableClock, patient: Correspondent
) -> None:
    clock.offset = timedelta(minutes=6)
    before = await rows(database)
    refused = await patient.enrol()
    assert (refused["code"], refused["message"]) == (
        "VALIDATION_FAILED",
        "The device's clock is wrong.",
    )
    assert await rows(database) == before
    clock.offset = timedelta(minutes=4)
    assert (await patient.enrol())["__typename"] == "CreateMessagingAccountSuccess"


async def test_of_two_that_grow_at_once_one_is_told(
    database: Database, patient: Correspondent
) -> None:
    await patient.enrol()
    me = patient.me
    made = [
        identity.rotate_aek(me.account, me.root, me.newest, {}, now(), me.entropy)[0]
        for _ in range(4)
    ]
    done = await asyncio.gather(*(append(patient, entry) for entry in made))
    names = sorted(each["__typename"] for each in done)
    assert names == ["AppendMessagingAccountEntriesSuccess", *["StaleChain"] * 3]
    assert {each["number"] for each in done if "number" in each} == {me.account.number + 1}
    async with database.read() as work:
        entries = select(func.count()).select_from(AccountEntry)
        assert await work.session.scalar(entries) == me.account.number + 2


async def test_what_was_replaced_or_closed_grows_no_more(
    database: Database, blobs: BlobStore, patient: Correspondent
) -> None:
    await patient.enrol()
    newer = Correspondent(database, blobs, patient.actor)
    await newer.enrol()
    patient.me.rotate(at=now())
    before = await rows(database)
    assert (await append(patient, patient.me.chain[-1]))["code"] == "NOT_FOUND"
    assert await rows(database) == before
    newer.me.extend(identity.close(newer.me.account, newer.me.root, now()))
    assert (await append(newer, newer.me.chain[-1]))["account"]["endedAt"] is not None
    assert (await append(newer, newer.me.chain[-1]))["code"] == "NOT_FOUND"


# --- seeing


async def test_who_sees_whose_account(
    database: Database, blobs: BlobStore, patient: Correspondent, doctor: Correspondent
) -> None:
    hospital = await world.organization(database)
    stranger = Correspondent(database, blobs, await world.professional(database, hospital))
    team = Correspondent(database, blobs, stranger.actor)
    team.me = Person.enrol(kind=AccountKind.TEAM, at=now())
    caregiver = Correspondent(database, blobs, await world.holder(database))
    other = Correspondent(database, blobs, await world.holder(database))
    assert isinstance(patient.actor, Patient) and isinstance(caregiver.actor, Patient)
    assert isinstance(doctor.actor, Professional)
    for each in (patient, doctor, stranger, caregiver, other):
        assert (await each.enrol())["__typename"] == "CreateMessagingAccountSuccess"
    assert (await team.enrol(team="Night"))["__typename"] == "CreateMessagingAccountSuccess"
    await world.care_team(database, patient.actor, doctor.actor)
    await world.delegation(database, patient.actor, caregiver.actor)
    everybody = (patient, caregiver, other, doctor, stranger, team)
    for who, expected in [
        (patient, [True, True, False]),  # they seal the key for whom they let write
        (caregiver, [True, True, False]),
        (other, [False, False, True]),
        (doctor, [True, True, False]),  # they write to the patient, and to who acts for them
        (stranger, [False, False, False]),
    ]:
        assert await seen(who, *everybody) == [*expected, True, True, True], who.actor
    operator = Correspondent(database, blobs, Operator(UUID(int=7), Assurance.PASSWORD))
    nobody = Correspondent(database, blobs, Anonymous())
    assert await seen(operator, *everybody) == [False, False, False, True, True, True]
    assert await seen(nobody, *everybody) == [False] * 6
    found = await doctor.ask(FIND, ids=[to_base64url(each.me.id) for each in everybody])
    names = [account and account["displayName"] for account in found["messagingAccounts"]]
    assert names == [None, None, None, "Lou FAURE", "Lou FAURE", "Night"]


async def test_who_is_blocked_sees_the_patients_account_no_more(
    database: Database, blobs: BlobStore, patient: Correspondent, doctor: Correspondent
) -> None:
    assert isinstance(patient.actor, Patient) and isinstance(doctor.actor, Professional)
    await world.care_team(database, patient.actor, doctor.actor)
    for each in (patient, doctor):
        await each.enrol()
    opened, _ = await doctor.open_with((patient, Role.MEMBER))
    assert opened["__typename"] == "OpenThreadSuccess"
    assert await seen(doctor, patient) == [True]
    blocked = await patient.mutate(
        "blockAccess",
        recordId=await record_id(database, patient),
        grantee={
            "professionalId": (await doctor.ask("{ viewer { ... on Professional { id } } }"))[
                "viewer"
            ]["id"]
        },
    )
    assert blocked["__typename"] == "BlockAccessSuccess"
    assert await seen(doctor, patient) == [False]
    assert await seen(patient, doctor) == [True]


async def test_the_same_answer_by_node_as_by_id(
    database: Database, patient: Correspondent, doctor: Correspondent
) -> None:
    begun = await patient.enrol()
    await doctor.enrol()
    query = """query($id: ID!) { node(id: $id) { ... on MessagingAccount {
      number entries { totalCount edges { node { number } } } bindings { leafIndex } } } }"""
    own = (await patient.ask(query, id=begun["account"]["id"]))["node"]
    assert own["entries"]["totalCount"] == own["number"] + 1 == len(own["entries"]["edges"])
    assert own["bindings"] == [{"leafIndex": own["number"] + 1}]
    assert (await doctor.ask(query, id=begun["account"]["id"]))["node"] is None


async def test_an_entry_is_a_node_where_its_account_is_seen(
    patient: Correspondent, doctor: Correspondent
) -> None:
    begun = await patient.enrol()
    await doctor.enrol()
    page = """query($id: ID!) { node(id: $id) { ... on MessagingAccount {
      entries { edges { node { id number entry leafIndex } } } } } }"""
    edges = (await patient.ask(page, id=begun["account"]["id"]))["node"]["entries"]["edges"]
    query = "query($id: ID!) { node(id: $id) { ... on MessagingAccountEntry { %s } } }"
    for entry in (edge["node"] for edge in edges):
        shown = query % "id number entry leafIndex"
        assert (await patient.ask(shown, id=entry["id"]))["node"] == entry
        assert (await doctor.ask(shown, id=entry["id"]))["node"] is None
    assert len(edges) > 0
    for unknown in (UUID(int=2**63 - 1), UUID(int=2**63), UUID(int=2**128 - 1)):
        asked = write_id(MessagingAccountEntry, unknown)
        assert (await patient.ask(query % "number", id=asked))["node"] is None


@pytest.mark.parametrize("text", ["", "=", "AA==", "A", "A B", "/+", "é", "AB"])
async def test_only_the_one_form_of_bytes_is_taken(
    database: Database, blobs: BlobStore, patient: Correspondent, text: str
) -> None:
    _, errors = await graph.execute(database, blobs, patient.actor, FIND, ids=[text])
    assert (errors == []) is (text == "")
