"""documentEvents over real sockets: replay, then live, with the rights of each moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import reaching
import scene
import world
from feeding import Feed, document
from following import DOCUMENTS, INBOX, JOURNAL, Served, deposit

from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.documents import Document as DocumentNode
from carnet_graphql.node import write_id
from carnet_graphql.people import Professional as ProfessionalNode


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> scene.Scene:
    return await scene.make(database, blobs, hide_results_days=0)


async def test_an_event_is_told_at_once_and_again_from_a_cursor(
    served: Served, made: scene.Scene
) -> None:
    async with served.connected(made.holder) as client:
        live = await client.subscribe(DOCUMENTS, record=made.record_id)
        replayed, start = await live.until_caught_up()
        assert replayed == []
        titles = [f"letter {n}" for n in range(5)]
        for title in titles:
            await deposit(made, made.holder, title)
        told = await live.events(5)
        assert [event["document"]["title"] for event in told] == titles
        again = await client.subscribe(DOCUMENTS, record=made.record_id, after=start)
        replayed, end = await again.until_caught_up()
        assert replayed == told and end != told[-1]["cursor"]  # that of an end tells nothing
        late = await client.subscribe(DOCUMENTS, record=made.record_id, after=told[1]["cursor"])
        assert (await late.until_caught_up())[0] == told[2:]
        await deposit(made, made.holder, "one more")
        one = [await each.event() for each in (live, again, late)]
        assert one[0] == one[1] == one[2]


async def test_who_may_not_see_the_record_is_told_what_nobody_is(
    served: Served, made: scene.Scene, database: Database
) -> None:
    stranger = await world.holder(database)
    async with served.connected(stranger) as client:
        one = await client.subscribe(DOCUMENTS, record=made.record_id)
        assert await one.ended() == "NOT_FOUND"
        journal = await client.subscribe(JOURNAL, record=made.record_id)
        assert await journal.ended() == "NOT_FOUND"
    async with served.connected() as client:
        for query in (DOCUMENTS, JOURNAL):
            one = await client.subscribe(query, record=made.record_id)
            assert await one.ended() == "UNAUTHENTICATED"
        assert await (await client.subscribe(INBOX)).ended() == "UNAUTHENTICATED"


async def test_masking_takes_a_document_from_a_professional_and_no_sooner(
    served: Served, made: scene.Scene, database: Database
) -> None:
    doctor = await reaching.professional(database)
    await made.done(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    async with served.connected(made.holder) as own, served.connected(doctor) as theirs:
        holder = await own.subscribe(DOCUMENTS, record=made.record_id)
        colleague = await theirs.subscribe(DOCUMENTS, record=made.record_id)
        await asyncio.gather(holder.until_caught_up(), colleague.until_caught_up())
        id_ = await deposit(made, made.holder, "letter")
        for each in (holder, colleague):
            assert (await each.event())["__typename"] == "DocumentDeposited"
        await made.done(made.holder, "maskDocument", documentId=id_, masked=True)
        assert (await holder.event())["__typename"] == "DocumentChanged"
        removed = await colleague.event()
        assert removed["__typename"] == "DocumentRemoved" and removed["documentId"] == id_


async def test_what_a_publisher_hides_goes_from_the_screens_of_who_acts_for_the_holder(
    served: Served, made: scene.Scene, database: Database
) -> None:
    caregiver, doctor = await world.holder(database), await reaching.professional(database)
    await world.delegation(database, made.holder, caregiver)
    await world.care_team(database, made.holder, doctor)
    feed = Feed(database, made.blobs, await world.publisher(database), made.ins)
    first, last = await feed.send(document("a"), replace(document("c"), replaces_unique_id="b"))
    assert first is not None and last is not None
    await made.done(
        made.holder, "maskDocument", documentId=write_id(DocumentNode, last), masked=True
    )
    async with served.connected(caregiver) as one, served.connected(doctor) as two:
        following = await one.subscribe(DOCUMENTS, record=made.record_id)
        colleague = await two.subscribe(DOCUMENTS, record=made.record_id)
        await asyncio.gather(following.until_caught_up(), colleague.until_caught_up())
        await feed.send(replace(document("c"), is_hidden_from_representatives=True))
        gone = await following.event()
        assert gone["documentId"] == write_id(DocumentNode, last)
        await feed.send(replace(document("b"), replaces_unique_id="a"))  # all three are one now
        for each in (following, colleague):
            gone = await each.event()
            assert gone["__typename"] == "DocumentRemoved"
            assert gone["documentId"] == write_id(DocumentNode, first)


@pytest.mark.parametrize("query", [DOCUMENTS])
async def test_who_is_shut_out_is_told_so_within_a_second(
    served: Served, made: scene.Scene, database: Database, query: str
) -> None:
    doctor = await reaching.professional(database)
    await made.done(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    async with served.connected(doctor) as client:
        following = await client.subscribe(query, record=made.record_id)
        await following.until_caught_up()
        grantee = {"professionalId": write_id(ProfessionalNode, doctor.professional_id)}
        await made.done(made.holder, "blockAccess", recordId=made.record_id, grantee=grantee)
        began = asyncio.get_running_loop().time()
        assert await following.ended() == "ACCESS_ENDED"
        assert asyncio.get_running_loop().time() - began < 1
        await deposit(made, made.holder, "not theirs")
        with pytest.raises(TimeoutError):
            await client.hear(following.id, within=0.5)
