"""The public keys of an identity provider: fetched once for all who wait, kept, and renewed.

No token makes Carnet fetch more often than the cool-down allows, and nothing that a token says
is ever fetched: the address comes from the operator's file alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from carnet_crypto.encoding import DecodeError, from_base64url

PublicKey = RSAKey | ECKey | OKPKey

FRESH_FOR = 600  # seconds; a key that the provider withdrew is trusted no longer than this
STALE_FOR = 3600  # seconds; kept while the provider cannot be reached
COOL_DOWN = 30  # seconds between fetches, however many unknown keys are named
TIMEOUT = 5  # seconds for a whole fetch
SIZE_LIMIT = 2**18  # bytes; real key sets have a few thousand
KEYS_LIMIT = 50  # keys looked at in one set
RSA_BITS = (2048, 8192)  # weaker is broken, longer costs too much to verify with
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_log = logging.getLogger(__name__)


class KeySource:
    """The keys behind one address.

    ``fetches`` counts the requests since the start. ``monotonic`` tells seconds.
    """

    def __init__(self, uri: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._uri = uri
        self._monotonic = monotonic
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at: float | None = None  # when the keys that are held came
        self._tried_at: float | None = None
        self._flight: asyncio.Task[None] | None = None
        self.fetches = 0

    async def find(self, kid: str) -> PublicKey | None:
        """Return the key of this name, or None when the provider has none or cannot be reached."""
        if self._flight is not None or self._may_fetch(kid):
            await self._fetch_once(kid)
        if self._age() > STALE_FOR:
            self._keys = {}
        return self._keys.get(kid)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._monotonic() - self._fetched_at

    def _may_fetch(self, kid: str) -> bool:
        if kid in self._keys and self._age() <= FRESH_FOR:
            return False
        return self._tried_at is None or self._monotonic() - self._tried_at >= COOL_DOWN

    async def _fetch_once(self, kid: str) -> None:
        """Join the fetch that is under way, or start it. A caller who leaves does not end it."""
        if kid in self._keys and self._age() <= FRESH_FOR:
            return
        if self._flight is None:
            self._tried_at = self._monotonic()
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(self._landed)
        await asyncio.shield(self._flight)

    def _landed(self, _flight: asyncio.Task[None]) -> None:
        self._flight = None

    async def _fetch(self) -> None:
        self.fetches += 1
        await asyncio.to_thread(import_module, "httpx")  # it brings a lot with it; nobody waits
        import httpx

        try:
            async with asyncio.timeout(TIMEOUT):
                keys = read_keys(await _get(self._uri))
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            _log.warning("The keys at %s cannot be read: %s", self._uri, type(error).__name__)
            return
        self._keys = keys
        self._fetched_at = self._monotonic()


def read_keys(body: bytes) -> dict[str, PublicKey]:
    """Return the keys of a JWK set that can verify signatures, by name; others are passed over.

    Raises:
        ValueError: it is no JWK set.
    """
    shape = orjson.loads(body)
    listed = shape.get("keys") if isinstance(shape, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JWK set")
    keys: dict[str, PublicKey] = {}
    for item in listed[:KEYS_LIMIT]:
        key = _read_key(item)
        if key is not None:
            keys.setdefault(item["kid"], key)
    return keys


def _read_key(item: Any) -> PublicKey | None:
    if not isinstance(item, dict) or not isinstance(item.get("kid"), str):
        return None
    if item.get("use", "sig") != "sig":
        return None
    try:
        if item.get("kty") == "RSA" and not _has_fair_size(item):
            return None
        key = JWKRegistry.import_key(item)
    except (JoseError, DecodeError, ValueError, TypeError, KeyError):
        return None
    # A secret among public keys would let whoever reads the set sign tokens.
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None


def _has_fair_size(item: dict[str, Any]) -> bool:
    modulus = int.from_bytes(from_base64url(str(item.get("n"))))
    return RSA_BITS[0] <= modulus.bit_length() <= RSA_BITS[1]


async def _get(uri: str) -> bytes:
    import httpx

    body = bytearray()
    # A proxy of the environment serves the world outside, not this machine.
    trust_env = urlsplit(uri).hostname not in LOOPBACK
    async with (
        httpx.AsyncClient(timeout=TIMEOUT, trust_env=trust_env) as client,
        client.stream("GET", uri, headers={"Accept": "application/json"}) as answer,
    ):
        if answer.status_code != httpx.codes.OK:
            raise ValueError("not 200")
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > SIZE_LIMIT:
                raise ValueError("too large")
    return bytes(body)
