"""What ``documents/index.json`` says of each document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from carnet.documents.tables import Document, DocumentContent, DocumentStatus
from carnet.store.tables import Blob


def document_shape(
    document: Document,
    status: DocumentStatus,
    contents: Sequence[tuple[DocumentContent, Blob]],
    files: Mapping[tuple[UUID, int], str | None],
) -> dict[str, Any]:
    """Return one version of a document with its metadata and contents.

    Args:
        status: what it is to whom the archive is for.
        files: the names in the archive by document and part; None where a content is damaged.
    """
    return {
        "id": str(document.id),
        "firstVersionId": str(document.lineage_id),
        "version": document.version,
        "status": status.value,
        "title": document.title,
        "category": document.category.value,
        "type": _coding(document.type_system, document.type_code, document.type_display),
        "formatCode": document.format_code,
        "uniqueId": document.unique_id,
        "language": document.language,
        "authors": document.authors,
        "practiceSetting": _coding(
            None, document.practice_setting_code, document.practice_setting_display
        ),
        "facilityType": _coding(None, document.facility_type_code, document.facility_type_display),
        "createdAt": document.source_created_at,
        "serviceStartedAt": document.service_started_at,
        "serviceEndedAt": document.service_ended_at,
        "depositedAt": document.deposited_at,
        "depositedBy": document.depositor.value,
        "updatedAt": document.updated_at,
        "confidentialityCodes": document.confidentiality_codes,
        "isMasked": document.is_masked,
        "isHiddenFromRepresentatives": document.is_hidden_from_representatives,
        "flags": document.flags,
        "contents": [_content_shape(content, blob, files) for content, blob in contents],
    }


def _content_shape(
    content: DocumentContent, blob: Blob, files: Mapping[tuple[UUID, int], str | None]
) -> dict[str, Any]:
    key = content.document_id, content.part
    return {
        "part": content.part,
        "role": content.role.value,
        "mediaType": content.media_type,
        "fileName": content.file_name,
        "sizeBytes": blob.size_bytes,
        "sha256": blob.sha256.hex() if blob.sha256 else None,
        "file": files.get(key),
        "isUnreadable": key in files and files[key] is None,
    }


def _coding(system: str | None, code: str | None, display: str | None) -> dict[str, Any] | None:
    return {"system": system, "code": code, "display": display} if code else None
