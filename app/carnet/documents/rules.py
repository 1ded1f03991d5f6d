"""Pure decisions about documents: categories, keys, what stays hidden and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import PurePosixPath

HIDDEN_FROM_HOLDER = timedelta(days=30)
"""A result hidden for an announcement consultation is released after a month (R1111-53)."""

TITLE_LIMIT = 500  # characters
CONTENT_PARTS_LIMIT = 200  # parts of one document

_EXTENSIONS = {
    "application/pdf": ".pdf",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/hl7-v3+xml": ".xml",
    "application/hl7-cda+xml": ".xml",
    "application/json": ".json",
    "application/fhir+json": ".json",
    "application/fhir+xml": ".xml",
    "application/dicom": ".dcm",
    "application/rtf": ".rtf",
    "text/rtf": ".rtf",
    "text/plain": ".txt",
    "text/html": ".html",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tiff",
    "image/gif": ".gif",
}

READABLE = ("application/pdf", "image/jpeg", "image/png", "text/plain")
"""Types that a person can open as they are, the best first."""


def released_at(hidden: bool, now: datetime) -> datetime | None:
    """Return when a document hidden from its holder is released, or None when it is not."""
    return now + HIDDEN_FROM_HOLDER if hidden else None


def file_name(title: str, media_type: str, part: int = 0) -> str:
    """Return the name a download gets: the title, made safe, with the type's extension."""
    extension = _EXTENSIONS.get(media_type.partition(";")[0].strip().lower(), ".bin")
    kept = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else " " for c in title)
    stem = " ".join(kept.split()).strip(". ")[:100] or "document"
    if PurePosixPath(stem).suffix.lower() == extension:
        stem = stem[: -len(extension)]
    return f"{stem}{f' ({part})' if part else ''}{extension}"


def readability(media_type: str, part: int) -> tuple[int, int]:
    """Return a sort key: the part that a person reads most easily comes first."""
    plain = media_type.partition(";")[0].strip().lower()
    return (READABLE.index(plain) if plain in READABLE else len(READABLE), part)
