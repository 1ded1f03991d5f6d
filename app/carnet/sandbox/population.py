"""Fills an empty installation with the sandbox's people, through the ways that real ones come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select

from carnet.intake.actions import take_in
from carnet.people.accounts import create_account
from carnet.people.actor import Operator, Publisher
from carnet.people.passwords import PasswordHash, Passwords
from carnet.people.registers import (
    register_organization,
    register_professional,
    register_publisher,
    renew_publisher_secret,
)
from carnet.people.tables import Account, AccountKind, PersonIdentifier
from carnet.people.tables import Publisher as PublisherRow
from carnet.sandbox.bundles import bundles
from carnet.sandbox.personas import HOLDERS, OPERATOR, PRACTITIONERS, SOFTWARE, TEST_INS, Place
from carnet.sandbox.relations import login_of, relate
from carnet.store.blobs import BlobStore
from carnet.store.database import Database, Work
from carnet.values import Identifier

PLACES = "urn:carnet:sandbox:places"
PASSWORD = "bienvenue dans carnet"  # noqa: S105 — everybody's in the sandbox, and printed


@dataclass(frozen=True, slots=True)
class Population:
    """What was made. ``secrets`` are the publishers' by handle, shown once."""

    secrets: Mapping[str, str] = field(repr=False)


async def is_populated(work: Work) -> bool:
    """Tell whether the sandbox's people are all here."""
    last = select(Account.id).where(Account.login == login_of(OPERATOR))
    return await work.session.scalar(last) is not None


async def populate(
    console: Operator,
    database: Database,
    blobs: BlobStore,
    passwords: Passwords,
    told: Callable[[str], None] = lambda _: None,
) -> Population:
    """Register everybody, feed their histories and give them accounts.

    Safe to repeat after an interruption: what is there already is kept.

    Args:
        console: who registers.
        database: opens its own transactions.
        blobs: where documents go.
        passwords: hashes the sandbox's one password.
        told: hears what is being done, for people who wait.
    """
    told("organizations, professionals and publishers")
    async with database.write() as work:
        places = await _places(console, work)
        professionals = await _professionals(console, work, places)
        publishers, secrets = await _publishers(console, work, places)
    bodies = list(bundles())
    for number, (sender, body) in enumerate(bodies, 1):
        told(f"histories, {number} of {len(bodies)}")
        await take_in(publishers[sender], database, blobs, body, "application/fhir+json")
    told("accounts")
    password = await passwords.hash(PASSWORD, login=login_of(OPERATOR))
    async with database.write() as work:
        await _accounts(console, work, professionals, password)
    return Population(secrets)


async def _places(console: Operator, work: Work) -> dict[Place, UUID]:
    return {
        place: await register_organization(
            console,
            work,
            place.value,
            identifier=Identifier(PLACES, place.name),
            is_regulation_centre=place is Place.EMERGENCY,
        )
        for place in Place
    }


async def _professionals(
    console: Operator, work: Work, places: Mapping[Place, UUID]
) -> dict[str, UUID]:
    return {
        practitioner.handle: await register_professional(
            console,
            work,
            rpps=practitioner.rpps,
            family_name=practitioner.family_name,
            given_name=practitioner.given_name,
            profession_code=practitioner.profession,
            speciality_code=practitioner.speciality,
            organization_id=places[practitioner.place],
        )
        for practitioner in PRACTITIONERS
    }


async def _publishers(
    console: Operator, work: Work, places: Mapping[Place, UUID]
) -> tuple[dict[str, Publisher], dict[str, str]]:
    publishers: dict[str, Publisher] = {}
    secrets: dict[str, str] = {}
    for software in SOFTWARE:
        known = await work.session.scalar(
            select(PublisherRow.id).where(PublisherRow.name == software.name)
        )
        if known is None:
            made = await register_publisher(
                console,
                work,
                software.name,
                organization_id=places[software.place],
                may_register_persons=True,
            )
        else:
            made = await renew_publisher_secret(console, work, known)
        publishers[software.handle] = Publisher(made.publisher_id)
        secrets[software.handle] = made.secret
    return publishers, secrets


async def _accounts(
    console: Operator, work: Work, professionals: Mapping[str, UUID], password: PasswordHash
) -> None:
    """Make the accounts and who is what to whom; the operator's comes last: all is made then."""
    owners: list[tuple[str, AccountKind, UUID | None]] = []
    for holder in HOLDERS:
        person_id = await work.session.scalar(
            select(PersonIdentifier.person_id).where(
                PersonIdentifier.system == TEST_INS,
                PersonIdentifier.value == holder.national_number,
            )
        )
        owners.append((holder.handle, AccountKind.PATIENT, person_id))
    owners += [(handle, AccountKind.PROFESSIONAL, id_) for handle, id_ in professionals.items()]
    for handle, kind, owner_id in owners:
        await _account(console, work, handle, kind, owner_id, password)
    if not await is_populated(work):
        await relate(console, work, professionals)
    await _account(console, work, OPERATOR, AccountKind.OPERATOR, None, password)


async def _account(
    console: Operator,
    work: Work,
    handle: str,
    kind: AccountKind,
    owner_id: UUID | None,
    password: PasswordHash,
) -> None:
    login = login_of(handle)
    known = select(Account.id).where(Account.login == login)
    if await work.session.scalar(known) is None:
        await create_account(console, work, kind, owner_id, login=login, password=password)
