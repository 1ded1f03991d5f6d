"""The pure decision and the SQL filters say the same, over generated worlds.

A world is one record with settings, documents, entries of the profile, and every kind of grant to
a delegate and a professional, in force or not at the moment that is asked about.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, true

from carnet.access import queries as access
from carnet.access import tables
from carnet.access.deciding import Deciding
from carnet.access.facts import DOCUMENTS, RECORDS, THREADS, DocumentFacts
from carnet.access.filters import concealed
from carnet.access.rules import RULES, Action, Role, Standing, decide
from carnet.documents import queries as documents
from carnet.documents.tables import Document
from carnet.people import tables as people
from carnet.people.actor import Actor, Anonymous, Assurance, Operator, Patient, Professional
from carnet.people.actor import Publisher as PublisherActor
from carnet.records import profile_queries
from carnet.records import queries as records
from carnet.records.tables import ProfileEntry, Record, RecordState
from carnet.store.base import Base
from carnet.store.database import Database, Work

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MOMENTS = [NOW - timedelta(days=40), NOW - timedelta(seconds=1), NOW, NOW + timedelta(days=3)]
TYPES = [None, "11502-2", "34105-7", "57833-6", "unheard-of"]
PROFESSIONS = ["10", "21", "60", "80", "no-such"]
WORLDS_IN_ONE = 40
_numbers = count(10_000_000_000)


class Rows:
    """Rows to be stored, by table."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.rows: dict[Any, list[dict[str, Any]]] = {}

    def add(self, table: Any, **values: Any) -> None:
        self.rows.setdefault(table, []).append(values)

    def person(self) -> Patient:
        person, account = uuid4(), uuid4()
        self.add(
            people.Person,
            id=person,
            birth_family_name="X",
            given_names=["Y"],
            sex=people.Sex.UNKNOWN,
            created_at=NOW,
        )
        self.add(
            people.Account,
            id=account,
            kind=people.AccountKind.PATIENT,
            person_id=person,
            login=f"{account}@example.org",
            created_at=NOW,
        )
        return Patient(person, account, Assurance.SANDBOX)

    def practitioner(self, organization: UUID | None) -> tuple[Professional, str]:
        id_, account, rpps = uuid4(), uuid4(), str(next(_numbers))
        self.add(
            people.Professional,
            id=id_,
            rpps=rpps,
            family_name="Z",
            given_name="W",
            profession_code=self.draw.choice(PROFESSIONS),
            organization_id=organization,
            created_at=NOW,
        )
        self.add(
            people.Account,
            id=account,
            kind=people.AccountKind.PROFESSIONAL,
            professional_id=id_,
            login=f"{account}@example.org",
            created_at=NOW,
        )
        return Professional(id_, account, Assurance.SANDBOX), rpps


class Town(Rows):
    """Those who act in all the worlds that are asked about at once."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(draw)
        self.delegate = self.person()
        self.stranger = self.person()
        self.organization = uuid4()
        self.add(people.Organization, id=self.organization, name="A", created_at=NOW)
        self.professional, self.rpps = self.practitioner(draw.choice([self.organization, None]))
        self.worlds = [World(self) for _ in range(WORLDS_IN_ONE)]

    def actors(self) -> list[Actor]:
        holders = [world.holder for world in self.draw.sample(self.worlds, 4)]
        return [
            *holders,
            self.delegate,
            self.stranger,
            self.professional,
            PublisherActor(uuid4()),
            Operator(uuid4(), Assurance.SANDBOX),
            Anonymous(),
        ]


class World(Rows):
    """One record and what hangs from it, drawn so that something is often allowed."""

    def __init__(self, town: Town) -> None:
        super().__init__(town.draw)
        draw = town.draw
        self.delegate, self.organization = town.delegate, town.organization
        self.professional, self.rpps = town.professional, town.rpps
        self.holder = self.person()
        self.record = uuid4()
        self.add(
            Record,
            id=self.record,
            person_id=self.holder.person_id,
            state=draw.choice([*RecordState, *[RecordState.OPEN, RecordState.ACTIVATED] * 12]),
            created_at=NOW,
        )
        if draw.random() < 0.7:
            self.add(
                tables.AccessSettings,
                record_id=self.record,
                hide_results_days=draw.choice([0, 1, 14, 60]),
                allows_regulation_centre=draw.random() < 0.7,
                allows_break_glass=draw.random() < 0.7,
                shows_masked_in_emergency=draw.random() < 0.5,
                allows_attested_consent=draw.random() < 0.7,
                updated_at=NOW,
            )
        self.grants()
        self.lineages: list[list[UUID]] = []
        self.documents = [self.document() for _ in range(draw.randint(0, 4))]
        for document_id in [None, *self.documents]:
            self.entry(document_id)

    def moment(self) -> datetime | None:
        return self.draw.choice([None, None, None, *MOMENTS])

    def grantee(self) -> dict[str, UUID | None]:
        if self.draw.random() < 0.3:
            return {"professional_id": None, "organization_id": self.organization}
        return {"professional_id": self.professional.professional_id, "organization_id": None}

    def grants(self) -> None:
        draw = self.draw
        if draw.random() < 0.6:
            self.add(
                tables.Delegation,
                id=uuid4(),
                holder_person_id=self.holder.person_id,
                delegate_person_id=self.delegate.person_id,
                kind=draw.choice([*tables.DelegationKind]),
                scopes=[s.value for s in tables.DelegationScope if draw.random() < 0.6],
                invited_at=NOW,
                accepted_at=NOW,
                expires_at=self.moment(),
                revoked_at=draw.choice([None, None, NOW]),
            )
        for role in tables.CareTeamRole:
            if draw.random() < 0.25:
                grantee = self.grantee()
                if role is not tables.CareTeamRole.MEMBER:
                    grantee = {
                        "professional_id": self.professional.professional_id,
                        "organization_id": None,
                    }
                self.add(
                    tables.CareTeamMember,
                    id=uuid4(),
                    record_id=self.record,
                    role=role,
                    basis=tables.CareTeamBasis.NAMED,
                    informed_at=NOW,
                    ended_at=draw.choice([None, None, NOW]),
                    **grantee,
                )
        for basis in tables.ConsentBasis:
            if draw.random() < 0.3:
                self.add(
                    tables.Consent,
                    id=uuid4(),
                    record_id=self.record,
                    basis=basis,
                    given_at=NOW - timedelta(days=80),
                    expires_at=draw.choice(MOMENTS),
                    revoked_at=draw.choice([None, None, NOW]),
                    **self.grantee(),
                )
        for kind in tables.EmergencyKind:
            if draw.random() < 0.3:
                self.add(
                    tables.EmergencyAccess,
                    id=uuid4(),
                    record_id=self.record,
                    professional_id=self.professional.professional_id,
                    kind=kind,
                    reason="r",
                    reason_salt=b"",
                    started_at=NOW - timedelta(days=80),
                    ends_at=draw.choice(MOMENTS),
                    closed_at=draw.choice([None, None, NOW]),
                )
        if draw.random() < 0.2:
            self.add(
                tables.Block,
                id=uuid4(),
                record_id=self.record,
                blocked_at=NOW,
                lifted_at=draw.choice([None, NOW]),
                **self.grantee(),
            )

    def document(self) -> UUID:
        draw, id_ = self.draw, uuid4()
        if not self.lineages or draw.random() < 0.4:
            self.lineages.append([])
        lineage = draw.choice(self.lineages)
        lineage.append(id_)
        accounts = [None, self.holder.account_id, self.professional.account_id]
        account = draw.choice(accounts)
        kinds = {
            None: "PROFESSIONAL",
            self.holder.account_id: draw.choice(["HOLDER", "DELEGATE"]),
            self.professional.account_id: "PROFESSIONAL",
        }
        self.add(
            Document,
            id=id_,
            record_id=self.record,
            lineage_id=lineage[0],
            version=len(lineage),
            status=draw.choice(["CURRENT", "CURRENT", "CURRENT", "SUPERSEDED", "WITHDRAWN"]),
            depositor=kinds[account],
            depositor_account_id=account,
            unique_id=str(id_),
            content_key=id_.bytes * 2,
            category=draw.choice(["LABORATORY", "IMAGING", "REPORT"]),
            type_code=draw.choice(TYPES),
            title="t",
            confidentiality_codes=[],
            author_rpps=draw.choice([[], [], [self.rpps], ["10000000000", self.rpps]]),
            author_text="",
            is_masked=draw.random() < 0.4,
            hidden_from_holder_until=self.moment(),
            is_hidden_from_representatives=draw.random() < 0.3,
            flags=[],
            sort_at=NOW,
            deposited_at=NOW - timedelta(days=draw.choice([0, 1, 13, 14, 15, 90])),
            updated_at=NOW,
        )
        return id_

    def entry(self, document_id: UUID | None) -> None:
        self.add(
            ProfileEntry,
            id=uuid4(),
            record_id=self.record,
            section="CONDITIONS",
            label="c",
            status="ACTIVE",
            sort_on="",
            stated_by="PUBLISHER",
            stated_at=NOW,
            source_document_id=document_id,
            updated_at=NOW,
        )


ORDER = [
    people.Organization,
    people.Person,
    people.Professional,
    people.Account,
    Record,
    tables.AccessSettings,
    tables.Delegation,
    tables.CareTeamMember,
    tables.Consent,
    tables.EmergencyAccess,
    tables.Block,
    Document,
    ProfileEntry,
]


async def store(work: Work, town: Town) -> None:
    for table in ORDER:
        rows = [row for part in [town, *town.worlds] for row in part.rows.get(table, [])]
        for shape in {tuple(sorted(row)) for row in rows}:
            same = [row for row in rows if tuple(sorted(row)) == shape]
            await work.session.execute(insert(table), same)


CONCEALING = {
    "document.hidden-from-holder",
    "document.hidden-from-representatives",
    "settings.results-too-new",
}


def current_of(deciding: Deciding, world: World, chain: list[DocumentFacts]) -> set[UUID]:
    """Return which of a document's versions, the first one first, are the current ones of those
    that the actor reads, by the decisions on each."""

    def is_unknown(version: DocumentFacts) -> bool:
        """Withdrawn or not."""
        there = replace(version, status="CURRENT")
        rule = deciding.decide(Action.READ_DOCUMENT, world.record, there).rule
        return isinstance(deciding.actor, Patient) and rule in CONCEALING

    found = set()
    for place, version in enumerate(chain):
        if not deciding.decide(Action.READ_DOCUMENT, world.record, version).is_allowed:
            continue
        later = chain[place + 1 :]
        is_followed = any(one.status != "WITHDRAWN" and not is_unknown(one) for one in later)
        is_taken = any(one.status != "SUPERSEDED" and is_unknown(one) for one in later)
        if version.status == "CURRENT" or (is_taken and not is_followed):
            found.add(version.id)
    return found


async def compare(work: Work, town: Town) -> Counter[str]:
    """Hold filter and decision equal for all that is there; return which rules decided."""
    seen: Counter[str] = Counter()
    ids = [world.record for world in town.worlds]
    facts = await access.documents(work, [id_ for world in town.worlds for id_ in world.documents])
    entries = select(
        ProfileEntry.id, ProfileEntry.record_id, ProfileEntry.source_document_id
    ).where(ProfileEntry.record_id.in_(ids))
    known = list(await work.session.execute(entries))
    for actor in town.actors():
        now = work.now
        seen_records = set(
            await work.session.scalars(select(Record.id).where(records.visible_to(actor, now)))
        )
        seen_documents = set(
            await work.session.scalars(select(Document.id).where(documents.visible_to(actor, now)))
        )
        seen_entries = set(
            await work.session.scalars(
                select(ProfileEntry.id).where(profile_queries.entries_visible_to(actor, now))
            )
        )
        deciding = await Deciding.on(actor, work, ids)
        allowed = {}
        for world in town.worlds:
            decision = deciding.decide(Action.SEE_RECORD, world.record)
            seen[decision.rule] += 1
            assert (world.record in seen_records) == decision.is_allowed, (actor, decision)
            for id_ in world.documents:
                decision = deciding.decide(Action.READ_DOCUMENT, world.record, facts[id_])
                seen[decision.rule] += 1
                allowed[id_] = decision.is_allowed
                assert (id_ in seen_documents) == decision.is_allowed, (actor, decision, facts[id_])
        current = documents.DocumentFilter().criteria(actor, now)
        newest = set(
            await work.session.scalars(
                select(Document.id).where(documents.visible_to(actor, now), *current)
            )
        )
        for world in town.worlds:
            for lineage in world.lineages:
                chain = [facts[id_] for id_ in lineage]
                assert newest & set(lineage) == current_of(deciding, world, chain), (actor, chain)
        for id_, record_id, source in known:
            decision = deciding.decide(Action.READ_PROFILE, record_id)
            seen[decision.rule] += 1
            expected = decision.is_allowed and (source is None or allowed[source])
            assert (id_ in seen_entries) == expected, (actor, decision, source)
    return seen


OF_WRITES = (
    "settings.no-",
    "delegation.",
    "records.",
    "documents.",
    "exports.",
    "people.",
    "blobs.",
    "intake.",
)


async def in_town(database: Database, seed: int | str) -> Counter[str]:
    town = Town(random.Random(seed))  # noqa: S311 — worlds are no secrets
    async with database.write() as opened:
        work = Work(opened.session, NOW)
        await store(work, town)
        seen = await compare(work, town)
        await opened.session.rollback()
    return seen


@settings(
    max_examples=80,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a seed does not shrink
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**64))
async def test_the_filter_shows_exactly_what_the_decision_allows(
    database: Database, seed: int
) -> None:
    await in_town(database, seed)


async def test_the_worlds_meet_every_rule_that_a_read_can_meet(database: Database) -> None:
    seen: Counter[str] = Counter()
    for seed in range(12):
        seen += await in_town(database, seed)
    only_of_writes = {
        "document.not-depositor",
        "document.masked-by-holder",
        "access.holder-only",
        "habilitation.read-only",
        "care-team.declared",
        "emergency.not-a-centre",
        "publisher.feeds",
        "access.only-professionals",
        "settings.results-shown",
        *(rule for rule in RULES if rule.startswith(OF_WRITES)),
    }
    assert set(seen) == set(RULES) - only_of_writes


@pytest.mark.parametrize("standing", [*Standing])
async def test_the_preview_of_a_role_is_what_somebody_with_it_would_see(
    database: Database, standing: Standing
) -> None:
    town = Town(random.Random(standing.value))  # noqa: S311 — worlds are no secrets
    worlds = town.worlds
    async with database.write() as opened:
        work = Work(opened.session, NOW)
        await store(work, town)
        facts = await access.documents(work, [id_ for w in worlds for id_ in w.documents])
        chosen = await access.records(work, [w.record for w in worlds])
        compared = 0
        for world in worlds:
            if chosen[world.record].state not in ("OPEN", "ACTIVATED"):
                continue
            for profession in PROFESSIONS[:3]:
                role = Role(standing, profession)
                shown = await documents.ids_visible_as(role, work, world.record)
                actor, grants = role.imagined(await access.levels(work, profession), NOW)
                for id_ in world.documents:
                    decision = decide(
                        actor, Action.READ_DOCUMENT, chosen[world.record], grants, NOW, facts[id_]
                    )
                    assert (id_ in shown) == decision.is_allowed, (role, decision, facts[id_])
                    compared += 1
        await opened.session.rollback()
    assert compared > 100


def test_the_lightweight_tables_are_those_of_the_areas() -> None:
    for light in (RECORDS, DOCUMENTS, THREADS):
        real = Base.metadata.tables[light.name]
        for column in light.c:
            assert column.name in real.c
            assert column.type.python_type == real.c[column.name].type.python_type or (
                isinstance(column.type.python_type(), str)
            )


def test_to_who_is_on_nobodys_side_every_document_is_concealed() -> None:
    one = uuid4()
    for actor in (Professional(one, one, Assurance.SANDBOX), Anonymous()):
        assert concealed(actor, NOW, DOCUMENTS.c).compare(true())
