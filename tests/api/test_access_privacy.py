"""Numbers, names, reasons and codes stay out of logs, addresses, refusals and the journal."""

from __future__ import annotations

import logging
from typing import Any

import graph
import orjson
import pytest
import scene
import world
from scene import MASKED, PLAIN, Scene
from sqlalchemy import URL, select

from carnet.access.journal_tables import JournalEntry, TechnicalEvent
from carnet.notifications.tables import Notification
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

REASON = "Inconsciente, allergie au latex soupçonnée"
SAID = ("latex", "Noix de pécan", "DUPONT", "Alix", "FAURE")


@pytest.fixture
async def watched(owner_url: URL, blobs: BlobStore, caplog: pytest.LogCaptureFixture) -> Any:
    """A scene whose database was opened when everything was already logged."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "sqlalchemy.engine")
    database = Database.connect(owner_url)
    made = await scene.make(database, blobs)
    caplog.clear()
    yield made
    await database.close()


async def a_day(made: Scene) -> list[str]:
    """Let everybody do and fail to do everything; return the codes that were handed over."""
    doctor = await world.professional(made.database)
    patient = made.patient()
    grantee = {"professionalId": scene.professional_id(doctor)}
    await made.done(doctor, "joinCareTeam", patient=patient, holderWasInformed=True)
    await made.done(doctor, "attestConsent", patient=patient)
    await made.done(doctor, "openEmergencyAccess", patient=patient, reason=REASON)
    await made.do(doctor, "openEmergencyAccess", patient=patient, reason="latex")
    await made.do(doctor, "attestConsent", patient=made.patient(birthDate="1981"))
    await made.done(made.holder, "giveConsent", recordId=made.record_id, grantee=grantee)
    entry = {"section": "ALLERGIES", "label": "Noix de pécan"}
    await made.done(made.holder, "addProfileEntry", recordId=made.record_id, entry=entry)
    invited = await made.done(
        made.holder, "inviteDelegate", recordId=made.record_id, scopes=["PROFILE"]
    )
    caregiver = await world.holder(made.database)
    code: str = invited["invitationCode"]
    await made.done(caregiver, "acceptDelegation", code=code)
    await made.do(caregiver, "acceptDelegation", code=code)
    for actor in (made.holder, doctor, caregiver):
        await made.run(actor, scene.LISTS, id=made.record_id)
        async with made.client(actor) as client:
            await client.get(made.content_path(PLAIN))
            await client.get(made.content_path(MASKED))
    await made.done(made.holder, "blockAccess", recordId=made.record_id, grantee=grantee)
    return [code]


async def test_logs_hold_nothing_of_people(
    watched: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    codes = await a_day(watched)
    assert "SELECT" in caplog.text, "everything is logged"
    for said in (*SAID, *codes, watched.ins, REASON):
        assert said not in caplog.text, said


async def test_the_journal_holds_nothing_of_people(database: Database, blobs: BlobStore) -> None:
    made = await scene.make(database, blobs)
    codes = await a_day(made)
    async with database.read() as work:
        found = []
        for table in (JournalEntry, TechnicalEvent, Notification):
            rows = await work.session.execute(select(table.__table__))
            found += [repr(tuple(row)) for row in rows]
    assert len(found) > 20
    text = "\n".join(found)
    for said in (*SAID, *codes, made.ins, "1980-05-04"):
        assert said not in text, said


async def test_the_digest_of_a_reason_is_salted(database: Database, blobs: BlobStore) -> None:
    made = await scene.make(database, blobs)
    for _ in range(2):
        doctor = await world.professional(database)
        await made.done(doctor, "openEmergencyAccess", patient=made.patient(), reason=REASON)
    async with database.read() as work:
        digests = list(
            await work.session.scalars(
                select(JournalEntry.text_digest).where(JournalEntry.action == "OPEN_EMERGENCY")
            )
        )
    assert len(set(digests)) == 2
    query = """query($id: ID!) { record(id: $id) { access { emergencyAccesses { edges { node {
      reason professional { familyName } } } } } } }"""
    found = await made.run(made.holder, query, id=made.record_id)
    edges = found["record"]["access"]["emergencyAccesses"]["edges"]
    assert {edge["node"]["reason"] for edge in edges} == {REASON}


async def test_refusals_repeat_nothing(database: Database, blobs: BlobStore) -> None:
    """Also those of GraphQL itself, which likes to quote what it was given."""
    made = await scene.make(database, blobs)
    doctor = await world.professional(database)
    secret, ins = "latex au bloc", made.ins
    malformed: list[dict[str, Any]] = [
        {"patient": {"identifier": ins}, "reason": secret},
        {"patient": {"identifier": int(ins), "birthDate": "1980-05-04"}, "reason": secret},
        {"patient": {"identifier": ins, "birthDate": f"x{ins}"}, "reason": secret},
        {"patient": ins, "reason": secret},
        {"patient": {"identifier": ins, "birthDate": "1980", "x": secret}, "reason": secret},
        {"patient": made.patient(), "reason": [secret]},
        {"patient": made.patient(), "reason": secret, "kind": ins},
        {"patient": made.patient(identifierSystem=f"urn:x:{ins}"), "reason": secret},
        {"patient": made.patient(birthDate="1981-01-01"), "reason": secret},
        {"patient": made.patient(), "reason": "latex"},
        {"patient": made.patient(), "reason": secret, "idempotencyKey": ins},
        {"patient": made.patient(), "reason": secret, "kind": {"x": secret}},
        {"patient": [ins, secret], "reason": secret},
    ]
    for given in malformed:
        answer = await graph.execute(
            database, blobs, doctor, scene.MUTATIONS["openEmergencyAccess"], input=given
        )
        text = orjson.dumps(answer).decode()
        assert "Success" not in text
        assert ins not in text, text
        assert "latex" not in text, text
    name = "openEmergencyAccess(input:"
    for literal in (
        f'{{reason: "{secret}", patient: {{identifier: "{ins}"}}}}',
        f'{{reason: "{secret}", patient: "{ins}"}}',
        f'{{reason: "{secret}", patient: {{identifier: {ins}, birthDate: "1980"}}}}',
        f'{{reason: ["{secret}"], kind: "{ins}"}}',
        f'{{reason: "{secret}" "{ins}"}}',
        f'"{ins}" "{secret}"',
    ):
        document = f"mutation {{ {name} {literal}) {{ __typename }} }}"
        answer = await graph.execute(database, blobs, doctor, document)
        text = orjson.dumps(answer).decode()
        assert answer[0] is None
        assert ins not in text, text
        assert "latex" not in text, text
