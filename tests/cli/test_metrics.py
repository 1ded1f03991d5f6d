"""Metrics: what they count, and that the public does not reach them."""

import re
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from servers import children, free_port, running


@pytest.fixture
def data_dir(settled_data_dir: Path) -> Path:
    return settled_data_dir


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    found = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_are_counted_by_route(
    data_dir: Path, serve_command, command_env, workers: int
) -> None:
    port = free_port()
    env = command_env(data_dir, CARNET_METRICS_PORT=str(port))
    command = (*serve_command, "--workers", str(workers), "--no-access-log")
    with running(command, env, free_port(), "Carnet serves") as server:
        for _ in range(20):
            assert server.get("/health/live")[0] == 200
        assert server.get("/health/ready")[0] == 200
        for number in range(3):
            assert server.get(f"/nowhere/{number}")[0] == 404
        assert server.get("/metrics")[0] == 404
        for query, status in (("{viewer{__typename}}", 200), ("{viewer", 200)):
            assert server.get(f"/graphql?query={query}")[0] == status
        assert server.get(f"/graphql?documentId={'0' * 64}")[0] == 400
        found = scrape(port)
        if workers == 2:
            assert len(children(server.process.pid)) >= 2
        assert server.stop(signal.SIGTERM) == 0
    labels = 'method="GET",route="/health/live",status="200"'
    assert found[f"carnet_http_requests_total{{{labels}}}"] == 20
    ready = 'method="GET",route="/health/ready",status="200"'
    assert found[f"carnet_http_requests_total{{{ready}}}"] == 1
    nowhere = 'method="GET",route="other",status="404"'
    assert found[f"carnet_http_requests_total{{{nowhere}}}"] == 4
    timed = 'method="GET",route="/health/live"'
    assert found[f"carnet_http_request_seconds_count{{{timed}}}"] == 20
    operations = {
        key: found[f'carnet_graphql_operations_total{{outcome="{key[1]}",type="{key[0]}"}}']
        for key in (
            ("query", "ADMITTED"),
            ("unread", "BAD_REQUEST"),
            ("unread", "PERSISTED_QUERY_NOT_FOUND"),
        )
    }
    assert set(operations.values()) == {1}
    assert (found["carnet_graphql_cost_count"], found["carnet_graphql_cost_sum"]) == (1, 52)
    assert found["carnet_http_requests_in_progress"] == 0
    assert found["carnet_journal_entries_unsealed"] == 0
    assert "carnet_jobs_due" in found
    assert 0 <= found["carnet_database_connections_in_use"] <= 20 * workers
    assert not [name for name in found if re.search(r"nowhere|127\.0\.0\.1", name)]


def test_without_a_port_there_are_none(data_dir: Path, serve_command, command_env) -> None:
    port = free_port()
    with running(serve_command, command_env(data_dir), free_port(), "Carnet serves") as server:
        with pytest.raises(urllib.error.URLError):
            scrape(port)
        assert server.get("/metrics")[0] == 404
        assert server.stop(signal.SIGTERM) == 0


def test_a_port_that_is_taken_is_said(data_dir: Path, carnet) -> None:
    port = free_port()
    taken = {"CARNET_PORT": str(port), "CARNET_METRICS_PORT": str(port)}
    done = carnet("serve", CARNET_DATA_DIR=str(data_dir), **taken)
    assert done.code == 1
    assert f"Metrics cannot be given out at 127.0.0.1:{port} (CARNET_METRICS_PORT)" in done.err
