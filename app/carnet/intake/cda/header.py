"""The header of a CDA document in XDS terms. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from carnet.errors import ValidationFailed
from carnet.intake.cda.authors import read_authors
from carnet.intake.cda.codes import (
    attribute,
    code_of,
    coding_of,
    display_of,
    templates,
    unique_id,
)
from carnet.intake.cda.content import Embedded
from carnet.intake.cda.formats import format_code
from carnet.intake.cda.xml import Element
from carnet.intake.dates import PARIS, read_moment
from carnet.intake.model import ContentPart, DocumentItem, Flag
from carnet.values import Coding

MEDIA_TYPE = "text/xml"  # what XDS declares CDA to be
TITLE_LIMIT = 500  # characters
CODES_LIMIT = 20  # confidentiality codes; there are seven

MASKED = "MASQUE_PS"
HIDDEN_FROM_HOLDER = "INVISIBLE_PATIENT"
HIDDEN_FROM_REPRESENTATIVES = ("INVISIBLE_REPRESENTANTS_LEGAUX", "INVISIBLE_REP_LEGAUX")
"""The French additions to confidentiality (1.2.250.1.213.1.1.4.13) that say who may not see."""


@dataclass(frozen=True, slots=True)
class Service:
    """The main act that a document is about."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    practice_setting: Coding | None = None


def read_document(document: Element, body: bytes, patient: str, embedded: Embedded) -> DocumentItem:
    """Return the document with its metadata; ``body`` is kept as its original.

    Raises:
        ValidationFailed: it has no identifier.
    """
    key = unique_id(document.find("id"))
    if key is None:
        raise ValidationFailed("The document has no identifier.")
    dates = _Dates(_zone(document))
    service = _service(document, dates)
    codes = tuple(dict.fromkeys(_confidentiality(document)))[:CODES_LIMIT]
    kind = document.find("code")
    body_type = embedded.parts[0].media_type if embedded.parts and _is_flat(document) else None
    return DocumentItem(
        source_key=key,
        patient=patient,
        unique_id=key,
        title=_title(document),
        original=ContentPart(body, MEDIA_TYPE),
        embedded=embedded.parts,
        set_id=unique_id(document.find("setId")),
        type=coding_of(kind),
        format_code=format_code(templates(document), body_type),
        language=attribute(document.find("languageCode"), "code"),
        confidentiality_codes=codes,
        practice_setting=service.practice_setting,
        facility_type=coding_of(
            document.find("componentOf/encompassingEncounter/location/healthCareFacility/code")
        ),
        source_created_at=dates.moment(document.find("effectiveTime")),
        service_started_at=service.started_at,
        service_ended_at=service.ended_at,
        authors=read_authors(document),
        replaces_unique_id=_replaced(document, key),
        is_masked=MASKED in codes,
        is_hidden_from_holder=HIDDEN_FROM_HOLDER in codes,
        is_hidden_from_representatives=not set(HIDDEN_FROM_REPRESENTATIVES).isdisjoint(codes),
        flags=tuple(sorted(embedded.flags | dates.flags)),
    )


def with_flag(item: DocumentItem, flag: Flag) -> DocumentItem:
    """Return the document with one more flag."""
    return replace(item, flags=tuple(sorted({*item.flags, flag})))


class _Dates:
    """Reads the header's moments and remembers whether one of them could not be read."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self.flags: frozenset[Flag] = frozenset()

    def moment(self, element: Element | None) -> datetime | None:
        text = (element.get("value") or "").strip() if element is not None else ""
        if not text:
            return None
        try:
            return read_moment(text, self._zone)
        except ValidationFailed:
            self.flags = frozenset({Flag.DATE_UNREADABLE})
            return None


def _zone(document: Element) -> tzinfo:
    """Return the zone of dates without one: the French realm's, else UTC."""
    language = attribute(document.find("languageCode"), "code") or ""
    is_french = code_of(document.find("realmCode")) == "FR" or language.lower() == "fr-fr"
    return PARIS if is_french else UTC


def _is_flat(document: Element) -> bool:
    return document.find("component/nonXMLBody") is not None


def _title(document: Element) -> str:
    title = document.find("title")
    written = " ".join("".join(title.itertext()).split()) if title is not None else ""
    kind = document.find("code")
    return (written or display_of(kind) or code_of(kind) or "Document")[:TITLE_LIMIT]


def _confidentiality(document: Element) -> Iterable[str]:
    for element in document.findall("confidentialityCode"):
        for each in (element, *element.findall("translation")):
            code = code_of(each)
            if code is not None:
                yield code


def _service(document: Element, dates: _Dates) -> Service:
    """Return the main act: the first with a date, which is where French documents put it."""
    events = document.findall("documentationOf/serviceEvent")
    dated = [event for event in events if _has_date(event)]
    main = dated[0] if dated else None
    setting = _practice_setting([*dated, *events])
    if main is None:
        return Service(practice_setting=setting)
    time = main.find("effectiveTime")
    low = main.find("effectiveTime/low")
    return Service(
        started_at=dates.moment(low if low is not None else time),
        ended_at=dates.moment(main.find("effectiveTime/high")),
        practice_setting=setting,
    )


def _has_date(event: Element) -> bool:
    paths = ("effectiveTime", "effectiveTime/low", "effectiveTime/high")
    return any(attribute(event.find(path), "value") for path in paths)


def _practice_setting(events: Iterable[Element]) -> Coding | None:
    path = "performer/assignedEntity/representedOrganization/standardIndustryClassCode"
    for event in events:
        for element in event.findall(path):
            coding = coding_of(element)
            if coding is not None:
                return coding
    return None


def _replaced(document: Element, own: str) -> str | None:
    """Return the document that this one replaces; addenda and transformations replace nothing."""
    for related in document.findall("relatedDocument"):
        if related.get("typeCode") == "RPLC":
            for element in related.findall("parentDocument/id"):
                parent = unique_id(element)
                if parent is not None and parent != own:
                    return parent
    return None
