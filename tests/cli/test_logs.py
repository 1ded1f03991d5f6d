"""The server's log: JSON a line, found again by the correlation id, and nobody named."""

import asyncio
import json
import logging
import signal
import urllib.request
from pathlib import Path

import pytest
from servers import free_port, running

from carnet.cli.logs import JsonLines
from carnet.correlation import correlation_id, request_state

CANARY = "Géraldine Quatrebarbes"


@pytest.fixture
def data_dir(settled_data_dir: Path) -> Path:
    return settled_data_dir


def formatted(record: logging.LogRecord) -> dict[str, object]:
    line = JsonLines().format(record)
    assert "\n" not in line and line.isascii()
    found: dict[str, object] = json.loads(line)
    return found


def record_of(name: str, message: str, *args: object, error: BaseException | None = None):
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, args, info)


def raised() -> ValueError:
    try:
        raise ValueError(f"no such patient: {CANARY}")
    except ValueError as error:
        return error


def test_our_own_lines_are_filled_in() -> None:
    line = formatted(record_of("carnet.store.jobs", "job %s failed:\n%s", "x", "Timeout"))
    assert line["message"] == "job x failed:\nTimeout"
    assert (line["level"], line["logger"]) == ("ERROR", "carnet.store.jobs")
    assert {"at", "process"} <= set(line)


@pytest.mark.parametrize("name", ["asyncio", "uvicorn.error", "sqlalchemy.engine", "carnetother"])
def test_of_a_librarys_line_no_value_is_written(name: str) -> None:
    error = raised()
    line = formatted(record_of(name, "it failed with %s\nvalue=" + CANARY, CANARY, error=error))
    assert line["message"] == "it failed with %s"
    assert line["exception"] == "builtins.ValueError"
    assert str(line["where"]).endswith(" raised")
    assert "Quatrebarbes" not in json.dumps(line)


def test_of_our_own_exceptions_no_text_is_written() -> None:
    line = formatted(record_of("carnet.http", "failed", error=raised()))
    assert line["exception"] == "builtins.ValueError"
    assert "Quatrebarbes" not in json.dumps(line)


async def test_what_nobody_caught_is_logged_without_its_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("asyncio")
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    monkeypatch.setattr(logger, "handlers", [handler])
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"never retrieved\nfuture: {CANARY}", "exception": raised()}
    )
    said = capsys.readouterr().err
    assert json.loads(said)["message"] == "never retrieved"
    assert "Quatrebarbes" not in said


def test_a_line_carries_the_request_that_it_belongs_to() -> None:
    assert correlation_id() is None
    state: dict[str, object] = {}
    token = request_state.set(state)
    state["correlation_id"] = "0123456789abcdef"  # made after the context was
    line = formatted(record_of("carnet.store", "slow"))
    request_state.reset(token)
    assert line["correlation"] == "0123456789abcdef"
    assert "correlation" not in formatted(record_of("carnet.store", "slow"))


def test_a_server_logs_json(data_dir: Path, serve_command, command_env) -> None:
    with running(serve_command, command_env(data_dir), free_port(), "Carnet serves") as server:
        request = urllib.request.Request(  # noqa: S310 — this machine
            f"{server.address}/graphql?name=Quatrebarbes",
            data=json.dumps({"query": "{ __typename }", "variables": {"n": CANARY}}).encode(),
            headers={"Content-Type": "application/json", "X-Forwarded-For": "192.0.2.77"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 — this machine
            named = answer.headers["X-Correlation-Id"]
        assert server.stop(signal.SIGTERM) == 0
        said = server.errors()
    lines = [json.loads(line) for line in said.splitlines() if not line.startswith("Carnet")]
    (line,) = [line for line in lines if line["logger"] == "carnet.access"]
    assert line["correlation"] == named
    assert (line["method"], line["path"], line["status"]) == ("POST", "/graphql", 200)
    assert set(line) == {
        *("at", "level", "logger", "process", "message"),
        *("method", "path", "status", "ms", "correlation"),
    }
    assert "Quatrebarbes" not in said and "192.0.2.77" not in said
