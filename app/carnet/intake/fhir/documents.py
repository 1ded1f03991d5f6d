"""Documents: DocumentReference, DiagnosticReport with its printed form, and document Bundles.

The French document-sharing profile (PDSm; IHE MHD transactions ITI-65 and ITI-105) is
DocumentReference in a transaction Bundle or alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from carnet.intake.fhir.attachments import FHIR_JSON, read_attachments
from carnet.intake.fhir.authors import authors_of, custodian_of, gather
from carnet.intake.fhir.datatypes import (
    Element,
    SetAside,
    bare_uri,
    child,
    children,
    first_coding,
    label,
    malformed,
    moment,
    text,
    token,
    unique_id,
)
from carnet.intake.fhir.patient import subject_of
from carnet.intake.fhir.references import Source
from carnet.intake.fhir.visibility import (
    CODES_LIMIT,
    HIDDEN_FROM_HOLDER,
    HIDDEN_FROM_REPRESENTATIVES,
    MASKED,
    meta_labels,
    security_labels,
    visibility,
)
from carnet.intake.model import ContentPart, DocumentItem, Flag, Item, Reason
from carnet.values import Coding

PATIENT_SUMMARY = Coding("http://loinc.org", "60591-5", "Patient summary Document")
UNTITLED = "Document"

IN_ERROR = "Its author says that it was entered in error."
NO_FORM = "A report without «presentedForm» is no document; its Observations are read on their own."


def read_document_reference(source: Source) -> Iterator[Item]:
    """Read a DocumentReference with the content that the body holds."""
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status, token(resource, "docStatus"))
    if status not in ("current", "superseded"):
        raise malformed("status")
    patient = subject_of(source)
    contents = children(resource, "content")
    attachments = [child(content, "attachment") or {} for content in contents]
    if not attachments:
        raise malformed("content")
    context = child(resource, "context") or {}
    times = _Times()
    created_at = times.read(attachments[0], "creation") or times.read(resource, "date")
    started_at, ended_at = times.read_period(context)
    kind = child(resource, "type")
    title = text(attachments[0], "title") or text(resource, "description") or label(kind)
    authors = [
        *authors_of(source, children(resource, "author")),
        *authors_of(source, _one(resource, "authenticator")),
    ]
    labels = security_labels(resource)
    hidden = visibility(labels) | source.body.visibility
    content = read_attachments(source, attachments)
    yield DocumentItem(
        source_key=source.key,
        patient=patient,
        unique_id=_own_id(source),
        title=title or UNTITLED,
        original=content.original,
        embedded=content.embedded,
        type=first_coding(kind),
        class_code=first_coding(*children(resource, "category")),
        format_code=_format_code(contents[0]),
        language=_language(attachments[0], resource),
        confidentiality_codes=tuple(labels[:CODES_LIMIT]),
        practice_setting=first_coding(child(context, "practiceSetting")),
        facility_type=first_coding(child(context, "facilityType")),
        source_created_at=created_at,
        service_started_at=started_at,
        service_ended_at=ended_at,
        authors=gather(authors, custodian_of(source)),
        replaces_unique_id=_replaced(source),
        is_superseded=status == "superseded",
        is_masked=MASKED in hidden,
        is_hidden_from_holder=HIDDEN_FROM_HOLDER in hidden,
        is_hidden_from_representatives=HIDDEN_FROM_REPRESENTATIVES in hidden,
        flags=tuple(sorted(content.flags | times.flags)),
    )


def read_diagnostic_report(source: Source) -> Iterator[Item]:
    """Read a DiagnosticReport that brings its printed form; its other forms are embedded."""
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status)
    if status == "cancelled":
        raise SetAside(Reason.NOT_DONE, "The examination was cancelled.")
    forms = children(resource, "presentedForm")
    if not forms:
        raise SetAside(Reason.NOT_SUPPORTED, NO_FORM)
    patient = subject_of(source)
    code = child(resource, "code")
    times = _Times()
    started_at, ended_at = times.read_period(resource, "effectivePeriod")
    authors = [
        *authors_of(source, children(resource, "performer")),
        *authors_of(source, children(resource, "resultsInterpreter")),
    ]
    labels = meta_labels(resource)
    hidden = visibility(labels) | source.body.visibility
    content = read_attachments(source, forms)
    yield DocumentItem(
        source_key=source.key,
        patient=patient,
        unique_id=_own_id(source),
        title=text(forms[0], "title") or label(code) or UNTITLED,
        original=content.original,
        embedded=content.embedded,
        type=first_coding(code),
        class_code=first_coding(*children(resource, "category")),
        language=_language(forms[0], resource),
        confidentiality_codes=tuple(labels[:CODES_LIMIT]),
        source_created_at=times.read(resource, "issued") or times.read(forms[0], "creation"),
        service_started_at=times.read(resource, "effectiveDateTime") or started_at,
        service_ended_at=ended_at,
        authors=gather(authors),
        is_masked=MASKED in hidden,
        is_hidden_from_holder=HIDDEN_FROM_HOLDER in hidden,
        is_hidden_from_representatives=HIDDEN_FROM_REPRESENTATIVES in hidden,
        flags=tuple(sorted(content.flags | times.flags)),
    )


def read_composition(source: Source, bundle: Element, original: bytes) -> DocumentItem:
    """Read a document Bundle as the document that it is, from its Composition.

    Args:
        original: the Bundle's own bytes, which are the document's content.
    """
    resource = source.resource
    status = token(resource, "status")
    refuse_error(status)
    patient = subject_of(source)
    kind = child(resource, "type")
    parties = [
        party
        for attester in children(resource, "attester")
        if (party := child(attester, "party")) is not None
    ]
    event = next(iter(children(resource, "event")), {})
    times = _Times()
    started_at, ended_at = times.read_period(event)
    labels = [*filter(None, [token(resource, "confidentiality")]), *meta_labels(resource)]
    hidden = visibility(labels) | source.body.visibility
    set_id = unique_id(child(resource, "identifier"))
    return DocumentItem(
        source_key=source.key,
        patient=patient,
        unique_id=unique_id(child(bundle, "identifier")) or set_id or bare_uri(source.key),
        title=text(resource, "title") or label(kind) or UNTITLED,
        original=ContentPart(original, FHIR_JSON),
        set_id=set_id,
        type=first_coding(kind) or PATIENT_SUMMARY,
        class_code=first_coding(*children(resource, "category")),
        language=_language(resource, bundle),
        confidentiality_codes=tuple(labels[:CODES_LIMIT]),
        source_created_at=times.read(resource, "date") or times.read(bundle, "timestamp"),
        service_started_at=started_at,
        service_ended_at=ended_at,
        authors=gather(
            [
                *authors_of(source, children(resource, "author")),
                *authors_of(source, parties),
            ],
            custodian_of(source),
        ),
        replaces_unique_id=_replaced(source),
        is_masked=MASKED in hidden,
        is_hidden_from_holder=HIDDEN_FROM_HOLDER in hidden,
        is_hidden_from_representatives=HIDDEN_FROM_REPRESENTATIVES in hidden,
        flags=tuple(sorted(times.flags)),
    )


def hidden_by(composition: Element) -> frozenset[str]:
    """Return the visibility labels of a Composition; all of them where they cannot be read."""
    try:
        labels = meta_labels(composition)
        return visibility([*labels, token(composition, "confidentiality") or ""])
    except SetAside:
        return frozenset({MASKED, HIDDEN_FROM_HOLDER, HIDDEN_FROM_REPRESENTATIVES})


def hidden_for(document: DocumentItem) -> frozenset[str]:
    """Return the visibility labels that a document holds for the facts read from it."""
    held = {
        MASKED: document.is_masked,
        HIDDEN_FROM_HOLDER: document.is_hidden_from_holder,
        HIDDEN_FROM_REPRESENTATIVES: document.is_hidden_from_representatives,
    }
    return frozenset(label for label, is_held in held.items() if is_held)


def refuse_error(*statuses: str | None) -> None:
    """Raise `SetAside` for what its author has withdrawn."""
    if "entered-in-error" in statuses:
        raise SetAside(Reason.ENTERED_IN_ERROR, IN_ERROR)


class _Times:
    """Moments of a document: one that cannot be read is flagged and left out."""

    def __init__(self) -> None:
        self.flags: set[Flag] = set()

    def read(self, element: Element, name: str) -> datetime | None:
        try:
            return moment(element, name)
        except SetAside:
            self.flags.add(Flag.DATE_UNREADABLE)
            return None

    def read_period(
        self, element: Element, name: str = "period"
    ) -> tuple[datetime | None, datetime | None]:
        found = child(element, name) or {}
        return self.read(found, "start"), self.read(found, "end")


def _own_id(source: Source) -> str:
    """Return the XDS uniqueId of a document, its source key where it has no identifier."""
    resource = source.resource
    master = unique_id(child(resource, "masterIdentifier"))
    others = (unique_id(item) for item in children(resource, "identifier"))
    return master or next(filter(None, others), None) or bare_uri(source.key)


def _replaced(source: Source) -> str | None:
    """Return the unique id of what this document replaces."""
    for relation in children(source.resource, "relatesTo"):
        if token(relation, "code") != "replaces":
            continue
        target = child(relation, "target") or child(relation, "targetReference") or {}
        said = child(relation, "targetIdentifier") or child(target, "identifier")
        found = source.find(target)
        if found is not None and not found.is_contained:
            return _own_id(found)
        reference = token(target, "reference")
        if reference and ":" not in reference:  # on the referrer's own server, as its keys are
            reference = f"{source.entry.base or ''}{reference}"
        return unique_id(said) or (bare_uri(reference) if reference else None)
    return None


def _format_code(content: Element) -> str | None:
    return token(child(content, "format") or {}, "code")


def _language(*elements: Element) -> str | None:
    return next(filter(None, (token(element, "language", 35) for element in elements)), None)


def _one(resource: Element, name: str) -> Iterable[Element]:
    found = child(resource, name)
    return [found] if found else []
