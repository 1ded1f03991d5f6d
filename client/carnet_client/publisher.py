"""What a software publisher uses to feed records: one file in, one receipt out.

Sending is idempotent on the server, so a file that failed half-way is simply sent again::

    async with PublisherClient("https://records.example", credential) as client:
        receipt = await client.submit(Path("report.xml"))

PublisherError
├── Refused       the server answered and took nothing; ``code`` and ``status`` say why
└── Unreachable   no answer, after several attempts
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from carnet_client.files import pieces_of
from carnet_client.formats import media_type_of

CHUNK_BYTES = 256 * 1024  # read and sent at once: bounds memory whatever the file's size
ATTEMPTS = 6  # with the pauses below, about twelve seconds before giving up
FIRST_PAUSE = 0.4  # seconds; doubles with each attempt
LONGEST_PAUSE = 30.0  # seconds, whatever the server's Retry-After asks for
TIMEOUT = httpx.Timeout(300.0, connect=10.0)  # seconds; a large bundle takes a while to land
BUSY = frozenset({429, 502, 503, 504})  # statuses that pass
PASSING = frozenset({"UNKNOWN_PATIENT", "UNKNOWN_DOCUMENT"})
"""Reasons of refusals that another file of the same delivery may lift."""

LANDED = frozenset({"CREATED", "UPDATED"})


class PublisherError(Exception):
    """The file was not taken in."""


class Refused(PublisherError):
    """The server refused the file as a whole."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Unreachable(PublisherError):
    """The server does not answer."""


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one item. ``key`` is the publisher's own name for it."""

    key: str = field(repr=False)
    kind: str
    outcome: str  # CREATED, UPDATED, DUPLICATE, REFUSED or NOT_INTERPRETED
    reason: str | None = None
    message: str | None = None
    target: str | None = None

    @property
    def may_pass(self) -> bool:
        """Whether the same file may be taken later, once another one is in."""
        return self.outcome == "REFUSED" and self.reason in PASSING


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one file."""

    submission: str
    format: str
    items: tuple[Item, ...]

    @classmethod
    def from_json(cls, shape: Mapping[str, Any]) -> Self:
        """Read what the server answered; fields that this client does not know are left out."""
        known = Item.__dataclass_fields__
        return cls(
            shape["submission"],
            shape["format"],
            tuple(
                Item(**{name: value for name, value in item.items() if name in known})
                for item in shape["items"]
            ),
        )

    @property
    def counts(self) -> Counter[str]:
        """How many items had each outcome."""
        return Counter(item.outcome for item in self.items)

    @property
    def passing(self) -> int:
        """How many items are refused for a reason that may pass."""
        return sum(item.may_pass for item in self.items)

    def after(self, earlier: Receipt) -> Receipt:
        """Return this receipt with what an earlier attempt of the same file already landed.

        What was created the first time is a duplicate the second time; the whole delivery
        created it.
        """
        if len(earlier.items) != len(self.items):
            return self
        return replace(
            self,
            items=tuple(
                before if before.outcome in LANDED and now.outcome == "DUPLICATE" else now
                for before, now in zip(earlier.items, self.items, strict=True)
            ),
        )


class PublisherClient:
    """Sends files to ``POST /intake`` with a machine credential.

    Args:
        server: address of the server, such as ``https://records.example``.
        credential: the publisher's secret.
        transport: another way to reach the server, such as `httpx.ASGITransport`.
        first_pause: seconds to wait before the second attempt.

    Raises:
        Unreachable: the address is no HTTP URL.
    """

    def __init__(
        self,
        server: str,
        credential: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._first_pause = first_pause
        self._http = httpx.AsyncClient(
            base_url=_checked(server),
            headers={"Authorization": f"Bearer {credential}", "Accept": "application/json"},
            timeout=TIMEOUT,
            transport=transport,
            trust_env=transport is None,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def submit(self, path: Path, media_type: str | None = None) -> Receipt:
        """Send one file, again while the server is busy, and return what became of it.

        Args:
            path: the file; it is streamed, never held in memory.
            media_type: its content type; None looks at its first bytes.

        Raises:
            Refused: the server took nothing of it.
            Unreachable: no answer after several attempts.
            OSError: the file cannot be read.
        """
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        if media_type is None:
            media_type = await asyncio.to_thread(media_type_of, path)
        headers = {
            "Content-Type": media_type or "application/octet-stream",
            "Content-Length": str(size_bytes),
        }
        last: PublisherError = Unreachable("The server does not answer.")
        for attempt in range(ATTEMPTS):
            pause = self._first_pause * 2**attempt
            try:
                async with aclosing(pieces_of(path, CHUNK_BYTES)) as body:
                    answer = await self._http.post("/intake", content=body, headers=headers)
            except httpx.TransportError as error:
                last = self._unreachable(error)
            else:
                if answer.is_success:
                    return _receipt(answer)
                last = _refusal(answer)
                if answer.status_code not in BUSY:
                    raise last
                pause = _asked_pause(answer, pause)
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(min(pause, LONGEST_PAUSE))
        raise last

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        where = f"{self._http.base_url.scheme}://{self._http.base_url.netloc.decode()}"
        return Unreachable(f"{where} does not answer ({type(error).__name__}).")


def _checked(server: str) -> httpx.URL:
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host or not 0 < (url.port or 80) < 2**16:
        raise Unreachable("The server's address is not an http:// or https:// URL.")
    return url


def _receipt(answer: httpx.Response) -> Receipt:
    try:
        return Receipt.from_json(answer.json())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused("NOT_CARNET", "This is no Carnet server.", answer.status_code) from None


def _refusal(answer: httpx.Response) -> Refused:
    """Read the error that the server sends, which has the shape of a GraphQL error."""
    try:
        error = answer.json()["errors"][0]
        return Refused(error["extensions"]["code"], error["message"], answer.status_code)
    except (ValueError, KeyError, TypeError, IndexError):
        message = f"The server answered {answer.status_code}."
        return Refused("HTTP", message, answer.status_code)


def _asked_pause(answer: httpx.Response, otherwise: float) -> float:
    asked = answer.headers.get("Retry-After", "")
    return float(asked[:6]) if asked.isascii() and asked.isdigit() else otherwise
