"""The harness notices what is wrong, keeps what was not run, and says how it is used."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
from graphql import build_schema, introspection_from_schema, parse, print_ast
from harness import fuzz, node, page, results
from harness.answers import complaints
from harness.command import keep, main
from harness.ids import Ids
from harness.parts import PARTS
from harness.results import Check, Outcome

SMALL = build_schema("type Query { thing(id: ID!): String } enum ErrorCode { NOT_FOUND }")
JSON = "application/json"
OWN = "application/graphql-response+json"
ALWAYS_CUT, CUT_ONCE = 0, 1  # instead of a status
REFUSED = {"message": "No.", "extensions": {"code": "NOT_FOUND"}}
INTERNAL = {"message": "No.", "extensions": {"code": "INTERNAL"}}


@pytest.mark.parametrize(
    ("status", "media_type", "retry_after", "body", "expected"),
    [
        (200, OWN, None, {"data": None}, []),
        (200, JSON + "; charset=utf-8", None, {"data": {}, "errors": [REFUSED]}, []),
        (200, JSON, None, {"errors": [REFUSED]}, []),
        (400, OWN, None, {"errors": [REFUSED]}, []),
        (429, OWN, "3", {"errors": [REFUSED]}, []),
        (429, OWN, None, {"errors": [REFUSED]}, ["429 without Retry-After"]),
        (500, OWN, None, {"errors": [REFUSED]}, ["status 500"]),
        (302, OWN, None, {"errors": [REFUSED]}, ["status 302"]),
        (200, OWN, None, {"errors": [REFUSED]}, ["200 without data"]),
        (200, "text/html", None, {"data": {}}, ["content type 'text/html'"]),
        (200, JSON, None, [], ["no JSON object"]),
        (200, JSON, None, {}, ["neither data nor errors"]),
        (200, JSON, None, {"data": []}, ["data is no object"]),
        (200, JSON, None, {"data": {}, "detail": 1}, ["a member 'detail'"]),
        (200, JSON, None, {"data": {}, "errors": []}, ["errors is no list of errors"]),
        (200, JSON, None, {"data": {}, "errors": [{}]}, ["an error without message"]),
        (200, JSON, None, {"data": {}, "errors": [INTERNAL]}, ["the code INTERNAL: No."]),
        (200, JSON, None, {"errors": [{"message": "No."}]}, ["the code None: No."]),
        (200, JSON, None, {"errors": [REFUSED | {"path": "a"}]}, ["a path that is none"]),
        (200, JSON, None, {"errors": [REFUSED | {"at": 1}]}, ["an error with further members"]),
    ],
)
def test_what_is_wrong_with_an_answer_is_told(
    status: int, media_type: str, retry_after: str | None, body: object, expected: list[str]
) -> None:
    data = json.dumps(body).encode()
    assert complaints(status, media_type, retry_after, data, {"NOT_FOUND"}) == expected


def test_what_is_no_json_is_told() -> None:
    assert complaints(200, JSON, None, b"<p>", set()) == ["no JSON"]


def test_ids_come_into_their_places() -> None:
    ids = Ids(SMALL)
    ids.learn({"a": [{"__typename": "Thing", "id": "one"}, {"id": "none"}, {"__typename": "X"}]})
    document = parse('{ thing(id: "@7") other: thing(id: "@x") }')
    filled = '{\n  thing(id: "one")\n  other: thing(id: "@x")\n  __typename\n}'
    assert print_ast(ids.put_into(document)) == filled


class Fault:
    """A server that answers Schemathesis' documents in one way, and the rest as it should."""

    def __init__(self, url: str) -> None:
        self.url = url

    def token(self, persona: str) -> str:
        return persona

    def logged(self, correlation_id: str) -> str:
        return ""


@contextmanager
def answering(status: int, body: bytes, media_type: str = JSON) -> Iterator[Fault]:
    asked_twice = set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path == "/blobs":
                self.say(201, json.dumps({"id": str(uuid4())}).encode())
            elif "IntrospectionQuery" in asked:
                self.say(200, json.dumps({"data": introspection_from_schema(SMALL)}).encode())
            elif "query Seen" in asked:
                self.say(200, b'{"data": {}}')
            elif status == ALWAYS_CUT or (status == CUT_ONCE and asked not in asked_twice):
                asked_twice.add(asked)
                self.close_connection = True
            else:
                self.say(400 if status == CUT_ONCE else status, body, media_type)

        def say(self, status: int, body: bytes, media_type: str = JSON) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Fault(f"http://127.0.0.1:{server.server_port}/graphql")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (500, b'{"errors": [{"message": "No."}]}', "status 500"),
        (200, b"<p>", "no JSON"),
        (200, b'{"data": {}, "errors": [{"message": "", "path": ["thing"]}]}', "the code None: "),
        (200, b'{"data": {}}', "Invalid data should have been rejected"),
        (ALWAYS_CUT, b"", "no answer: ConnectionError"),
        (CUT_ONCE, json.dumps({"errors": [REFUSED]}).encode(), "the connection was cut"),
    ],
)
def test_schemathesis_notices(status: int, body: bytes, expected: str) -> None:
    with answering(status, body) as server:
        tally = fuzz.run(server, 20, 1, lambda _: None)  # type: ignore[arg-type]
    assert tally.operations == 1
    assert any(expected in failure for failure in tally.failures), tally.failures
    everybody = {failure.split(", ")[1].split(":")[0] for failure in tally.failures}
    assert everybody == set(fuzz.ACTORS)


def test_schemathesis_complains_of_nothing_where_all_is_well() -> None:
    with answering(400, json.dumps({"errors": [REFUSED]}).encode()) as server:
        tally = fuzz.run(server, 20, 1, lambda _: None)  # type: ignore[arg-type]
    assert (tally.failures, tally.documents, dict(tally.statuses)) == ({}, 20, {400: 20})


def test_what_was_not_run_keeps_its_result(tmp_path: Path) -> None:
    file, written = tmp_path / "results.json", tmp_path / "page.md"
    first = Outcome([Check("one", True), Check("two", False, "a | b\nc")], {"urql": "1.0"})
    keep({"urql": first}, file, written)
    keep({"eslint": Outcome([Check("three", True)], {}, [{"seed": "1"}])}, file, written)
    assert results.load(file)["urql"] == first
    text = written.read_text()
    assert "| [urql](#urql) | 1 of 2 | urql 1.0 |" in text
    assert "| two | **failed**: a \\| b c |" in text
    assert "| [graphql-eslint](#eslint) | 1 of 1 |  |" in text
    assert "| [Relay](#relay) | not run yet | |" in text
    once = written.read_bytes()
    keep({}, file, written)
    assert written.read_bytes() == once


def test_the_page_is_of_the_kept_results_and_the_pinned_versions(tmp_path: Path) -> None:
    kept = results.load()
    assert list(kept) == list(PARTS)
    page.write(kept, tmp_path / "page.md")
    assert (tmp_path / "page.md").read_text() == page.FILE.read_text(), "run: make conformance"
    for name, outcome in kept.items():
        if name != "schemathesis":
            assert outcome.versions == node.versions(*outcome.versions), name
    assert kept["schemathesis"].versions == fuzz.VERSIONS


def test_a_node_that_is_too_old_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"engines": {"node": ">=999.1"}}')
    if shutil.which("node") is None:
        pytest.skip("node is missing: apt-get install nodejs npm")
    with pytest.raises(node.NodeMissing, match=r"node 999\.1 or newer is missing: this one is \d"):
        node.install(tmp_path)


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert all(name in said for name in (*PARTS, "--examples", "--seed", "--set", "examples:"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "there is no part 'nothing'; there are graphql-http,"),
        (["--examples", "0"], "--examples is 1 or more"),
        (["--set", "PATH=/"], "--set takes CARNET_"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
