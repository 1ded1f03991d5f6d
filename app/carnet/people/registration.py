"""Registers persons as publishers name them, so that parallel submissions make one person.

Most claims mean somebody registered, which takes no lock. For the others, locks on their numbers
are taken in one fixed order, and everything is looked at again under them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from carnet.errors import AccessDenied, Conflict, NotFound, Unauthenticated, ValidationFailed
from carnet.people.actor import Actor, Anonymous, Operator
from carnet.people.actor import Publisher as PublisherActor
from carnet.people.claims import Claim
from carnet.people.identifiers import is_national, key_valid
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
        missing = [
            index
            for index, (claim, seen) in enumerate(zip(claims, found, strict=True))
            if seen.kind is Recognition.UNKNOWN and _can_register(claim)
        ]
        await _lock(work, (claims[index] for index in missing))
        for index in missing:
            found[index] = await _find_or_insert(work, claims[index])
        learned = [
            (seen.person_id, claim)
            for claim, seen in zip(claims, found, strict=True)
            if seen.kind is Recognition.FOUND and seen.person_id and not claim.is_reference
        ]
        for person_id, claim in learned:
            await _insert_identifiers(work, person_id, claim)
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


def _can_register(claim: Claim) -> bool:
    named = (claim.birth_family_name or claim.used_family_name or "").strip()
    return bool(named) and not claim.is_reference and bool(claimed_identifiers(claim))


async def _find_or_insert(work: Work, claim: Claim) -> Recognized:
    """Look again, under the locks: another transaction or an earlier claim may have made them."""
    (seen,) = await recognize_claims(work, [claim])
    if seen.kind is not Recognition.UNKNOWN:
        return seen
    person = Person(
        id=work.new_id(),
        birth_family_name=_name(claim.birth_family_name or claim.used_family_name),
        used_family_name=_name(claim.used_family_name) or None,
        given_names=[_name(name) for name in claim.given_names[:NAMES_LIMIT] if _name(name)],
        birth_date=claim.birth_date,
        sex=claim.sex,
        birth_place_code=claim.birth_place_code,
        deceased_on=claim.deceased_on,
        is_deceased=claim.is_deceased or claim.deceased_on is not None,
        created_at=work.now,
    )
    work.session.add(person)
    await work.session.flush()
    await _insert_identifiers(work, person.id, claim)
    return Recognized(Recognition.CREATED, person.id)


async def _insert_identifiers(work: Work, person_id: UUID, claim: Claim) -> None:
    rows = [
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
    if rows:
        await work.session.execute(insert(PersonIdentifier).values(rows).on_conflict_do_nothing())


async def _lock(work: Work, claims: Iterable[Claim]) -> None:
    numbers = sorted(
        {_lock_number(identifier) for claim in claims for identifier in claimed_identifiers(claim)}
    )
    for number in numbers:
        await work.session.execute(select(func.pg_advisory_xact_lock(number)))


def _lock_number(identifier: Identifier) -> int:
    name = f"{identifier.system}|{identifier.value}".encode()
    return LOCKS_BASE + int.from_bytes(hashlib.sha256(name).digest()[:8]) % LOCKS


def _name(name: str | None) -> str:
    return (name or "").strip()[:NAME_LIMIT]
