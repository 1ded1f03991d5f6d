"""Mutations that act once: the idempotency key of a GraphQL input.

The input of every mutation that writes ends with the field
``idempotency_key: IdempotencyKey = idempotency_key()``, and the resolver does its work through
`perform`, which opens the one transaction::

    @strawberry.mutation(description="…")
    async def mask_document(self, info: Info, input: MaskDocumentInput) -> MaskDocumentPayload:
        document_id = read_id(input.document_id, Document, "document_id")

        async def act(work: Work) -> UUID:
            return await documents.actions.mask(info.context.actor, work, document_id)

        key = await perform(info, input, act)
        return MaskDocumentSuccess(document=await load_node(info.context, Document, key))

``act`` returns the id of what it made or changed. A repeated key returns the same id without
acting, and what it names is read again, with the rights of that moment. Where the answer also says
how much was done, ``act`` returns that, and `perform_telling` remembers it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias
from uuid import UUID

import orjson
import strawberry
from strawberry import UNSET

from carnet.people.actor import actor_key
from carnet.store.database import Work
from carnet.store.idempotency import once
from carnet.values import PartialDate
from carnet_graphql.context import Info

KEY_FIELD = "idempotency_key"

IdempotencyKey: TypeAlias = UUID | None
IDEMPOTENCY_DESCRIPTION = (
    "Chosen by the client for this action. The same key with the same input repeats the answer"
    " instead of the action, for a week; with another input it is a Conflict."
)


def idempotency_key() -> Any:
    """Return the default of the field, with its description: ``= idempotency_key()``."""
    return strawberry.field(default=UNSET, description=IDEMPOTENCY_DESCRIPTION)


async def perform(info: Info, input: object, act: Callable[[Work], Awaitable[UUID]]) -> UUID:
    """Do the action in one transaction, at most once per key, and return the id it returns.

    Args:
        info: of the mutation's field, whose name belongs to the request.
        input: the mutation's input; its ``idempotency_key`` may be unset.
        act: does the action.

    Raises:
        Conflict, Unauthenticated, RightsChanged: as `perform_telling`.
    """

    async def tell(work: Work) -> dict[str, Any]:
        return {"id": str(await act(work))}

    return UUID((await perform_telling(info, input, tell))["id"])


async def perform_telling(
    info: Info, input: object, act: Callable[[Work], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """Do the action in one transaction, at most once per key, and return what it tells.

    Args:
        info: of the mutation's field, whose name belongs to the request.
        input: the mutation's input; its ``idempotency_key`` may be unset.
        act: does the action, and tells of it in ids, counts and words of ours, as JSON has them.

    Raises:
        Conflict: the key was used for another request.
        Unauthenticated: a key came without a session; an anonymous actor has none of their own.
        RightsChanged: what an earlier mutation of the operation showed may not be shown.
    """
    context = info.context
    key: UUID | None = getattr(input, KEY_FIELD, None) or None
    await context.settle()  # what an earlier mutation showed is judged before this one acts
    async with context.database.write() as work:
        if key is None:
            told = await act(work)
        else:
            told = await once(
                work,
                actor=actor_key(context.actor),
                key=key,
                request_hash=request_hash(info.field_name, input),
                act=lambda: act(work),
            )
    context.forget()
    return told


def request_hash(operation: str, input: object) -> bytes:
    """Return the SHA-256 of the operation and its input, the key itself left out."""
    body = orjson.dumps([operation, _plain(input)], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(body).digest()


def _plain(value: Any) -> Any:
    """Return the value as JSON has it. A field left out and one set to null differ."""
    match value:
        case Enum():
            return value.name
        case PartialDate() | Decimal() | UUID():
            return str(value)
        case bytes():
            return value.hex()
        case datetime() | date():
            return value.isoformat()
        case list() | tuple():
            return [_plain(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case strawberry.Some():
            return {"some": _plain(value.value)}
    if is_dataclass(value):
        present = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {
            name: _plain(item) for name, item in present if item is not UNSET and name != KEY_FIELD
        }
    raise TypeError(f"{type(value).__name__} cannot be part of a mutation's input")
