"""Authors of documents, from the practitioners, organizations and devices of the same body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from carnet.intake.fhir.datatypes import (
    Element,
    child,
    children,
    first_coding,
    identifier,
    text,
    texts,
)
from carnet.intake.fhir.references import Source
from carnet.intake.model import Author
from carnet.values import Identifier

AUTHORS_LIMIT = 50  # authors of one document; real ones have under ten
NOBODY = Author()


def authors_of(source: Source, references: Iterable[Element]) -> Iterator[Author]:
    """Yield whom these references name; those that say nothing at all are left out."""
    for reference in islice(references, AUTHORS_LIMIT):
        author = _author(source, reference)
        if author != NOBODY:
            yield author


def gather(authors: Iterable[Author], custodian: Author = NOBODY) -> tuple[Author, ...]:
    """Return the different authors; the custodian joins when nobody wrote for an organization."""
    found = tuple(dict.fromkeys(authors))[:AUTHORS_LIMIT]
    if custodian == NOBODY or any(author.organization_name for author in found):
        return found
    return (*found, custodian)


def custodian_of(source: Source) -> Author:
    """Return the organization that keeps a document."""
    reference = child(source.resource, "custodian")
    return organization_of(source, reference) if reference else NOBODY


def organization_of(source: Source, reference: Element) -> Author:
    """Return an organization as far as the body knows it."""
    target = source.find(reference)
    if target is not None and target.kind == "Organization":
        return Author(
            organization_name=text(target.resource, "name"),
            organization_identifier=_first_identifier(target.resource),
        )
    logical = child(reference, "identifier")
    return Author(
        organization_name=text(reference, "display"),
        organization_identifier=identifier(logical) if logical else None,
    )


def _author(source: Source, reference: Element) -> Author:
    target = source.find(reference)
    if target is None:
        logical = child(reference, "identifier")
        return Author(
            family_name=text(reference, "display"),
            identifier=identifier(logical) if logical else None,
        )
    if target.kind == "Organization":
        return organization_of(source, reference)
    if target.kind == "PractitionerRole":
        return _role(target)
    if target.kind == "Device":
        names = children(target.resource, "deviceName")
        name = text(names[0], "name") if names else None
        return Author(family_name=name or text(reference, "display"))
    author = _person(target.resource)
    return author if author.family_name else replace(author, family_name=text(reference, "display"))


def _role(role: Source) -> Author:
    """Return the author in a PractitionerRole: the person, what they do and for whom."""
    practitioner = child(role.resource, "practitioner")
    person = NOBODY
    if practitioner is not None:
        target = role.find(practitioner)
        if target is None or target.kind != "PractitionerRole":  # which could go in a circle
            person = _author(role, practitioner)
    organization = child(role.resource, "organization")
    employer = organization_of(role, organization) if organization else NOBODY
    return Author(
        family_name=person.family_name,
        given_name=person.given_name,
        identifier=person.identifier or _first_identifier(role.resource),
        role=first_coding(*children(role.resource, "code")),
        speciality=first_coding(*children(role.resource, "specialty")),
        organization_name=employer.organization_name,
        organization_identifier=employer.organization_identifier,
    )


def _person(resource: Element) -> Author:
    """Return a Practitioner, Patient or RelatedPerson as an author."""
    names = children(resource, "name")
    name = names[0] if names else {}
    given = texts(name, "given")
    return Author(
        family_name=text(name, "family") or text(name, "text"),
        given_name=given[0] if given else None,
        identifier=_first_identifier(resource),
    )


def _first_identifier(resource: Element) -> Identifier | None:
    found = (identifier(item) for item in children(resource, "identifier"))
    return next((item for item in found if item), None)
