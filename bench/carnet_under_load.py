"""Carnet for `bench_events.py`: people, records and documents in bulk, and somebody who changes
documents from a process of their own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from time import perf_counter
from uuid import UUID, uuid4

from serving import Served, postgres_of, serving
from sqlalchemy import insert
from subscribers import Crowd

from carnet.documents.actions import set_masked
from carnet.documents.tables import Document
from carnet.people.actor import Assurance, Patient
from carnet.people.sessions import SESSION_PREFIX, new_token, token_hash
from carnet.people.tables import Account, AccountKind, Person, Session, Sex
from carnet.records.tables import Record, RecordState
from carnet.settings import Settings
from carnet.store.database import Database
from carnet.store.wakeups import Wakeups, broker_url
from carnet_graphql.node import write_id
from carnet_graphql.records import Record as RecordNode

QUERY = """subscription($record: ID!) { documentEvents(record: $record) {
  ... on CaughtUp { cursor } ... on DocumentChanged { cursor document { id title } } } }"""


class Carnet:
    """A running server with records; the first has many documents, each of the others one."""

    def __init__(self, server: Served, database: Database) -> None:
        self.port = server.port
        self.pid = server.pid
        self.database = database
        self.holders: list[Patient] = []
        self.records: list[UUID] = []
        self.tokens: list[str] = []
        self.documents: list[list[UUID]] = []
        self._is_masked = False

    def crowd(self) -> Crowd:
        """Return clients who all follow the first record."""
        return self._crowd(lambda _position: 0)

    def crowd_of_many(self) -> Crowd:
        """Return clients who each follow a record of their own."""
        return self._crowd(lambda position: position)

    async def publish_to_one(self, count: int) -> float:
        """Change so many documents of the first record in one transaction; return when it was
        committed."""
        self._is_masked = not self._is_masked
        async with self.database.write() as work:
            for document_id in self.documents[0][:count]:
                await set_masked(self.holders[0], work, document_id, self._is_masked)
        return perf_counter()

    async def publish_to(self, position: int) -> float:
        """Change the document of one record; return when it was committed."""
        async with self.database.write() as work:
            await set_masked(self.holders[position], work, self.documents[position][0], True)
        return perf_counter()

    def _crowd(self, which: object) -> Crowd:
        assert callable(which)

        def operation(position: int) -> dict[str, object]:
            record = write_id(RecordNode, self.records[which(position)])
            return {"query": QUERY, "variables": {"record": record}}

        def payload(position: int) -> dict[str, str]:
            return {"Authorization": f"Bearer {self.tokens[which(position)]}"}

        return Crowd(self.port, operation, payload=payload)


@asynccontextmanager
async def carnet(cores: set[int], size: int) -> AsyncIterator[Carnet]:
    """Start a server on these cores, with so many records and documents."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # its PostgreSQL takes after it
    caps = {"CARNET_SOCKETS_PER_ADDRESS": "100000", "CARNET_SOCKETS_PER_USER": "100000"}
    with serving(**caps) as server, postgres_of(server) as url:
        os.sched_setaffinity(0, own)
        database = Database.connect(url)
        running = Carnet(server, database)
        await fill(running, size)
        broker = broker_url(Settings(), url)
        link = Wakeups(broker, lambda _grown: None, lambda: None)
        async with link.running():
            database.on_grown = link.announce
            yield running
        await database.close()


async def fill(running: Carnet, size: int) -> None:
    """Enrol invented people, each with a session, a record and a document; one with many."""
    async with running.database.write() as work:
        now = work.now
        people, accounts, sessions, records, documents = [], [], [], [], []
        for position in range(size):
            person, account, record = work.new_id(), work.new_id(), work.new_id()
            token, session = new_token(SESSION_PREFIX), work.new_id()
            people.append(
                {"id": person, "birth_family_name": "MARTIN", "given_names": ["Claire"]}
                | {"sex": Sex.FEMALE, "created_at": now}
            )
            accounts.append(
                {"id": account, "kind": AccountKind.PATIENT, "person_id": person}
                | {"login": f"{uuid4()}@example.org", "created_at": now}
            )
            sessions.append(
                {"id": session, "account_id": account, "token_hash": token_hash(token)}
                | {"assurance": Assurance.PASSWORD.value, "created_at": now, "last_used_at": now}
                | {"expires_at": now + timedelta(days=1)}
            )
            records.append(
                {"id": record, "person_id": person, "state": RecordState.OPEN, "created_at": now}
            )
            theirs = [work.new_id() for _ in range(size if position == 0 else 1)]
            documents += [_document(id_, record, account, work.now) for id_ in theirs]
            running.holders.append(Patient(person, account, Assurance.PASSWORD, session))
            running.records.append(record)
            running.tokens.append(token)
            running.documents.append(theirs)
        for table, rows in (
            (Person, people),
            (Account, accounts),
            (Session, sessions),
            (Record, records),
            (Document, documents),
        ):
            await work.session.execute(insert(table), rows)


def _document(id_: UUID, record: UUID, account: UUID, now: object) -> dict[str, object]:
    return {
        "id": id_,
        "record_id": record,
        "lineage_id": id_,
        "status": "CURRENT",
        "depositor": "HOLDER",
        "depositor_account_id": account,
        "unique_id": f"urn:uuid:{id_}",
        "content_key": id_.bytes * 2,
        "category": "PERSONAL",
        "title": "Compte rendu 1",
        "confidentiality_codes": ["N"],
        "author_text": "",
        "flags": [],
        "sort_at": now,
        "deposited_at": now,
        "updated_at": now,
    }
