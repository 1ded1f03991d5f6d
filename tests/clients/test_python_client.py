"""Python's gql, unmodified, over sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import scene
from following import DOCUMENTS, deposit, serving
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from carnet.store.blobs import BlobStore
from carnet.store.database import Database


async def test_gql_follows(database: Database, blobs: BlobStore) -> None:
    made = await scene.make(database, blobs, hide_results_days=0)
    async with serving(database, blobs) as served:
        transport = WebsocketsTransport(
            url=f"ws://127.0.0.1:{served.port}/graphql",
            init_payload={"Authorization": f"Bearer {served.token(made.holder)}"},
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        )
        async with Client(transport=transport) as session:
            told: list[dict[str, Any]] = []
            variables = {"record": made.record_id}
            query = gql(DOCUMENTS)
            query.variable_values = variables
            following = session.subscribe(query)
            first = await asyncio.wait_for(anext(following), 20)
            assert first["documentEvents"]["__typename"] == "CaughtUp"
            for number in range(3):
                await deposit(made, made.holder, f"letter {number}")
                event = await asyncio.wait_for(anext(following), 20)
                told.append(event["documentEvents"]["document"]["title"])
            assert told == ["letter 0", "letter 1", "letter 2"]
            await following.aclose()
            viewer = await session.execute(gql("query { viewer { __typename } }"))
            assert viewer == {"viewer": {"__typename": "Patient"}}
            with pytest.raises(TransportQueryError) as refused:
                await session.execute(gql("query { nothing }"))
            assert refused.value.errors[0]["extensions"]["code"] == "BAD_REQUEST"
