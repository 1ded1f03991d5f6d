"""How the server is reached: GraphQL, uploads, downloads, and following over a socket.

What can be repeated is repeated with growing pauses while the server does not answer: queries,
because they change nothing, and mutations, because each has an idempotency key of its own. What
the server refuses is raised as its own type (`carnet_client.errors`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from carnet_client import operations
from carnet_client.errors import (
    REFUSALS,
    ClientError,
    NotSignedIn,
    ServerFault,
    ServerRefusal,
    Unreachable,
    UserMistake,
)
from carnet_client.operations import Operation

ATTEMPTS = 5  # of one request; with the pauses below, about six seconds
FIRST_PAUSE = 0.4  # seconds; doubles with each attempt
LONGEST_PAUSE = 30.0  # seconds, whatever the server asks for
TIMEOUT = httpx.Timeout(60.0, connect=10.0)  # seconds
BUSY = frozenset({429, 502, 503, 504})  # statuses that pass
PASSING = frozenset({"UNAVAILABLE", "SERVER_STOPPING", "RIGHTS_CHANGED"})
MOST_ANSWER = 64 * 1024 * 1024  # bytes of one answer that is no download


@dataclass(frozen=True, slots=True)
class Session:
    """A session of the server. Its repr shows no token."""

    token: str
    expires_at: str

    def __repr__(self) -> str:
        return f"<Session until {self.expires_at}>"


class Connection:
    """A server, and who we are there.

    Args:
        server: its address, such as ``https://records.example``.
        token: of a session, where there is one.
        transport: another way to reach it, such as `httpx.ASGITransport`.
        first_pause: seconds before the second attempt.

    Raises:
        UserMistake: the address is no HTTP URL.
    """

    def __init__(
        self,
        server: str,
        token: str | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.url = checked_address(server)
        self.token = token
        self._first_pause = first_pause
        self._http = httpx.AsyncClient(
            base_url=self.url,
            timeout=TIMEOUT,
            transport=transport,
            trust_env=transport is None,
            headers={"Accept": "application/graphql-response+json, application/json"},
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

    # --- who we are

    async def sign_in(self, login: str, password: str, device: str) -> Session:
        """Begin a session, and go on with its token.

        Raises:
            SignInFailed: the login or the password is wrong.
            RateLimited: there were too many attempts.
        """
        inputs = {"login": login, "password": password, "deviceName": device}
        answer = await self._once(operations.SIGN_IN, {"input": inputs})
        payload = _payload(answer, "signIn")
        self.token = payload["token"]
        return Session(payload["token"], payload["expiresAt"])

    async def sign_out(self) -> None:
        """End the session."""
        if self.token is not None:
            await self._once(operations.SIGN_OUT, {})
            self.token = None

    # --- GraphQL

    async def query(self, operation: Operation, **variables: Any) -> dict[str, Any]:
        """Return what a query answers.

        Raises:
            NotSignedIn, Unreachable, ServerFault, ServerRefusal: see there.
        """
        return await self._repeated(operation, variables)

    async def mutate(
        self, operation: Operation, inputs: Mapping[str, Any], key: str | None = None
    ) -> dict[str, Any]:
        """Do something once, however often it has to be sent, and return its success.

        Args:
            operation: a mutation with one field.
            inputs: its input, without the idempotency key.
            key: the idempotency key; None makes one.

        Raises:
            ServerRefusal: it was refused, and nothing has changed.
            NotSignedIn, Unreachable, ServerFault: see there.
        """
        sent = {**inputs, "idempotencyKey": key or str(uuid4())}
        answer = await self._repeated(operation, {"input": sent})
        return _payload(answer, operation.field)

    async def _repeated(self, operation: Operation, variables: Mapping[str, Any]) -> dict[str, Any]:
        last: ClientError = Unreachable("The server does not answer.")
        for attempt in range(ATTEMPTS):
            try:
                return await self._once(operation, variables)
            except (Unreachable, _Busy) as error:
                last = Unreachable(str(error))
                pause = self._first_pause * 2**attempt
                if isinstance(error, _Busy):
                    pause = max(pause, error.retry_after)
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(min(pause, LONGEST_PAUSE) * _jitter())
        raise last

    async def _once(self, operation: Operation, variables: Mapping[str, Any]) -> dict[str, Any]:
        body = {
            "query": operation.text,
            "operationName": operation.name,
            "variables": dict(variables),
        }
        try:
            answer = await self._http.post("/graphql", json=body, headers=self._authorization())
        except httpx.TransportError as error:
            raise self._unreachable(error) from None
        if answer.status_code in BUSY:
            raise _Busy(_retry_after(answer))
        if answer.status_code == 401:
            raise NotSignedIn
        shape = _json(answer)
        data, errors = shape.get("data"), shape.get("errors")
        if errors:
            raise _fault(errors)
        if not isinstance(data, dict):
            raise ServerFault("This is no Carnet server.")
        return data

    def _authorization(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    # --- bytes

    async def upload(
        self, pieces: AsyncIterator[bytes], length: int, media_type: str | None = None
    ) -> str:
        """Send bytes as they come, and return the id of the blob they become.

        It is not repeated: what has been read is gone.

        Raises:
            ServerRefusal: the server takes no such blob.
            NotSignedIn, Unreachable, ServerFault: see there.
        """
        headers = {
            **self._authorization(),
            "Content-Type": media_type or "application/octet-stream",
            "Content-Length": str(length),
        }
        try:
            answer = await self._http.post("/blobs", content=pieces, headers=headers)
        except httpx.TransportError as error:
            raise self._unreachable(error) from None
        if not answer.is_success:
            raise _refusal(answer)
        try:
            return str(_json(answer)["id"])
        except (KeyError, TypeError):
            raise ServerFault("This is no Carnet server.") from None

    @asynccontextmanager
    async def download(self, url: str) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """Yield the pieces of what an address of this server serves.

        Raises:
            ServerRefusal: it serves nothing there.
            NotSignedIn, Unreachable, ServerFault: see there.
        """
        target = self.url.join(url)
        if (target.scheme, target.host, target.port) != (
            self.url.scheme,
            self.url.host,
            self.url.port,
        ):
            raise ServerFault("The server names an address that is not its own.")
        headers = {**self._authorization(), "Accept": "*/*", "Accept-Encoding": "identity"}
        try:
            async with self._http.stream("GET", target, headers=headers) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise _refusal(answer)
                yield answer.aiter_raw()
        except httpx.TransportError as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        where = f"{self.url.scheme}://{self.url.netloc.decode()}"
        return Unreachable(f"{where} does not answer ({type(error).__name__}).")

    # --- following

    @property
    def socket_url(self) -> str:
        """Where subscriptions are."""
        scheme = "wss" if self.url.scheme == "https" else "ws"
        return str(self.url.join("/graphql").copy_with(scheme=scheme))


class _Busy(ClientError):
    def __init__(self, retry_after: float) -> None:
        super().__init__("The server is busy.")
        self.retry_after = retry_after


def checked_address(server: str) -> httpx.URL:
    """Return a server's address.

    Raises:
        UserMistake: it is no HTTP URL.
    """
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host or not 0 < (url.port or 80) < 2**16:
        raise UserMistake("A server's address begins with https:// or http://.")
    return url


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        shape = answer.json()
    except ValueError:
        shape = None
    if not isinstance(shape, dict):
        raise ServerFault(f"The server answered {answer.status_code}, and nothing we can read.")
    return shape


def _payload(answer: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Return a mutation's success.

    Raises:
        ServerRefusal: it was refused.
    """
    payload = answer.get(field)
    if not isinstance(payload, dict) or "__typename" not in payload:
        raise ServerFault("This is no Carnet server.")
    if "code" not in payload:
        return payload
    if payload["code"] == "UNAUTHENTICATED":
        raise NotSignedIn
    kind = REFUSALS.get(payload["__typename"], ServerRefusal)
    refusal = kind(payload["code"], payload["message"], tuple(payload.get("path") or ()))
    refusal.details = payload
    raise refusal


def _fault(errors: Any) -> ClientError:
    try:
        first = errors[0]
        extensions = first.get("extensions") or {}
        code, message = str(extensions.get("code", "")), str(first["message"])
    except (IndexError, KeyError, TypeError, AttributeError):
        return ServerFault("The server failed.")
    if code == "UNAUTHENTICATED":
        return NotSignedIn()
    pause = float(extensions.get("retryAfter") or 0)
    if code in PASSING or (code == "RATE_LIMITED" and pause <= LONGEST_PAUSE):
        return _Busy(pause)
    kind = {
        "NOT_FOUND": "NotFound",
        "ACCESS_DENIED": "AccessDenied",
        "RATE_LIMITED": "RateLimited",
        "BAD_ID": "NotFound",
    }.get(code)
    if kind is None:
        return ServerFault(f"The server failed: {message}")
    refusal = REFUSALS[kind](code, message)
    refusal.details = dict(extensions)
    return refusal


def _refusal(answer: httpx.Response) -> ClientError:
    """Read what a route that is not GraphQL refused; its errors have GraphQL's shape."""
    if answer.status_code == 401:
        return NotSignedIn()
    if answer.status_code in BUSY:
        return Unreachable("The server is busy.")
    try:
        first = answer.json()["errors"][0]
        code, message = first["extensions"]["code"], first["message"]
    except (ValueError, KeyError, TypeError, IndexError):
        return ServerFault(f"The server answered {answer.status_code}.")
    kind = {"NOT_FOUND": "NotFound", "QUOTA_EXCEEDED": "QuotaExceeded"}.get(code, "")
    return REFUSALS.get(kind, ServerRefusal)(code, message)


def _retry_after(answer: httpx.Response) -> float:
    asked = answer.headers.get("Retry-After", "")
    return float(asked[:6]) if asked.isascii() and asked.isdigit() else 0.0


def _jitter() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 — spreads clients, hides nothing
