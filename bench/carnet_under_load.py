"""Carnet for `bench_events.py`: people and records in bulk, and the three ways to publish there.

- Somebody in another process masks a document: the action itself, committed in PostgreSQL by the
  measuring process, which then tells the broker. When it was committed is known exactly.
- A holder masks a document: the mutation over HTTP, on the server that has the subscribers.
- Software deposits documents: one submission to ``/intake``, committed as one.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import orjson
from contestants import Contestant
from serving import Line, Served, post, postgres_of, request, serving
from sqlalchemy import insert
from subscribers import Crowd

from carnet.access.tables import Delegation, DelegationKind, DelegationScope
from carnet.documents.actions import set_masked
from carnet.documents.tables import Document
from carnet.people.actor import CONSOLE, Assurance, Patient
from carnet.people.registers import register_publisher
from carnet.people.sessions import SESSION_PREFIX, new_token, token_hash
from carnet.people.tables import Account, AccountKind, Person, PersonIdentifier, Session, Sex
from carnet.records.tables import Record
from carnet.records.tables import RecordState as State
from carnet.settings import Settings
from carnet.store.brokers import broker_url
from carnet.store.database import Database
from carnet.store.embedded import EmbeddedPostgres
from carnet.store.wakeups import Wakeups
from carnet.values import PartialDate
from carnet_graphql.documents import Document as DocumentNode
from carnet_graphql.node import write_id
from carnet_graphql.records import Record as RecordNode

QUERY = """subscription($record: ID!) { documentEvents(record: $record) {
  ... on CaughtUp { cursor }
  ... on DocumentDeposited { cursor document { id title } }
  ... on DocumentChanged { cursor document { id title } } } }"""
MASK = """mutation($input: MaskDocumentInput!) { maskDocument(input: $input) { __typename } }"""
SYSTEM = "urn:oid:1.2.250.1.213.1.4.10"  # the national identifier's own test range
NUMBERS = ("279035121518989", "255069999999934")
TITLE = "Compte rendu 1"
PDF = b"%PDF-1.4\n% two kilobytes\n" + b"x" * 2000 + b"\n%%EOF\n"
FAMILY, ALONE = 0, 1  # records; those after them follow one by one
DELEGATES = 9
"""Who read the first record besides its holder."""


class Holder:
    """Somebody with a record and a document."""

    def __init__(self, actor: Patient, token: str, record_id: UUID, document_id: UUID) -> None:
        self.actor = actor
        self.token = token
        self.record_id = record_id
        self.document_id = document_id
        self.is_masked = False


class Carnet:
    """A running server with records in it."""

    def __init__(self, server: Served, database: Database, database_pid: int) -> None:
        self.server = server
        self.database = database
        self.database_pid = database_pid
        self.holders: list[Holder] = []
        self.delegates: list[str] = []  # tokens of who read the first record, too
        self._credential = ""  # of software that feeds records
        self._deposited = 0

    def contestant(self, name: str, record: int) -> Contestant:
        """Return the server with clients of one record: of a whole family, or of its holder."""
        return Contestant(
            name,
            lambda: self.crowd_of_one(record),
            partial(self.commit, record),
            partial(self.deposit, record),
            self.server.pid,
            self.database_pid,
            told=1,
        )

    def crowd_of_one(self, record: int) -> Crowd:
        """Return clients who all follow one record."""
        holder = self.holders[record]
        tokens = [holder.token, *(self.delegates if record == FAMILY else ())]
        return self._crowd(lambda at: (holder, tokens[at % len(tokens)]))

    def crowd_of_many(self) -> Crowd:
        """Return clients who each follow a record of their own."""
        return self._crowd(lambda at: (self.holders[at], self.holders[at].token))

    async def commit(self, record: int, count: int) -> float:
        """Change a document so often from another process; return when it was committed."""
        holder = self.holders[record]
        for _ in range(count):
            holder.is_masked = not holder.is_masked
            async with self.database.write() as work:
                await set_masked(holder.actor, work, holder.document_id, holder.is_masked)
        return perf_counter()

    async def ask(self, record: int, count: int) -> float:
        """Change a document by so many mutations; return when the last was sent."""
        line = await Line.open(self.server.port)
        holder = self.holders[record]
        document = write_id(DocumentNode, holder.document_id)
        for _ in range(count):
            holder.is_masked = not holder.is_masked
            variables = {"input": {"documentId": document, "masked": holder.is_masked}}
            body = orjson.dumps({"query": MASK, "variables": variables})
            sent_at = perf_counter()
            answer = await line.send(post("/graphql", body, holder.token))
            assert b"MaskDocumentSuccess" in answer, answer
        line.close()
        return sent_at

    async def deposit(self, record: int, count: int) -> float:
        """Deposit so many documents in one submission; return when it was sent."""
        body = orjson.dumps(self._submission(record, count))
        connection = self.server.connect()
        sent_at = perf_counter()
        _, receipt = await asyncio.to_thread(
            request, connection, "/intake", body, self._credential, "application/fhir+json"
        )
        connection.close()
        assert receipt["counts"]["CREATED"] >= count, receipt["counts"]
        return sent_at

    async def fill(self, count: int) -> None:
        """Make so many invented people, each with a session, a record and a document."""
        tables = (Person, PersonIdentifier, Account, Session, Record, Document, Delegation)
        rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in tables}
        async with self.database.write() as work:
            now = work.now

            def person() -> tuple[Patient, str]:
                actor = Patient(work.new_id(), work.new_id(), Assurance.PASSWORD, work.new_id())
                token = new_token(SESSION_PREFIX)
                born = {
                    "birth_date": PartialDate("1979-03-28"),
                    "sex": Sex.FEMALE,
                    "created_at": now,
                }
                named = {"birth_family_name": "MARTIN", "given_names": ["Claire"]}
                rows[Person].append({"id": actor.person_id, **named, **born})
                owned = {"kind": AccountKind.PATIENT, "person_id": actor.person_id}
                login = {"login": f"{uuid4()}@example.org", "created_at": now}
                rows[Account].append({"id": actor.account_id, **owned, **login})
                proof = {"token_hash": token_hash(token), "assurance": actor.assurance.value}
                span = {"created_at": now, "last_used_at": now, "expires_at": now + DAY}
                own = {"id": actor.session_id, "account_id": actor.account_id}
                rows[Session].append({**own, **proof, **span})
                return actor, token

            self._credential = (await register_publisher(CONSOLE, work, "bench")).secret
            for _ in range(count):
                actor, token = person()
                holder = Holder(actor, token, work.new_id(), work.new_id())
                owned = {"person_id": actor.person_id, "state": State.OPEN, "created_at": now}
                rows[Record].append({"id": holder.record_id, **owned})
                rows[Document].append(_document(holder, now))
                self.holders.append(holder)
            for holder, number in zip(self.holders, NUMBERS, strict=False):
                known = {"system": SYSTEM, "value": number, "is_national": True}
                owner = {"id": work.new_id(), "person_id": holder.actor.person_id}
                rows[PersonIdentifier].append({**owner, **known, "is_key_valid": True})
            for _ in range(DELEGATES):
                actor, token = person()
                pair = {"holder_person_id": self.holders[FAMILY].actor.person_id}
                pair["delegate_person_id"] = actor.person_id
                what = {"kind": DelegationKind.CAREGIVER, "scopes": [DelegationScope.DOCUMENTS]}
                since = {"invited_at": now, "accepted_at": now}
                rows[Delegation].append({"id": work.new_id(), **pair, **what, **since})
                self.delegates.append(token)
            for table, made in rows.items():
                await work.session.execute(insert(table), made)

    def _submission(self, record: int, count: int) -> dict[str, Any]:
        number, patient = NUMBERS[record], f"urn:uuid:{UUID(int=record + 1)}"
        person = {
            "resourceType": "Patient",
            "id": "claire",
            "identifier": [{"system": SYSTEM, "value": number}],
            "name": [{"use": "official", "family": "MARTIN", "given": ["Claire"]}],
            "gender": "female",
            "birthDate": "1979-03-28",
        }
        entries: list[dict[str, Any]] = [{"fullUrl": patient, "resource": person}]
        for _ in range(count):
            self._deposited += 1
            made = _resource(patient, self._deposited)
            entries.append({"fullUrl": f"urn:bench:{self._deposited}", "resource": made})
        return {"resourceType": "Bundle", "type": "collection", "entry": entries}

    def _crowd(self, who: Any) -> Crowd:
        def operation(position: int) -> dict[str, Any]:
            record = write_id(RecordNode, who(position)[0].record_id)
            return {"query": QUERY, "variables": {"record": record}}

        def init(position: int) -> dict[str, Any]:
            return {"Authorization": f"Bearer {who(position)[1]}"}

        return Crowd(self.server.port, operation, init=init)


DAY = timedelta(days=1)


@asynccontextmanager
async def carnet(cores: set[int], size: int) -> AsyncIterator[Carnet]:
    """Start a server and its PostgreSQL on these cores, with so many records."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # what is started takes after this
    caps = {
        "CARNET_SOCKETS_PER_ADDRESS": "100000",
        "CARNET_CONNECTIONS_PER_ADDRESS": "100000",
        "CARNET_SOCKETS_PER_USER": "100000",
    }
    with serving(**caps) as server, postgres_of(server) as url:
        os.sched_setaffinity(0, own)
        database = Database.connect(url)
        running = Carnet(server, database, _postmaster(server))
        await running.fill(max(size, 2))
        link = Wakeups(broker_url(Settings(), url), lambda _grown: None, lambda: None)
        async with link.running():
            database.on_grown = link.announce
            yield running
        await database.close()


def _postmaster(server: Served) -> int:
    attached = EmbeddedPostgres.attach(server.folder / "data")
    assert attached is not None
    try:
        return attached.pid
    finally:
        attached.stop()


def _document(holder: Holder, now: object) -> dict[str, Any]:
    return {
        "id": holder.document_id,
        "record_id": holder.record_id,
        "lineage_id": holder.document_id,
        "status": "CURRENT",
        "depositor": "HOLDER",
        "depositor_account_id": holder.actor.account_id,
        "unique_id": f"urn:uuid:{holder.document_id}",
        "content_key": holder.document_id.bytes * 2,
        "category": "PERSONAL",
        "title": TITLE,
        "confidentiality_codes": ["N"],
        "author_text": "",
        "flags": [],
        "sort_at": now,
        "deposited_at": now,
        "updated_at": now,
    }


def _resource(patient: str, number: int) -> dict[str, Any]:
    """Return a letter as a hospital's software sends it."""
    data = b64encode(PDF + str(number).encode()).decode()
    file = {"contentType": "application/pdf", "data": data, "title": TITLE}
    kind = {"system": "http://loinc.org", "code": "34112-3"}
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:bench:{number}"},
        "status": "current",
        "type": {"coding": [kind], "text": "Compte rendu"},
        "subject": {"reference": patient},
        "date": "2026-03-28T10:15:00+01:00",
        "contained": [{"resourceType": "Practitioner", "id": "a", "name": [{"family": "DURAND"}]}],
        "author": [{"reference": "#a"}],
        "content": [{"attachment": file}],
        "context": {"period": {"start": "2026-03-28T10:15:00+01:00"}},
    }
