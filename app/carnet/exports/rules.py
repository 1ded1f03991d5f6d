"""Pure decisions about exports: limits, names of files in the archive, how far one is."""

from __future__ import annotations

import unicodedata
from datetime import UTC, timedelta
from pathlib import PurePosixPath

from carnet.documents.rules import file_name
from carnet.documents.tables import Document, DocumentContent
from carnet.exports.tables import Export, ExportState

ARCHIVE_LIFE = timedelta(days=7)  # long enough for a holiday, short for a copy of everything
GIVE_UP_AFTER = timedelta(hours=24)  # from the request, while something fails that may pass
ARCHIVE_LIMIT = 20 * 2**30  # bytes: what one owner may have waiting in the blob store
READY_LIMIT = 3  # archives of one record waiting for one account: each is a copy of everything
OTHER_STEPS = 4  # summary, profile, list of documents, journal
STEM_LIMIT = 150  # bytes of a title in a file name: file systems allow 255 for the whole

RUNNING = (ExportState.QUEUED, ExportState.RUNNING)

_COMPRESSIBLE = ("text/", "application/xml", "application/json", "application/rtf")


def progress(export: Export) -> float:
    """Return how far an export is, from 0 to 1."""
    if export.state in (ExportState.READY, ExportState.EXPIRED):
        return 1.0
    if not export.steps_total:
        return 0.0
    return min(export.steps_done / export.steps_total, 1.0)


def archive_name(export: Export) -> str:
    """Return the name that a download gets; it says nothing of the person."""
    return f"carnet {export.requested_at.astimezone(UTC):%Y-%m-%d}.zip"


def entry_name(document: Document, content: DocumentContent) -> str:
    """Return the name of a document's part in the archive, such as
    ``documents/2024-03-01 Bilan sanguin (9f2c41d07a55).pdf``.

    The end of the id makes it unique; other parts than the original have their number after it.
    """
    name = unicodedata.normalize("NFC", file_name(document.title, content.media_type))
    suffix = PurePosixPath(name).suffix
    stem = name.removesuffix(suffix).encode()[:STEM_LIMIT].decode(errors="ignore").strip(". ")
    day = document.sort_at.astimezone(UTC).strftime("%Y-%m-%d")
    part = f"-{content.part}" if content.part else ""
    return f"documents/{day} {stem} ({document.id.hex[-12:]}{part}){suffix}"


def is_worth_compressing(media_type: str) -> bool:
    """Tell whether a content becomes smaller; pictures, sounds and PDF are compressed already."""
    kind = media_type.partition(";")[0].strip().lower()
    return kind.startswith(_COMPRESSIBLE) or kind.endswith(("+xml", "+json"))
