"""Who is in a care team by their organization is told by their inbox, as who is in by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import scene
import world
from following import INBOX, Served, deposit, serving
from sqlalchemy import func, select

from carnet.access import events
from carnet.people.actor import Professional
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.tables import Event


@pytest.fixture
async def served(database: Database, blobs: BlobStore) -> AsyncIterator[Served]:
    async with serving(database, blobs) as running:
        yield running


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> scene.Scene:
    return await scene.make(database, blobs, hide_results_days=0)


async def practice(made: scene.Scene, size: int) -> list[Professional]:
    """Return the professionals of an organization that the holder names to the care team."""
    organization = await world.organization(made.database)
    found = [await world.professional(made.database, organization) for _ in range(size)]
    await named(made, organizationId=scene.organization_id(organization))
    return found


async def named(made: scene.Scene, **grantee: str) -> dict[str, Any]:
    return await made.done(
        made.holder, "nameCareTeamMember", recordId=made.record_id, grantee=grantee
    )


async def inboxes(database: Database, members: list[Professional]) -> dict[UUID, int]:
    """Return how many events came into each inbox."""
    ids = [member.professional_id for member in members]
    statement = select(Event.stream_id, func.count()).where(Event.stream_id.in_(ids))
    async with database.read() as work:
        counted = await work.session.execute(statement.group_by(Event.stream_id))
        return {id_: number for id_, number in counted}


async def test_colleagues_are_told_what_they_see_and_what_goes(
    served: Served, made: scene.Scene
) -> None:
    one, blocked = await practice(made, 2)
    await named(made, professionalId=scene.professional_id(one))  # by name too: told once
    grantee = {"professionalId": scene.professional_id(blocked)}
    async with served.connected(one) as client, served.connected(blocked) as other:
        inbox, theirs = await client.subscribe(INBOX), await other.subscribe(INBOX)
        for each in (inbox, theirs):
            await each.until_caught_up()
        first = await deposit(made, made.holder, "letter")
        for each in (inbox, theirs):
            event = await each.event()
            assert (event["__typename"], event["document"]["id"]) == ("DocumentDeposited", first)
        await made.done(made.holder, "blockAccess", recordId=made.record_id, grantee=grantee)
        second = await deposit(made, made.holder, "another")
        assert (await inbox.event())["document"]["id"] == second
        await made.done(made.holder, "maskDocument", documentId=second, masked=True)
        event = await inbox.event()
        assert (event["__typename"], event["documentId"]) == ("DocumentRemoved", second)
        for following in (inbox, theirs):
            await following.client.hear_nothing(following.id)


async def test_who_left_the_organization_or_the_team_is_told_nothing(
    made: scene.Scene, database: Database
) -> None:
    members = await practice(made, 2)
    leaving = await world.organization(database)
    gone = await world.professional(database, leaving)
    payload = await named(made, organizationId=scene.organization_id(leaving))
    ended = {"recordId": made.record_id, "memberId": payload["member"]["id"]}
    await made.done(made.holder, "endCareTeamMembership", **ended)
    await deposit(made, made.holder, "letter")
    told = {member.professional_id: 1 for member in members}
    assert await inboxes(database, [*members, gone]) == told


async def test_a_hospital_is_not_a_practice(
    made: scene.Scene, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PRACTICE_LIMIT", 3)
    practice_members, hospital = await practice(made, 3), await practice(made, 4)
    await named(made, professionalId=scene.professional_id(hospital[0]))
    await deposit(made, made.holder, "letter")
    told = [*practice_members, hospital[0]]
    assert await inboxes(database, [*practice_members, *hospital]) == {
        member.professional_id: 1 for member in told
    }
