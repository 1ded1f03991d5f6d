"""Who saw masked documents by a setting or a role, and follows on without it, is told they went."""

from __future__ import annotations

from typing import Any

import pytest
import scene
import world
from following import DOCUMENTS, INBOX, Served, Subscription, deposit
from scene import AUTHORED, MASKED, REASON

from carnet.people.actor import Professional
from carnet.store.database import Database

LOST = {MASKED, AUTHORED}


async def told(made: scene.Scene, following: Subscription, mark: str) -> set[str]:
    """Return what went, before the document that everybody sees."""
    names = {made.document_id(name): name for name in scene.NAMES}
    gone: set[str] = set()
    while True:
        event = await following.event()
        if event["__typename"] == "DocumentRemoved":
            gone.add(names[event["documentId"]])
        elif event["document"]["id"] == mark:
            return gone


async def show_in_emergency(made: scene.Scene, shows: bool, revision: int) -> None:
    await made.done(
        made.holder,
        "changeAccessSettings",
        recordId=made.record_id,
        showsMaskedInEmergency=shows,
        revision=revision,
    )


@pytest.fixture
async def colleagues(made: scene.Scene, database: Database) -> list[Professional]:
    """Somebody of the care team, and somebody in an emergency."""
    found = [await world.professional(database) for _ in range(2)]
    await world.care_team(database, made.holder, found[0])
    await made.done(found[1], "openEmergencyAccess", patient=made.patient(), reason=REASON)
    return found


async def test_a_setting_that_shows_masked_documents_in_emergencies(
    served: Served, made: scene.Scene, colleagues: list[Professional]
) -> None:
    member, helper = colleagues
    await show_in_emergency(made, True, 1)
    assert await made.sees(helper) - await made.sees(member) == LOST
    async with served.connected(helper) as one, served.connected(member) as two:
        both = [await each.subscribe(DOCUMENTS, record=made.record_id) for each in (one, two)]
        for each in both:
            await each.until_caught_up()
        await show_in_emergency(made, False, 2)
        assert await made.sees(helper) == await made.sees(member)
        mark = await deposit(made, made.holder, "mark")
        assert [await told(made, each, mark) for each in both] == [LOST, set()]


@pytest.mark.parametrize("query", [DOCUMENTS, INBOX])
async def test_an_administrator_who_becomes_a_member(
    served: Served,
    made: scene.Scene,
    database: Database,
    colleagues: list[Professional],
    query: str,
) -> None:
    doctor = await world.professional(database)
    await world.care_team(database, made.holder, doctor)
    at: dict[str, Any] = {"recordId": made.record_id}
    grantee = {"professionalId": scene.professional_id(doctor)}
    named = await made.done(
        made.holder, "nameCareTeamMember", **at, grantee=grantee, role="ADMINISTRATOR"
    )
    assert await made.sees(doctor) >= LOST
    variables = {"record": made.record_id} if query == DOCUMENTS else {}
    async with served.connected(doctor) as one, served.connected(colleagues[1]) as two:
        theirs = await one.subscribe(query, **variables)
        helpers = await two.subscribe(DOCUMENTS, record=made.record_id)
        for each in (theirs, helpers):
            await each.until_caught_up()
        id_ = named["member"]["id"]
        await made.done(made.holder, "endCareTeamMembership", **at, memberId=id_)
        assert await made.sees(doctor) == await made.sees(colleagues[0])
        mark = await deposit(made, made.holder, "mark")
        assert await told(made, theirs, mark) == LOST
        assert await told(made, helpers, mark) == set()  # who never saw them
