"""CDA documents that come in messages: opened, compared with their message, carried over. Pure."""

from __future__ import annotations

from dataclasses import replace

from carnet.errors import ValidationFailed
from carnet.intake import cda
from carnet.intake.hl7v2.groups import (
    HIDDEN_FROM_HOLDER,
    HIDDEN_FROM_REPRESENTATIVES,
    MASKED,
    Group,
)
from carnet.intake.hl7v2.message import Segment
from carnet.intake.hl7v2.patient import is_same_patient
from carnet.intake.hl7v2.payload import read_payload
from carnet.intake.model import (
    DocumentItem,
    EntryItem,
    Flag,
    ImmunizationItem,
    Item,
    NothingToDeclareItem,
    PatientClaim,
    Reading,
    Reason,
    Skipped,
)

NOT_CDA = "Only CDA documents are taken out of messages."
REFERENCE = "It only refers to its content, which is never fetched."
OTHER_PATIENT = "The message and its document are about different patients."


class NotTaken(Exception):
    """A document in a message cannot be taken; ``reason`` and ``message`` say why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def is_refused(self) -> bool:
        """Whether it is refused, rather than not interpreted."""
        return self.reason is not Reason.NOT_SUPPORTED


def open_document(segment: Segment, patient: PatientClaim) -> Reading:
    """Read the CDA document in an OBX.

    Args:
        segment: the OBX.
        patient: whose message it is; a document that names nobody is this patient's.

    Raises:
        NotTaken: it is no CDA document, cannot be read, or it is another patient's.
    """
    if segment.text(2).upper() != "ED":
        raise NotTaken(Reason.NOT_SUPPORTED, REFERENCE)
    try:
        payload = read_payload(segment)
        if not payload.is_xml:
            raise NotTaken(Reason.NOT_SUPPORTED, NOT_CDA)
        reading = cda.read(payload.data, otherwise=patient)
    except ValidationFailed as problem:
        raise NotTaken(Reason.MALFORMED, problem.message) from None
    if unique_id_of(reading) is None:
        refused = next(item for item in reading.items if isinstance(item, Skipped))
        raise NotTaken(refused.reason, refused.message)
    if not all(is_same_patient(patient, other) for other in reading.patients.values()):
        raise NotTaken(Reason.IDENTITY_CONFLICT, OTHER_PATIENT)
    return _flagged(reading) if payload.was_repaired else reading


def unique_id_of(reading: Reading) -> str | None:
    """Return the identifier of the document that was read, or None when it was refused."""
    documents = (item for item in reading.items if isinstance(item, DocumentItem))
    return next((document.unique_id for document in documents), None)


def carried(
    reading: Reading, group: Group, segment: Segment, patient: str, unique_id: str | None
) -> list[Item]:
    """Return a document's items as items of its message.

    The message decides on the identifier (the one that later messages use), on what is replaced
    and on who may see it, as far as it says so; the rest is the document's own.
    """
    own = unique_id_of(reading) or ""
    key = unique_id or own
    carried_items: list[Item] = []
    for item in reading.items:
        renamed = key + item.source_key.removeprefix(own)
        match item:
            case DocumentItem():
                parent = group.parent_id if group.is_replacement(segment) else None
                carried_items.append(_document(item, group, patient, key, parent))
            case EntryItem() | ImmunizationItem() | NothingToDeclareItem():
                carried_items.append(
                    replace(item, source_key=renamed, patient=patient, document=key)
                )
            case _:
                carried_items.append(replace(item, source_key=renamed))
    return carried_items


def _document(
    item: DocumentItem, group: Group, patient: str, unique_id: str, parent: str | None
) -> DocumentItem:
    replaced = parent or item.replaces_unique_id
    seen = group.visibility
    return replace(
        item,
        source_key=unique_id,
        patient=patient,
        unique_id=unique_id,
        replaces_unique_id=replaced if replaced != unique_id else None,
        is_masked=seen.get(MASKED, item.is_masked),
        is_hidden_from_holder=seen.get(HIDDEN_FROM_HOLDER, item.is_hidden_from_holder),
        is_hidden_from_representatives=seen.get(
            HIDDEN_FROM_REPRESENTATIVES, item.is_hidden_from_representatives
        ),
    )


def _flagged(reading: Reading) -> Reading:
    items = tuple(
        replace(item, flags=tuple(sorted({*item.flags, Flag.BASE64_REPAIRED})))
        if isinstance(item, DocumentItem)
        else item
        for item in reading.items
    )
    return replace(reading, items=items)
