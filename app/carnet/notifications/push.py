"""Web Push (RFC 8030), encrypted for the browser (RFC 8291) and signed (RFC 8292), through
pywebpush."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid
from pywebpush import WebPushException, webpush_async

from carnet.notifications.outcomes import Gone, Refused
from carnet.notifications.texts import Text
from carnet.store.keys import create_key_file, read_key_file
from carnet_crypto.encoding import to_base64url

TIMEOUT = 15.0  # seconds
LIFE = 24 * 3600  # seconds that a push service keeps what a browser does not fetch
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


@dataclass(frozen=True, slots=True)
class Push:
    """The key that signs, and whom a push service may write to."""

    vapid: Any = field(repr=False)
    public_key: str  # as a browser's `applicationServerKey` takes it
    contact: str
    allows_private: bool = False

    @classmethod
    def open(
        cls, path: Path | None, data_dir: Path, contact: str, *, may_create: bool, private: bool
    ) -> Self | None:
        """Read the key file, or make one for development; None where there is none.

        Raises:
            UserMistake: the file is missing, ill-formed or open to others.
        """
        if path is None:
            if not may_create:
                return None
            path = data_dir / "keys" / "vapid"
            create_key_file(path)
        seed = int.from_bytes(read_key_file(path)[0])
        key = derive_private_key(seed % (_ORDER - 1) + 1, SECP256R1())
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return cls(Vapid(key), to_base64url(point), contact, private)


class PushSession:
    """Connections to push services for a batch."""

    def __init__(self, push: Push) -> None:
        self._push = push
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        resolver = ThreadedResolver() if self._push.allows_private else PublicResolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit=20),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, id_: UUID, endpoint: str, p256dh: str, auth: str, text: Text) -> None:
        """Hand over one message. Its topic is that of its delivery: sent twice, it is one.

        Raises:
            Gone: the browser took its subscription back.
            Refused: the service does not take it now.
        """
        body = orjson.dumps({"title": text.title, "body": text.body}).decode()
        try:
            answer = await webpush_async(
                {"endpoint": endpoint, "keys": {"p256dh": p256dh, "auth": auth}},
                data=body,
                vapid_private_key=self._push.vapid,
                vapid_claims={"sub": self._push.contact},
                ttl=LIFE,
                headers={"Topic": to_base64url(id_.bytes), "Urgency": "normal"},
                aiohttp_session=self._session,
            )
        except WebPushException as error:
            status = error.status_code or 0
            raise (Gone if status in (404, 410) else Refused)(str(status)) from None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Refused(type(error).__name__) from None
        if isinstance(answer, aiohttp.ClientResponse):
            answer.release()


class PublicResolver(AbstractResolver):
    """Resolves names to addresses of the public internet only: a push endpoint is a client's word,
    and must not lead into the operator's own network."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: one of them is not public.
        """
        found = await self._inner.resolve(host, port, family)
        if not all(ip_address(each["host"]).is_global for each in found):
            raise OSError("not a public address")
        return found

    async def close(self) -> None:
        """Close the resolver within."""
        await self._inner.close()
