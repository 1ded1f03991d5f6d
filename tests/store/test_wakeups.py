"""Wake-ups: what one process announces the others hear, whatever becomes of the broker."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from brokers import NETWORK, RedisServer, proxy, redis_server
from redis.asyncio import Redis
from sqlalchemy import URL

from carnet.settings import Settings
from carnet.store.brokers import CHANNEL, broker_url
from carnet.store.wakeups import ENTRIES, KEPT, Message, Wakeups

WITHIN = 2.0  # seconds from a fault until announcements are heard again
SOON = 10.0  # seconds for what is not measured, on a machine that does much else
KILLS = 10


class Process:
    """What one process would know of streams: it looks at all of them when told to."""

    def __init__(self, url: str, truth: dict[UUID, int], **timing: float) -> None:
        self.truth = truth
        self.known: dict[UUID, int] = {}
        self.heard: dict[UUID, int] = {}
        self.losses = 0
        self._changed = asyncio.Event()
        self.wakeups = Wakeups(url, self._hear, self._look_at_all, **timing)

    def announce(self, stream: UUID, number: int) -> None:
        self.truth[stream] = number
        self.wakeups.announce({stream: number})

    async def until(self, is_so: Callable[[], bool], within: float = SOON) -> float:
        start = time.monotonic()
        async with asyncio.timeout(within):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()
        return time.monotonic() - start

    async def until_heard(self, stream: UUID, number: int, within: float = SOON) -> float:
        return await self.until(lambda: self.heard.get(stream) == number, within)

    def _hear(self, grown: Mapping[UUID, int]) -> None:
        for stream, number in grown.items():
            self.heard[stream] = max(number, self.heard.get(stream, 0))
            self.known[stream] = max(number, self.known.get(stream, 0))
        self._changed.set()

    def _look_at_all(self) -> None:
        self.losses += 1
        self.known.update(self.truth)
        self._changed.set()


@asynccontextmanager
async def processes(*urls: str, **timing: float) -> AsyncIterator[list[Process]]:
    """Yield processes that share what is true, linked to each other."""
    truth: dict[UUID, int] = {}
    before = our_tasks()
    async with AsyncExitStack() as running:
        made = [Process(url, truth, **timing) for url in urls]
        for each in made:
            await running.enter_async_context(each.wakeups.running())
        for each in made:
            await each.until(lambda: each.losses > 0)  # noqa: B023 — awaited at once
        yield made
    assert our_tasks() == before, "a task was left behind"


def our_tasks() -> int:
    return sum(task.get_name() != NETWORK for task in asyncio.all_tasks())


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["memory", "postgresql", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    """A broker of each kind."""
    if request.param == "memory":
        return "memory://"
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        return server.url
    return postgres_url(request.getfixturevalue("owner_url"))


def postgres_url(owner_url: URL) -> str:
    return broker_url(Settings(), owner_url)


async def becomes(found: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something outside this process is so."""
    async with asyncio.timeout(SOON):
        while not await found():  # noqa: ASYNC110 — nobody there tells
            await asyncio.sleep(0.01)


OURS = "FROM pg_stat_activity WHERE application_name = 'carnet-wakeups' AND datname = current_database()"


async def administer(owner_url: URL) -> asyncpg.Connection:
    return await asyncpg.connect(owner_url.render_as_string(hide_password=False))


async def recovers(
    speaker: Process, hearer: Process, fault: Callable[[], Awaitable[object]], times: int = KILLS
) -> None:
    """Assert that after each fault nothing is missed and the next announcement is heard in time."""
    stream = uuid4()
    for turn in range(times):
        await fault()
        speaker.announce(stream, 2 * turn + 1)  # into the fault
        await hearer.until(lambda: hearer.known == hearer.truth, WITHIN)
        speaker.announce(stream, 2 * turn + 2)
        await hearer.until(lambda: hearer.known == hearer.truth, WITHIN)
    speaker.announce(stream, 10**6)
    await hearer.until_heard(stream, 10**6, WITHIN)


async def test_an_announcement_is_heard_by_all(url: str) -> None:
    urls = [url] if url == "memory://" else [url] * 3
    async with processes(*urls) as made:
        streams = {uuid4(): number for number in (1, 7, 2**62)}
        made[0].wakeups.announce(streams)
        for each in made:
            await each.until(lambda: each.heard == streams)  # noqa: B023 — awaited at once
            assert each.losses <= len(made)  # only of getting to know each other


async def test_more_streams_than_a_message_holds_are_all_heard(url: str) -> None:
    async with processes(url) as [made]:
        streams = {uuid4(): number for number in range(1, 3 * ENTRIES)}
        made.wakeups.announce(streams)
        await made.until(lambda: made.heard == streams)


async def test_many_commits_go_into_few_messages(owner_url: URL) -> None:
    url = postgres_url(owner_url)
    async with processes(url) as [made]:
        listener = await administer(owner_url)
        messages: list[str] = []
        await listener.add_listener(CHANNEL, lambda *said: messages.append(said[3]))
        stream = uuid4()
        for number in range(1, 10_001):
            made.announce(stream, number)
            if number % 100 == 0:
                await asyncio.sleep(0)  # as between commits
        await made.until_heard(stream, 10_000)
        await listener.close()
    assert (
        1 <= len([said for said in messages if (Message.decode(said) or pytest.fail()).grown]) < 100
    )


async def test_ten_times_postgresql_ends_the_session(owner_url: URL) -> None:
    url = postgres_url(owner_url)
    admin = await administer(owner_url)
    async with processes(url, url) as [speaker, hearer]:
        losses = hearer.losses

        async def fault() -> None:
            ended = await admin.fetch(f"SELECT pg_terminate_backend(pid) {OURS}")
            assert ended

        await recovers(speaker, hearer, fault)
        assert hearer.losses >= losses + KILLS
        await speaker.until_heard(*hearer.heard.popitem())
        assert await admin.fetchval(f"SELECT count(*) {OURS}") == 2

    async def none_is_left() -> bool:
        return await admin.fetchval(f"SELECT count(*) {OURS}") == 0

    await becomes(none_is_left)
    await admin.close()


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
async def test_ten_times_redis_ends_the_connection(redis: RedisServer, kind: str) -> None:
    async with Redis(port=redis.port) as admin:
        async with processes(redis.url, redis.url) as [speaker, hearer]:
            losses = hearer.losses

            async def fault() -> None:
                assert await admin.client_kill_filter(_type=kind, skipme=True) > 0

            await recovers(speaker, hearer, fault)
            assert kind == "normal" or hearer.losses > losses
            assert len(await admin.client_list()) <= 2 * 2 + 1

        async def only_we_are_left() -> bool:
            return len(await admin.client_list()) == 1

        await becomes(only_we_are_left)


async def test_redis_crashes_and_comes_back() -> None:
    with redis_server() as server:
        async with processes(server.url, server.url) as [speaker, hearer]:

            async def fault() -> None:
                server.kill()
                speaker.announce(uuid4(), 1)  # while it is away
                await asyncio.to_thread(server.start)

            await recovers(speaker, hearer, fault, times=3)


async def test_the_network_goes_silent_to_postgresql(owner_url: URL) -> None:
    socket = f"{owner_url.query['host']}/.s.PGSQL.5432"
    admin = await administer(owner_url)
    async with proxy(socket) as network:
        over_tcp = owner_url.set(host="127.0.0.1", port=network.port, query={})
        urls = postgres_url(owner_url), postgres_url(over_tcp)
        async with processes(*urls) as [speaker, hearer]:

            async def fault() -> None:
                network.silence()

            await recovers(speaker, hearer, fault, times=3)
            network.heal()  # what was left open on our side would now stay

            async def one_is_left_of_each() -> bool:
                return await admin.fetchval(f"SELECT count(*) {OURS}") == 2

            await becomes(one_is_left_of_each)
    await admin.close()


async def test_a_subscription_that_is_never_answered_is_given_up_and_holds_nobody(
    owner_url: URL,
) -> None:
    async with proxy(f"{owner_url.query['host']}/.s.PGSQL.5432") as network:
        network.swallows = b"LISTEN"
        over_tcp = owner_url.set(host="127.0.0.1", port=network.port, query={})
        made = Process(postgres_url(over_tcp), {})
        async with asyncio.timeout(SOON):
            async with made.wakeups.running():
                for _ in range(3):  # the third attempt is under way when it is told to stop
                    await network.swallowed.acquire()
        assert made.losses == 0


@pytest.mark.parametrize("silent", [0, 1])
async def test_the_network_goes_silent_to_redis(redis: RedisServer, silent: int) -> None:
    async with proxy(("127.0.0.1", redis.port)) as network:
        urls = [redis.url, redis.url]
        urls[silent] = f"redis://127.0.0.1:{network.port}"
        async with processes(*urls) as [speaker, hearer]:

            async def fault() -> None:
                network.silence()

            await recovers(speaker, hearer, fault, times=3)
            network.heal()  # what was left open on our side would now stay
            async with Redis(port=redis.port) as admin:

                async def two_are_left_of_each() -> bool:
                    return len(await admin.client_list()) <= 2 * 2 + 1

                await becomes(two_are_left_of_each)


async def test_what_nobody_can_read_harms_nothing(redis: RedisServer, owner_url: URL) -> None:
    old = Message(b"neighbor", 1, {uuid4(): 1}).encode()
    unreadable: list[Any] = ["", "?", "é", "A" * 32, "A" * 8000, old[:-4], "B" + old[1:]]
    async with processes(redis.url) as [made], Redis(port=redis.port) as raw:
        for said in unreadable:
            losses = made.losses
            await raw.publish(CHANNEL, said)
            await made.until(lambda: made.losses > losses)  # noqa: B023 — awaited at once
        await raw.publish(CHANNEL, b"\xff")  # ends the library's own reader
        await recovers(made, made, lambda: raw.publish(CHANNEL, b"\xff"), times=2)
    async with processes(postgres_url(owner_url)) as [made]:
        admin = await administer(owner_url)
        for said in unreadable[1:]:
            losses = made.losses
            await admin.execute("SELECT pg_notify($1, $2)", CHANNEL, said[:7999])
            await made.until(lambda: made.losses > losses)  # noqa: B023 — awaited at once
        await admin.close()


async def test_a_gap_in_a_senders_numbers_is_noticed(redis: RedisServer) -> None:
    stream = uuid4()
    async with processes(redis.url) as [made], Redis(port=redis.port) as raw:

        async def say(number: int) -> int:
            losses = made.losses
            await raw.publish(CHANNEL, Message(b"neighbor", number, {stream: number}).encode())
            await made.until_heard(stream, number)
            return made.losses - losses

        assert [await say(number) for number in (1, 2, 4, 5)] == [0, 0, 1, 0]


async def test_a_flood_takes_bounded_memory_and_becomes_one_look_at_everything(
    redis: RedisServer,
) -> None:
    stream = uuid4()
    async with processes(redis.url, redis.url) as [speaker, hearer]:
        losses = hearer.losses
        tracemalloc.start()
        try:
            for number in range(1, 100_001):
                speaker.wakeups.announce({uuid4(): number})
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 2_000_000
        await hearer.until(lambda: hearer.losses > losses)
        assert len(hearer.heard) <= KEPT
        speaker.announce(stream, 1)
        await hearer.until_heard(stream, 1)


async def test_a_flood_of_messages_is_taken_in_bounded_memory(redis: RedisServer) -> None:
    stream = uuid4()
    async with processes(redis.url) as [made], Redis(port=redis.port) as raw:
        tracemalloc.start()
        try:
            for first in range(1, 10_001, 1000):
                async with raw.pipeline(transaction=False) as pipeline:
                    for number in range(first, first + 1000):
                        said = Message(b"neighbor", number, {stream: number}).encode()
                        pipeline.publish(CHANNEL, said)
                    await pipeline.execute()
            await made.until_heard(stream, 10_000, 60)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 5_000_000


async def test_a_process_that_stalled_keeps_its_link(redis: RedisServer) -> None:
    stream = uuid4()
    async with processes(redis.url, redis.url) as [speaker, hearer]:
        losses = hearer.losses
        speaker.announce(stream, 1)
        await hearer.until_heard(stream, 1)
        time.sleep(1.5)  # noqa: ASYNC251 — the stall, of both
        speaker.announce(stream, 2)
        await hearer.until_heard(stream, 2, WITHIN)
        assert hearer.losses == losses


async def test_a_broker_out_of_reach_is_told_once_and_so_is_its_return(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = uuid4()
    with redis_server() as server:
        url = f"redis://:hunter2@127.0.0.1:{server.port}"
        server.kill()
        attempts = asyncio.Semaphore(0)

        async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            attempts.release()
            writer.close()

        made = Process(url, {}, heartbeat=0.05, silence=0.2)
        assert repr(made.wakeups) == "<Wakeups redis>"
        async with made.wakeups.running():
            made.announce(stream, 1)
            async with await asyncio.start_server(refuse, "127.0.0.1", server.port):
                for _ in range(8):
                    async with asyncio.timeout(SOON):
                        await attempts.acquire()
            assert len(caplog.records) == 1
            await asyncio.to_thread(server.start, "hunter2")
            await made.until_heard(stream, 1)  # kept meanwhile
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("the broker of wake-ups (redis) is out of reach: ")
    assert said[1] == "the broker of wake-ups (redis) is back"
    assert "hunter2" not in caplog.text


def test_the_longest_message_fits_into_a_notification() -> None:
    full = Message(b"neighbor", 2**63, {uuid4(): 2**63 - 1 for _ in range(ENTRIES)})
    assert len(full.encode()) <= 7999
    assert Message.decode(full.encode()) == full
    assert ENTRIES == 248
