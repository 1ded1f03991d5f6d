"""Whoever has signed in can be fetched again by their id, as Relay does, and by nobody else's."""

from __future__ import annotations

from uuid import UUID, uuid4

import graph
import pytest
import world

from carnet.people.actor import Actor, Anonymous, Assurance, Operator
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql import people
from carnet_graphql.node import write_id

VIEWER = """{ viewer { __typename ... on Node { id }
  ... on Publisher { name mayRegisterPersons }
  ... on Operator { assurance notifications { totalCount } } } }"""
AGAIN = VIEWER.replace("{ viewer {", "query($id: ID!) { node(id: $id) {")


async def everybody(database: Database) -> list[Actor]:
    return [
        await world.publisher(database),
        await world.publisher(database, may_register=False),
        Operator(uuid4(), Assurance.PASSWORD),
        Operator(uuid4(), Assurance.IDENTITY_PROVIDER),
        await world.holder(database),
    ]


async def test_the_viewer_is_a_node_to_themself(database: Database, blobs: BlobStore) -> None:
    for actor in await everybody(database):
        data, errors = await graph.execute(database, blobs, actor, VIEWER)
        assert errors == []
        viewer = data["viewer"]
        again, errors = await graph.execute(database, blobs, actor, AGAIN, id=viewer["id"])
        assert errors == []
        assert again["node"] == viewer


@pytest.mark.parametrize("kind", [people.Publisher, people.Operator])
async def test_publishers_and_operators_are_nodes_to_nobody_else(
    database: Database, blobs: BlobStore, kind: type[people.Publisher] | type[people.Operator]
) -> None:
    actors = await everybody(database)
    ids = {}
    for actor in actors:
        data, _ = await graph.execute(database, blobs, actor, VIEWER)
        if data["viewer"]["__typename"] == kind.__name__:
            ids[data["viewer"]["id"]] = actor
    assert len(ids) == 2
    for id_, owner in ids.items():
        for actor in [*actors, Anonymous()]:
            if actor != owner:
                data, errors = await graph.execute(database, blobs, actor, AGAIN, id=id_)
                assert (data, errors) == ({"node": None}, [])
    unknown = write_id(kind, UUID(int=3))
    for actor in actors:
        data, errors = await graph.execute(database, blobs, actor, AGAIN, id=unknown)
        assert (data, errors) == ({"node": None}, [])
