"""calendarEvents over real sockets: what is stated is told to who sees the profile."""

from __future__ import annotations

import graph
import scene
import world
from following import Served, deposit

from carnet.store.blobs import BlobStore
from carnet.store.database import Database

CALENDAR = """subscription Calendar($record: ID!, $after: Cursor) {
  calendarEvents(record: $record, after: $after) {
    __typename
    ... on CaughtUp { cursor }
    ... on CalendarChanged { cursor recordId prevention { facts { code } acts { act } } }
  }
}"""
FACT = """mutation($input: StatePreventionFactInput!) {
  statePreventionFact(input: $input) { __typename ... on UserError { code } } }"""
ACT = """mutation($input: AddPreventionActInput!) {
  addPreventionAct(input: $input) { __typename ... on UserError { code } } }"""


async def test_what_is_stated_is_told_at_once_and_again_from_a_cursor(
    served: Served, database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs, hide_results_days=0)
    async with served.connected(made.holder) as client:
        live = await client.subscribe(CALENDAR, record=made.record_id)
        replayed, start = await live.until_caught_up()
        assert replayed == []
        await deposit(made, made.holder, "a letter, which is told elsewhere")
        given = {"recordId": made.record_id, "code": "CERVIX"}
        await graph.data(database, blobs, made.holder, FACT, input=given)
        told = await live.event()
        assert told["prevention"] == {"facts": [{"code": "CERVIX"}], "acts": []}
        given = {"recordId": made.record_id, "act": "FIT", "doneOn": "2024-05-01"}
        await graph.data(database, blobs, made.holder, ACT, input=given)
        assert (await live.event())["prevention"]["acts"] == [{"act": "FIT"}]
        again = await client.subscribe(CALENDAR, record=made.record_id, after=start)
        replayed, _ = await again.until_caught_up()
        assert next(event["cursor"] for event in replayed) == told["cursor"]
        assert len(replayed) == 2


async def test_who_may_not_see_the_profile_is_told_nothing(
    served: Served, database: Database, blobs: BlobStore
) -> None:
    made = await scene.make(database, blobs, hide_results_days=0)
    stranger = await world.holder(database)
    async with served.connected(stranger) as client:
        one = await client.subscribe(CALENDAR, record=made.record_id)
        assert await one.ended() == "NOT_FOUND"
