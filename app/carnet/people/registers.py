"""Registers kept by operators: organizations, professionals, and publishers with their secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from carnet.errors import Conflict, NotFound, ValidationFailed
from carnet.people.actor import Actor, require_operator
from carnet.people.identifiers import normalize, rpps_valid
from carnet.people.sessions import PUBLISHER_PREFIX, new_token, token_hash
from carnet.people.tables import Organization, Professional, Publisher
from carnet.store.database import Work
from carnet.values import Identifier

NAME_LIMIT = 200  # characters
_CODE = re.compile(r"[A-Za-z0-9._-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewPublisher:
    """A registered publisher. The secret is shown once; only its SHA-256 is kept."""

    publisher_id: UUID
    secret: str = field(repr=False)


async def register_organization(
    actor: Actor,
    work: Work,
    name: str,
    *,
    identifier: Identifier | None = None,
    facility_type_code: str | None = None,
    is_regulation_centre: bool = False,
) -> UUID:
    """Register an organization, or bring the one that has this identifier up to date.

    Args:
        actor: an operator.
        work: the transaction.
        name: what people call it.
        identifier: its number; the same number is registered once.
        facility_type_code: XDS healthcareFacilityTypeCode.
        is_regulation_centre: its doctors regulate emergency calls (R1111-48).

    Raises:
        AccessDenied: the actor is no operator.
        ValidationFailed: the name is empty or too long.
    """
    require_operator(actor)
    number = normalize(identifier) if identifier else None
    statement = insert(Organization).values(
        id=work.new_id(),
        name=_named(name, "name"),
        facility_type_code=facility_type_code,
        identifier_system=number.system if number else None,
        identifier_value=number.value if number else None,
        is_regulation_centre=is_regulation_centre,
        created_at=work.now,
    )
    if number is not None:
        statement = statement.on_conflict_do_update(
            index_elements=["identifier_system", "identifier_value"],
            index_where=Organization.identifier_value.is_not(None),
            set_={
                "name": statement.excluded.name,
                "is_regulation_centre": statement.excluded.is_regulation_centre,
            },
        )
    return (await work.session.execute(statement.returning(Organization.id))).scalar_one()


async def register_professional(
    actor: Actor,
    work: Work,
    *,
    rpps: str,
    family_name: str,
    given_name: str,
    profession_code: str,
    speciality_code: str | None = None,
    organization_id: UUID | None = None,
) -> UUID:
    """Enter a professional in the register, or bring the entry with this RPPS up to date.

    An entry opens nothing by itself: its owner signs in through an identity provider that
    vouches for the RPPS, or with an account made at the console.

    Raises:
        AccessDenied: the actor is no operator.
        ValidationFailed: the RPPS has a wrong key, or a name or code is not one.
        NotFound: no such organization.
    """
    require_operator(actor)
    if not rpps_valid(rpps):
        raise ValidationFailed("An RPPS number is 11 digits with a Luhn key.", path=("rpps",))
    if organization_id and not await work.session.get(Organization, organization_id):
        raise NotFound()
    values = {
        "family_name": _named(family_name, "familyName"),
        "given_name": _named(given_name, "givenName"),
        "profession_code": _coded(profession_code, "professionCode"),
        "speciality_code": _coded(speciality_code, "specialityCode") if speciality_code else None,
        "organization_id": organization_id,
    }
    statement = (
        insert(Professional)
        .values(id=work.new_id(), rpps=rpps, created_at=work.now, **values)
        .on_conflict_do_update(index_elements=["rpps"], set_=values)
        .returning(Professional.id)
    )
    return (await work.session.execute(statement)).scalar_one()


async def register_publisher(
    actor: Actor,
    work: Work,
    name: str,
    *,
    organization_id: UUID | None = None,
    may_register_persons: bool = False,
) -> NewPublisher:
    """Register software that feeds records, and return its secret, which is not kept.

    Raises:
        AccessDenied: the actor is no operator.
        ValidationFailed: the name is empty or too long.
        NotFound: no such organization.
        Conflict: a publisher has this name.
    """
    require_operator(actor)
    if organization_id and not await work.session.get(Organization, organization_id):
        raise NotFound()
    secret = new_token(PUBLISHER_PREFIX)
    made = await work.session.scalar(
        insert(Publisher)
        .values(
            id=work.new_id(),
            name=_named(name, "name"),
            organization_id=organization_id,
            secret_hash=token_hash(secret),
            may_register_persons=may_register_persons,
            created_at=work.now,
        )
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(Publisher.id)
    )
    if made is None:
        raise Conflict("A publisher of this name exists.")
    return NewPublisher(made, secret)


async def renew_publisher_secret(actor: Actor, work: Work, publisher_id: UUID) -> NewPublisher:
    """Give a publisher a new secret; the old one ends at once.

    Raises:
        AccessDenied: the actor is no operator.
        NotFound: no such publisher, or it was revoked.
    """
    require_operator(actor)
    secret = new_token(PUBLISHER_PREFIX)
    changed = await work.session.scalar(
        update(Publisher)
        .where(Publisher.id == publisher_id, Publisher.revoked_at.is_(None))
        .values(secret_hash=token_hash(secret))
        .returning(Publisher.id)
    )
    if changed is None:
        raise NotFound()
    return NewPublisher(changed, secret)


async def revoke_publisher(actor: Actor, work: Work, publisher_id: UUID) -> None:
    """End a publisher's credential at once and for good. What it fed stays.

    Raises:
        AccessDenied: the actor is no operator.
        NotFound: no such publisher, or it was revoked already.
    """
    require_operator(actor)
    revoked = await work.session.scalar(
        update(Publisher)
        .where(Publisher.id == publisher_id, Publisher.revoked_at.is_(None))
        .values(revoked_at=work.now)
        .returning(Publisher.id)
    )
    if revoked is None:
        raise NotFound()


def _named(name: str, field_name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        raise ValidationFailed(f"A name has 1 to {NAME_LIMIT} characters.", path=(field_name,))
    return name


def _coded(code: str, field_name: str) -> str:
    if _CODE.fullmatch(code) is None:
        raise ValidationFailed("A code has 1 to 40 letters, digits and . _ -", path=(field_name,))
    return code
