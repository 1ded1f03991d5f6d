"""Registers persons as publishers name them, so that parallel submissions make one person.

Most claims mean somebody registered by numbers that are known, which takes no lock. For the
others, locks on their numbers are taken in one fixed order, and everything is looked at again
under them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from carnet.errors import AccessDenied, Conflict, NotFound, Unauthenticated, ValidationFailed
from carnet.people.actor import Actor, Anonymous, Operator
from carnet.people.actor import Publisher as PublisherActor
from carnet.people.claims import Claim
from carnet.people.identifiers import is_national, key_valid, spellings
from carnet.people.queries import claimed_identifiers, recognize_claims
from carnet.people.rules import Recognition, Recognized
from carnet.people.tables import Person, PersonIdentifier, Publisher
from carnet.store.database import Work
from carnet.values import Identifier

LOCKS = 1024  # numbers fall into so many locks, which bounds what one transaction holds
LOCKS_BASE = 0x6361726E65740000  # «carnet»: keeps them apart from other advisory locks
NAME_LIMIT = 200  # characters
NAMES_LIMIT = 20  # given names; civil status has no limit, but a screen has


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of a claim. ``has_invalid_key`` flags a national number; it refuses nothing."""

    kind: Recognition
    person_id: UUID | None
    has_invalid_key: bool
    unsure: tuple[UUID, ...] = ()

    @property
    def is_new(self) -> bool:
        """Whether the person was registered just now."""
        return self.kind is Recognition.CREATED


async def register_persons(actor: Actor, work: Work, claims: Sequence[Claim]) -> list[Registration]:
    """Find or register the person of each claim.

    Who may not register persons only finds them. Call it once in a transaction: its locks last
    until the commit, and a second call could wait in a circle with another transaction.

    Returns:
        For each claim FOUND or CREATED with a person; UNKNOWN when it may or can not be
        registered (only a reference, no family name, no number); or CONFLICT.

    Raises:
        AccessDenied: the actor feeds no records.
        Unauthenticated: nobody has signed in, or the publisher was revoked.
    """
    may_register = await _may_register(actor, work)
    found = await recognize_claims(work, claims)
    if may_register:
        known = await _known_identifiers(work, found)
        unsettled = [
            index
            for index, (claim, seen) in enumerate(zip(claims, found, strict=True))
            if not claim.is_reference and _is_unsettled(claim, seen, known)
        ]
        await _lock(work, (claims[index] for index in unsettled))
        settled = await _settle_all(work, [claims[index] for index in unsettled])
        for index, seen in zip(unsettled, settled, strict=True):
            found[index] = seen
    return [
        Registration(seen.kind, seen.person_id, claim.has_invalid_key, seen.unsure)
        for claim, seen in zip(claims, found, strict=True)
    ]


async def register_person(actor: Actor, work: Work, claim: Claim) -> Registration:
    """Find or register one person.

    Raises:
        Conflict: a number of theirs belongs to somebody else.
        NotFound: nobody is registered, and the actor may not register persons.
        ValidationFailed: the claim lacks a family name or a number.
        AccessDenied: the actor feeds no records.
        Unauthenticated: nobody has signed in, or the publisher was revoked.
    """
    (done,) = await register_persons(actor, work, [claim])
    if done.kind is Recognition.CONFLICT:
        raise Conflict("A number of this person belongs to somebody else.")
    if done.person_id is None:
        if await _may_register(actor, work):
            raise ValidationFailed("A person has a family name and at least one number.")
        raise NotFound()
    return done


async def _may_register(actor: Actor, work: Work) -> bool:
    match actor:
        case Operator():
            return True
        case PublisherActor(publisher_id=publisher_id):
            may = await work.session.scalar(
                select(Publisher.may_register_persons).where(
                    Publisher.id == publisher_id, Publisher.revoked_at.is_(None)
                )
            )
            if may is None:
                raise Unauthenticated()
            return may
        case Anonymous():
            raise Unauthenticated()
        case _:
            raise AccessDenied("people.only-publishers-register", "Only publishers name persons.")


async def _known_identifiers(
    work: Work, found: Sequence[Recognized]
) -> set[tuple[UUID, Identifier]]:
    ids = {seen.person_id for seen in found if seen.person_id}
    rows = await work.session.execute(
        select(PersonIdentifier.person_id, PersonIdentifier.system, PersonIdentifier.value).where(
            PersonIdentifier.person_id.in_(ids)
        )
    )
    return {(person_id, Identifier(system, value)) for person_id, system, value in rows}


def _is_unsettled(claim: Claim, seen: Recognized, known: set[tuple[UUID, Identifier]]) -> bool:
    """Tell whether the claim brings a person, or a number of a known one."""
    if seen.person_id is None:
        return seen.kind is Recognition.UNKNOWN and _can_register(claim)
    return any((seen.person_id, number) not in known for number in claimed_identifiers(claim))


def _can_register(claim: Claim) -> bool:
    return bool(_family_name(claim)) and bool(claimed_identifiers(claim))


async def _settle_all(work: Work, claims: Sequence[Claim]) -> list[Recognized]:
    """Look again, under the locks, and register who is nobody yet: few statements for many.

    Claims that share a number with another one here are settled one after the other.
    """
    if len(claims) < 2:
        return [await _settle(work, claim) for claim in claims]
    forms = [
        {form for number in claimed_identifiers(claim) for form in spellings(number)}
        for claim in claims
    ]
    uses = Counter(form for each in forms for form in each)
    alone = [index for index, each in enumerate(forms) if all(uses[form] == 1 for form in each)]
    seen = await recognize_claims(work, [claims[index] for index in alone])
    answers: dict[int, Recognized] = dict(zip(alone, seen, strict=True))
    persons, numbers = [], []
    for index, known in answers.items():
        person_id = known.person_id
        if person_id is None:
            if known.kind is not Recognition.UNKNOWN or not _can_register(claims[index]):
                continue
            person = _person(work, claims[index])
            persons.append(person)
            person_id = person["id"]
            answers[index] = Recognized(Recognition.CREATED, person_id)
        numbers += _identifiers(work, person_id, claims[index])
    if persons:
        await work.session.execute(insert(Person), persons)
    if numbers:
        await work.session.execute(insert(PersonIdentifier).on_conflict_do_nothing(), numbers)
    for index, claim in enumerate(claims):
        if index not in answers:
            answers[index] = await _settle(work, claim)
    return [answers[index] for index in range(len(claims))]


async def _settle(work: Work, claim: Claim) -> Recognized:
    """Look again, under the locks: another transaction or an earlier claim may have made them."""
    (seen,) = await recognize_claims(work, [claim])
    if seen.person_id is not None:
        await _insert_identifiers(work, seen.person_id, claim)
        return seen
    if seen.kind is not Recognition.UNKNOWN or not _can_register(claim):
        return seen
    person = _person(work, claim)
    await work.session.execute(insert(Person).values(person))
    await _insert_identifiers(work, person["id"], claim)
    return Recognized(Recognition.CREATED, person["id"])


def _person(work: Work, claim: Claim) -> dict[str, Any]:
    return {
        "id": work.new_id(),
        "birth_family_name": _family_name(claim),
        "used_family_name": _name(claim.used_family_name) or None,
        "given_names": [_name(name) for name in claim.given_names[:NAMES_LIMIT] if _name(name)],
        "birth_date": claim.birth_date,
        "sex": claim.sex,
        "birth_place_code": _name(claim.birth_place_code) or None,
        "deceased_on": claim.deceased_on,
        "is_deceased": claim.is_deceased or claim.deceased_on is not None,
        "created_at": work.now,
    }


def _identifiers(work: Work, person_id: UUID, claim: Claim) -> list[dict[str, Any]]:
    return [
        {
            "id": work.new_id(),
            "person_id": person_id,
            "system": identifier.system,
            "value": identifier.value,
            "is_national": is_national(identifier.system),
            "is_key_valid": key_valid(identifier),
        }
        for identifier in claimed_identifiers(claim)
    ]


async def _insert_identifiers(work: Work, person_id: UUID, claim: Claim) -> None:
    rows = _identifiers(work, person_id, claim)
    if rows:
        await work.session.execute(insert(PersonIdentifier).values(rows).on_conflict_do_nothing())


async def _lock(work: Work, claims: Iterable[Claim]) -> None:
    numbers = sorted(
        {_lock_number(identifier) for claim in claims for identifier in claimed_identifiers(claim)}
    )
    if numbers:
        asked = func.unnest(literal(numbers, ARRAY(BigInteger))).column_valued("number")
        await work.session.execute(select(func.pg_advisory_xact_lock(asked)))


def _lock_number(identifier: Identifier) -> int:
    one = spellings(identifier)[0]  # all forms of a number share a lock
    name = f"{one.system}|{one.value}".encode()
    return LOCKS_BASE + int.from_bytes(hashlib.sha256(name).digest()[:8]) % LOCKS


def _family_name(claim: Claim) -> str:
    return _name(claim.birth_family_name) or _name(claim.used_family_name)


def _name(name: str | None) -> str:
    """Return what of a name can be shown and stored."""
    return "".join(c for c in name or "" if c.isprintable()).strip()[:NAME_LIMIT]
