"""The JavaScript clients, unmodified: replay, live events, errors, restarts, queries."""

from __future__ import annotations

from typing import Any

import pytest
import scene
from following import DOCUMENTS, INBOX, Served, deposit, serving
from remote import eventually

from carnet.store.blobs import BlobStore
from carnet.store.database import Database

FOLLOWING = [
    ("graphql_ws", {}),
    ("graphql_sse", {}),
    ("apollo", {"transport": "ws"}),
    ("apollo", {"transport": "sse"}),
    ("urql", {"transport": "ws"}),
    ("urql", {"transport": "sse"}),
    ("urql", {"transport": "fetch"}),
]
WRONG = "subscription { inboxEvents { nothing } }"
VIEWER = "query { viewer { __typename ... on Patient { id } } }"


@pytest.fixture
async def served(database: Database, blobs: BlobStore) -> Any:
    async with serving(database, blobs) as running:
        yield running


@pytest.fixture
async def made(database: Database, blobs: BlobStore) -> scene.Scene:
    return await scene.make(database, blobs, hide_results_days=0)


def ids(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return what tells events apart; Apollo and urql add type names to the rest."""
    return [(event["eventId"], event["cursor"], event["document"]["title"]) for event in events]


def operation(query: str, **variables: Any) -> list[dict[str, Any]]:
    return [{"query": query, "variables": variables}]


@pytest.mark.parametrize(("script", "task"), FOLLOWING)
async def test_replay_then_live_then_goodbye(
    served: Served, made: scene.Scene, node: Any, script: str, task: dict[str, Any]
) -> None:
    token = served.token(made.holder)
    async with served.connected(made.holder) as client:
        own = await client.subscribe(DOCUMENTS, record=made.record_id)
        _, start = await own.until_caught_up()
        for number in range(3):
            await deposit(made, made.holder, f"before {number}")
        told = await own.events(3)
        asked = operation(DOCUMENTS, record=made.record_id, after=start)
        async with node(script, served.port, token, operations=asked, **task) as other:
            assert ids(await other.events(3)) == ids(told)
            assert (await other.event())["__typename"] == "CaughtUp"
            for number in range(3):
                await deposit(made, made.holder, f"after {number}")
            assert ids(await other.events(3)) == ids(await own.events(3))
            await other.stop()
    await eventually(lambda: not len(served.live.hub) and not len(served.live.tails))


@pytest.mark.parametrize(("script", "task"), FOLLOWING)
async def test_what_is_wrong_is_said_as_the_client_expects(
    served: Served, made: scene.Scene, node: Any, script: str, task: dict[str, Any]
) -> None:
    token = served.token(made.holder)
    async with node(script, served.port, token, operations=operation(WRONG), **task) as other:
        while True:
            line = await other.line()
            found = (line.get("error") or {}).get("errors") or line.get("next", {}).get("errors")
            if found:
                assert found[0]["extensions"]["code"] == "BAD_REQUEST"
                break


@pytest.mark.parametrize("script", ["graphql_ws", "graphql_sse"])
async def test_a_wrong_token_is_refused(served: Served, node: Any, script: str) -> None:
    async with node(script, served.port, "token-none", operations=operation(INBOX)) as other:
        if script == "graphql_ws":
            assert (await other.until("closed"))["closed"] == 4403
        error = (await other.until("error"))["error"]
        assert error.get("code") == (4403 if script == "graphql_ws" else None)


async def test_one_socket_carries_subscriptions_queries_and_mutations(
    served: Served, made: scene.Scene, node: Any
) -> None:
    asked = [
        *operation(DOCUMENTS, record=made.record_id),
        *operation(INBOX),
        *operation(VIEWER),
        *operation("mutation { signOut { __typename } }"),
    ]
    async with node(
        "graphql_ws", served.port, served.token(made.holder), operations=asked, keepAlive=500
    ) as other:
        left = {0, 1, 2, 3}
        while left:
            line = await other.line()
            if "next" in line:
                left.discard(line["index"])
        assert len(served.live.sockets.open) == 1
        await deposit(made, made.holder, "letter")
        seen = set()
        while seen != {0, 1}:
            line = await other.line()
            if "next" in line and "Deposited" in str(line):
                seen.add(line["index"])


@pytest.mark.parametrize("script", ["apollo", "urql"])
async def test_a_query_over_http(served: Served, made: scene.Scene, node: Any, script: str) -> None:
    token = served.token(made.holder)
    asked = operation(VIEWER)
    async with node(script, served.port, token, operations=asked, transport="http") as other:
        assert (await other.line())["next"]["data"]["viewer"]["__typename"] == "Patient"


@pytest.mark.parametrize("script", ["graphql_ws", "graphql_sse"])
async def test_after_a_restart_a_client_goes_on_from_its_cursor(
    made: scene.Scene, database: Database, blobs: BlobStore, node: Any, script: str
) -> None:
    asked = operation(DOCUMENTS, record=made.record_id)
    async with serving(database, blobs, is_cut=True) as first:
        token = first.token(made.holder)
        started = node(script, first.port, token, operations=asked, retries=100)
        other = await started.__aenter__()
        try:
            assert (await other.event())["__typename"] == "CaughtUp"
            await deposit(made, made.holder, "one")
            told = await other.events(1)
        except BaseException:
            await started.__aexit__(None, None, None)
            raise
    try:
        await deposit(made, made.holder, "two")
        async with serving(database, blobs, port=first.port) as second:
            assert second.token(made.holder) == token
            told += await other.events(1)
            await deposit(made, made.holder, "three")
            told += await other.events(1)
            assert [event["document"]["title"] for event in told] == ["one", "two", "three"]
            assert len({event["eventId"] for event in told}) == 3
            await other.stop()
    finally:
        await started.__aexit__(None, None, None)
