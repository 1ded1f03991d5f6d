"""Files a document that a reader found: its bytes into the blob store, its metadata into XDS."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1, sha256
from typing import Any

import orjson

from carnet.documents.deposits import Deposit, StoredPart, find_deposit, land
from carnet.documents.landed import Landed
from carnet.documents.rules import CONTENT_PARTS_LIMIT, TITLE_LIMIT
from carnet.documents.tables import DocumentCategory
from carnet.errors import ValidationFailed
from carnet.intake.model import Author, ContentPart, DocumentItem, Flag
from carnet.intake.subjects import Subject
from carnet.people.actor import Publisher, actor_key
from carnet.people.identifiers import rpps_of
from carnet.store.blobs import BlobStore
from carnet.store.database import Work
from carnet.terminology.codes import category_of
from carnet.values import Coding


async def file_document(
    actor: Publisher, work: Work, blobs: BlobStore, item: DocumentItem, subject: Subject
) -> Landed:
    """Deposit one document of a submission.

    Bytes are stored only when they are new: a document sent again uploads nothing.

    Raises:
        ValidationFailed: it has too many parts.
        Conflict: it stands in another record already.
    """
    parts = [item.original, *item.embedded] if item.original else []
    if len(parts) > CONTENT_PARTS_LIMIT:
        raise ValidationFailed(f"A document has at most {CONTENT_PARTS_LIMIT} parts.")
    deposit = _deposit(actor, item, subject, parts)
    known = await find_deposit(work, actor.publisher_id, deposit.unique_id, deposit.content_key)
    stored: list[StoredPart] = []
    if known is None:
        stored_blobs = await blobs.put_many(
            work, actor_key(actor), [(part.data, part.media_type) for part in parts]
        )
        stored = [
            StoredPart(
                blob.id,
                part.media_type,
                part.file_name,
                part.claimed_size_bytes,
                part.claimed_sha1,
            )
            for part, blob in zip(parts, stored_blobs, strict=True)
        ]
    return await land(work, deposit, stored)


def _deposit(
    actor: Publisher, item: DocumentItem, subject: Subject, parts: Sequence[ContentPart]
) -> Deposit:
    assert subject.record_id is not None  # noqa: S101 — the caller refused the others
    authors = tuple(_author(author) for author in item.authors)
    flags = {flag.value for flag in item.flags} | _mismatches(parts)
    if subject.has_invalid_key:
        flags.add(Flag.NATIONAL_ID_KEY_INVALID.value)
    return Deposit(
        record_id=subject.record_id,
        publisher_id=actor.publisher_id,
        unique_id=item.unique_id,
        content_key=_content_key(item, parts),
        title=item.title[:TITLE_LIMIT],
        category=DocumentCategory(category_of(item.type, item.class_code)),
        type=item.type,
        set_id=item.set_id,
        format_code=item.format_code,
        language=item.language,
        confidentiality_codes=item.confidentiality_codes,
        practice_setting=item.practice_setting,
        facility_type=item.facility_type,
        source_created_at=item.source_created_at,
        service_started_at=item.service_started_at,
        service_ended_at=item.service_ended_at,
        authors=authors,
        author_rpps=tuple(
            rpps
            for author in item.authors
            if author.identifier is not None and (rpps := rpps_of(author.identifier))
        ),
        author_text=" ".join(_names(author) for author in item.authors).lower(),
        replaces_unique_id=item.replaces_unique_id,
        is_superseded=item.is_superseded,
        is_masked=item.is_masked,
        is_hidden_from_holder=item.is_hidden_from_holder,
        is_hidden_from_representatives=item.is_hidden_from_representatives,
        flags=tuple(sorted(flags)),
    )


def _content_key(item: DocumentItem, parts: Sequence[ContentPart]) -> bytes:
    """Return the SHA-256 of the content, or of the description where nothing is attached."""
    if parts:
        return sha256(parts[0].data).digest()
    described = [item.unique_id, item.title, item.type.as_json() if item.type else None]
    return sha256(orjson.dumps(described)).digest()


def _mismatches(parts: Sequence[ContentPart]) -> set[str]:
    found: set[str] = set()
    for part in parts:
        if part.claimed_size_bytes not in (None, len(part.data)):
            found.add(Flag.SIZE_MISMATCH.value)
        # FHIR's Attachment.hash is SHA-1; it is compared, never trusted.
        actual = sha1(part.data, usedforsecurity=False).digest()
        if part.claimed_sha1 not in (None, actual):
            found.add(Flag.HASH_MISMATCH.value)
    return found


def _author(author: Author) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "familyName": author.family_name,
        "givenName": author.given_name,
        "role": _coding(author.role),
        "speciality": _coding(author.speciality),
        "organizationName": author.organization_name,
    }
    for name, identifier in (
        ("identifier", author.identifier),
        ("organizationIdentifier", author.organization_identifier),
    ):
        if identifier is not None:
            shape[name] = {"system": identifier.system, "value": identifier.value}
    return {name: value for name, value in shape.items() if value is not None}


def _coding(coding: Coding | None) -> dict[str, str] | None:
    return coding.as_json() if coding else None


def _names(author: Author) -> str:
    return " ".join(
        name for name in (author.given_name, author.family_name, author.organization_name) if name
    )
