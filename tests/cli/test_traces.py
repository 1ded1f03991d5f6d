"""Traces: only where they are wanted, and without values."""

import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from servers import free_port, running

CANARY = "Quatrebarbes"
PARENT = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def data_dir(settled_data_dir: Path) -> Path:
    return settled_data_dir


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Whoever takes traces: its URL, and what it was sent."""
    taken: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            taken.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", taken
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("trusted", ["", "127.0.0.1"])
def test_a_request_and_its_statements_are_traced(
    data_dir: Path, serve_command, command_env, collector: tuple[str, list[bytes]], trusted: str
) -> None:
    url, taken = collector
    env = command_env(data_dir, CARNET_TRACES_URL=url, CARNET_TRUSTED_PROXIES=trusted)
    with running(serve_command, env, free_port(), "Carnet serves") as server:
        query = 'mutation { signIn(input: {login: "x@example.org", password: "%s"}) {__typename} }'
        request = urllib.request.Request(  # noqa: S310 — this machine
            f"{server.address}/graphql?q={CANARY}",
            data=json.dumps({"query": query % CANARY}).encode(),
            headers={
                "Content-Type": "application/json",
                "traceparent": f"00-{PARENT}-b7ad6b7169203331-01",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 — this machine
            named = answer.headers["X-Correlation-Id"]
            assert b"SignInFailed" in answer.read()
        assert server.get(f"/documents/{CANARY}")[0] == 404
        assert server.stop(signal.SIGTERM) == 0
    spans = {}
    for body in taken:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                spans.update({span.span_id: span for span in scope.spans})
    (posted,) = [span for span in spans.values() if span.name == "POST /graphql"]
    attributes = {each.key: each.value for each in posted.attributes}
    assert set(attributes) == {
        *("http.request.method", "http.route", "http.response.status_code"),
        "carnet.correlation_id",
    }
    assert attributes["carnet.correlation_id"].string_value == named
    assert attributes["http.response.status_code"].int_value == 200
    assert (posted.trace_id.hex() == PARENT) is bool(trusted)
    below = [span.name for span in spans.values() if span.parent_span_id == posted.span_id]
    assert {"postgresql INSERT", "postgresql SELECT"} <= set(below)
    assert [span.name for span in spans.values() if span.name == "GET other"] == ["GET other"]
    assert not any(CANARY.encode() in body or b"127.0.0.1" in body for body in taken)


def test_without_the_setting_nothing_of_it_is_loaded() -> None:
    script = (
        "import sys; import carnet.cli.traces, carnet.cli.application, carnet.cli.server;"
        # A client of Redis takes the metrics of OpenTelemetry where they are installed.
        " assert not [name for name in sys.modules if name.startswith('opentelemetry.exporter')]"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_packages_that_are_missing_are_said(data_dir: Path, command_env) -> None:
    script = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "sys.argv = ['carnet', 'serve']\n"
        "from carnet.cli import main; main()"
    )
    env = command_env(
        data_dir, CARNET_TRACES_URL="http://127.0.0.1:9/v1/traces", CARNET_PORT=str(free_port())
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 1
    assert "carnet: CARNET_TRACES_URL needs more packages" in done.stderr
