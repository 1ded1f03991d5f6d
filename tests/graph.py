"""Runs GraphQL operations against the real schema, stores and database."""

from __future__ import annotations

from typing import Any

from argon2 import Parameters, Type

from carnet.people.actions import Gate
from carnet.people.actor import Actor
from carnet.people.attempts import Attempts
from carnet.people.passwords import Passwords
from carnet.prevention.feeds import FeedSecrets
from carnet.settings import Settings
from carnet.store.blobs import BlobStore
from carnet.store.cursors import Cursors
from carnet.store.database import Database
from carnet.store.signing import Signer
from carnet_graphql.context import Context
from carnet_graphql.reads import Reads
from carnet_graphql.schema import schema

SCHEMA = schema()
SIGNER = Signer([b"s" * 32])
CURSORS = Cursors(b"s" * 32)
FEEDS = FeedSecrets.of(b"s" * 32)
CHEAP = Parameters(Type.ID, 19, 16, 16, 1, 8, 1)  # argon2id, so that tests are quick

SERVER_KEY = b"s" * 32  # what enrolment codes follow from


def gate_of(database: Database) -> Gate:
    """Return what signing in works with, quicker than a real one."""
    return Gate(database, Passwords(CHEAP), Attempts(database, b"k" * 32), SERVER_KEY)


def context_of(
    database: Database, blobs: BlobStore, actor: Actor, reads: Reads | None = None
) -> Context:
    """Return the context of one request; ``reads`` may be one that a test interrupts."""
    return Context(
        actor=actor,
        database=database,
        blobs=blobs,
        gate=gate_of(database),
        settings=Settings(),
        signer=SIGNER,
        cursors=CURSORS,
        feeds=FEEDS,
        address="127.0.0.1",
        correlation_id="test",
        reads=reads or Reads(),
    )


async def execute(
    database: Database, blobs: BlobStore, actor: Actor, query: str, **variables: Any
) -> tuple[Any, list[dict[str, Any]]]:
    """Return data and errors of an operation."""
    return await answer(context_of(database, blobs, actor), query, variables)


async def answer(
    context: Context, query: str, variables: dict[str, Any]
) -> tuple[Any, list[dict[str, Any]]]:
    """Return data and errors of an operation in this context."""
    result = await SCHEMA.execute(query, variables, context_value=context)
    return result.data, [dict(error.formatted) for error in result.errors or []]


async def data(
    database: Database, blobs: BlobStore, actor: Actor, query: str, **variables: Any
) -> Any:
    """Return the data of an operation that has no errors."""
    found, errors = await execute(database, blobs, actor, query, **variables)
    assert errors == [], errors
    return found
