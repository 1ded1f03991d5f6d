"""A real push service on loopback: it checks who sends (VAPID) and opens what a browser gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any

import http_ece
import orjson
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from carnet_crypto.encoding import from_base64url, to_base64url


@dataclass(frozen=True)
class Browser:
    """A subscription, as `PushManager.subscribe` makes one."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    auth: bytes = field(default_factory=lambda: token_bytes(16))

    @property
    def p256dh(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def keys(self) -> dict[str, str]:
        return {"p256dh": to_base64url(self.p256dh), "auth": to_base64url(self.auth)}

    def opened(self, body: bytes) -> bytes:
        return bytes(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth))


@dataclass(frozen=True)
class Pushed:
    """One message that the service took."""

    payload: dict[str, Any]
    raw: bytes
    headers: dict[str, str]
    claims: dict[str, Any]
    signed_with: str  # the public key, as a browser was told it


class PushService:
    """Takes messages for its browsers, or answers as it is told."""

    def __init__(self) -> None:
        self.port = 0
        self.browsers: dict[str, Browser] = {}
        self.pushed: list[Pushed] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.requests = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def browser(self) -> Browser:
        """Return a browser that has just subscribed."""
        path = f"/push/{len(self.browsers)}-{token_bytes(16).hex()}"
        made = self.browsers[path] = Browser(self.origin + path)
        return made

    async def take(self, request: web.Request) -> web.Response:
        """Take a message, as RFC 8030, 8291 and 8292 have it."""
        self.requests += 1
        await self.may_answer.wait()
        if self.answers:
            status, headers = self.answers.pop(0)
            return web.Response(status=status, headers=headers)
        browser = self.browsers.get(request.path)
        if browser is None:
            return web.Response(status=404)
        scheme, _, parameters = request.headers["Authorization"].partition(" ")
        given = dict(part.split("=", 1) for part in parameters.split(","))
        point = from_base64url(given["k"])
        key = ECKey.import_key(
            {
                "kty": "EC",
                "crv": "P-256",
                "x": to_base64url(point[1:33]),
                "y": to_base64url(point[33:]),
            }
        )
        token = jwt.decode(given["t"], key, algorithms=["ES256"])
        jwt.JWTClaimsRegistry(aud={"essential": True, "value": self.origin}).validate(token.claims)
        body = await request.read()
        raw = browser.opened(body)
        assert scheme == "vapid" and request.headers["Content-Encoding"] == "aes128gcm"
        self.pushed.append(
            Pushed(orjson.loads(raw), raw, dict(request.headers), token.claims, given["k"])
        )
        return web.Response(status=201, headers={"Location": request.path})


@asynccontextmanager
async def push_service(service: PushService) -> AsyncIterator[PushService]:
    """Serve on loopback; on the same port again when it was served before."""
    app = web.Application()
    app.router.add_post("/{path:.*}", service.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", service.port)
    await site.start()
    service.port = runner.addresses[0][1]
    try:
        yield service
    finally:
        await runner.cleanup()
