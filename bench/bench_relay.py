"""How many messages the relay takes and how soon they are told: the real server, end to end.

    .venv/bin/python bench/bench_relay.py [--smoke]

``carnet serve`` on a fresh data folder with its own PostgreSQL, whose commits are on the disk;
clients in this process send sealed messages over HTTP and hear of them over graphql-transport-ws.
README.md has figures.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import itertools
import statistics
import sys
from pathlib import Path
from time import perf_counter, time
from typing import Any

import aiohttp
import orjson
import uvloop
from serving import Served, postgres_of, serving
from websockets.asyncio.client import ClientConnection, connect

from carnet.people.actor import Assurance, Professional
from carnet.people.sessions import open_session
from carnet.people.tables import Account
from carnet.store.database import Database
from carnet_crypto.encoding import to_base64url
from carnet_crypto.kinds import Role
from carnet_crypto.secret import conversation
from carnet_crypto.secret.content import Text
from carnet_crypto.secret.messages import Draft, seal
from carnet_crypto.thread import Thread
from carnet_crypto.values import MessageId

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
people, world = importlib.import_module("correspondents"), importlib.import_module("world")

WORDS = "The result came this morning, and all is as it should be. " * 5
SEND = """mutation($input: SendMessageInput!) { sendMessage(input: $input) {
  __typename ... on SendMessageSuccess { sent { number } } ... on UserError { code message } } }"""
OPEN = """mutation($input: OpenThreadInput!) { openThread(input: $input) {
  __typename ... on OpenThreadSuccess { thread { id } } ... on UserError { code message } } }"""
ENROL = """mutation($input: CreateMessagingAccountInput!) { createMessagingAccount(input: $input) {
  __typename ... on UserError { code message } } }"""
FOLLOW = """subscription($thread: ID!) { threadEvents(thread: $thread) {
  __typename ... on MessageReceived { message { number envelope } } } }"""


def now() -> int:
    return int(time() * 1000)


class Writer:
    """Somebody with an account, a session and a connection."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self.http, self.url = http, url
        self.headers = {"Authorization": f"Bearer {token}"}
        self.token = token
        self.person = people.Person.enrol(at=now())
        self.thread = ""
        self.numbers = itertools.count(1)
        self.previous = MessageId.zero()

    async def ask(self, query: str, given: dict[str, Any]) -> Any:
        body = orjson.dumps({"query": query, "variables": {"input": given}})
        headers = {**self.headers, "Content-Type": "application/json"}
        async with self.http.post(self.url, data=body, headers=headers) as answer:
            said = orjson.loads(await answer.read())
        (payload,) = said["data"].values()
        assert payload["__typename"].endswith("Success"), said
        return payload

    async def enrol(self) -> None:
        await self.ask(ENROL, {"entries": [to_base64url(e) for e in self.person.chain]})

    async def open(self, others: list[Writer]) -> None:
        members = [(self.person.account, Role.MANAGER)]
        members += [(other.person.account, Role.MANAGER) for other in others]
        written = conversation.create(self.person.writer(now()), people.POLICY, members)
        wraps = [
            {"accountId": to_base64url(w.account), "wrap": to_base64url(w.wrap)}
            for w in written.wraps
        ]
        opened = await self.ask(OPEN, {"entry": to_base64url(written.entry), "wraps": wraps})
        self.thread = opened["thread"]["id"]
        self.log = Thread.begin(written.entry, self.person.account)
        self.secret = written.secret

    def seal(self) -> dict[str, Any]:
        """Return the next message, ready to be sent."""
        keys, sequence = self.person.devices[0], next(self.numbers)
        draft = Draft(
            self.log.id,
            1,
            self.person.id,
            sequence,
            self.previous,
            self.log.head,
            (),
            people.CHECKPOINT,
            now(),
            Text(WORDS),
        )
        envelope, self.previous = seal(draft, self.secret, keys, self.person.entropy)
        return {
            "envelope": to_base64url(envelope),
            "accountId": to_base64url(self.person.id),
            "deviceId": to_base64url(keys.id),
            "sequence": sequence,
        }


async def writer(http: aiohttp.ClientSession, server: Served, database: Database) -> Writer:
    actor: Professional = await world.professional(database)
    async with database.write() as work:
        account = await work.session.get_one(Account, actor.account_id)
        opened = await open_session(work, account, Assurance.PASSWORD)
    made = Writer(http, f"http://127.0.0.1:{server.port}/graphql", opened.token)
    await made.enrol()
    return made


async def accepted(writers: list[Writer], each: int) -> float:
    """Return how many messages a second are accepted from all at once."""
    sealed = [[made.seal() for _ in range(each)] for made in writers]

    async def run(made: Writer, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            await made.ask(SEND, message)

    began = perf_counter()
    await asyncio.gather(*(run(*pair) for pair in zip(writers, sealed, strict=True)))
    return len(writers) * each / (perf_counter() - began)


async def latencies(sender: Writer, reader: Writer, number: int) -> list[float]:
    """Return the milliseconds from sending one message to hearing of it, one by one."""
    url = sender.url.replace("http://", "ws://")
    async with connect(url, subprotocols=["graphql-transport-ws"], max_size=None) as socket:
        await _say(socket, type="connection_init", payload=reader.headers)
        await socket.recv()
        payload = {"query": FOLLOW, "variables": {"thread": sender.thread}}
        await _say(socket, type="subscribe", id="1", payload=payload)
        assert b"CaughtUp" in (await socket.recv()).encode()
        found = []
        for _ in range(number):
            message = sender.seal()
            began = perf_counter()
            sending = asyncio.create_task(sender.ask(SEND, message))
            told = orjson.loads(await socket.recv())
            found.append((perf_counter() - began) * 1000)
            await sending
            event = told["payload"]["data"]["threadEvents"]
            assert event["message"]["envelope"] == message["envelope"]
            await asyncio.sleep(0.02)
        return found


async def _say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(orjson.dumps(message).decode())


async def measure(server: Served, database: Database, *, smoke: bool) -> None:
    pairs, each, singles = (2, 5, 3) if smoke else (16, 60, 100)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        writers = [await writer(http, server, database) for _ in range(pairs)]
        readers = [await writer(http, server, database) for _ in range(pairs)]
        for made, reader in zip(writers, readers, strict=True):
            await made.open([reader])
        await accepted(writers, 3)
        rate = await accepted(writers, each)
        print(f"accepted from {pairs} senders at once   {rate:8,.0f} messages/s", flush=True)
        times = await latencies(writers[0], readers[0], singles)
        print(f"sent to heard, one by one       p50 {statistics.median(times):6.1f} ms", flush=True)
        for members in (2, 4) if smoke else (2, 10, 50, 100):
            extra = [await writer(http, server, database) for _ in range(members - 1)]
            head = await writer(http, server, database)
            await head.open(extra)
            rate = await accepted([head], 5 if smoke else 30)
            print(f"one sender, {members:3} members           {rate:8,.0f} messages/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few, to see that it runs")
    given = parser.parse_args()
    with serving() as server, postgres_of(server) as url:

        async def run() -> None:
            database = Database.connect(url)
            try:
                await measure(server, database, smoke=given.smoke)
            finally:
                await database.close()

        uvloop.run(run())


if __name__ == "__main__":
    main()
