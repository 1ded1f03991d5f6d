"""One idempotency key, sent by many at once and again: one deed, one event."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import scene
from following import DOCUMENTS
from remote import SOON, TLS, Follower, Place, holds
from scene_texts import MUTATIONS


async def test_twenty_at_once_with_one_key_are_one_event(place: Place, made: scene.Scene) -> None:
    token = await place.token(made.holder)
    async with (
        place.serving() as one,
        place.serving() as other,
        httpx.AsyncClient(
            timeout=SOON, verify=TLS, headers={"Authorization": f"Bearer {token}"}
        ) as client,
    ):
        variables = {"record": made.record_id}
        followers = [Follower(token, DOCUMENTS, variables, [s.port]) for s in (one, other)]
        async with followers[0].following(), followers[1].following():
            content = {"content": b"letter", "headers": {"Content-Type": "text/plain"}}
            blob = (await client.post(f"{one.url}/blobs", **content)).json()
            given = {
                "recordId": made.record_id,
                "blobId": blob["id"],
                "description": {"title": "letter", "category": "PERSONAL"},
                "idempotencyKey": str(uuid4()),
            }
            asked = {"query": MUTATIONS["addDocument"], "variables": {"input": given}}
            urls = [server.url for server in (one, other)] * 10
            answers = await asyncio.gather(
                *(client.post(f"{url}/graphql", json=asked) for url in urls)
            )
            again = await client.post(f"{one.url}/graphql", json=asked)
            bodies = [answer.json() for answer in (*answers, again)]
            assert {body["data"]["addDocument"]["__typename"] for body in bodies} == {
                "AddDocumentSuccess"
            }
            assert len({body["data"]["addDocument"]["document"]["id"] for body in bodies}) == 1
            await holds(place, made.record, followers, ["letter"])
            assert followers[0].titles == ["letter"]
