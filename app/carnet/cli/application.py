"""The application put together: stores, schema, routes and who may come in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette

from carnet.certificates.trust import TrustList
from carnet.cli.workspace import Workspace
from carnet.http import attachments, calendar_feeds, content, exports, intake, proofs, uploads
from carnet.http.app import create_app
from carnet.http.services import Services
from carnet.people.actions import Gate
from carnet.people.attempts import Attempts, derive_login_key
from carnet.people.passwords import Passwords
from carnet.people.sessions import authenticate
from carnet.prevention.feeds import FeedSecrets
from carnet.settings import Mode
from carnet.store.brokers import broker_url
from carnet.store.cursors import Cursors
from carnet_graphql.operations.trusted import TrustedDocuments
from carnet_graphql.schema import schema


@asynccontextmanager
async def application(opened: Workspace) -> AsyncIterator[Starlette]:
    """Yield the application on these stores.

    Raises:
        UserMistake: the file of identity providers, trusted issuers or documents cannot be used.
    """
    settings = opened.settings
    providers = None
    if settings.oidc_file is not None:
        from carnet.people.oidc import load_providers

        providers = load_providers(settings.oidc_file)
    passwords = Passwords()
    attempts = Attempts(opened.database, derive_login_key(opened.server_key))
    services = Services(
        settings=settings,
        database=opened.database,
        blobs=opened.blobs,
        schema=schema(introspection=settings.introspection or settings.mode is Mode.DEVELOPMENT),
        authenticate=partial(authenticate, providers=providers),
        gate=Gate(
            opened.database,
            passwords,
            attempts,
            opened.server_key,
            takes_passwords=settings.password_sign_in or settings.mode is Mode.DEVELOPMENT,
        ),
        signer=opened.signer,
        cursors=Cursors(opened.server_key),
        feeds=FeedSecrets.of(opened.server_key),
        channels=opened.channels,
        trust=TrustList.load(settings.trust_list_file),
        documents=TrustedDocuments.load(
            settings.trusted_documents, is_only=settings.trusted_documents_only
        ),
    )
    try:
        yield create_app(
            services,
            [
                *uploads.ROUTES,
                *content.ROUTES,
                *attachments.ROUTES,
                *calendar_feeds.ROUTES,
                *exports.ROUTES,
                *intake.ROUTES,
                *proofs.ROUTES,
            ],
            broker=broker_url(settings, opened.database.engine.url),
        )
    finally:
        passwords.close()
