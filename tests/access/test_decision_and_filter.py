"""The pure decision and the SQL filters say the same, over generated worlds.

A world is one record with settings, documents, entries of the profile, and every kind of grant to
a delegate and a professional, in force or not at the moment that is asked about.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from carnet.access import queries as access
from carnet.access import tables
from carnet.access.deciding import Deciding
from carnet.access.facts import DOCUMENTS, RECORDS
from carnet.access.rules import RULES, Action, Role, Standing, decide
from carnet.documents import queries as documents
from carnet.documents.tables import Document
from carnet.people import tables as people
from carnet.people.actor import Actor, Anonymous, Assurance, Operator, Patient, Professional
from carnet.people.actor import Publisher as PublisherActor
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


class World:
    """Rows of one world; ``choose`` draws, mostly what is needed for something to be allowed."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.rows: dict[Any, list[dict[str, Any]]] = {}
        self.holder = self.person()
        self.delegate = self.person()
        self.stranger = self.person()
        self.organization = uuid4()
        self.add(people.Organization, id=self.organization, name="A", created_at=NOW)
        self.professional, self.rpps = self.practitioner(draw.choice([self.organization, None]))
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
        self.documents = [self.document() for _ in range(draw.randint(0, 4))]
        for document_id in [None, *self.documents]:
            self.entry(document_id)

    def add(self, table: Any, **values: Any) -> None:
        self.rows.setdefault(table, []).append(values)

    def moment(self) -> datetime | None:
        return self.draw.choice([None, None, None, *MOMENTS])

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
            lineage_id=id_,
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

    def actors(self) -> list[Actor]:
        return [
            self.holder,
            self.delegate,
            self.stranger,
            self.professional,
            PublisherActor(uuid4()),
            Operator(uuid4(), Assurance.SANDBOX),
            Anonymous(),
        ]


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


async def store(work: Work, worlds: Sequence[World]) -> None:
    for table in ORDER:
        rows = [row for world in worlds for row in world.rows.get(table, [])]
        for shape in {tuple(sorted(row)) for row in rows}:
            same = [row for row in rows if tuple(sorted(row)) == shape]
            await work.session.execute(insert(table), same)


async def compare(work: Work, worlds: Sequence[World], seen: Counter[str]) -> None:
    """Hold filter and decision equal for all records, documents and entries of the worlds."""
    ids = [world.record for world in worlds]
    facts = await access.documents(work, [id_ for world in worlds for id_ in world.documents])
    entries = list(
        await work.session.execute(
            select(ProfileEntry.id, ProfileEntry.record_id, ProfileEntry.source_document_id).where(
                ProfileEntry.record_id.in_(ids)
            )
        )
    )
    groups = zip(*(world.actors() for world in worlds), strict=True)
    for world, actor in ((w, a) for group in groups for w, a in zip(worlds, group, strict=True)):
        shown = await shown_to(actor, work, world)
        deciding = await Deciding.on(actor, work, [world.record])
        may_see = deciding.decide(Action.SEE_RECORD, world.record)
        assert (world.record in shown["records"]) == may_see.is_allowed, (actor, may_see)
        seen[may_see.rule] += 1
        allowed = {}
        for id_ in world.documents:
            decision = deciding.decide(Action.READ_DOCUMENT, world.record, facts[id_])
            allowed[id_] = decision.is_allowed
            seen[decision.rule] += 1
            assert (id_ in shown["documents"]) == decision.is_allowed, (actor, decision, facts[id_])
        profile = deciding.decide(Action.READ_PROFILE, world.record)
        for id_, record_id, source in entries:
            if record_id == world.record:
                expected = profile.is_allowed and (source is None or allowed[source])
                assert (id_ in shown["entries"]) == expected, (actor, profile)


async def shown_to(actor: Actor, work: Work, world: World) -> dict[str, set[UUID]]:
    now = work.now
    of_record = {
        "records": select(Record.id).where(
            Record.id == world.record, records.visible_to(actor, now)
        ),
        "documents": select(Document.id).where(
            Document.record_id == world.record, documents.visible_to(actor, now)
        ),
        "entries": select(ProfileEntry.id).where(
            ProfileEntry.record_id == world.record, records.entries_visible_to(actor, now)
        ),
    }
    return {
        name: set(await work.session.scalars(statement)) for name, statement in of_record.items()
    }


SEEN: Counter[str] = Counter()


@settings(
    max_examples=60,
    deadline=None,
    phases=[
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ],  # a world is small; a seed shrinks to none
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**64))
async def test_the_filter_shows_exactly_what_the_decision_allows(
    database: Database, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 — worlds are no secrets
    worlds = [World(draw) for _ in range(WORLDS_IN_ONE)]
    async with database.write() as opened:
        work = Work(opened.session, NOW)
        await store(work, worlds)
        await compare(work, worlds, SEEN)
        await opened.session.rollback()


async def test_the_worlds_meet_every_rule_that_a_read_can_meet(database: Database) -> None:
    seen: Counter[str] = Counter()
    draw = random.Random(1)  # noqa: S311 — worlds are no secrets
    async with database.write() as opened:
        work = Work(opened.session, NOW)
        worlds = [World(draw) for _ in range(300)]
        await store(work, worlds)
        await compare(work, worlds, seen)
        await opened.session.rollback()
    only_of_writes = {
        "document.not-depositor",
        "document.masked-by-holder",
        "access.holder-only",
        "habilitation.read-only",
        "publisher.feeds",
    }
    assert set(seen) == set(RULES) - only_of_writes - {"delegate.scope"} | {"delegate.scope"}


@pytest.mark.parametrize("standing", [*Standing])
async def test_the_preview_of_a_role_is_what_somebody_with_it_would_see(
    database: Database, standing: Standing
) -> None:
    draw = random.Random(standing.value)  # noqa: S311 — worlds are no secrets
    async with database.write() as opened:
        work = Work(opened.session, NOW)
        worlds = [World(draw) for _ in range(60)]
        await store(work, worlds)
        facts = await access.documents(work, [id_ for w in worlds for id_ in w.documents])
        chosen = await access.records(work, [w.record for w in worlds])
        compared = 0
        for world in worlds:
            if chosen[world.record].state not in ("OPEN", "ACTIVATED"):
                continue
            for profession in PROFESSIONS:
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
    for light in (RECORDS, DOCUMENTS):
        real = Base.metadata.tables[light.name]
        for column in light.c:
            assert column.name in real.c
            assert column.type.python_type == real.c[column.name].type.python_type or (
                isinstance(column.type.python_type(), str)
            )
