"""Volume alarms and cutting off through GraphQL, as every kind of actor."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import graph
import reaching
import world
from sqlalchemy import func, select

from carnet.access import volume
from carnet.access.journal_tables import TechnicalEvent
from carnet.people.actor import Actor, Anonymous, Assurance, Operator, Professional
from carnet.people.tables import Account
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql import people
from carnet_graphql.node import write_id

OPERATOR = Operator(UUID(int=9), Assurance.PASSWORD)
ALARMS = """query Alarms($after: Cursor) { volumeAlarms(first: 2, after: $after) {
  totalCount pageInfo { hasNextPage endCursor }
  edges { node { id at accountId count plausible isCutOff professional { id rpps } } }
} }"""
CUT = """mutation Cut($input: CutOffAccountInput!) { cutOffAccount(input: $input) {
  __typename
  ... on CutOffAccountSuccess { accountIds professional { rpps } }
  ... on UserError { code path }
} }"""


async def alarmed(database: Database) -> Professional:
    """Return a doctor who has just reached 61 patients."""
    doctor = await reaching.professional(database)
    ids = await reaching.records(database, 61)
    async with database.write() as work:
        assert (await volume.reached(doctor, work, ids)).is_alarm
    return doctor


async def cut(database: Database, blobs: BlobStore, actor: Actor, **input: Any) -> dict[str, Any]:
    found = await graph.data(database, blobs, actor, CUT, input={"reason": "VOLUME", **input})
    return dict(found["cutOffAccount"])


async def disabled(database: Database) -> int:
    async with database.read() as work:
        counted = select(func.count()).where(Account.disabled_at.is_not(None))
        return (await work.session.scalars(counted)).one()


async def test_an_operator_sees_alarms_the_newest_first_and_cuts_off(
    database: Database, blobs: BlobStore
):
    doctors = [await alarmed(database) for _ in range(3)]
    first = (await graph.data(database, blobs, OPERATOR, ALARMS))["volumeAlarms"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (3, True)
    nodes = [edge["node"] for edge in first["edges"]]
    assert [node["accountId"] for node in nodes] == [
        str(doctor.account_id) for doctor in (doctors[2], doctors[1])
    ]
    assert [(node["count"], node["plausible"], node["isCutOff"]) for node in nodes] == [
        (61, 60, False),
        (61, 60, False),
    ]
    after = first["pageInfo"]["endCursor"]
    rest = (await graph.data(database, blobs, OPERATOR, ALARMS, after=after))["volumeAlarms"]
    assert [edge["node"]["accountId"] for edge in rest["edges"]] == [str(doctors[0].account_id)]

    owner = nodes[0]["professional"]
    done = await cut(database, blobs, OPERATOR, professionalId=owner["id"])
    assert done == {
        "__typename": "CutOffAccountSuccess",
        "accountIds": [str(doctors[2].account_id)],
        "professional": {"rpps": owner["rpps"]},
    }
    again = (await graph.data(database, blobs, OPERATOR, ALARMS))["volumeAlarms"]["edges"]
    assert [edge["node"]["isCutOff"] for edge in again] == [True, False]


async def test_an_account_of_anybody_is_cut_off_by_its_id_and_a_key_repeats_the_answer(
    database: Database, blobs: BlobStore
):
    patient = await world.holder(database)
    given = {"accountId": str(patient.account_id), "idempotencyKey": str(uuid4())}
    for _ in range(2):
        assert await cut(database, blobs, OPERATOR, **given) == {
            "__typename": "CutOffAccountSuccess",
            "accountIds": [str(patient.account_id)],
            "professional": None,
        }
    async with database.read() as work:
        events = select(func.count()).select_from(TechnicalEvent)
        assert await work.session.scalar(events) == 1
    other = await cut(database, blobs, OPERATOR, **{**given, "accountId": str(uuid4())})
    assert other["__typename"] == "Conflict"


async def test_the_input_names_one_target_that_exists(database: Database, blobs: BlobStore):
    doctor = await reaching.professional(database)
    id_ = write_id(people.Professional, doctor.professional_id)
    both = {"professionalId": id_, "accountId": str(doctor.account_id)}
    for wrong in ({}, both):
        found = await cut(database, blobs, OPERATOR, **wrong)
        assert (found["__typename"], found["path"]) == ("ValidationFailed", ["professionalId"])
    unknown = write_id(people.Professional, uuid4())
    for missing in ({"accountId": str(uuid4())}, {"professionalId": unknown}):
        assert (await cut(database, blobs, OPERATOR, **missing))["__typename"] == "NotFound"
    assert await disabled(database) == 0


async def test_nobody_else_sees_alarms_or_cuts_off(database: Database, blobs: BlobStore):
    doctor = await alarmed(database)
    alarms = await graph.data(database, blobs, OPERATOR, ALARMS)
    alarm_id = alarms["volumeAlarms"]["edges"][0]["node"]["id"]
    node = "query Node($id: ID!) { node(id: $id) { __typename id } }"
    found = await graph.data(database, blobs, OPERATOR, node, id=alarm_id)
    assert found["node"] == {"__typename": "VolumeAlarm", "id": alarm_id}
    for actor, code in (
        (Anonymous(), "UNAUTHENTICATED"),
        (doctor, "ACCESS_DENIED"),
        (await world.holder(database), "ACCESS_DENIED"),
        (await world.publisher(database), "ACCESS_DENIED"),
    ):
        data, errors = await graph.execute(database, blobs, actor, ALARMS)
        assert (data, [error["extensions"]["code"] for error in errors]) == (None, [code])
        assert (await graph.data(database, blobs, actor, node, id=alarm_id))["node"] is None
        refused = await cut(database, blobs, actor, accountId=str(doctor.account_id))
        assert refused["code"] == code
        unknown = await cut(database, blobs, actor, accountId=str(uuid4()))
        assert unknown == refused
    assert await disabled(database) == 0
