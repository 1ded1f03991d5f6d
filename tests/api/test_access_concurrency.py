"""Changes of access at the same time, and changes sent twice."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
import scene
import world
from scene import MASKED, PLAIN, Scene

from carnet.people.actor import Actor
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

REASON = "Patient inconscient aux urgences"
OTHER_REASON = "Patient inconscient au domicile"


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> Scene:
    return await scene.make(database, blobs, hide_results_days=0)


async def kinds(*pending: Any) -> list[str]:
    return sorted(answer["__typename"] for answer in await asyncio.gather(*pending))


async def test_two_who_change_the_settings_they_saw(made: Scene, database: Database) -> None:
    caregiver = await world.holder(database)
    await world.delegation(database, made.holder, caregiver)
    for revision in range(5):
        found = await kinds(
            *(
                made.do(
                    who,
                    "changeAccessSettings",
                    recordId=made.record_id,
                    revision=revision,
                    hideResultsDays=days + revision,
                )
                for who, days in ((made.holder, 10), (caregiver, 20))
            )
        )
        assert found == ["ChangeAccessSettingsSuccess", "Conflict"]


async def test_a_block_wins_against_whatever_is_granted_meanwhile(
    made: Scene, database: Database
) -> None:
    for _ in range(4):
        doctor = await world.professional(database)
        grantee = {"professionalId": scene.professional_id(doctor)}
        here = {"recordId": made.record_id, "grantee": grantee}
        patient = {"patient": made.patient()}
        found = await asyncio.gather(
            made.outcome(made.holder, "blockAccess", **here),
            made.outcome(made.holder, "giveConsent", **here),
            made.outcome(made.holder, "nameCareTeamMember", **here, role="ADMINISTRATOR"),
            made.outcome(doctor, "joinCareTeam", **patient, holderWasInformed=True),
            made.outcome(doctor, "attestConsent", **patient),
            made.outcome(doctor, "openEmergencyAccess", **patient, reason=REASON),
        )
        assert found[0] == "BlockAccessSuccess"
        assert set(found[1:3]) <= {"GiveConsentSuccess", "NameCareTeamMemberSuccess", "Conflict"}
        lost = {"NotFound", "RIGHTS_CHANGED"}  # before it was granted, or before it was answered
        assert all(kind in lost or kind.endswith("Success") for kind in found[3:])
        node = "query($id: ID!) { node(id: $id) { id } }"
        assert (await made.run(doctor, node, id=made.document_id(PLAIN)))["node"] is None
        blocks = (
            "query($id: ID!) { record(id: $id) { access { blocks { edges { node { id } } } } } }"
        )
        edges = (await made.run(made.holder, blocks, id=made.record_id))["record"]["access"]
        (block,) = edges["blocks"]["edges"]
        await made.done(
            made.holder, "liftBlock", recordId=made.record_id, blockId=block["node"]["id"]
        )
        assert (await made.run(doctor, node, id=made.document_id(PLAIN)))["node"] is None


async def test_one_attending_doctor_whoever_is_named_at_once(
    made: Scene, database: Database
) -> None:
    doctors = [await world.professional(database) for _ in range(5)]
    found = await kinds(
        *(
            made.do(
                made.holder,
                "nameCareTeamMember",
                recordId=made.record_id,
                grantee={"professionalId": scene.professional_id(doctor)},
                role="ATTENDING_DOCTOR",
            )
            for doctor in doctors
        )
    )
    assert found == ["NameCareTeamMemberSuccess"] * 5
    query = "query($id: ID!) { record(id: $id) { access { careTeam { totalCount } } } }"
    counted = await made.run(made.holder, query, id=made.record_id)
    assert counted["record"]["access"]["careTeam"]["totalCount"] == 1


async def test_the_same_thing_at_once_is_done_once(made: Scene, database: Database) -> None:
    doctor = await world.professional(database)
    grantee = {"professionalId": scene.professional_id(doctor)}
    here = {"recordId": made.record_id, "grantee": grantee}
    assert await kinds(*(made.do(made.holder, "blockAccess", **here) for _ in range(3))) == [
        "BlockAccessSuccess",
        "Conflict",
        "Conflict",
    ]
    opener = await world.professional(database)
    opened = await asyncio.gather(
        *(
            made.done(opener, "openEmergencyAccess", patient=made.patient(), reason=REASON)
            for _ in range(4)
        )
    )
    assert len({answer["emergencyAccessId"] for answer in opened}) == 1
    id_ = opened[0]["emergencyAccessId"]
    assert await kinds(
        *(made.do(opener, "closeEmergencyAccess", emergencyAccessId=id_) for _ in range(3))
    ) == ["CloseEmergencyAccessSuccess", "NotFound", "NotFound"]


async def test_readers_and_writers_of_several_records_never_wait_in_a_circle(
    made: Scene, database: Database, blobs: BlobStore
) -> None:
    scenes = [made, await scene.make(database, blobs), await scene.make(database, blobs)]
    doctor = await world.professional(database)
    for one in scenes:
        await one.done(doctor, "joinCareTeam", patient=one.patient(), holderWasInformed=True)
    patients = "{ viewer { ... on Professional { patients { edges { node { documents {"
    patients += " totalCount } } } } } } }"

    async def mask(one: Scene, masked: bool) -> None:
        await one.done(
            one.holder, "maskDocument", documentId=one.document_id(MASKED), masked=masked
        )

    async def state(actor: Actor, one: Scene) -> None:
        entry = {"section": "ALLERGIES", "label": "Noix"}
        await one.done(actor, "addProfileEntry", recordId=one.record_id, entry=entry)

    async with asyncio.TaskGroup() as group:
        for turn in range(8):
            group.create_task(made.run(doctor, patients))
            for one in (scenes, scenes[::-1])[turn % 2]:
                group.create_task(mask(one, True))
                group.create_task(state(doctor if turn % 2 else one.holder, one))


async def keyed(made: Scene) -> list[tuple[Actor, str, dict[str, Any], dict[str, Any]]]:
    """Return each mutation of access with an input and with what makes it another one."""
    database = made.database
    here = {"recordId": made.record_id}
    doctors = [await world.professional(database) for _ in range(6)]
    grantees = [{"professionalId": scene.professional_id(doctor)} for doctor in doctors]
    named = await made.done(made.holder, "nameCareTeamMember", **here, grantee=grantees[0])
    given = await made.done(made.holder, "giveConsent", **here, grantee=grantees[0])
    shut = await made.done(made.holder, "blockAccess", **here, grantee=grantees[1])
    opened = await made.done(
        doctors[2], "openEmergencyAccess", patient=made.patient(), reason=REASON
    )
    caregiver, accepting = await world.holder(database), await world.holder(database)
    delegation = await world.delegation(database, made.holder, caregiver)
    invited = await made.done(made.holder, "inviteDelegate", **here, scopes=["PROFILE"])
    patient = made.patient()
    other = {"patient": made.patient(birthDate="1980-05-05")}
    stated = {"patient": patient, "holderWasInformed": True}
    return [
        (made.holder, "changeAccessSettings", {**here, "revision": 0, "hideResultsDays": 1},
         {"hideResultsDays": 2}),
        (made.holder, "nameCareTeamMember", {**here, "grantee": grantees[3]},
         {"role": "ADMINISTRATOR"}),
        (doctors[4], "joinCareTeam", stated, {"withOrganization": True}),
        (doctors[5], "attestConsent", {"patient": patient}, other),
        (doctors[5], "openEmergencyAccess", {"patient": patient, "reason": REASON},
         {"reason": OTHER_REASON}),
        (made.holder, "giveConsent", {**here, "grantee": grantees[3]}, {"grantee": grantees[4]}),
        (made.holder, "endCareTeamMembership", {**here, "memberId": named["member"]["id"]},
         {"memberId": scene.member_id(uuid4())}),
        (made.holder, "revokeConsent", {**here, "consentId": given["consent"]["id"]},
         {"consentId": scene.consent_id(uuid4())}),
        (made.holder, "liftBlock", {**here, "blockId": shut["block"]["id"]},
         {"blockId": scene.block_id(uuid4())}),
        (made.holder, "blockAccess", {**here, "grantee": grantees[1]}, {"grantee": grantees[4]}),
        (doctors[2], "closeEmergencyAccess", {"emergencyAccessId": opened["emergencyAccessId"]},
         {"emergencyAccessId": scene.emergency_id(uuid4())}),
        (made.holder, "inviteDelegate", {**here, "scopes": ["PROFILE"]},
         {"scopes": ["DOCUMENTS"]}),
        (accepting, "acceptDelegation", {"code": invited["invitationCode"]}, {"code": "x" * 27}),
        (caregiver, "revokeDelegation", {"delegationId": scene.delegation_id(delegation)},
         {"delegationId": scene.delegation_id(uuid4())}),
    ]  # fmt: skip


READ_ONLY_TRACE = ("journal_entries", "journal_counters", "journal_unsealed", "sign_in_attempts")


async def test_a_key_does_each_mutation_once(made: Scene, database: Database) -> None:
    tried = await keyed(made)
    named = {name for _, name, _, _ in tried}
    assert len(named) == 14
    for actor, name, given, other in tried:
        key = str(uuid4())
        first = await made.done(actor, name, **given, idempotencyKey=key)
        before = await scene.tables(database, *READ_ONLY_TRACE)
        again = await made.done(actor, name, **given, idempotencyKey=key)
        if name == "inviteDelegate":
            assert (first.pop("invitationCode"), again.pop("invitationCode"))[1] is None
        assert again == first, name
        conflict = await made.do(actor, name, **{**given, **other}, idempotencyKey=key)
        assert conflict["code"] == "CONFLICT", name
        assert await scene.tables(database, *READ_ONLY_TRACE) == before, name


async def test_a_key_sent_twice_at_once_acts_once(made: Scene, database: Database) -> None:
    for actor, name, given, _ in await keyed(made):
        key = str(uuid4())
        answers = await asyncio.gather(
            *(made.done(actor, name, **given, idempotencyKey=key) for _ in range(2))
        )
        for answer in answers:
            answer.pop("invitationCode", None)
        assert answers[0] == answers[1], name
