"""The example of the guide, run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import scene
from following import deposit, serving

from carnet.store.blobs import BlobStore
from carnet.store.database import Database

GUIDE = Path(__file__).parents[2] / "docs/subscriptions.md"


async def test_the_example_follows(database: Database, blobs: BlobStore) -> None:
    (query,) = re.findall(r"```graphql\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    made = await scene.make(database, blobs, hide_results_days=0)
    async with serving(database, blobs) as served, served.connected(made.holder) as client:
        following = await client.subscribe(query, record=made.record_id)
        await following.until_caught_up()
        await deposit(made, made.holder, "letter")
        event = await following.event()
        assert event["__typename"] == "DocumentDeposited"
        assert event["document"]["title"] == "letter" and event["at"]
