"""The application around a small schema, and what asks it over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import httpx
import orjson
import strawberry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from carnet import errors
from carnet.http.app import create_app
from carnet.http.services import Services, actor_of
from carnet.people.actor import Actor, Assurance, Operator
from carnet.prevention.feeds import FeedSecrets
from carnet.settings import Mode, Settings
from carnet.store.cursors import Cursors
from carnet.store.database import Database
from carnet_graphql.assembly import CarnetSchema, build
from carnet_graphql.context import Info
from carnet_graphql.node import NodeQuery

SECRET = "DOMINIQUE PAT-TROIS"
ACCOUNT = UUID(int=7)
JSON = {"content-type": "application/json"}


@strawberry.type(description="The root.")
class Query(NodeQuery):
    @strawberry.field(description="Who asks.")
    async def who(self, info: Info) -> str:
        return f"{info.context.actor.kind} {info.context.address}"

    @strawberry.field(description="Says it again.")
    async def echo(self, text: str) -> str:
        return text

    @strawberry.field(description="A number.")
    async def number(self, value: int | None = None) -> int | None:
        return value

    @strawberry.field(description="Fails.")
    async def fails(self) -> int | None:
        raise RuntimeError(SECRET)

    @strawberry.field(description="Cannot be written as JSON.")
    async def surrogate(self) -> str:
        return "\ud800"


@strawberry.type(description="Acts.")
class Mutation:
    @strawberry.mutation(description="Acts.")
    async def act(self) -> bool:
        return True


@strawberry.type(description="Streams.")
class Subscription:
    @strawberry.subscription(description="One.")
    async def one(self) -> AsyncIterator[int]:
        yield 1


def schema(mode: Mode) -> CarnetSchema:
    return build(Query, Mutation, Subscription, introspection=mode is Mode.DEVELOPMENT)


async def authenticate(_database: Database, token: str, _address: str) -> Actor:
    if token == "good":
        return Operator(ACCOUNT, Assurance.SANDBOX)
    if token == "broken":
        raise RuntimeError(SECRET)
    if token == "limited":
        raise errors.RateLimited(retry_after=17)
    raise errors.Unauthenticated()


async def raises(request: Request) -> Response:
    kind = request.path_params["kind"]
    if kind == "fault":
        raise RuntimeError(SECRET)
    if kind == "mistake":
        raise errors.UserMistake(SECRET)
    if kind == "halfway":

        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 1000
            raise RuntimeError(SECRET)

        return StreamingResponse(body())
    if kind == "missing":
        raise errors.NotFound()
    if kind == "full":
        raise errors.StorageFull()
    if kind == "limited":
        raise errors.RateLimited(retry_after=9)
    return PlainTextResponse((await actor_of(request)).kind)


ROUTES = [Route("/raises/{kind}", raises, methods=["GET"])]
Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


async def post(client: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await client.post(
        "/graphql",
        content=content,
        headers=JSON | {name.replace("_", "-"): value for name, value in headers.items()},
    )


def data(answer: httpx.Response) -> Any:
    """Return the data of an answer without errors."""
    assert set(answer.json()) == {"data", "extensions"}
    return answer.json()["data"]


def code(answer: httpx.Response) -> str:
    (problem,) = answer.json()["errors"]
    assert problem["extensions"]["correlationId"] == answer.headers["x-correlation-id"]
    return str(problem["extensions"]["code"])


QUERY = {"query": "{ who }"}


def unreachable(mode: Mode = Mode.DEVELOPMENT) -> Services:
    nowhere = Database.connect("postgresql://nobody@127.0.0.1:1/none")
    cursors = Cursors(b"k")
    feeds = FeedSecrets.of(b"k")
    return Services(
        Settings(mode=mode), nowhere, None, schema(mode), authenticate, None, None, cursors, feeds
    )


def client_of(services: Services) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(services, ROUTES))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")
