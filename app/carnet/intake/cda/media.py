"""What bytes are, by their first ones: a claimed media type is believed only as far as they agree.

Only the types that documents embed are known here. Nothing is opened or rendered.
"""

from __future__ import annotations

import re

UNKNOWN = "application/octet-stream"

_MAGIC: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    (b"%PDF-", ("application/pdf",)),
    (b"\xff\xd8\xff", ("image/jpeg", "image/jpg")),
    (b"\x89PNG\r\n\x1a\n", ("image/png",)),
    (b"GIF87a", ("image/gif",)),
    (b"GIF89a", ("image/gif",)),
    (b"II*\x00", ("image/tiff", "image/tif")),
    (b"MM\x00*", ("image/tiff", "image/tif")),
    (b"{\\rtf", ("application/rtf", "text/rtf")),
)
"""Each beginning with its media types, the one that is stored first."""

_CHECKED = frozenset(name for _, names in _MAGIC for name in names)
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}", re.ASCII)


def media_type_of(claimed: str | None, data: bytes) -> str:
    """Return the media type of bytes: what they begin with, else what is claimed.

    A claim of a type that has a known beginning which these bytes lack is not believed; they are
    then ``application/octet-stream``.
    """
    plain = (claimed or "").partition(";")[0].strip().lower()
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, names in _MAGIC:
        if start.startswith(magic):
            return plain if plain in names and plain != "image/jpg" else names[0]
    if data[128:132] == b"DICM":
        return "application/dicom"
    return plain if plain not in _CHECKED and _TYPE.fullmatch(plain) else UNKNOWN
