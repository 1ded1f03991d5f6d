"""Reads of people. Who sees a person follows from records: see `carnet.records.queries`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, column, false, func, literal, select, true, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from carnet.errors import NotFound, Unauthenticated
from carnet.people.actor import Actor, Anonymous, Operator, Patient, Professional
from carnet.people.actor import Publisher as PublisherActor
from carnet.people.claims import Candidate, Claim, Traits
from carnet.people.identifiers import is_national, normalize, spellings
from carnet.people.rules import Recognized, recognize
from carnet.people.sessions import live
from carnet.people.tables import (
    Account,
    Organization,
    Person,
    PersonIdentifier,
    Publisher,
    Session,
)
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, paginate
from carnet.values import Identifier

IDENTIFIERS_LIMIT = 20  # of one claim; real ones carry up to ten
IDENTIFIER_LENGTH = 255  # characters of a system or value; longer ones are passed over
CANDIDATES_LIMIT = 20  # persons for one number; placeholders such as 999-99-9999 have many
SESSIONS_NEWEST = Order("sessions.newest", Session.created_at.desc(), Session.id.desc())


def directory_visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the filter on professionals and organizations, which are public register data.

    Whoever has signed in sees them; nobody else does.
    """
    return false() if isinstance(actor, Anonymous) else true()


async def professionals(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, ProfessionalRow]:
    """Return professionals from the directory."""
    statement = select(ProfessionalRow).where(
        ProfessionalRow.id.in_(ids), directory_visible_to(actor)
    )
    return {row.id: row for row in await work.session.scalars(statement)}


async def professional(actor: Actor, work: Work, professional_id: UUID) -> ProfessionalRow:
    """Return a professional from the directory.

    Raises:
        NotFound: no such professional, or nobody has signed in.
    """
    found = (await professionals(actor, work, [professional_id])).get(professional_id)
    if found is None:
        raise NotFound()
    return found


async def organizations(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, Organization]:
    """Return organizations from the directory."""
    statement = select(Organization).where(Organization.id.in_(ids), directory_visible_to(actor))
    return {row.id: row for row in await work.session.scalars(statement)}


async def publishers(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Publisher]:
    """Return publishers, by whose names a holder knows where documents come from."""
    statement = select(Publisher).where(Publisher.id.in_(ids), directory_visible_to(actor))
    return {row.id: row for row in await work.session.scalars(statement)}


async def own_publisher(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Publisher]:
    """Return the publisher that the actor is; nobody else."""
    if not isinstance(actor, PublisherActor):
        return {}
    statement = select(Publisher).where(Publisher.id.in_(ids), Publisher.id == actor.publisher_id)
    return {row.id: row for row in await work.session.scalars(statement)}


async def own_operator(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Operator]:
    """Return the operator that the actor is; nobody else."""
    return {id_: actor for id_ in ids if isinstance(actor, Operator) and actor.account_id == id_}


def account_id_of(actor: Actor) -> UUID:
    """Return the account through which a human acts.

    Raises:
        Unauthenticated: nobody has signed in, or a machine has.
    """
    match actor:
        case Patient() | Professional() | Operator():
            return actor.account_id
        case Anonymous() | PublisherActor():
            raise Unauthenticated()


async def sessions(actor: Actor, work: Work, request: PageRequest) -> Page[Session]:
    """Return a page of the actor's own live sessions, the newest first.

    Raises:
        Unauthenticated: nobody has signed in, or a machine has.
        BadCursor: a cursor of another list.
    """
    statement = (
        select(Session).join(Account).where(Account.id == account_id_of(actor), live(work.now))
    )
    return await paginate(work, statement, SESSIONS_NEWEST, request)


async def own_sessions(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Session]:
    """Return those of the sessions that live and are the actor's own."""
    match actor:
        case Patient() | Professional() | Operator():
            theirs = Session.account_id == actor.account_id
        case _:
            theirs = false()
    statement = select(Session).join(Account).where(Session.id.in_(ids), theirs, live(work.now))
    return {row.id: row for row in await work.session.scalars(statement)}


async def recognize_claims(work: Work, claims: Sequence[Claim]) -> list[Recognized]:
    """Decide for each claim whom it means, in two statements for all. Makes nobody.

    For the way in only: the answer tells of people without regard to who asks.
    """
    found = await find_claimed(work, claims)
    return [recognize(claim, seen) for claim, seen in zip(claims, found, strict=True)]


async def find_claimed(work: Work, claims: Sequence[Claim]) -> list[list[Candidate]]:
    """Return for each claim the persons who share an identifier with it, at most 20 for each.

    Of those who share a number that is not national, the ones with the claimed birth date come
    first.
    """
    wanted = {
        (identifier, claim.birth_date.text if claim.birth_date else None)
        for claim in claims
        for claimed in claimed_identifiers(claim)
        for identifier in spellings(claimed)
    }
    holders = await _holders(work, wanted)
    ids = {person_id for found in holders.values() for person_id, _ in found}
    people = {
        row.id: row for row in await work.session.scalars(select(Person).where(Person.id.in_(ids)))
    }
    national: dict[UUID, list[Identifier]] = defaultdict(list)
    numbers = select(PersonIdentifier).where(
        PersonIdentifier.person_id.in_(ids), PersonIdentifier.is_national
    )
    for number in await work.session.scalars(numbers):
        national[number.person_id].append(Identifier(number.system, number.value))
    answer = []
    for claim in claims:
        born = claim.birth_date.text if claim.birth_date else None
        shares: dict[UUID, bool] = {}
        for claimed in claimed_identifiers(claim):
            for identifier in spellings(claimed):
                for person_id, is_theirs in holders.get((identifier, born), ()):
                    shares[person_id] = shares.get(person_id, False) or is_theirs
        answer.append(
            [
                Candidate(key, traits_of(people[key]), shared, tuple(national[key]))
                for key, shared in shares.items()
            ]
        )
    return answer


def claimed_identifiers(claim: Claim) -> list[Identifier]:
    """Return a claim's identifiers in normal form, each once, national first, at most 20."""
    normal = dict.fromkeys(normalize(identifier) for identifier in claim.identifiers)
    whole = [found for found in normal if _is_storable(found.system, found.value)]
    return sorted(whole, key=lambda found: not is_national(found.system))[:IDENTIFIERS_LIMIT]


def _is_storable(*texts: str) -> bool:
    """Tell whether PostgreSQL can hold the texts and index them."""
    return all(
        0 < len(text) <= IDENTIFIER_LENGTH and text.isprintable() and text.strip() for text in texts
    )


def traits_of(row: Person) -> Traits:
    """Return what is compared of a registered person."""
    return Traits(
        row.birth_family_name,
        row.used_family_name,
        tuple(row.given_names),
        row.birth_date,
        row.sex,
    )


_Wanted = tuple[Identifier, str | None]


async def _holders(
    work: Work, wanted: Collection[_Wanted]
) -> dict[_Wanted, list[tuple[UUID, bool]]]:
    """Return who has each number, and whether it is national; a bounded look-up for each."""
    if not wanted:
        return {}
    lists = (
        [identifier.system for identifier, _ in wanted],
        [identifier.value for identifier, _ in wanted],
        [born for _, born in wanted],
    )
    asked = (
        func.unnest(*(literal(texts, ARRAY(TEXT)) for texts in lists))
        .table_valued(*(column(name, TEXT) for name in ("system", "value", "born")), name="asked")
        .render_derived()
    )
    found = (
        select(PersonIdentifier.person_id, PersonIdentifier.is_national)
        .join(Person)
        .where(PersonIdentifier.system == asked.c.system, PersonIdentifier.value == asked.c.value)
        .order_by(
            PersonIdentifier.is_national.desc(),
            type_coerce(Person.birth_date, TEXT).is_not_distinct_from(asked.c.born).desc(),
            Person.id,
        )
        .limit(CANDIDATES_LIMIT)
        .correlate(asked)
        .lateral("found")
    )
    statement = select(
        asked.c.system, asked.c.value, asked.c.born, found.c.person_id, found.c.is_national
    ).select_from(asked.join(found, true()))
    holders: dict[_Wanted, list[tuple[UUID, bool]]] = defaultdict(list)
    for system, value, born, person_id, is_theirs in await work.session.execute(statement):
        holders[Identifier(system, value), born].append((person_id, is_theirs))
    return holders
