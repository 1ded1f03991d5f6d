"""Strawberry's own view on uvicorn, with the broadcaster's memory behind it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import strawberry
import uvicorn
from broadcaster import Broadcast
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL

events = Broadcast("memory://")
number = 0


@strawberry.type
class Document:
    id: strawberry.ID
    title: str


@strawberry.type
class Event:
    cursor: str
    document: Document


@strawberry.type
class Query:
    none: bool | None = None


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def event(self) -> AsyncGenerator[Event, None]:
        async with events.subscribe("event") as subscriber:
            async for one in subscriber:
                text = one.message
                document = Document(
                    id=strawberry.ID(text.rjust(38, "d")), title=f"Compte rendu {text}"
                )
                yield Event(cursor=text.rjust(43, "x"), document=document)


async def publish(request: Request) -> PlainTextResponse:
    global number
    for _ in range(int(request.query_params["count"])):
        number += 1
        await events.publish("event", str(number))
    return PlainTextResponse("published")


@asynccontextmanager
async def lifespan(_app: Starlette):
    async with events:
        asyncio.get_running_loop().call_later(0.5, print, "serves")
        yield


view = GraphQL(strawberry.Schema(Query, subscription=Subscription))
app = Starlette(
    routes=[Route("/publish", publish, methods=["POST"]), WebSocketRoute("/graphql", view)],
    lifespan=lifespan,
)
sys.stdout.reconfigure(line_buffering=True)
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", backlog=4096)
