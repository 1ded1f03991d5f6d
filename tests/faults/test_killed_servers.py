"""Servers that die: nothing that was acknowledged is lost, and nothing is told twice."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import AsyncExitStack

import httpx
import reaching
import scene
from following import DOCUMENTS, INBOX
from remote import SOON, Follower, Place, Writer, holds
from servers import free_port

DEPOSITS_AND_DIES = """
import asyncio, os, signal, sys
from uuid import UUID
from carnet.cli.workspace import workspace
from carnet.documents import actions
from carnet.documents.tables import DocumentCategory
from carnet.documents.versions import DocumentDraft
from carnet.people.actor import Assurance, Patient, actor_key
from carnet.settings import Settings

person, account, record = (UUID(given) for given in sys.argv[1:4])
title = sys.argv[4]

async def content():
    yield title.encode()

def die(_grown):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    holder = Patient(person, account, Assurance.SANDBOX)
    async with workspace(Settings.from_env()) as opened:
        stored = await opened.blobs.receive(
            opened.database, actor_key(holder), content(), media_type="text/plain", limit_bytes=1000
        )
        opened.database.on_grown = die  # called after the commit, to wake whoever follows
        async with opened.database.write() as work:
            draft = DocumentDraft(title=title, category=DocumentCategory.PERSONAL)
            await actions.deposit(holder, work, opened.blobs, record, stored.id, draft)
    print("it lives")

asyncio.run(main())
"""


async def deposit_and_die(place: Place, made: scene.Scene, title: str) -> None:
    """Deposit in a process that is killed right after its commit."""
    ids = (made.holder.person_id, made.holder.account_id, made.record)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        DEPOSITS_AND_DIES,
        *(str(id_) for id_ in ids),
        title,
        env=place.env(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said = await process.communicate()
    assert process.returncode == -signal.SIGKILL, said


async def test_killed_between_commit_and_wake_up(place: Place, made: scene.Scene) -> None:
    holder = await place.token(made.holder)
    doctor = await reaching.professional(place.database)
    await made.done(doctor, "joinCareTeam", patient=made.patient(), holderWasInformed=True)
    variables = {"record": made.record_id}
    titles = [f"letter {n}" for n in range(3)]
    async with place.serving() as server:
        own = Follower(holder, DOCUMENTS, variables, [server.port])
        inbox = Follower(holder, INBOX, {}, [server.port])
        theirs = Follower(await place.token(doctor), DOCUMENTS, variables, [server.port])
        async with own.following(), inbox.following(), theirs.following():
            for title in titles:
                await deposit_and_die(place, made, title)
                died_at = time.monotonic()
                for each in (own, inbox, theirs):
                    await each.until(lambda each=each, title=title: title in each.at)
                    assert each.at[title] - died_at < 2
            start = own.told[0]["cursor"]
            assert own.connection is not None
            await own.connection.close()
            await own.until(lambda: own.replays == 2)
            await holds(place, made.record, [own, theirs], titles)
            assert inbox.titles == titles
        again = Follower(holder, DOCUMENTS, variables, [server.port], cursor=start)
        async with again.following():
            assert again.ids == own.ids[1:]


async def test_killed_under_load(place: Place, made: scene.Scene) -> None:
    token = await place.token(made.holder)
    port = free_port()
    followers = [Follower(token, DOCUMENTS, {"record": made.record_id}, [port]) for _ in range(5)]
    writers = [Writer(token, made.record_id, port) for _ in range(4)]

    def acknowledged() -> list[str]:
        return [title for writer in writers for title in writer.acknowledged]

    async def write(name: int) -> None:
        for number in range(8):
            await writers[name].deposit(f"letter {name}-{number}")

    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as following:
        for life in range(3):
            async with place.serving(port) as server:
                if life == 0:
                    for follower in followers:
                        await following.enter_async_context(follower.following())
                    writing = [tasks.create_task(write(name)) for name in range(4)]
                if life < 2:
                    enough = len(acknowledged()) + 8
                    await followers[0].until(lambda enough=enough: len(acknowledged()) >= enough)
                    assert await server.stop(signal.SIGKILL) == -signal.SIGKILL
                    continue
                await asyncio.gather(*writing)
                assert len(set(acknowledged())) == len(acknowledged()) == 32
                assert sum(writer.repeats for writer in writers) > 0
                await holds(place, made.record, followers, acknowledged())
                # Each deposit was made once, however often it was sent.
                assert sorted(followers[0].titles) == sorted(acknowledged())
                assert all(len(follower.closes) == 2 for follower in followers)


async def test_a_signal_sends_everybody_away_to_come_back(place: Place, made: scene.Scene) -> None:
    token = await place.token(made.holder)
    port = free_port()
    followers = [Follower(token, DOCUMENTS, {"record": made.record_id}, [port]) for _ in range(5)]
    writer = Writer(token, made.record_id, port)
    stopped = asyncio.Event()

    async def write() -> None:
        for number in range(1000):
            await writer.deposit(f"letter {number}")
            if stopped.is_set():
                return

    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as following:
        async with place.serving(port) as server:
            for follower in followers:
                await following.enter_async_context(follower.following())
            stream = tasks.create_task(read_stream(port, token, made.record_id))
            writing = tasks.create_task(write())
            await followers[0].until(lambda: len(followers[0].told) >= 10)
            asked_at = time.monotonic()
            assert await server.stop(signal.SIGTERM) == 0
            assert time.monotonic() - asked_at < 5
            said = await stream
            assert b"event: next" in said and b"event: complete" not in said
            assert [follower.closes for follower in followers] == [[1012]] * 5
        async with place.serving(port) as server:
            await followers[0].until(lambda: followers[0].replays == 2)
            stopped.set()
            await writing
            await holds(place, made.record, followers, writer.acknowledged)
            assert followers[0].titles == writer.acknowledged
            assert await server.stop(signal.SIGTERM) == 0


async def read_stream(port: int, token: str, record_id: str) -> bytes:
    """Follow over server-sent events until the answer ends, and return it whole."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    asked = {"query": DOCUMENTS, "variables": {"record": record_id}}
    async with (
        httpx.AsyncClient(timeout=SOON) as client,
        client.stream(
            "POST", f"http://127.0.0.1:{port}/graphql", headers=headers, json=asked
        ) as answer,
    ):
        return b"".join([piece async for piece in answer.aiter_bytes()])
