"""What surrounds every request: its name in the logs, the client's address, safe headers.

Pure ASGI, so that streams pass through untouched. An error that no route answered becomes a
masked 500 here and is logged without values; it never reaches the server's own error log, which
would print SQL parameters.
"""

from __future__ import annotations

import logging
import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from time import perf_counter

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from carnet.errors import Unavailable, UserMistake
from carnet.http.answers import error_response, refusal_response
from carnet.http.hosts import Hosts
from carnet.http.services import new_correlation_id
from carnet.settings import Mode, Settings
from carnet.store.outages import is_outage
from carnet_graphql.masking import MESSAGE, log_failure

FORWARDERS_LIMIT = 20  # hops of X-Forwarded-For that are read, from the nearest
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
PRODUCTION_HEADERS = {"Strict-Transport-Security": "max-age=63072000; includeSubDomains"}
UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
SECRET_PATHS = ("/calendar/",)  # their addresses are secrets: they open what they name

HEALTH = "/health/"

access = logging.getLogger("carnet.access")


class Guard:
    """The outermost middleware. Sets ``request.state.correlation_id`` and ``.address``."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.trusted = trusted_networks(settings.trusted_proxies)
        self.hosts = Hosts(settings)
        self.headers = dict(HEADERS)
        if settings.mode is Mode.PRODUCTION:
            self.headers |= PRODUCTION_HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at = perf_counter()
        correlation_id = new_correlation_id()
        state = scope.setdefault("state", {})
        state["correlation_id"] = correlation_id
        state["address"] = client_address(scope, self.trusted)
        status = 0

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Correlation-Id"] = correlation_id
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope, correlation_id)
        try:
            await (refusal or self.app)(scope, receive, guarded_send)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            log_failure(error, correlation_id)
            if status:
                # Too late for another answer: break the connection, without the values.
                raise BrokenAnswer from None
            if is_outage(error):
                answer = refusal_response(Unavailable(), correlation_id)
            else:
                answer = error_response(500, "INTERNAL", MESSAGE, correlation_id)
            await answer(scope, receive, guarded_send)
        finally:
            _log_access(scope, status, correlation_id, perf_counter() - started_at)

    def _refusal(self, scope: Scope, correlation_id: str) -> Response | None:
        """Refuse names that are not ours and pages that may not speak to us."""
        if scope["path"].startswith(HEALTH):
            return None  # whoever asks after it often knows no name
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.hosts.is_own(hosts[0]):
            message = "This server has another name; see CARNET_ALLOWED_HOSTS."
            return error_response(400, "HOST_NOT_ALLOWED", message, correlation_id)
        if not all(self.hosts.may_speak(each, hosts[0]) for each in headers.getlist("origin")):
            message = (
                "Pages of this origin may not speak to this server; see CARNET_ALLOWED_ORIGINS."
            )
            return error_response(403, "ORIGIN_NOT_ALLOWED", message, correlation_id)
        return None


class BrokenAnswer(Exception):
    """The answer broke off after its first bytes; the cause is in the log of failures."""


def trusted_networks(proxies: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    """Read the setting of trusted proxies: addresses or networks.

    Raises:
        UserMistake: one of them is neither.
    """
    try:
        return [ip_network(proxy, strict=False) for proxy in proxies]
    except ValueError:
        raise UserMistake(
            "CARNET_TRUSTED_PROXIES takes addresses or networks, like 10.0.0.0/8."
        ) from None


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """Return an address; one of IPv4 is that also where a socket of IPv6 took the connection.

    Raises:
        ValueError: it is none.
    """
    parsed = ip_address(text)
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped or parsed
    return parsed


def client_address(scope: Scope, trusted: list[IPv4Network | IPv6Network]) -> str:
    """Return the address of the client, as the nearest proxy that is not trusted tells it.

    A peer on a Unix socket has no address and counts as this machine.
    """
    peer = scope.get("client")
    address = peer[0] if peer else "127.0.0.1"
    hops = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).rsplit(",", FORWARDERS_LIMIT)
    while True:
        try:
            parsed = plain_address(address)
        except ValueError:
            return "127.0.0.1"
        if not hops or not any(parsed in network for network in trusted):
            return str(parsed)
        hop = hops.pop().strip()
        try:
            ip_address(hop)
        except ValueError:
            return str(parsed)
        address = hop


def _shown(path: str) -> str:
    """Return a path for the log; what follows a prefix of secrets is a secret."""
    for prefix in SECRET_PATHS:
        if path.startswith(prefix):
            return prefix + "…"
    return UNPRINTABLE.sub("?", path)[:200]


def _log_access(scope: Scope, status: int, correlation_id: str, seconds: float) -> None:
    """Log one line of JSON: no query string, no address, no user."""
    line = {
        "method": scope["method"],
        # A path that is none of ours may hold anything: a name, a token that was pasted.
        "path": _shown(scope["path"]) if "endpoint" in scope else "?",
        "status": status,
        "ms": round(seconds * 1000, 1),
        "correlation": correlation_id,
    }
    access.info(orjson.dumps(line).decode())
