"""What the dearest operations that are allowed cost in processor time, next to their price.

Run it by hand: ``.venv/bin/python bench/bench_costs.py [ROUNDS]``. Each operation is made as large
as the bounds on documents and prices allow, sent to a record of thousands of entries, and its
processor time taken from the server and from its PostgreSQL: the best of the rounds, alone. The
last column is what a point of its price costs, next to 20 documents with contents in the same run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from bench_reads import FIRST, VIEWER, fill, sign_in
from serving import Served, postgres_of, request, serving

from carnet.prevention.statements import STATEMENTS_LIMIT
from carnet.settings import Settings
from carnet_graphql.operations.limits import MUTATION_LIMIT
from carnet_graphql.operations.operation import Operation
from carnet_graphql.schema import schema

LIMIT = Settings().query_cost_limit
TICK = os.sysconf("SC_CLK_TCK")  # a second
DOCUMENT = """id title category status version revision uniqueId language depositedAt updatedAt
  depositedBy isMasked isHiddenFromRepresentatives flags confidentialityCodes formatCode createdAt
  serviceStartedAt serviceEndedAt type { system code display } practiceSetting { code display }
  authors { familyName givenName organizationName } contents { part mediaType sizeBytes url }
  readableContent { mediaType url } permissions { mask delete }"""
ENTRY = "id label status startedOn endedOn codings { system code display }"
KNOWN = "knownActs { code }"
SCHEMA = schema()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with serving() as server, postgres_of(server):
        fill(server)
        token = sign_in(server)
        record = ask(server, token, VIEWER)["viewer"]["record"]["id"]
        state_acts(server, token, record)
        unit = 0.0
        for name, query in operations(record):
            found = SCHEMA.operations.read(query, None)
            assert isinstance(found, Operation), (name, found)
            price = SCHEMA.costs.of(found, {"id": record})
            spent = min((measured(server, token, query, record) for _ in range(rounds)), key=sum)
            unit = unit or sum(spent) / price
            print(
                f"{name:32} price {price:6}   server {spent[0] * 1e3:6.0f} ms"
                f"   PostgreSQL {spent[1] * 1e3:6.0f} ms"
                f"   {sum(spent) / price / unit:5.2f} x a point",
                flush=True,
            )


OF_RECORD = {
    "documents, every field": f"documents(first: SIZE) {{ edges {{ node {{ {DOCUMENT} }} }} }}",
    "documents, ids only": "documents(first: SIZE) { edges { node { id } } }",
    "documents with versions": "documents(first: 90) { edges { node { versions(first: 3)"
    " { edges { node { id } } } } } }",
    "documents, 1 each": "documents(first: 1, filter: {since: DAY}) { edges { node { id } } }",
    "documents, only counted": "documents(filter: {since: DAY}) { totalCount }",
    "conditions": f"profile {{ conditions(first: SIZE) {{ edges {{ node {{ {ENTRY} }} }} }} }}",
    "measurements, only counted": "profile { measurements(first: SIZE) { totalCount } }",
    "immunizations": "profile { immunizations(first: SIZE) { edges { node { id vaccineLabel givenOn"
    " diseases { name } sources { statedBy } } } } }",
    "journal with documents": "journal(first: SIZE) { edges { node { at actorName action"
    " rule { code meaning } documents { id title } } } }",
    "prevention": "prevention(asOf: DAY) { items { title level status due overdue } }",
    "prevention, 500 acts": "prevention(asOf: DAY) { acts { id act doneOn statedBy } }",
    "prevention, one word": "prevention(asOf: DAY) { schedule }",
    "calendar": "calendar(first: SIZE, from: DAY) { edges { node { date } } }",
    "previews": 'previewAs(first: SIZE, role: {standing: CARE_TEAM, profession: "60"})'
    " { edges { node { id } } }",
}
"""Fields of a record, each repeated with other arguments: what is asked alike is read once."""

OF_ROOT = {
    "records": "RECORD { id state holder { id } documents(first: 1) { totalCount } }",
    "introspection": "__schema { types { name description fields { name description"
    " args { name } type { name ofType { name } } } } }",
}


def operations(record: str) -> Iterator[tuple[str, str]]:
    """Yield each operation, as large as it may be."""
    of = f'record(id: "{record}")'
    yield "20 documents with contents", FIRST
    yield "viewer and record", VIEWER
    for name, field in OF_RECORD.items():
        yield name, largest(lambda n, field=field: f"{{ {of} {{ {repeated(field, n)} }} }}")
    for name, field in OF_ROOT.items():
        yield (
            name,
            largest(lambda n, field=field: f"{{ {repeated(field.replace('RECORD', of), n)} }}"),
        )
    ids = f'"{record}" ' * 100
    yield "nodes", f"{{ nodes(ids: [{ids}]) {{ id }} }}"


def repeated(field: str, count: int) -> str:
    """Return the field so many times, each with arguments of its own."""
    days = ('"2026-%02d-%02d"' % (1 + i // 28, 1 + i % 28) for i in range(count))  # noqa: UP031
    is_moment = "since" in field
    return " ".join(
        f"a{i}: "
        + field.replace("SIZE", str(max(100 - i, 1))).replace(
            "DAY", day[:-1] + 'T00:00:00Z"' if is_moment else day
        )
        for i, day in enumerate(days)
    )


def largest(make: Callable[[int], str]) -> str:
    """Return the largest that is allowed: within every bound, and within the price."""
    best = ""
    low, high = 1, 5000
    while low <= high:
        middle = (low + high) // 2
        query = make(middle)
        found = SCHEMA.operations.read(query, None)
        if isinstance(found, Operation) and SCHEMA.costs.of(found, None) <= LIMIT:
            best, low = query, middle + 1
        else:
            if middle == 1:
                return query
            high = middle - 1
    return best


def state_acts(server: Served, token: str, record: str) -> None:
    """State as many acts as a record takes: a list that is longer than it is priced at."""
    acts = ask(server, token, f'{{ record(id: "{record}") {{ prevention {{ {KNOWN} }} }} }}')
    code = acts["record"]["prevention"]["knownActs"][0]["code"]
    for start in range(0, STATEMENTS_LIMIT, MUTATION_LIMIT):
        stated = " ".join(
            f'a{n}: addPreventionAct(input: {{recordId: "{record}", act: "{code}",'
            f' doneOn: "{1980 + n // 28}-01-{n % 28 + 1:02d}"}}) {{ __typename }}'
            for n in range(start, start + MUTATION_LIMIT)
        )
        for payload in ask(server, token, f"mutation {{ {stated} }}").values():
            assert payload["__typename"] == "AddPreventionActSuccess", payload


def measured(server: Served, token: str, query: str, record: str) -> tuple[float, float]:
    before = spent(server)
    ask(server, token, query, record)
    after = {name: seconds - before.get(name, 0) for name, seconds in spent(server).items()}
    own = after.pop(str(server.pid))
    return own, sum(after.values())


def ask(server: Served, token: str, query: str, record: str = "") -> Any:
    variables = {"id": record} if "$id" in query else {}
    body = orjson.dumps({"query": query, "variables": variables})
    _, answer = request(server.connect(), "/graphql", body, token, "application/json")
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def spent(server: Served) -> dict[str, float]:
    """Return the processor seconds of the server, and of each process of its PostgreSQL."""
    postmaster = (server.folder / "data/postgres/postmaster.pid").read_text().split()[0]
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if fields[1] == postmaster or process.name == str(server.pid):
            found[process.name] = (int(fields[11]) + int(fields[12])) / TICK
    return found


if __name__ == "__main__":
    main()
