"""Everything there is to run, each under a name."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from harness import node
from harness.results import Check, Outcome
from harness.server import Server
from harness.stopping import SIGNALS, Stopped, stop_in_order

if TYPE_CHECKING:
    from harness.fuzz import Tally

PERSONA = "camille"
SCHEMA = node.HERE.parent / "schema.graphql"
GENERATED = node.HERE / "relay" / "__generated__"
SEEDS = (1, 2, 3)
EXAMPLES = 100

Tell = Callable[[str], None]


@dataclass
class Run:
    """One run: its settings, and the server that its parts share.

    Attributes:
        tell: is told what happens.
        examples: how many documents Schemathesis makes for an operation.
        seeds: for each, Schemathesis begins anew on a server of its own.
        settings: further ``CARNET_…`` variables of the servers.
        server: the shared one.
    """

    tell: Tell
    examples: int = EXAMPLES
    seeds: Sequence[int] = SEEDS
    settings: dict[str, str] = field(default_factory=dict)
    server: Server | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One third party's view of Carnet.

    Attributes:
        title: who asks.
        about: what is asked, a sentence.
        run: asks.
        needs: ``node``, ``server``: what has to be there.
    """

    title: str
    about: str
    run: Callable[[Run], Outcome]
    needs: frozenset[str]


def _script(name: str, packages: Sequence[str], run: Run) -> Outcome:
    task = {"schema": str(SCHEMA)}
    if run.server is not None:
        task |= {
            "url": run.server.url,
            "socket": run.server.socket,
            "token": run.server.token(PERSONA),
        }
    checks = [
        Check(found["name"], found["passed"], found.get("reason") or "")
        for found in node.script(name, task)
    ]
    return Outcome(checks, node.versions(*packages))


def _relay(run: Run) -> Outcome:
    """Compile relay/ against the schema, then run what came of it."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    GENERATED.mkdir()
    (GENERATED / "trusted.json").write_text("{}\n")
    compiler = str(node.HERE / "node_modules" / ".bin" / "relay-compiler")
    versions = node.versions("relay-compiler", "relay-runtime")
    try:
        node.run((compiler, "relay.config.json"), node.HERE)
    except node.NodeFailed as error:
        return Outcome([Check("the compiler takes every document", False, str(error))], versions)
    compiled = Check("the compiler takes every document, and persists it", True)
    return Outcome([compiled, *_script("relay", (), run).checks], versions)


def _schemathesis(run: Run) -> Outcome:
    """Let Schemathesis loose on a fresh server for each seed, one on each core."""
    from harness import fuzz  # it takes a second to import

    seeds = list(run.seeds)
    if len(seeds) == 1:
        tallies = [fuzz.run_alone(seeds[0], run.examples, run.settings, run.tell)]
    else:
        cores = min(len(seeds), os.cpu_count() or 1)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(cores, spawn, _wait_for_work) as pool:
            begun = [
                pool.submit(_one_seed, number, run.examples, run.settings, run.tell)
                for number in seeds
            ]
            try:
                tallies = [each.result() for each in begun]
            except Stopped:
                for child in multiprocessing.active_children():
                    child.terminate()
                raise
    checks = [
        Check(f"seed {number}", not tally.failures, "; ".join(tally.failures))
        for number, tally in zip(seeds, tallies, strict=True)
    ]
    rows = [
        {"seed": str(number)} | tally.row() for number, tally in zip(seeds, tallies, strict=True)
    ]
    return Outcome(checks, fuzz.VERSIONS, rows)


def _wait_for_work() -> None:
    """Let this process, which has nothing to stop yet, end by SIGTERM alone."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)


def _one_seed(number: int, examples: int, settings: dict[str, str], tell: Tell) -> Tally:
    """Run one seed in a process of its own; when stopped, end the process, for others wait."""
    from harness import fuzz

    stop_in_order()
    try:
        return fuzz.run_alone(number, examples, settings, tell)
    except Stopped as stopped:
        os._exit(stopped.code)
    finally:
        _wait_for_work()


def _scripted(title: str, about: str, name: str, *packages: str, server: bool = True) -> Part:
    needs = frozenset({"node", "server"} if server else {"node"})
    return Part(title, about, partial(_script, name, packages), needs)


PARTS: dict[str, Part] = {
    "graphql-http": _scripted(
        "graphql-http: server audits",
        "every MUST, SHOULD and MAY of GraphQL over HTTP that its reference implementation audits",
        "graphql_http",
        "graphql-http",
    ),
    "graphql-ws": _scripted(
        "graphql-ws",
        "the protocol graphql-transport-ws: its text, closing code by closing code, and the client",
        "graphql_ws",
        "graphql-ws",
        "ws",
    ),
    "graphql-sse": _scripted(
        "graphql-sse",
        "GraphQL over server-sent events, distinct connections: its text, and the client",
        "graphql_sse",
        "graphql-sse",
    ),
    "apollo": _scripted(
        "Apollo Client",
        "queries by POST and GET, pages in the normalized cache, errors, subscriptions",
        "apollo",
        "@apollo/client",
        "graphql-ws",
    ),
    "urql": _scripted(
        "urql",
        "queries by POST and GET, errors, subscriptions over a socket and over fetch",
        "urql",
        "@urql/core",
        "graphql-ws",
    ),
    "relay": Part(
        "Relay",
        "its compiler on pages, refetches, a subscription and mutations, with persisted documents;"
        " then its runtime on what was compiled",
        _relay,
        frozenset({"node", "server"}),
    ),
    "eslint": _scripted(
        "graphql-eslint",
        "its rule sets `schema-recommended` and `schema-relay` on schema.graphql",
        "eslint",
        "@graphql-eslint/eslint-plugin",
        "eslint",
        server=False,
    ),
    "schemathesis": Part(
        "Schemathesis",
        "documents made from the schema, one in four of them wrong, sent by turns by nobody, a"
        " patient, a doctor and an operator: never a 5xx, always GraphQL's shape, no cut line",
        _schemathesis,
        frozenset(),
    ),
}
