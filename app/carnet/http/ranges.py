"""Answers a request for content: whole, a range of it, or «you have it already» (RFC 9110).

Contents come from strangers. They are never sniffed, run no script, load nothing, and only a few
harmless kinds open in the browser instead of being saved.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from carnet.errors import NotFound
from carnet.http.answers import error_response
from carnet.store.blobs import BlobStore, StoredBlob
from carnet.store.tables import Blob

IDLE_TIMEOUT = 60  # seconds in which a client takes something; it can go on with a range
HEADER_LIMIT = 4000  # characters of a conditional header that are read
FILE_NAME_LIMIT = 200  # bytes of a file name: file systems allow 255
READ_LIMIT = 1000  # characters of a given file name that are looked at
INLINE = frozenset({"application/pdf", "image/png", "image/jpeg", "text/plain"})
# Chromium shows no PDF in a sandbox. A PDF cannot become a page: its type is fixed by nosniff.
PDF_POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
POLICY = f"sandbox; default-src 'none'; style-src 'unsafe-inline'; {PDF_POLICY}"

_RANGE = re.compile(r"bytes=\s*(?:(\d+)-(\d*)|-(\d+))\s*", re.ASCII | re.IGNORECASE)
_ETAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 — grammar
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?: *;[\x20-\x7e]*)?")


@dataclass(frozen=True, slots=True)
class Selection:
    """What to answer: a status, and for 200 and 206 the bytes from ``start`` up to ``end``."""

    status: int
    start: int = 0
    end: int = 0


def select(method: str, headers: Mapping[str, str], etag: str, size_bytes: int) -> Selection:
    """Decide what a request gets, in the order of RFC 9110 section 13.2.2.

    Several ranges at once get the whole content, which the RFC allows: no client of ours asks
    for them, and they are a way to ask for much work.

    Args:
        etag: strong, with its quotes.
        size_bytes: of the content.
    """
    if_match = headers.get("if-match")
    if if_match is not None and not _matches(if_match, etag, is_weak_enough=False):
        return Selection(412)
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None and _matches(if_none_match, etag, is_weak_enough=True):
        return Selection(304)
    whole = Selection(200, 0, size_bytes)
    asked = headers.get("range")
    # A range of nothing is no use; some clients send «bytes=0-» with every request.
    if asked is None or method != "GET" or not size_bytes:
        return whole
    if_range = headers.get("if-range")
    if if_range is not None and if_range.strip() != etag:
        return whole
    found = _RANGE.fullmatch(asked) if len(asked) <= HEADER_LIMIT else None
    if found is None:
        return whole
    first, last, suffix = found.groups()
    if suffix is not None:
        start, end = max(size_bytes - _number(suffix), 0), size_bytes
        return Selection(206, start, end) if start < end else Selection(416)
    start = _number(first)
    if last and _number(last) < start:
        return whole  # not a valid range, so it is not there
    end = min(_number(last) + 1, size_bytes) if last else size_bytes
    return Selection(206, start, end) if start < size_bytes else Selection(416)


def content_response(
    request: Request,
    blobs: BlobStore,
    blob: StoredBlob | Blob,
    *,
    media_type: str,
    file_name: str,
) -> Response:
    """Return the answer to a GET or HEAD for a blob that the actor may read.

    The caller has decided that they may: whoever gets this far gets the content.

    Args:
        media_type: what the content is served as.
        file_name: what it is saved as; any text, it is made harmless here.

    Raises:
        NotFound: the bytes are not all there.
    """
    if blob.size_bytes is None or blob.sha256 is None:
        raise NotFound()
    etag = f'"{blob.sha256.hex()}"'
    selection = select(request.method, request.headers, etag, blob.size_bytes)
    if not _MEDIA_TYPE.fullmatch(media_type):
        media_type = "application/octet-stream"
    kind = media_type.partition(";")[0].strip().lower()
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": PDF_POLICY if kind == "application/pdf" else POLICY,
    }
    correlation_id = request.state.correlation_id
    if selection.status == 304:
        return Response(status_code=304, headers=headers)
    if selection.status == 412:
        message = "The content is not the one that If-Match names."
        return error_response(412, "PRECONDITION_FAILED", message, correlation_id, headers=headers)
    if selection.status == 416:
        headers["Content-Range"] = f"bytes */{blob.size_bytes}"
        message = f"The content has {blob.size_bytes} bytes."
        return error_response(
            416, "RANGE_NOT_SATISFIABLE", message, correlation_id, headers=headers
        )
    headers["Content-Type"] = media_type
    headers["Content-Length"] = str(selection.end - selection.start)
    headers["Content-Disposition"] = disposition(file_name, is_inline=kind in INLINE)
    if selection.status == 206:
        last = selection.end - 1
        headers["Content-Range"] = f"bytes {selection.start}-{last}/{blob.size_bytes}"
    if request.method == "HEAD":
        return Response(status_code=selection.status, headers=headers)
    pieces = blobs.read(blob, selection.start, selection.end)
    return ContentResponse(pieces, selection.status, headers)


class ContentResponse(Response):
    """Streams verified pieces.

    The first is read before anything is sent, so content that is damaged at its beginning gets a
    proper error. Damage found later breaks the connection: the client sees that the answer is
    shorter than its Content-Length, and got only bytes that were right.
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], status: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status_code=status, headers=headers)
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, no faster than the client takes it."""
        async with aclosing(self._pieces) as pieces:
            body = await anext(pieces)
            gone = asyncio.create_task(_disconnected(receive))
            try:
                start = {"status": self.status_code, "headers": self.raw_headers}
                await send({"type": "http.response.start", **start})
                async for piece in pieces:
                    await _send(send, body, more_body=True)
                    if gone.done():
                        raise ClientDisconnect
                    body = piece
                await _send(send, body, more_body=False)
            finally:
                gone.cancel()


def disposition(file_name: str, *, is_inline: bool) -> str:
    """Return a Content-Disposition header's value (RFC 6266): plain ASCII and, if other, UTF-8."""
    name = safe_file_name(file_name)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'["%\\;]', "_", plain).strip() or "content"
    kind = "inline" if is_inline else "attachment"
    if plain == name:
        return f'{kind}; filename="{plain}"'
    encoded = quote(name, safe="!#$&+^`|")  # what RFC 8187 calls attr-char, besides quote's own
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def safe_file_name(file_name: str) -> str:
    """Return the name without paths, control and direction characters, and not too long."""
    last = re.split(r"[/\\]", file_name)[-1]
    if len(last) > READ_LIMIT:  # normalizing takes quadratic time for a run of accents
        last = last[: READ_LIMIT // 2] + last[-READ_LIMIT // 2 :]
    spaced = re.sub(r"\s+", " ", unicodedata.normalize("NFC", last))
    shown = "".join(c for c in spaced if unicodedata.category(c) not in _UNSEEN)
    name = re.sub(r"[<>:|?*]", "_", shown).strip(" .")
    stem, dot, suffix = name.rpartition(".")
    suffix = dot + suffix if stem and len(suffix) <= 10 else ""
    stem = name.removesuffix(suffix) if suffix else name
    room = FILE_NAME_LIMIT - len(suffix.encode())
    return (stem.encode()[:room].decode(errors="ignore").rstrip() + suffix) or "content"


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


async def _disconnected(receive: Receive) -> None:
    """Return when the client is gone; sending alone would not tell."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, body: bytes, *, more_body: bool) -> None:
    """Send a piece; a client that takes nothing for too long counts as gone.

    Raises:
        ClientDisconnect: it does.
    """
    try:
        async with asyncio.timeout(IDLE_TIMEOUT):
            await send({"type": "http.response.body", "body": body, "more_body": more_body})
    except TimeoutError:
        raise ClientDisconnect from None


def _matches(header: str, etag: str, *, is_weak_enough: bool) -> bool:
    if header.strip() == "*":
        return True
    for weak, opaque in _ETAG.findall(header[:HEADER_LIMIT]):
        if opaque == etag and (is_weak_enough or not weak):
            return True
    return False


def _number(digits: str) -> int:
    """Read a number of any length without the work that a long one takes."""
    return int(digits) if len(digits) <= 19 else 10**19
