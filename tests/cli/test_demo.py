"""``carnet demo``: what it prints works as it stands, and the next start finds the same data."""

import json
import signal
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from servers import free_port, running

from carnet.cli.welcome import QUERIES

READY = "Ctrl-C stops everything"


def fetch(url: str, token: str, body: object = None) -> bytes:
    request = urllib.request.Request(  # noqa: S310 — our own server
        url,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        data=None if body is None else json.dumps(body).encode(),
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


def test_the_demo_is_as_it_says(data_dir: Path, serve_command, command_env) -> None:
    carnet = serve_command[:-1]
    port = free_port()
    env = command_env(data_dir, CARNET_PORT=str(port))

    def token(name: str) -> str:
        done = subprocess.run(
            [*carnet, "token", "--as", name], env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    with running((*carnet, "demo"), env, port, READY) as server:
        assert f"{server.address}/graphql" in server.said
        mother = token("camille")
        found: list[Any] = []
        for query in QUERIES.values():
            answer = json.loads(fetch(f"{server.address}/graphql", mother, {"query": query}))
            assert "errors" not in answer, answer
            found.append(answer["data"]["viewer"])
        record, vaccinations, documents = found
        assert record["givenNames"][0] == "Camille"
        assert record["record"]["profile"]["conditions"]["edges"]
        assert vaccinations["record"]["profile"]["immunizations"]["totalCount"] > 0
        page = documents["record"]["documents"]
        assert page["totalCount"] >= len(page["edges"]) > 0
        (content, *_) = page["edges"][0]["node"]["contents"]
        assert len(fetch(server.address + content["url"], mother)) == content["sizeBytes"]
        secrets = (data_dir / "sandbox.json").read_bytes()
        assert (data_dir / "sandbox.json").stat().st_mode & 0o777 == 0o600
        assert server.stop(signal.SIGINT) == 0
        assert "Loading the sandbox…" in server.errors()
    with running((*carnet, "demo"), env, port, READY) as server:
        query = QUERIES["Her documents, and where to download them"]
        answer = json.loads(fetch(f"{server.address}/graphql", mother, {"query": query}))
        assert answer["data"]["viewer"] == documents
        assert (data_dir / "sandbox.json").read_bytes() == secrets
        assert server.stop(signal.SIGTERM) == 0
        assert "Loading the sandbox" not in server.errors()
