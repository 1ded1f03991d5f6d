"""Schemathesis against a running server: documents made from the schema, valid and wrong ones.

Everybody in `ACTORS` sends documents by turns; each answer goes through Schemathesis' own checks
and through `answers.complaints`. What somebody may not do is a correct answer, and so is 429 with a
time to wait. A fault of the server, a broken shape, a line that is cut are failures.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any

import graphql
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.graphql.checks import GraphQLServerError
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    response_schema_conformance,
)

from carnet.errors import Refusal
from harness.answers import MEDIA_TYPES, complaints
from harness.ids import SEEN, Ids
from harness.scalars import mostly, register
from harness.server import Server, serving
from harness.stopping import check

ACTORS = {"nobody": None, "a patient": "camille", "a doctor": "bernard", "an operator": "operator"}
CHECKS = [not_a_server_error, response_schema_conformance, negative_data_rejection]
LAST = {"Mutation.cutOffAccount"}  # who is cut off does not come back
WITHIN = 60  # seconds for an answer
IDLE = 30  # seconds for which a server has to keep a connection
VERSIONS = {name: version(name) for name in ("schemathesis", "hypothesis-graphql", "hypothesis")}

Tell = Callable[[str], None]


@dataclass
class Tally:
    """What one seed has seen."""

    operations: int = 0
    documents: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    payloads: Counter[str] = field(default_factory=Counter)  # types that mutations answered with
    failures: dict[str, str] = field(default_factory=dict)  # what failed: how to see it again

    def row(self) -> dict[str, str]:
        """Return its figures for a table."""
        done = sum(count for name, count in self.payloads.items() if name.endswith("Success"))
        return {
            "operations": str(self.operations),
            "documents": str(self.documents),
            "failures": str(len(self.failures)),
            "statuses": ", ".join(f"{status}" for status in sorted(self.statuses)),
            "mutations done": str(done),
            "codes": ", ".join(sorted(self.codes)),
        }


def run_alone(number: int, examples: int, settings_: Mapping[str, str] | None, tell: Tell) -> Tally:
    """Try everything, with one seed, on a fresh server; see `run`."""
    with serving(settings_) as server:
        tally = run(server, examples, number, tell)
    tell(f"seed {number}: " + ", ".join(f"{name} {value}" for name, value in tally.row().items()))
    return tally


def run(server: Server, examples: int, number: int, tell: Tell) -> Tally:
    """Try every operation of the schema that the server tells.

    Args:
        server: a fresh one; much in it is changed.
        examples: how many documents an operation gets.
        number: the seed.
        tell: is told each operation as it begins, and each failure as it is found.
    """
    fuzzer = Fuzzer(server, tell)
    for operation in fuzzer.operations():
        check()
        fuzzer.try_operation(operation, examples, number)
    return fuzzer.tally


class Fuzzer:
    """One server, the sessions of everybody, and what was seen."""

    def __init__(self, server: Server, tell: Tell) -> None:
        _prepare()
        self.tally = Tally()
        self._server = server
        self._tell = tell
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy is between
        self._answered_at = time.monotonic()
        self._is_kept = True
        self._tokens = {
            actor: None if persona is None else server.token(persona)
            for actor, persona in ACTORS.items()
        }
        self._schema = schemathesis.graphql.from_url(server.url, headers=self._headers("a patient"))
        typed = self._schema.client_schema
        self._codes = set(typed.type_map["ErrorCode"].values)
        self._ids = Ids(typed)
        self._learn()

    def operations(self) -> list[Any]:
        """Return the operations: what makes things first, what removes them last."""
        found = [result.ok() for result in self._schema.get_all_operations()]
        layers = self._schema.get_operation_layers(found) or [found]
        ordered = [operation for layer in layers for operation in layer]
        return sorted(ordered, key=lambda operation: operation.label in LAST)

    def try_operation(self, operation: Any, examples: int, number: int) -> None:
        """Send documents of one operation as everybody."""
        self.tally.operations += 1
        self._tell(f"seed {number}: {operation.label}")
        right = operation.as_strategy(GenerationMode.POSITIVE)
        wrong = operation.as_strategy(GenerationMode.NEGATIVE)
        cases = mostly(right, wrong)

        @seed(number)
        @settings(
            max_examples=examples,
            phases=(Phase.generate,),  # each failure is written down; nothing is made smaller
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(cases)
        def try_case(case: Any) -> None:
            check()
            turn = self.tally.documents
            self.tally.documents += 1
            case.body = graphql.print_ast(self._ids.put_into(graphql.parse(case.body)))
            accept = MEDIA_TYPES[turn // len(ACTORS) % len(MEDIA_TYPES)]
            self._send(case, list(ACTORS)[turn % len(ACTORS)], accept)

        try_case()

    def _send(self, case: Any, actor: str, accept: str) -> None:
        headers = self._headers(actor) | {"Accept": accept}
        opened, idle = self._opened(), time.monotonic() - self._answered_at
        try:
            response = case.call(session=self._session, headers=headers, timeout=WITHIN)
        except requests.RequestException as error:
            self._fail(case, actor, f"no answer: {type(error).__name__}", b"")
            return
        # Schemathesis sends once more what a kept connection was cut under; here that is a failure.
        if self._opened() > opened and self._is_kept and idle < IDLE:
            self._fail(case, actor, "the connection was cut", response.content)
        self._answered_at = time.monotonic()
        self._is_kept = "close" not in response.headers.get("connection", [""])[0]
        self.tally.statuses[response.status_code] += 1
        persona = ACTORS[actor]
        if response.status_code == 401 and persona is not None:
            with suppress(Refusal):  # they were cut off
                self._tokens[actor] = self._server.token(persona)  # they had signed out
        for complaint in self._complaints(case, response):
            self._fail(case, actor, complaint, response.content)

    def _opened(self) -> int:
        """Return how many connections were opened until now."""
        pools = self._session.get_adapter(self._server.url).poolmanager.pools  # type: ignore[attr-defined]
        return sum(pools[key].num_connections for key in pools.keys())  # noqa: SIM118 — no mapping

    def _complaints(self, case: Any, response: Any) -> list[str]:
        headers = response.headers
        found = complaints(
            response.status_code,
            headers.get("content-type", [""])[0],
            headers.get("retry-after", [None])[0],
            response.content,
            self._codes,
        )
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as group:
            # It holds an error with a path to be the server's unless it bears a code of Apollo's.
            # That each bears a refusal's code of ours was asked above.
            found += [
                f"{failure.title}: {failure.message}".strip()
                for failure in group.exceptions
                if not isinstance(failure, GraphQLServerError)
            ]
        if not found:
            self._learn_from(case.operation, response.json())
        return found

    def _learn_from(self, operation: Any, shape: dict[str, Any]) -> None:
        self._ids.learn(shape)
        self.tally.codes.update(error["extensions"]["code"] for error in shape.get("errors", ()))
        if operation.definition.is_mutation:
            for payload in (shape.get("data") or {}).values():
                if isinstance(payload, dict) and "__typename" in payload:
                    self.tally.payloads[payload["__typename"]] += 1

    def _fail(self, case: Any, actor: str, complaint: str, answer: bytes) -> None:
        what = f"{case.operation.label}, {actor}: {complaint}"
        if what in self.tally.failures:
            return
        said = answer.decode(errors="replace")
        how = f"{case.body}\n{said[:2000]}"
        if '"correlationId":"' in said:
            how += "\n" + self._server.logged(said.split('"correlationId":"')[1].split('"')[0])
        self.tally.failures[what] = how
        self._tell(f"FAILED {what}\n{how}")

    def _headers(self, actor: str) -> dict[str, str]:
        token = self._tokens[actor]
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    def _learn(self) -> None:
        """Look around as everybody, and put some contents into the store."""
        for actor, persona in ACTORS.items():
            if persona is None:
                continue
            asked = {"query": SEEN}
            headers = self._headers(actor)
            answer = self._session.post(self._server.url, json=asked, headers=headers).json()
            if "errors" in answer:
                raise RuntimeError(f"{actor} sees nothing: {answer['errors']}")
            self._ids.learn(answer)
            if persona == "operator":
                continue
            for number in range(3):
                blobs = self._server.url.replace("/graphql", "/blobs")
                kind = {"Content-Type": "text/plain"}
                stored = self._session.post(blobs, data=f"letter {number}", headers=headers | kind)
                self._ids.add("Blob", stored.json()["id"])


@cache
def _prepare() -> None:
    load_all_checks()
    register()
