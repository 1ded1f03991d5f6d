"""One record with a document of each visibility, and everything that can be asked about it.

Title, author, profile entry and dose of a document bear its name: found in an answer, it leaked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import graph
import httpx
import orjson
import world
from scene_texts import (
    AUTHORED,
    FRESH,
    GONE,
    HELD,
    LISTS,
    MASKED,
    MUTATIONS,
    NAMES,
    NODE,
    NODES,
    PLAIN,
    SEARCH,
    SECRET,
)
from sqlalchemy import event, select

from carnet.access.tables import AccessSettings
from carnet.documents.tables import Document, DocumentContent
from carnet.http.app import create_app
from carnet.http.content import ROUTES
from carnet.http.services import Services
from carnet.people.actor import Actor, Patient, Professional
from carnet.people.tables import Professional as ProfessionalRow
from carnet.records.tables import Immunization, ImmunizationSource, ProfileEntry
from carnet.settings import Settings
from carnet.store.base import Base
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.values import PartialDate
from carnet_graphql import documents, immunizations, profile, records
from carnet_graphql.access import Block, CareTeamMember, Consent, EmergencyAccess
from carnet_graphql.delegations import Delegation
from carnet_graphql.node import write_id
from carnet_graphql.people import Organization
from carnet_graphql.people import Professional as ProfessionalNode

__all__ = ["AUTHORED", "FRESH", "GONE", "HELD", "LISTS", "MASKED", "NAMES", "PLAIN", "SECRET"]
BORN = "1980-05-04"
REASON = "Patient inconscient aux urgences"  # for which a record is opened in an emergency


@dataclass(slots=True)
class Scene:
    """The record, its holder and its documents by name."""

    database: Database
    blobs: BlobStore
    holder: Patient
    ins: str
    record: UUID
    documents: dict[str, UUID] = field(default_factory=dict)
    entries: dict[str, UUID] = field(default_factory=dict)
    doses: dict[str, UUID] = field(default_factory=dict)

    @property
    def record_id(self) -> str:
        """The record's global id."""
        return write_id(records.Record, self.record)

    def document_id(self, name: str) -> str:
        """Return a global id."""
        return write_id(documents.Document, self.documents[name])

    def patient(self, **other: str) -> dict[str, str]:
        """Return how a professional names the holder."""
        return {"identifier": self.ins, "birthDate": BORN} | other

    async def run(self, actor: Actor, query: str, **variables: Any) -> Any:
        """Return the data of an operation that has no errors."""
        return await graph.data(self.database, self.blobs, actor, query, **variables)

    async def do(self, actor: Actor, mutation: str, **given: Any) -> dict[str, Any]:
        """Run a mutation and return its one payload."""
        text = MUTATIONS[mutation]
        found: dict[str, Any] = await self.run(actor, text, input=given)
        answer: dict[str, Any] = found[mutation]
        return answer

    async def outcome(self, actor: Actor, mutation: str, **given: Any) -> str:
        """Run a mutation; return its payload's type, or the code of the error in its place."""
        found, errors = await graph.execute(
            self.database, self.blobs, actor, MUTATIONS[mutation], input=given
        )
        if errors:
            (code,) = {error["extensions"]["code"] for error in errors}
            return str(code)
        return str(found[mutation]["__typename"])

    async def done(self, actor: Actor, mutation: str, **given: Any) -> dict[str, Any]:
        """Run a mutation that must succeed."""
        answer = await self.do(actor, mutation, **given)
        assert answer["__typename"].endswith("Success"), answer
        return answer

    async def sees(self, actor: Actor) -> set[str]:
        """Return the names of the documents that the actor can tell of, on whatever path.

        All paths must agree: lists, counts, search, nodes, facts read from them, and downloads.
        """
        listed = await self._listed(actor)
        by_id = await self._by_id(actor)
        fetched = await self._downloaded(actor)
        assert by_id == fetched
        assert listed is None or listed == by_id, (listed, by_id)
        return by_id

    async def _listed(self, actor: Actor) -> set[str] | None:
        found, errors = await graph.execute(
            self.database, self.blobs, actor, LISTS, id=self.record_id
        )
        assert errors == []
        if found["record"] is None:
            return None
        record = found["record"]
        titles = _titles(record["all"])
        assert record["all"]["totalCount"] == len(titles)
        for order in ("oldest", "latest", "titled"):
            assert _titles(record[order]) == titles
        text = orjson.dumps(found).decode()
        assert {name for name in NAMES if name in text} <= titles, text
        found_by = (await self.run(actor, SEARCH, id=self.record_id))["record"]
        for name, hits in found_by.items():
            assert hits["totalCount"] == len(hits["edges"]) == int(name in titles)
        facts = record["profile"]
        for section in ("conditions", "immunizations"):
            labels = _labels(facts[section])
            assert labels in (titles, set()), (section, labels, titles)
            assert facts[section]["totalCount"] == len(labels)
        if record["prevention"] is not None:  # what follows from doses tells of no other
            (item,) = [i for i in record["prevention"]["items"] if i["key"] == "VAC_ROR"]
            counted = {verdict["immunization"]["vaccineLabel"] for verdict in item["history"]}
            assert counted == _labels(facts["immunizations"])
        return titles

    async def _by_id(self, actor: Actor) -> set[str]:
        ids = [self.document_id(name) for name in NAMES]
        found = await self.run(actor, NODES, ids=ids)
        seen = {name for name, node in zip(NAMES, found["nodes"], strict=True) if node}
        alone = await self.run(actor, NODE, **dict(zip(NAMES, ids, strict=True)))
        for name, one in alone.items():
            assert (one is not None) == (name in seen)
            if one is not None:
                assert one["title"] == name
                assert one["versions"]["totalCount"] == 1
                assert len(one["contents"]) == 1
        return seen

    async def facts_by_id(self, actor: Actor) -> tuple[set[str], set[str]]:
        """Return whose entries and whose doses the actor can fetch by id."""
        entries = [write_id(profile.Condition, self.entries[name]) for name in NAMES]
        doses = [write_id(immunizations.Immunization, self.doses[name]) for name in NAMES]
        found = await self.run(actor, NODES, ids=[*entries, *doses])
        seen = [node is not None for node in found["nodes"]]
        pairs = list(zip([*NAMES, *NAMES], seen, strict=True))
        half = len(NAMES)
        return ({n for n, s in pairs[:half] if s}, {n for n, s in pairs[half:] if s})

    async def _downloaded(self, actor: Actor) -> set[str]:
        seen = set()
        async with self.client(actor) as client:
            for name in NAMES:
                answer = await client.get(self.content_path(name))
                assert answer.status_code in (200, 404)
                if answer.status_code == 200:
                    assert answer.content == content_of(name)
                    seen.add(name)
        return seen

    def content_path(self, name: str) -> str:
        """Return where a document's content is downloaded."""
        return f"/documents/{self.document_id(name)}/content"

    def client(self, actor: Actor) -> httpx.AsyncClient:
        """Return a client of the application in which the actor has signed in."""

        async def authenticate(_database: Database, _token: str, _address: str) -> Actor:
            return actor

        services = Services(
            Settings(),
            self.database,
            self.blobs,
            graph.SCHEMA,
            authenticate,
            None,  # type: ignore[arg-type]  # nobody signs in here
            graph.SIGNER,
            graph.CURSORS,
            graph.FEEDS,
        )
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(services, ROUTES)),
            base_url="http://127.0.0.1",
            headers={"Authorization": "Bearer t"},
        )


def content_of(name: str) -> bytes:
    """Return the bytes of a document."""
    return f"%PDF-1.4 {name}".encode()


async def make(
    database: Database,
    blobs: BlobStore,
    *,
    born: str = BORN,
    author: Professional | None = None,
    hide_results_days: int = 3,
) -> Scene:
    """Return a record whose holder chose not to see results of the last days."""
    ins = world.national_number()
    person = await world.holder(database, born=born, ins=ins)
    made = Scene(database, blobs, person, ins, await world.record_of(database, person))
    async with database.write() as work:
        if hide_results_days:
            chosen = AccessSettings(
                record_id=made.record, hide_results_days=hide_results_days, updated_at=work.now
            )
            work.session.add(chosen)
    for name in NAMES:
        await _document(made, name, author if name == AUTHORED else None)
    return made


async def _document(made: Scene, name: str, author: Professional | None) -> None:
    async def chunks() -> Any:
        yield content_of(name)

    owner = f"account:{made.holder.account_id}"
    stored = await made.blobs.receive(
        made.database, owner, chunks(), media_type="application/pdf", limit_bytes=1000
    )
    async with made.database.write() as work:
        blob = await made.blobs.claim(work, owner, stored.id)
        id_ = work.new_id()
        rpps = []
        if author is not None:
            rpps = [(await work.session.get_one(ProfessionalRow, author.professional_id)).rpps]
        earlier = work.now - timedelta(days=10)
        work.session.add(
            Document(
                id=id_,
                record_id=made.record,
                lineage_id=id_,
                status="WITHDRAWN" if name == GONE else "CURRENT",
                depositor="PROFESSIONAL",
                unique_id=f"urn:uuid:{id_}",
                content_key=blob.sha256,
                category="LABORATORY",
                type_system="http://loinc.org",
                type_code="11502-2",
                title=name,
                confidentiality_codes=["N"],
                authors=[{"familyName": name}],
                author_text=name,
                author_rpps=rpps,
                is_masked=name in (MASKED, AUTHORED),
                hidden_from_holder_until=work.now + timedelta(days=20) if name == HELD else None,
                is_hidden_from_representatives=name == SECRET,
                flags=[],
                sort_at=earlier,
                deposited_at=work.now if name == FRESH else earlier,
                updated_at=work.now,
            )
        )
        await work.session.flush()
        work.session.add(
            DocumentContent(
                id=work.new_id(),
                document_id=id_,
                part=0,
                role="ORIGINAL",
                blob_id=blob.id,
                media_type="application/pdf",
                file_name=f"{name}.pdf",
            )
        )
        made.documents[name] = id_
        await _facts(made, work, name, id_)


async def _facts(made: Scene, work: Any, name: str, document_id: UUID) -> None:
    hidden = work.now + timedelta(days=20) if name == HELD else None
    stated = {
        "stated_by": "PUBLISHER",
        "stated_at": work.now,
        "source_document_id": document_id,
        "hidden_from_holder_until": hidden,
    }
    entry = ProfileEntry(
        id=work.new_id(),
        record_id=made.record,
        section="CONDITIONS",
        label=name,
        status="ACTIVE",
        sort_on="",
        updated_at=work.now,
        **stated,
    )
    given_on = PartialDate(f"2024-01-{NAMES.index(name) + 1:02}")
    dose = Immunization(
        id=work.new_id(),
        record_id=made.record,
        vaccine_label=name,
        disease_codes=["measles", "mumps", "rubella"],
        given_on=given_on,
        sort_on=given_on.text,
        created_at=work.now,
        updated_at=work.now,
    )
    work.session.add_all([entry, dose])
    await work.session.flush()
    work.session.add(
        ImmunizationSource(
            id=work.new_id(),
            immunization_id=dose.id,
            source_key=name,
            vaccine_label=name,
            disease_codes=["measles", "mumps", "rubella"],
            given_on=given_on,
            **stated,
        )
    )
    made.entries[name], made.doses[name] = entry.id, dose.id


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the SQL statements that are sent meanwhile."""
    sent: list[str] = []

    def note(_c: Any, _cur: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def tables(database: Database, *without: str) -> dict[str, list[Any]]:
    """Return all rows of all tables, to be compared: a denial changes nothing."""
    found = {}
    async with database.read() as work:
        for table in Base.metadata.sorted_tables:
            if table.name not in without:
                rows = await work.session.execute(select(table))
                found[table.name] = sorted((repr(tuple(row)) for row in rows), key=str)
    return found


def professional_id(actor: Professional) -> str:
    """Return a professional's global id."""
    return write_id(ProfessionalNode, actor.professional_id)


def organization_id(id_: UUID) -> str:
    """Return an organization's global id."""
    return write_id(Organization, id_)


def member_id(id_: UUID) -> str:
    """Return a membership's global id."""
    return write_id(CareTeamMember, id_)


def consent_id(id_: UUID) -> str:
    """Return a consent's global id."""
    return write_id(Consent, id_)


def block_id(id_: UUID) -> str:
    """Return a block's global id."""
    return write_id(Block, id_)


def emergency_id(id_: UUID) -> str:
    """Return an emergency access's global id."""
    return write_id(EmergencyAccess, id_)


def delegation_id(id_: UUID) -> str:
    """Return a delegation's global id."""
    return write_id(Delegation, id_)


def _titles(connection: dict[str, Any]) -> set[str]:
    return {edge["node"]["title"] for edge in connection["edges"]}


def _labels(connection: dict[str, Any]) -> set[str]:
    nodes = [edge["node"] for edge in connection["edges"]]
    return {node.get("label") or node["vaccineLabel"] for node in nodes}
