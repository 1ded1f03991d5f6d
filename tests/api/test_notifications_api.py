"""What a viewer is told: their own, in pages, and marked as read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import graph
import reaching
import world

from carnet.clock import MovableClock
from carnet.notifications.actions import notify
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor, Anonymous, Assurance, Operator
from carnet.records.tables import RecordState
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

K = NotificationKind
OPERATOR = Operator(UUID(int=9), Assurance.PASSWORD)
FIELDS = (
    "notifications(first: 2, after: $after, unreadOnly: $unreadOnly) { totalCount"
    " pageInfo { hasNextPage endCursor } edges { node { id kind readAt record { state } } } }"
)
LIST = (
    "query List($after: Cursor, $unreadOnly: Boolean! = false) { viewer { __typename"
    f" ... on Patient {{ {FIELDS} }} ... on Professional {{ {FIELDS} }}"
    f" ... on Operator {{ {FIELDS} }} }} }}"
)
MARK = """mutation Mark($input: MarkNotificationsReadInput!) { markNotificationsRead(input: $input) {
  __typename
  ... on MarkNotificationsReadSuccess { notifications { id readAt } }
  ... on UserError { code path }
} }"""
NODE = "query Node($id: ID!) { node(id: $id) { __typename } }"


async def listed(
    database: Database, blobs: BlobStore, actor: Actor, **variables: Any
) -> dict[str, Any]:
    found = await graph.data(database, blobs, actor, LIST, **variables)
    return dict(found["viewer"]["notifications"])


async def ids(database: Database, blobs: BlobStore, actor: Actor) -> list[str]:
    edges = (await listed(database, blobs, actor))["edges"]
    return [edge["node"]["id"] for edge in edges]


async def mark(database: Database, blobs: BlobStore, actor: Actor, given: list[str]) -> Any:
    found = await graph.data(database, blobs, actor, MARK, input={"notificationIds": given})
    return found["markNotificationsRead"]


async def tell(database: Database, *kinds: K, **whom: UUID | None) -> None:
    for kind in kinds:
        async with database.write() as work:
            await notify(work, kind, uuid4(), **whom)


async def test_everybody_is_told_their_own_in_pages_the_newest_first(
    database: Database, blobs: BlobStore, clock: MovableClock
):
    patient, other = [await world.holder(database) for _ in range(2)]
    doctor = await reaching.professional(database)
    for kind in (K.RECORD_OPENED, K.CARE_TEAM_JOINED, K.EMERGENCY_ACCESS):
        clock.offset += timedelta(minutes=1)
        await tell(database, kind, person_id=patient.person_id)
    await tell(database, K.EXPORT_READY, person_id=other.person_id)
    await tell(database, K.EMERGENCY_ACCESS, professional_id=doctor.professional_id)
    await tell(database, K.VOLUME_ALARM)

    first = await listed(database, blobs, patient)
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (3, True)
    kinds = [edge["node"]["kind"] for edge in first["edges"]]
    assert kinds == ["EMERGENCY_ACCESS", "CARE_TEAM_JOINED"]
    rest = await listed(database, blobs, patient, after=first["pageInfo"]["endCursor"])
    assert [edge["node"]["kind"] for edge in rest["edges"]] == ["RECORD_OPENED"]
    for actor, kind in ((other, "EXPORT_READY"), (doctor, "EMERGENCY_ACCESS")):
        (edge,) = (await listed(database, blobs, actor))["edges"]
        assert edge["node"]["kind"] == kind
    (edge,) = (await listed(database, blobs, OPERATOR))["edges"]
    assert edge["node"]["kind"] == "VOLUME_ALARM"


async def test_the_record_is_shown_only_while_its_viewer_may_see_it(
    database: Database, blobs: BlobStore
):
    patient = await world.holder(database)
    closed = await world.holder(database, RecordState.CLOSED)
    for who in (patient, closed):
        record_id = await world.record_of(database, who)
        await tell(database, K.RECORD_OPENED, person_id=who.person_id, record_id=record_id)
    stranger = await world.holder(database)
    theirs = await world.record_of(database, patient)
    await tell(database, K.EMERGENCY_ACCESS, person_id=stranger.person_id, record_id=theirs)
    records = [
        (await listed(database, blobs, who))["edges"][0]["node"]["record"]
        for who in (patient, closed, stranger)
    ]
    assert records == [{"state": "OPEN"}, None, None]


async def test_what_is_marked_as_read_leaves_the_unread_ones_and_keeps_its_time(
    database: Database, blobs: BlobStore, clock: MovableClock
):
    patient = await world.holder(database)
    await tell(database, K.RECORD_OPENED, K.EXPORT_READY, person_id=patient.person_id)
    newest, oldest = await ids(database, blobs, patient)
    done = await mark(database, blobs, patient, [newest, newest])
    assert done["__typename"] == "MarkNotificationsReadSuccess"
    (marked,) = done["notifications"]
    assert marked["id"] == newest and marked["readAt"]
    unread = await listed(database, blobs, patient, unreadOnly=True)
    assert unread["totalCount"] == 1
    assert [edge["node"]["id"] for edge in unread["edges"]] == [oldest]
    assert (await listed(database, blobs, patient))["totalCount"] == 2
    clock.offset += timedelta(days=1)
    again = await mark(database, blobs, patient, [oldest, newest])
    assert [item["id"] for item in again["notifications"]] == [oldest, newest]
    assert again["notifications"][1]["readAt"] == marked["readAt"]
    assert again["notifications"][0]["readAt"] > marked["readAt"]


async def test_nobody_sees_or_marks_what_others_are_told(database: Database, blobs: BlobStore):
    patient, other = [await world.holder(database) for _ in range(2)]
    doctor = await reaching.professional(database)
    await tell(database, K.RECORD_OPENED, person_id=patient.person_id)
    await tell(database, K.EXPORT_READY, person_id=other.person_id)
    (foreign,) = await ids(database, blobs, patient)
    (own,) = await ids(database, blobs, other)
    for actor in (other, doctor, OPERATOR, await world.publisher(database), Anonymous()):
        assert (await graph.data(database, blobs, actor, NODE, id=foreign))["node"] is None
        refused = await mark(database, blobs, actor, [foreign])
        assert refused["__typename"] == "NotFound"
    assert (await mark(database, blobs, other, [own, foreign]))["__typename"] == "NotFound"
    for actor in (patient, other):
        assert (await listed(database, blobs, actor, unreadOnly=True))["totalCount"] == 1
    (still_unread,) = (await listed(database, blobs, other))["edges"]
    assert still_unread["node"]["readAt"] is None


async def test_what_one_operator_has_read_is_read_for_all(database: Database, blobs: BlobStore):
    await tell(database, K.VOLUME_ALARM)
    colleague = Operator(UUID(int=10), Assurance.PASSWORD)
    await mark(database, blobs, OPERATOR, await ids(database, blobs, OPERATOR))
    assert (await listed(database, blobs, colleague, unreadOnly=True))["totalCount"] == 0


async def test_none_and_over_a_hundred_ids_are_refused(database: Database, blobs: BlobStore):
    patient = await world.holder(database)
    await tell(database, K.RECORD_OPENED, person_id=patient.person_id)
    for given in ([], [f"{number}" for number in range(101)]):
        refused = await mark(database, blobs, patient, given)
        assert (refused["__typename"], refused["path"]) == (
            "ValidationFailed",
            ["notificationIds"],
        )
