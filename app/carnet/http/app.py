"""The application: a value made of routes, one middleware and a lifespan; no side effects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from carnet.errors import CarnetError
from carnet.http.answers import on_http_exception, on_refusal
from carnet.http.guards import Guard
from carnet.http.ide import ide_routes
from carnet.http.operations.live import Live
from carnet.http.operations.view import graphql
from carnet.http.services import Services, services_of
from carnet.settings import Mode, Settings
from carnet_graphql.masking import log_failure

SHARED_FOR = 600  # seconds that a browser remembers who may read answers
READY_TIMEOUT = 2  # seconds: shorter than the interval at which orchestrators ask


def create_app(
    services: Services, routes: Sequence[BaseRoute] = (), *, broker: str = "memory://"
) -> Starlette:
    """Return the application.

    Args:
        services: what it serves from; its pool of connections closes with the application.
        routes: of uploads, content and intake.
        broker: URL of what links processes; by default there is only this one.
    """
    own: list[BaseRoute] = [
        Route("/graphql", graphql, methods=["GET", "POST"]),
        Route("/health/live", alive),
        Route("/health/ready", ready),
    ]
    if services.settings.mode is Mode.DEVELOPMENT:
        own.extend(ide_routes())
    live = Live(services, broker)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with live.running():
            yield
        await services.database.close()

    app = Starlette(
        routes=[*own, *routes],
        middleware=[Middleware(Guard, settings=services.settings), *_sharing(services.settings)],
        exception_handlers={CarnetError: on_refusal, HTTPException: on_http_exception},
        lifespan=lifespan,
    )
    # Starlette would send «/graphql/» to «http://…», and a client its token with it, unencrypted.
    app.router.redirect_slashes = False
    app.state.services = services
    app.state.live = live
    return app


def _sharing(settings: Settings) -> list[Middleware]:
    """Return what lets pages of other origins read answers (CORS); none where none is allowed."""
    if not settings.allowed_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["*"],
            expose_headers=["Content-Range", "ETag", "Retry-After", "X-Correlation-Id"],
            max_age=SHARED_FOR,
        )
    ]


async def alive(_request: Request) -> Response:
    """Say that the process serves requests."""
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """Say whether the database answers: 200 or 503."""
    try:
        async with asyncio.timeout(READY_TIMEOUT):
            await services_of(request).is_ready()
    except Exception as error:
        log_failure(error, request.state.correlation_id)
        return JSONResponse({"status": "not ready"}, 503)
    return JSONResponse({"status": "ready"})
