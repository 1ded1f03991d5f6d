"""Who takes part in threads, and who no more: on all paths, with nothing changed by a refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import scene
import world
from api_talk import (
    Talk,
    a_patient,
    a_professional,
    append_chain,
    patient_of,
    talk,
)
from correspondents import Person
from sqlalchemy import update
from writing import POLICY, Correspondent, now

from carnet.access.tables import Delegation, DelegationScope
from carnet.people.actor import CONSOLE
from carnet.records.tables import Record
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_crypto.control_bodies import Added
from carnet_crypto.kinds import AccountKind, RemovalReason, Role, RosterRole, Scope
from carnet_crypto.secret import conversation, identity
from carnet_crypto.secret.content import Text
from carnet_crypto.secret.messages import Draft, seal
from carnet_crypto.values import Digest, MessageId

MESSAGES = frozenset({DelegationScope.MESSAGES})


@pytest.fixture
async def patient(database: Database, blobs: BlobStore) -> Correspondent:
    return await a_patient(database, blobs)


@pytest.fixture
async def doctor(database: Database, blobs: BlobStore, patient: Correspondent) -> Correspondent:
    return await a_professional(database, blobs, patient)


async def revoke(database: Database, delegation_id: Any) -> None:
    async with database.write() as work:
        changed = update(Delegation).where(Delegation.id == delegation_id)
        await work.session.execute(changed.values(revoked_at=work.now))


def everybody(*people: Correspondent) -> dict[Any, Any]:
    return {who.me.id: who.me.account for who in people}


async def joining(
    made: Talk, author: Correspondent, *added: tuple[Correspondent, Role, int]
) -> Any:
    view = made.views[author]
    known = everybody(*made.views, *(who for who, _, _ in added))
    new = [Added(who.me.id, role, since) for who, role, since in added]
    written = conversation.add(author.writer(), view.thread, known, new, view.secrets)
    return written, await made.control(author, written)


async def test_a_guardian_takes_part_for_as_long_as_they_act_for_the_patient(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    guardian = await a_patient(database, blobs)
    given = await world.delegation(database, patient_of(patient), patient_of(guardian), MESSAGES)
    # The doctor knows them through a thread only; they see the patient's accounts themselves.
    await world.care_team(database, patient_of(guardian), doctor.actor)  # type: ignore[arg-type]
    made = await talk(doctor, patient, (guardian, Role.GUARDIAN))
    assert "sent" in await made.say(guardian)
    assert await made.numbers(guardian) == [1]
    await revoke(database, given)
    assert await made.numbers(guardian) is None
    before = await scene.tables(database)
    assert (await made.say(guardian))["code"] == "NOT_FOUND"
    assert await scene.tables(database) == before
    assert "sent" in await made.say(patient)


async def test_nobody_is_the_guardian_of_somebody_they_do_not_act_for(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    other = await a_patient(database, blobs)
    await world.care_team(database, patient_of(other), doctor.actor)  # type: ignore[arg-type]
    before = await scene.tables(database)
    opened, _ = await doctor.open_with((patient, Role.MEMBER), (other, Role.GUARDIAN))
    assert opened["rule"] == "messaging.guardian-of-nobody"
    opened, _ = await doctor.open_with((patient, Role.MEMBER), (other, Role.MEMBER))
    assert opened["rule"] == "messaging.one-patient"
    assert await scene.tables(database) == before


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_delegates_see_what_a_thread_allows_them(
    database: Database,
    blobs: BlobStore,
    doctor: Correspondent,
    patient: Correspondent,
    is_allowed: bool,
) -> None:
    delegate = Correspondent(database, blobs, await world.holder(database))
    given = await world.delegation(database, patient_of(patient), patient_of(delegate), MESSAGES)
    made = await talk(doctor, patient, policy=replace(POLICY, is_delegation_allowed=is_allowed))
    await made.say(doctor)
    assert await made.numbers(patient) == [1]
    assert await made.numbers(delegate) == ([1] if is_allowed else None)
    if is_allowed:
        read = await delegate.mutate(
            "markThreadRead",
            "thread { unreadCount readTo }",
            threadId=_id(made),
            number=1,
        )
        assert read["thread"] == {"unreadCount": 0, "readTo": 1}
        assert (await made.seen_by(patient))["unreadCount"] == 1  # theirs is theirs
        await revoke(database, given)
        assert await made.numbers(delegate) is None


async def test_a_chain_keeps_nobody_in_who_acts_for_the_patient_no_more(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    """Such as parents of one who is of age now, who made their child's account."""
    parent = await a_patient(database, blobs)
    given = await world.delegation(database, patient_of(patient), patient_of(parent), MESSAGES)
    keys = patient.me.newest
    assert keys is not None
    entry = identity.delegate(
        patient.me.account, patient.me.root, keys, parent.me.account, Scope.BOTH,
        now(), now() + 3_600_000, now(), patient.me.entropy,
    )  # fmt: skip
    patient.me.extend(entry)
    await append_chain(patient)
    made = await talk(doctor, patient)
    await made.say(doctor)
    assert await made.numbers(parent) == [1]
    await revoke(database, given)
    assert await made.numbers(parent) is None
    draft = Draft(
        made.thread.id, 1, parent.me.id, 1, MessageId.zero(), made.thread.head, (),
        (0, Digest.zero()), now(), Text("still here"),
    )  # fmt: skip
    secret = made.views[doctor].secrets[1]
    envelope, _ = seal(draft, secret, parent.me.devices[0], parent.me.entropy)
    assert (await parent.send(envelope, 1))["code"] == "NOT_FOUND"
    assert await made.numbers(patient) == [1]


async def test_a_delegate_for_something_else_sees_nothing(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    others = frozenset(DelegationScope) - MESSAGES
    delegate = Correspondent(database, blobs, await world.holder(database))
    await world.delegation(database, patient_of(patient), patient_of(delegate), others)
    made = await talk(doctor, patient)
    assert await made.numbers(delegate) is None


def _id(made: Talk) -> str:
    from carnet_crypto.encoding import to_base64url

    return to_base64url(made.thread.id)


async def test_a_patient_brings_in_nobody_who_never_wrote(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    colleague = await a_professional(database, blobs, patient)
    first = await talk(doctor, patient)
    await first.say(doctor)
    made = await talk(patient, (doctor, Role.MANAGER))
    before = await scene.tables(database)
    _, refused = await joining(made, patient, (colleague, Role.MEMBER, 1))
    assert refused["rule"] == "messaging.never-wrote"
    assert await scene.tables(database) == before
    second = await talk(colleague, patient)
    await second.say(colleague)
    _, added = await joining(made, patient, (colleague, Role.MEMBER, 1))
    assert added["__typename"] == "AppendControlEntrySuccess"


async def test_adding_a_patient_asks_what_opening_does(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    colleague = await a_professional(database, blobs)  # who may not see the record
    await talk(doctor, patient, colleague)  # but knows the patient's account from here
    opened, _ = await colleague.open_with((patient, Role.MEMBER))
    assert opened["rule"] == "messaging.not-reachable"
    made = await talk(colleague, doctor)
    before = await scene.tables(database)
    _, refused = await joining(made, colleague, (patient, Role.MEMBER, 1))
    assert refused["rule"] == "messaging.not-reachable"
    assert await scene.tables(database) == before


async def test_no_thread_is_left_to_patients(
    database: Database, doctor: Correspondent, patient: Correspondent
) -> None:
    await (await talk(doctor, patient)).say(doctor)
    made = await talk(patient, (doctor, Role.MANAGER))
    removed = conversation.remove(
        patient.writer(),
        made.thread,
        everybody(patient, doctor),
        doctor.me.id,
        RemovalReason.OTHER,
    )
    before = await scene.tables(database)
    assert (await made.control(patient, removed))["rule"] == "messaging.no-professional"
    assert await scene.tables(database) == before


async def test_who_joins_without_history_is_told_none_of_it(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    made = await talk(doctor, patient)
    early = (await made.say(doctor))["sent"]["id"]
    nurse = await a_professional(database, blobs)
    _, added = await joining(made, doctor, (nurse, Role.MEMBER, conversation_none()))
    assert added["__typename"] == "AppendControlEntrySuccess", added
    await made.say(patient)
    assert await made.numbers(doctor) == [1, 2]
    assert await made.numbers(nurse) == [2]
    node = await made.seen_by(nurse)
    assert node["unreadCount"] == 1
    assert [wrap["epoch"] for wrap in node["wraps"]] == [2]
    assert node["controlEntries"]["totalCount"] == 2  # what members verify is theirs to see
    query = "query($id: ID!) { node(id: $id) { id } }"
    assert (await nurse.ask(query, id=early))["node"] is None


def conversation_none() -> int:
    from carnet_crypto.control_bodies import NO_HISTORY

    return NO_HISTORY


async def test_nothing_is_written_while_the_record_is_closed(
    database: Database, doctor: Correspondent, patient: Correspondent
) -> None:
    made = await talk(doctor, patient)
    async with database.write() as work:
        theirs = Record.person_id == patient_of(patient).person_id
        await work.session.execute(update(Record).where(theirs).values(state="CLOSED"))
    before = await scene.tables(database)
    for who in (doctor, patient):
        refused = await made.say(who)
        assert refused["code"] == "ACCESS_DENIED", refused
    assert await scene.tables(database) == before
    assert await made.numbers(patient) == []  # what was written stays its members'


async def test_a_patient_is_told_that_nobody_hears_them(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    from carnet.access.blocks import block
    from carnet.access.locating import Grantee

    made = await talk(doctor, patient)
    actor = patient_of(patient)
    record_id = await world.record_of(database, actor)
    grantee = Grantee(professional_id=doctor.actor.professional_id)  # type: ignore[union-attr]
    async with database.write() as work:
        await block(actor, work, record_id, grantee)
    assert (await made.say(patient))["code"] == "ACCESS_DENIED"
    assert (await made.say(doctor))["code"] == "NOT_FOUND"
    assert await made.numbers(doctor) is None


async def test_a_team_writes_through_its_people(
    database: Database, blobs: BlobStore, patient: Correspondent
) -> None:
    where = await world.organization(database)
    one = await a_professional(database, blobs, patient, organization_id=where)
    unlisted = await a_professional(database, blobs, patient, organization_id=where)
    stranger = await a_professional(database, blobs, patient)
    team = Correspondent(database, blobs, one.actor)
    team.me = Person.enrol(kind=AccountKind.TEAM, at=now())
    assert (await team.enrol(team="reception"))["__typename"].endswith("Success")
    keys = team.me.newest
    assert keys is not None
    members = [(one.me.account, RosterRole.ADMIN)]
    roster = identity.set_roster(
        team.me.account, team.me.root, keys, members, now(), team.me.entropy
    )
    team.me.extend(roster)
    await append_chain(team)
    made = await talk(team, patient)
    view = made.views[team]

    async def write(who: Correspondent, sequence: int) -> Any:
        draft = Draft(
            view.thread.id, 1, who.me.id, sequence, MessageId.zero(), view.thread.head, (),
            (0, Digest.zero()), now(), Text("for the team"),
        )  # fmt: skip
        envelope, _ = seal(draft, view.secrets[1], who.me.devices[0], who.me.entropy)
        return await who.send(envelope, sequence)

    sent = await write(one, 1)
    assert sent["__typename"] == "SendMessageSuccess", sent
    assert (await write(unlisted, 1))["code"] == "NOT_FOUND"
    assert (await write(stranger, 1))["code"] == "NOT_FOUND"
    assert await made.numbers(unlisted) == [1]  # it is their organization's inbox
    assert await made.numbers(stranger) is None
    assert (await made.seen_by(patient))["unreadCount"] == 1
    # The team has written: the patient may open a thread with it.
    again = await talk(patient, (team, Role.MANAGER))
    assert "sent" in await again.say(patient)


@pytest.mark.parametrize("scope", [Scope.BOTH, Scope.READ])
async def test_a_substitute_reads_and_writes_for_a_time(
    database: Database,
    blobs: BlobStore,
    doctor: Correspondent,
    patient: Correspondent,
    clock: Any,
    scope: Scope,
) -> None:
    substitute = await a_professional(database, blobs)
    made = await talk(doctor, patient)
    await made.say(patient)
    assert await made.numbers(substitute) is None
    keys = doctor.me.newest
    assert keys is not None
    ends = now() + 3_600_000
    entry = identity.delegate(
        doctor.me.account, doctor.me.root, keys, substitute.me.account, scope, now(), ends, now(),
        doctor.me.entropy,
    )  # fmt: skip
    doctor.me.extend(entry)
    await append_chain(doctor)
    assert await made.numbers(substitute) == [1]
    draft = Draft(
        made.thread.id, 1, substitute.me.id, 1, MessageId.zero(), made.thread.head, (),
        (0, Digest.zero()), now(), Text("in their stead"),
    )  # fmt: skip
    secret = made.views[doctor].secrets[1]
    envelope, _ = seal(draft, secret, substitute.me.devices[0], substitute.me.entropy)
    answer = await substitute.send(envelope, 1)
    assert ("sent" in answer) is (scope is Scope.BOTH), answer
    clock.offset = timedelta(hours=2)
    assert await made.numbers(substitute) is None


async def test_nobody_else_is_served(
    database: Database, blobs: BlobStore, doctor: Correspondent, patient: Correspondent
) -> None:
    made = await talk(doctor, patient)
    envelope, sequence, _ = doctor.seal(made.views[doctor], "words")
    before = await scene.tables(database)
    for actor in (CONSOLE, await world.publisher(database)):
        other = Correspondent(database, blobs, actor)
        other.me = doctor.me
        assert (await other.ask("query($id: ID!) { node(id: $id) { id } }", id=made.id)) == {
            "node": None
        }
        assert (await other.send(envelope, sequence))["code"] == "NOT_FOUND"
    after = await scene.tables(database)
    assert {name for name in after if after[name] != before[name]} <= {"publishers"}
