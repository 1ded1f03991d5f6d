"""Redis goes and comes back while events flow between processes: nothing is lost meanwhile."""

from __future__ import annotations

import time

import scene
from brokers import redis_server
from following import DOCUMENTS
from remote import Follower, Place, Writer, holds

FLOOR = 0.5  # seconds between two looks of a process at what it follows


async def test_redis_gone_and_back(place: Place, made: scene.Scene) -> None:
    token = await place.token(made.holder)
    with redis_server() as redis:
        async with (
            place.serving(broadcast_url=redis.url) as one,
            place.serving(broadcast_url=redis.url) as other,
        ):
            ports = [one.port, other.port]
            followers = [
                Follower(token, DOCUMENTS, {"record": made.record_id}, [port]) for port in ports
            ]
            writers = [Writer(token, made.record_id, port) for port in ports]

            async def deposit(name: str, count: int) -> float:
                """Deposit here and there; return the longest wait of whoever was told."""
                waits = []
                for number in range(count):
                    writer = writers[number % 2]
                    title = f"{name} {number}"
                    await writer.deposit(title)
                    for follower in followers:
                        await follower.until(lambda f=follower, title=title: title in f.at)
                        waits.append(follower.at[title] - writer.at[title])
                return max(waits)

            async with followers[0].following(), followers[1].following():
                await deposit("before", 4)
                for life in range(3):
                    redis.kill()
                    assert await deposit(f"without {life}", 4) < FLOOR + 1
                    redis.start()
                    await deposit(f"with {life}", 4)
                # Linked again: what is told comes sooner than by looking, as it did at first.
                until = time.monotonic() + 20
                while await deposit(f"linked {until - time.monotonic()}", 6) > FLOOR / 2:
                    assert time.monotonic() < until
                acknowledged = [title for writer in writers for title in writer.acknowledged]
                await holds(place, made.record, followers, acknowledged)
                for follower in followers:
                    assert (follower.closes, follower.replays) == ([], 1)
                    assert follower.titles == followers[0].titles
