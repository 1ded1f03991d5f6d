"""Who wrote a CDA document: persons or devices, with their organization. Pure."""

from __future__ import annotations

from carnet.intake.cda.codes import coding_of, identifiers_of
from carnet.intake.cda.patient import text_of
from carnet.intake.cda.xml import Element
from carnet.intake.model import Author

AUTHORS_LIMIT = 50  # authors of one document


def read_authors(document: Element) -> tuple[Author, ...]:
    """Return the authors in the header, in its order, each once."""
    authors = (_author(each) for each in document.findall("author"))
    known = dict.fromkeys(author for author in authors if author is not None)
    return tuple(known)[:AUTHORS_LIMIT]


def _author(element: Element) -> Author | None:
    assigned = element.find("assignedAuthor")
    if assigned is None:
        return None
    family, given = _name(assigned)
    organization = assigned.find("representedOrganization")
    author = Author(
        family_name=family,
        given_name=given,
        identifier=next(identifiers_of(assigned), None),
        role=coding_of(element.find("functionCode")),
        speciality=coding_of(assigned.find("code")),
        organization_name=text_of(organization.find("name")) if organization is not None else None,
        organization_identifier=(
            next(identifiers_of(organization), None) if organization is not None else None
        ),
    )
    return author if author != Author() else None


def _name(assigned: Element) -> tuple[str | None, str | None]:
    """Return the family and the given name; a device has its software's or model's name."""
    for name in assigned.findall("assignedPerson/name"):
        family = text_of(name.find("family"))
        given = [text for each in name.findall("given") if (text := text_of(each))]
        if family or given:
            return family, " ".join(given) or None
        if text_of(name):
            return text_of(name), None
    device = assigned.find("assignedAuthoringDevice")
    if device is None:
        return None, None
    return text_of(device.find("softwareName")) or text_of(
        device.find("manufacturerModelName")
    ), None
