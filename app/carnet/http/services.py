"""What the application is composed of, and who sends a request."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from starlette.requests import Request

from carnet.certificates.trust import TrustList
from carnet.errors import Unauthenticated
from carnet.notifications.channels import Channels
from carnet.people.actions import Gate
from carnet.people.actor import Actor, Anonymous
from carnet.prevention.feeds import FeedSecrets
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.cursors import Cursors
from carnet.store.database import Database
from carnet.store.signing import Signer
from carnet_graphql.assembly import CarnetSchema
from carnet_graphql.context import Context
from carnet_graphql.operations.trusted import TrustedDocuments

TOKEN_LIMIT = 8192  # characters: the largest access token that identity providers send

CORRELATION_BYTES = 8

Authenticate = Callable[[Database, str, str], Awaitable[Actor]]


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes need; made once, by whoever starts the server.

    ``authenticate(database, token, address)`` turns a bearer token into an actor or raises
    `Unauthenticated`.
    """

    settings: Settings
    database: Database
    blobs: BlobStore
    schema: CarnetSchema
    authenticate: Authenticate
    gate: Gate
    signer: Signer
    cursors: Cursors
    feeds: FeedSecrets = field(repr=False)
    channels: Channels = field(default_factory=Channels)
    trust: TrustList = field(default_factory=TrustList, repr=False)
    documents: TrustedDocuments = field(default_factory=TrustedDocuments, repr=False)

    def context(self, actor: Actor, address: str = "", correlation_id: str = "") -> Context:
        """Return the context of a request, or of an event that is rendered for an actor."""
        return Context(
            actor=actor,
            database=self.database,
            blobs=self.blobs,
            gate=self.gate,
            settings=self.settings,
            signer=self.signer,
            cursors=self.cursors,
            feeds=self.feeds,
            channels=self.channels,
            trust=self.trust,
            address=address,
            correlation_id=correlation_id or new_correlation_id(),
        )

    async def is_ready(self) -> bool:
        """Tell whether the database answers. The caller bounds the time."""
        async with self.database.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        return True


def new_correlation_id() -> str:
    """Return a name for one request in the logs and in its errors."""
    return secrets.token_hex(CORRELATION_BYTES)


def services_of(request: Request) -> Services:
    """Return the services of the application that serves the request."""
    services: Services = request.app.state.services
    return services


async def actor_of(request: Request) -> Actor:
    """Return who sends the request; without an ``Authorization`` header, nobody.

    Raises:
        Unauthenticated: the header is no bearer token, or the token opens no session.
    """
    token = bearer_of(request)
    if token is None:
        return Anonymous()
    services = services_of(request)
    return await services.authenticate(services.database, token, request.state.address)


def bearer_of(request: Request) -> str | None:
    """Return the bearer token of the request, or None where it has none.

    Raises:
        Unauthenticated: the header is no bearer token.
    """
    return bearer_in(request.headers.getlist("authorization"))


def bearer_in(given: Sequence[str]) -> str | None:
    """Return the bearer token in the values of ``Authorization`` headers, or None without any.

    Raises:
        Unauthenticated: there are several, or it is no bearer token.
    """
    if not given:
        return None
    scheme, _, token = given[0].partition(" ")
    token = token.strip()
    if len(given) > 1 or scheme.lower() != "bearer" or not 0 < len(token) <= TOKEN_LIMIT:
        raise Unauthenticated("Send one Authorization header: Bearer and a token.")
    return token
