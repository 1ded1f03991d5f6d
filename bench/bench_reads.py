"""How fast a holder's screens are answered over HTTP, next to what any answer costs.

Run it by hand: ``.venv/bin/python bench/bench_reads.py [REQUESTS]``. The record is filled through
``POST /intake``; then each query is sent over one kept-alive connection, which gives p50 and p95,
and over several at once, which gives requests per second. The client is this process, on the same
cores as the server and its PostgreSQL.

The baselines are measured in the same run, in turn with the queries: a GraphQL operation that
reads nothing (``{ __typename }``, signed in all the same), ``/health/ready``, which is HTTP and
one round trip through the server's pool, and ``SELECT 1`` through such a pool in this process.
"""

from __future__ import annotations

import asyncio
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from secrets import token_urlsafe
from time import perf_counter
from typing import Any

import orjson
from serving import PROCESSORS, Line, Served, get, post, postgres_of, request, serving, shown
from sqlalchemy import URL, text

from carnet.store.database import Database

ROUNDS = 3
LINES = 8  # connections at once
WARM_UP = 10  # requests
HELD = {
    "DocumentReference": 1000,
    "Immunization": 300,
    "Observation": 5000,
    "Condition": 300,
    "AllergyIntolerance": 100,
    "MedicationStatement": 300,
}
NATIONAL_NUMBER = "279035121518989"
PATIENT = "urn:uuid:00000000-0000-4000-8000-000000000001"
PDF = b"%PDF-1.4\n% two kilobytes\n" + b"x" * 2000 + b"\n%%EOF\n"

DOCUMENT = "id title category serviceStartedAt authors { familyName } "
CONTENTS = "contents { part mediaType fileName sizeBytes sha256 url } permissions { mask delete }"
ENTRIES = "{ totalCount edges { node { id label status startedOn codings { system code } } } }"
VIEWER = """{ viewer { ... on Patient { id birthFamilyName givenNames birthDate sex
  record { id state openedAt } } } }"""
FIRST = f"""query($id: ID!) {{ record(id: $id) {{ documents(first: 20) {{ totalCount
  pageInfo {{ hasNextPage endCursor }} edges {{ node {{ {DOCUMENT} {CONTENTS} }} }} }} }} }}"""
PAGE = f"""query($id: ID!, $after: Cursor) {{ record(id: $id) {{
  documents(first: 20, after: $after) {{ totalCount
  pageInfo {{ hasNextPage endCursor }} edges {{ node {{ {DOCUMENT} {CONTENTS} }} }} }} }} }}"""
WALK = """query($id: ID!, $after: Cursor) { record(id: $id) { documents(first: 100, after: $after) {
  pageInfo { hasNextPage endCursor } edges { cursor node { id } } } } }"""
PROFILE = f"""query($id: ID!) {{ record(id: $id) {{ profile {{
  allergies {ENTRIES} conditions {ENTRIES} treatments {ENTRIES}
  measurements {{ totalCount edges {{ node {{ id label startedOn value unit }} }} }}
  immunizations {{ totalCount edges {{ node {{ id vaccineLabel givenOn diseases {{ name }} }} }} }}
}} }} }}"""
NODE = f"query($id: ID!) {{ node(id: $id) {{ ... on Document {{ {DOCUMENT} }} }} }}"
SIGN_IN = """mutation($login: String!, $password: String!) {
  signIn(input: {login: $login, password: $password}) { ... on SignInSuccess { token } } }"""

Act = Callable[[int], Awaitable[object]]  # takes the number of the connection to use


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with serving() as server, postgres_of(server) as url:
        fill(server)
        token = sign_in(server)
        kept = ", ".join(f"{number} {kind}" for kind, number in HELD.items())
        print(f"a record of {kept}")
        print(f"{ROUNDS} rounds of {count} requests on 1 and on {LINES} connections", end="")
        print(f", {PROCESSORS} cores")
        asyncio.run(measure(server, url, token, count))


async def measure(server: Served, url: URL, token: str, count: int) -> None:
    lines = [await Line.open(server.port) for _ in range(LINES)]
    database = Database.connect(url, pool_size=LINES)

    def sending(message: bytes) -> Act:
        return lambda line: lines[line].send(message)

    async def select(_: int) -> object:
        async with database.read() as work:
            return await work.session.scalar(text("SELECT 1"))

    baselines: dict[str, Act] = {
        "{ __typename }": sending(operation("{ __typename }", token)),
        "/health/ready": sending(get("/health/ready")),
        "SELECT 1": select,
    }
    messages = await queries(lines[0], token)
    acts = baselines | {name: sending(message) for name, message in messages.items()}
    alone: dict[str, list[float]] = {name: [] for name in acts}
    together: dict[str, list[float]] = {name: [] for name in acts}
    for act in acts.values():
        await timed(act, WARM_UP)
    for _ in range(ROUNDS):
        for name, act in acts.items():
            alone[name] += await timed(act, count)
            for line in range(1, LINES):  # the server has closed what was idle for long
                lines[line].close()
                lines[line] = await Line.open(server.port)
            together[name].append(await rate(act, count))
    for line in lines:
        line.close()
    await database.close()
    trivial, select_1 = (
        sorted(alone[n])[len(alone[n]) // 2] for n in ("{ __typename }", "SELECT 1")
    )
    for name in acts:
        middle = sorted(alone[name])[len(alone[name]) // 2]
        print(
            f"{name:34} {shown(alone[name])}   {max(together[name]):6.0f} requests/s"
            f"   {middle / trivial:5.1f} x trivial   {middle / select_1:5.1f} x SELECT 1"
        )


async def queries(line: Line, token: str) -> dict[str, bytes]:
    """Return each query as it goes over the wire, after a look at what it answers."""

    async def ask(query: str, **variables: Any) -> tuple[bytes, Any]:
        message = operation(query, token, **variables)
        answer = orjson.loads(await line.send(message))
        assert "errors" not in answer, answer
        return message, answer["data"]

    viewer, data = await ask(VIEWER)
    record = data["viewer"]["record"]["id"]
    first, data = await ask(FIRST, id=record)
    documents = data["record"]["documents"]
    assert documents["totalCount"] == HELD["DocumentReference"]
    assert all(edge["node"]["contents"] for edge in documents["edges"])
    document = documents["edges"][7]["node"]["id"]
    after, seen = None, 0
    while seen < HELD["DocumentReference"] * 9 // 10:
        _, data = await ask(WALK, id=record, after=after)
        page = data["record"]["documents"]
        after, seen = page["pageInfo"]["endCursor"], seen + len(page["edges"])
    deep, data = await ask(PAGE, id=record, after=after)
    assert len(data["record"]["documents"]["edges"]) == 20
    profile, data = await ask(PROFILE, id=record)
    assert all(len(section["edges"]) == 20 for section in data["record"]["profile"].values())
    node, data = await ask(NODE, id=document)
    assert data["node"]["title"]
    return {
        "viewer and record": viewer,
        "first 20 documents with contents": first,
        f"20 documents after {seen}, by cursor": deep,
        "profile, 20 each of 5 sections": profile,
        "a document by its id": node,
    }


async def timed(act: Act, count: int) -> list[float]:
    times = []
    for _ in range(count):
        started_at = perf_counter()
        await act(0)
        times.append(perf_counter() - started_at)
    return times


async def rate(act: Act, count: int) -> float:
    """Return how many a second are done on all connections at once."""
    left = iter(range(count))

    async def work(line: int) -> None:
        for _ in left:
            await act(line)

    started_at = perf_counter()
    await asyncio.gather(*(work(line) for line in range(LINES)))
    return count / (perf_counter() - started_at)


def operation(query: str, token: str, **variables: Any) -> bytes:
    return post("/graphql", orjson.dumps({"query": query, "variables": variables}), token)


def sign_in(server: Served) -> str:
    password = token_urlsafe(16)
    words = ("account", "add", "bench", "--person", NATIONAL_NUMBER)
    server.carnet(*words, stdin=f"{password}\n")
    variables = {"login": "bench", "password": password}
    body = orjson.dumps({"query": SIGN_IN, "variables": variables})
    _, answer = request(server.connect(), "/graphql", body, "", "application/json")
    token: str = answer["data"]["signIn"]["token"]
    return token


def fill(server: Served) -> None:
    credential = server.publisher("bench")
    connection = server.connect()
    for kind, count in HELD.items():
        entries = [{"fullUrl": PATIENT, "resource": patient()}]
        entries += [
            {"fullUrl": f"urn:bench:{kind}:{made['id']}", "resource": made}
            for made in resources(kind, count)
        ]
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        body = orjson.dumps(bundle)
        _, receipt = request(connection, "/intake", body, credential, "application/fhir+json")
        assert receipt["counts"]["CREATED"] >= count, receipt["counts"]


def patient() -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "claire",
        "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.10", "value": NATIONAL_NUMBER}],
        "name": [{"use": "official", "family": "MARTIN", "given": ["Claire"]}],
        "gender": "female",
        "birthDate": "1979-03-28",
    }


def resources(kind: str, count: int) -> Iterator[dict[str, Any]]:
    """Yield resources of a kind, each on another day."""
    for number in range(count):
        day = f"{2024 - number // 336}-{number // 28 % 12 + 1:02d}-{number % 28 + 1:02d}"
        own: dict[str, Any] = {"resourceType": kind, "id": f"n{number}"}
        yield own | _FIELDS[kind](number, day)


def _document(number: int, day: str) -> dict[str, Any]:
    data = b64encode(PDF + str(number).encode()).decode()
    return {
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:bench:{number}"},
        "status": "current",
        "type": _concept("http://loinc.org", "11502-2", "Compte rendu d'examens"),
        "subject": {"reference": PATIENT},
        "date": f"{day}T10:15:00+01:00",
        "contained": [{"resourceType": "Practitioner", "id": "a", "name": [{"family": "DURAND"}]}],
        "author": [{"reference": "#a"}],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "data": data,
                    "title": f"Compte rendu {number}",
                }
            }
        ],
        "context": {"period": {"start": f"{day}T10:15:00+01:00"}},
    }


def _dose(number: int, day: str) -> dict[str, Any]:
    return {
        "status": "completed",
        "patient": {"reference": PATIENT},
        "vaccineCode": _concept("http://hl7.org/fhir/sid/cvx", "140", "Vaccin grippal"),
        "occurrenceDateTime": day,
        "lotNumber": f"L{number}",
    }


def _measurement(number: int, day: str) -> dict[str, Any]:
    unit = {"unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}
    return {
        "status": "final",
        "subject": {"reference": PATIENT},
        "code": _concept("http://loinc.org", "29463-7", "Poids"),
        "effectiveDateTime": day,
        "valueQuantity": {"value": 60 + number % 10, **unit},
    }


def _condition(number: int, day: str) -> dict[str, Any]:
    return {
        "subject": {"reference": PATIENT},
        "code": _concept("http://snomed.info/sct", "38341003", f"Hypertension {number}"),
        "onsetDateTime": day,
    }


def _allergy(number: int, day: str) -> dict[str, Any]:
    return {
        "patient": {"reference": PATIENT},
        "code": _concept("http://snomed.info/sct", "91936005", f"Pénicilline {number}"),
        "onsetDateTime": day,
    }


def _treatment(number: int, day: str) -> dict[str, Any]:
    return {
        "status": "active",
        "subject": {"reference": PATIENT},
        "medicationCodeableConcept": _concept("http://www.whocc.no/atc", "C09AA05", f"N {number}"),
        "effectivePeriod": {"start": day},
    }


def _concept(system: str, code: str, words: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}], "text": words}


_FIELDS: dict[str, Callable[[int, str], dict[str, Any]]] = {
    "DocumentReference": _document,
    "Immunization": _dose,
    "Observation": _measurement,
    "Condition": _condition,
    "AllergyIntolerance": _allergy,
    "MedicationStatement": _treatment,
}


if __name__ == "__main__":
    main()
