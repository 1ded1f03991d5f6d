"""«Not yours» and «does not exist» are one answer, and a denial changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import graph
import pytest
import scene
import world
from scene import HELD, MASKED, PLAIN, Scene

from carnet.clock import MovableClock
from carnet.people.actor import Actor, Anonymous, Assurance, Operator, Publisher
from carnet.records.tables import Record, RecordState
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql import documents, immunizations, profile, records
from carnet_graphql.node import write_id

REASON = "Patient inconscient aux urgences"
ENTRY = {"section": "CONDITIONS", "label": "Asthme"}
DESCRIPTION = {"title": "x", "category": "OTHER"}
Ids = dict[str, Any]

MAKE_NOBODY: Ids = {
    "record": lambda: write_id(records.Record, uuid4()),
    "document": lambda: write_id(documents.Document, uuid4()),
    "entry": lambda: write_id(profile.Condition, uuid4()),
    "dose": lambda: write_id(immunizations.Immunization, uuid4()),
    "member": lambda: scene.member_id(uuid4()),
    "consent": lambda: scene.consent_id(uuid4()),
    "block": lambda: scene.block_id(uuid4()),
    "emergency": lambda: scene.emergency_id(uuid4()),
    "delegation": lambda: scene.delegation_id(uuid4()),
}


def inputs(ids: Ids, doctor: str) -> dict[str, dict[str, Any]]:
    """Return every mutation that takes an id of something in a record."""
    record, document, entry = ids["record"], ids["document"], ids["entry"]
    grantee = {"professionalId": doctor}
    blob = str(UUID(int=1))
    return {
        "changeAccessSettings": {"recordId": record, "revision": 0, "hideResultsDays": 1},
        "nameCareTeamMember": {"recordId": record, "grantee": grantee},
        "endCareTeamMembership": {"recordId": record, "memberId": ids["member"]},
        "giveConsent": {"recordId": record, "grantee": grantee},
        "revokeConsent": {"recordId": record, "consentId": ids["consent"]},
        "blockAccess": {"recordId": record, "grantee": grantee},
        "liftBlock": {"recordId": record, "blockId": ids["block"]},
        "closeEmergencyAccess": {"emergencyAccessId": ids["emergency"]},
        "inviteDelegate": {"recordId": record, "scopes": ["PROFILE"]},
        "revokeDelegation": {"delegationId": ids["delegation"]},
        "addDocument": {"recordId": record, "blobId": blob, "description": DESCRIPTION},
        "replaceDocument": {"documentId": document, "blobId": blob, "description": DESCRIPTION},
        "correctDocument": {"documentId": document, "revision": 1, "description": DESCRIPTION},
        "maskDocument": {"documentId": document},
        "deleteDocument": {"documentId": document},
        "addProfileEntry": {"recordId": record, "entry": ENTRY},
        "correctProfileEntry": {"entryId": entry, "version": 1, "entry": ENTRY},
        "removeProfileEntry": {"entryId": entry},
        "declareNothing": {"recordId": record, "section": "ALLERGIES"},
        "addImmunization": {"recordId": record, "vaccineLabel": "x"},
        "removeImmunization": {"immunizationId": ids["dose"]},
    }


async def furnished(made: Scene) -> Ids:
    """Return the ids of one of everything in the record."""
    database = made.database
    here = {"recordId": made.record_id}
    one, other, third = [await world.professional(database) for _ in range(3)]
    grantee = [{"professionalId": scene.professional_id(who)} for who in (one, other, third)]
    member = await made.done(made.holder, "nameCareTeamMember", **here, grantee=grantee[0])
    consent = await made.done(made.holder, "giveConsent", **here, grantee=grantee[1])
    block = await made.done(made.holder, "blockAccess", **here, grantee=grantee[2])
    opened = await made.done(other, "openEmergencyAccess", patient=made.patient(), reason=REASON)
    caregiver = await world.holder(database)
    given = await world.delegation(database, made.holder, caregiver)
    return {
        "record": made.record_id,
        "document": made.document_id(PLAIN),
        "entry": write_id(profile.Condition, made.entries[PLAIN]),
        "dose": write_id(immunizations.Immunization, made.doses[PLAIN]),
        "member": member["member"]["id"],
        "consent": consent["consent"]["id"],
        "block": block["block"]["id"],
        "emergency": opened["emergencyAccessId"],
        "delegation": scene.delegation_id(given),
    }


async def asked(
    made: Scene, actor: Actor, query: str, **variables: Any
) -> tuple[Any, list[dict[str, Any]], int]:
    """Return the whole answer, and how many SQL statements it took."""
    with scene.statements(made.database) as sent:
        data, errors = await graph.execute(made.database, made.blobs, actor, query, **variables)
    return data, errors, len(sent)


async def strangers(database: Database) -> list[Actor]:
    place = await world.organization(database)
    return [
        await world.holder(database),
        await world.professional(database, place),
        await world.publisher(database),
        Operator(uuid4(), Assurance.CONSOLE),
        Anonymous(),
    ]


async def test_mutations_of_what_is_not_yours_answer_as_if_it_did_not_exist(
    database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs)
    theirs = await furnished(made)
    doctor = scene.professional_id(await world.professional(database))
    actors = await strangers(database)
    before = await scene.tables(database)
    for actor in actors:
        nobodys = {name: make() for name, make in MAKE_NOBODY.items()}
        for (name, real), unreal in zip(
            inputs(theirs, doctor).items(), inputs(nobodys, doctor).values(), strict=True
        ):
            found = await asked(made, actor, scene.MUTATIONS[name], input=real)
            missing = await asked(made, actor, scene.MUTATIONS[name], input=unreal)
            assert found == missing, (name, actor.kind)
            assert found[0][name]["code"] in ("NOT_FOUND", "UNAUTHENTICATED"), (name, found)
    assert await scene.tables(database) == before


QUERY = """query($record: ID!, $document: ID!, $ids: [ID!]!, $doctor: ID!) {
  record(id: $record) { id documents { totalCount } access { settings { revision } }
    allowedBy { code } actingAs { id } previewAs(role: {standing: CARE_TEAM}) { totalCount } }
  node(id: $record) { id } one: node(id: $document) { id } nodes(ids: $ids) { id }
  accessExplanation(document: $document, professional: $doctor) { isAllowed }
}"""


async def test_queries_of_what_is_not_yours_answer_as_if_it_did_not_exist(
    database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs)
    theirs = await furnished(made)
    doctor = scene.professional_id(await world.professional(database))
    actors = await strangers(database)
    before = await scene.tables(database)
    for actor in actors:
        nobodys = {name: make() for name, make in MAKE_NOBODY.items()}
        answers = [
            await asked(
                made, actor, QUERY, ids=list(ids.values()), doctor=doctor,
                record=ids["record"], document=ids["document"],
            )
            for ids in (theirs, nobodys)
        ]  # fmt: skip
        assert answers[0] == answers[1], actor.kind
        assert answers[0][1] == []
        assert answers[0][0] == {
            "record": None,
            "node": None,
            "one": None,
            "nodes": [None] * len(theirs),
            "accessExplanation": None,
        }
    assert await scene.tables(database) == before


async def test_a_hidden_document_answers_the_holder_as_if_it_did_not_exist(
    database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs)
    doctor = scene.professional_id(await world.professional(database))
    before = await scene.tables(database)
    hidden: Ids = {name: make() for name, make in MAKE_NOBODY.items()} | {
        "record": made.record_id,
        "document": made.document_id(HELD),
        "entry": write_id(profile.Condition, made.entries[HELD]),
        "dose": write_id(immunizations.Immunization, made.doses[HELD]),
    }
    nobodys = hidden | {name: MAKE_NOBODY[name]() for name in ("document", "entry", "dose")}
    about = ("Document", "Entry", "removeImmunization", "revoke", "end", "lift", "close")
    for name, real in inputs(hidden, doctor).items():
        if not name.endswith(about) and not name.startswith(about):
            continue
        unreal = inputs(nobodys, doctor)[name]
        found = await asked(made, made.holder, scene.MUTATIONS[name], input=real)
        missing = await asked(made, made.holder, scene.MUTATIONS[name], input=unreal)
        if name not in ("addDocument", "addProfileEntry"):
            assert found == missing, name
            assert found[0][name]["code"] == "NOT_FOUND"
            assert await scene.tables(database) == before
        else:
            before = await scene.tables(database)
    explain = "query($d: ID!, $p: ID!) { accessExplanation(document: $d, professional: $p) {"
    explain += " isAllowed rule { code } } }"
    for document in (hidden["document"], nobodys["document"]):
        answer = await asked(made, made.holder, explain, d=document, p=doctor)
        assert answer[:2] == ({"accessExplanation": None}, [])


async def test_what_is_masked_answers_a_professional_as_if_it_did_not_exist(
    database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs)
    doctor = await world.professional(database)
    await made.done(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    before = await scene.tables(database)
    for name in ("replaceDocument", "correctDocument", "maskDocument", "deleteDocument"):
        answers = []
        for document in (made.document_id(MASKED), MAKE_NOBODY["document"]()):
            given = inputs({n: m() for n, m in MAKE_NOBODY.items()} | {"document": document}, "x")
            answers.append(await asked(made, doctor, scene.MUTATIONS[name], input=given[name]))
        assert answers[0] == answers[1]
        assert answers[0][0][name]["code"] == "NOT_FOUND"
    for name in ("correctProfileEntry", "removeProfileEntry", "removeImmunization"):
        answers = []
        for entry, dose in (
            (
                write_id(profile.Condition, made.entries[MASKED]),
                write_id(immunizations.Immunization, made.doses[MASKED]),
            ),
            (MAKE_NOBODY["entry"](), MAKE_NOBODY["dose"]()),
        ):
            ids = {n: m() for n, m in MAKE_NOBODY.items()} | {"entry": entry, "dose": dose}
            given = inputs(ids, "x")
            answers.append(await asked(made, doctor, scene.MUTATIONS[name], input=given[name]))
        assert answers[0] == answers[1]
        assert answers[0][0][name]["code"] == "NOT_FOUND"
    assert await scene.tables(database) == before


Change = Callable[[Scene, Any], Awaitable[dict[str, str]]]


async def unknown(made: Scene, _: Any) -> dict[str, str]:
    return made.patient(identifier=world.national_number())


async def born_another_day(made: Scene, _: Any) -> dict[str, str]:
    return made.patient(birthDate="1980-05-05")


async def closed(made: Scene, _: Any) -> dict[str, str]:
    async with made.database.write() as work:
        (await work.session.get_one(Record, made.record)).state = RecordState.CLOSED
    return made.patient()


async def blocked(made: Scene, doctor: Any) -> dict[str, str]:
    grantee = {"professionalId": scene.professional_id(doctor)}
    await made.done(made.holder, "blockAccess", recordId=made.record_id, grantee=grantee)
    return made.patient()


@pytest.mark.parametrize("change", [unknown, born_another_day, closed, blocked])
async def test_a_patient_who_cannot_be_reached_is_nobody(
    database: Database, blobs: BlobStore, change: Change
) -> None:
    made = await scene.make(database, blobs)
    doctor = await world.professional(database)
    patient = await change(made, doctor)
    before = await scene.tables(database, "sign_in_attempts")  # where both are counted
    nobody = made.patient(identifier=world.national_number(), birthDate="1955-01-01")
    for name, further in {
        "joinCareTeam": {"holderWasInformed": True},
        "attestConsent": {},
        "openEmergencyAccess": {"reason": REASON},
    }.items():
        answers = [
            await asked(made, doctor, scene.MUTATIONS[name], input={"patient": who, **further})
            for who in (patient, nobody)
        ]
        assert answers[0] == answers[1], name
        assert answers[0][0][name]["code"] == "NOT_FOUND"
    assert await scene.tables(database, "sign_in_attempts") == before


async def test_what_a_professional_may_not_do_anywhere_tells_of_no_patient(
    database: Database, blobs: BlobStore
) -> None:
    """Who is refused for what they are could otherwise guess patients, and leave no trace."""
    made = await scene.make(database, blobs)
    doctor = await world.professional(database)  # of no organization
    nobody = made.patient(identifier=world.national_number(), birthDate="1955-01-01")
    before = await scene.tables(database)
    for name, further, code in (
        ("openEmergencyAccess", {"kind": "REGULATION_CENTRE", "reason": REASON}, "ACCESS_DENIED"),
        (
            "joinCareTeam",
            {"holderWasInformed": True, "withOrganization": True},
            "VALIDATION_FAILED",
        ),
        ("joinCareTeam", {"holderWasInformed": False}, "VALIDATION_FAILED"),
        ("openEmergencyAccess", {"reason": "x"}, "VALIDATION_FAILED"),
    ):
        answers = [
            await asked(made, doctor, scene.MUTATIONS[name], input={"patient": who, **further})
            for who in (made.patient(), nobody)
        ]
        assert answers[0] == answers[1], (name, further)
        assert answers[0][0][name]["code"] == code
    assert await scene.tables(database) == before


async def test_only_professionals_name_patients(database: Database, blobs: BlobStore) -> None:
    made = await scene.make(database, blobs)
    before = await scene.tables(database)
    for actor in (made.holder, Publisher(uuid4()), Operator(uuid4(), Assurance.CONSOLE)):
        for patient in (made.patient(), made.patient(identifier=world.national_number())):
            refused = await made.do(actor, "attestConsent", patient=patient)
            assert (refused["code"], refused["rule"]) == (
                "ACCESS_DENIED",
                "access.only-professionals",
            )
    assert (await made.do(Anonymous(), "attestConsent", patient=made.patient()))[
        "code"
    ] == "UNAUTHENTICATED"
    assert await scene.tables(database) == before


async def test_a_professional_in_the_record_manages_nothing(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    made = await scene.make(database, blobs)
    theirs = await furnished(made)
    doctor = await world.professional(database)
    grantee = {"professionalId": scene.professional_id(doctor)}
    await made.done(
        made.holder, "nameCareTeamMember", recordId=made.record_id, grantee=grantee,
        role="ADMINISTRATOR",
    )  # fmt: skip
    before = await scene.tables(database)
    refused = {
        "changeAccessSettings": "ACCESS_DENIED",
        "nameCareTeamMember": "ACCESS_DENIED",
        "endCareTeamMembership": "ACCESS_DENIED",
        "giveConsent": "ACCESS_DENIED",
        "revokeConsent": "ACCESS_DENIED",
        "blockAccess": "ACCESS_DENIED",
        "liftBlock": "ACCESS_DENIED",
        "closeEmergencyAccess": "NOT_FOUND",
        "inviteDelegate": "ACCESS_DENIED",
        "revokeDelegation": "NOT_FOUND",
        "replaceDocument": "ACCESS_DENIED",
        "correctDocument": "ACCESS_DENIED",
        "maskDocument": "ACCESS_DENIED",
        "deleteDocument": "ACCESS_DENIED",
        "correctProfileEntry": "ACCESS_DENIED",
        "removeProfileEntry": "ACCESS_DENIED",
        "removeImmunization": "ACCESS_DENIED",
    }
    given = inputs(theirs, scene.professional_id(doctor))
    for name, code in refused.items():
        answer = await made.do(doctor, name, **given[name])
        assert answer["code"] == code, name
        assert await scene.tables(database) == before, name
    clock.offset = timedelta(hours=1)
    found = await made.run(
        doctor, "query($ids: [ID!]!) { nodes(ids: $ids) { __typename } }",
        ids=[theirs[name] for name in ("member", "consent", "block", "emergency", "delegation")],
    )  # fmt: skip
    assert found["nodes"] == [None] * 5
