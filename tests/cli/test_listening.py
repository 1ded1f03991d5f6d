"""The port: what is wrong with it is said clearly; requests are answered until a signal."""

import asyncio
import os
import signal
import socket
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from carnet.cli.server import Stopper, listen, run_until_stopped, serve
from carnet.errors import UserMistake


def test_a_taken_port_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserMistake) as mistake:
            listen("127.0.0.1", port)
    assert mistake.value.message == f"Port {port} is taken; set CARNET_PORT to another."


def test_two_that_listen_at_once_do_not_share_a_port() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(UserMistake, match="is taken"):
        listen("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "2001:db8::7"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(UserMistake) as mistake:
        listen(host, 0)
    assert mistake.value.message == (
        f"CARNET_HOST is {host!r}, which is no address of this machine."
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_serving_and_closes_the_application(number: signal.Signals) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        events.append("open")
        yield
        events.append("closed")

    app = Starlette(
        routes=[Route("/", lambda _: PlainTextResponse("hello"))],
        lifespan=lifespan,
    )
    with listen("127.0.0.1", 0) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/"

        def announce() -> None:
            events.append("announced")
            os.kill(os.getpid(), number)

        async def work(stopper: Stopper) -> str:
            await serve(app, listening, stopper, announce)
            return "done"

        assert run_until_stopped(work) == "done"
    assert events == ["open", "announced", "closed"]
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=5)


def test_a_signal_before_serving_gives_up_starting() -> None:
    cleaned: list[str] = []

    async def work(_stopper: Stopper) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.get_running_loop().create_future()
        finally:
            cleaned.append("cleaned")

    with pytest.raises(KeyboardInterrupt):
        run_until_stopped(work)
    assert cleaned == ["cleaned"]
