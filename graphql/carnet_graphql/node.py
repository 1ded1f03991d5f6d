"""Global ids and `Node`: every object that a client may fetch again has an opaque id.

A global id is canonical base64url of a version byte, the object's UUID and its type name. It
grants nothing: reading goes through the area's filtered query, and an id of what does not exist
or is not visible answers null either way. A malformed id is the request error `BAD_ID`.

A type joins by inheriting from `Node` and registering how it is read, in batches::

    @strawberry.type(description="A document of a record.")
    class Document(Node):
        row: strawberry.Private[tables.Document]

        @classmethod
        def of(cls, row: tables.Document) -> Document:
            return cls(key=row.id, row=row)

    register_node(Document, documents.queries.by_ids, Document.of)

where ``by_ids(actor, work, ids) -> Mapping[UUID, tables.Document]`` leaves out what the actor
may not see. The query root inherits from `NodeQuery`; arguments are read with
``read_id(input.document_id, Document)``.
"""

from __future__ import annotations

from asyncio import gather
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, TypeAlias, TypeVar
from uuid import UUID

import strawberry
from strawberry.types.base import get_object_definition

from carnet.errors import BadId, NotFound, ValidationFailed
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url
from carnet_graphql.context import Context, Info

VERSION = b"\x01"
ID_LIMIT = 200  # characters of a global id
NODES_LIMIT = 100  # ids in one call of `nodes`: as many as a page holds

GlobalId: TypeAlias = Annotated[
    strawberry.ID, strawberry.argument(description="The object's global id.")
]
GlobalIds: TypeAlias = Annotated[
    list[strawberry.ID], strawberry.argument(description="Global ids, of any types.")
]
N = TypeVar("N", bound="Node")
Row = TypeVar("Row")
Query = Callable[[Actor, Work, Sequence[UUID]], Awaitable[Mapping[UUID, Row]]]


@strawberry.interface(description="An object that can be fetched again by its id.")
class Node:
    """Base of all types with a global id. ``key`` is the row's UUID."""

    key: strawberry.Private[UUID]

    @strawberry.field(name="id", description="Opaque id, unique across all types.")
    def global_id(self) -> strawberry.ID:
        """Return the object's global id."""
        return write_id(type(self), self.key)


_loaders: dict[str, Callable[[Context, UUID], Awaitable[Node | None]]] = {}


def type_name(kind: type[Node]) -> str:
    """Return the type's name in the schema."""
    return get_object_definition(kind, strict=True).name


def register_node(kind: type[N], query: Query[Row], of: Callable[[Row], N]) -> None:
    """Make the type readable by id: a batched query of visible rows, and how a row becomes it.

    Raises:
        ValueError: another type has this name already.
    """
    name = type_name(kind)
    if name in _loaders:
        raise ValueError(f"{name} is registered twice")

    async def load(context: Context, key: UUID) -> Node | None:
        row = await context.load(query, key)
        return None if row is None else of(row)

    _loaders[name] = load


def write_id(kind: type[Node], key: UUID) -> strawberry.ID:
    """Return the global id of the object of this type with this UUID."""
    return strawberry.ID(to_base64url(VERSION + key.bytes + type_name(kind).encode()))


def read_id(text: str, kind: type[Node], *path: str) -> UUID:
    """Return the UUID in a global id of that type.

    Args:
        text: what the client sent.
        kind: the type it must be of.
        path: the field of the input that it came in, for the error.

    Raises:
        BadId: it is malformed or of another type.
    """
    name, key = _parse(text, path)
    if name != type_name(kind):
        raise BadId(path=path)
    return key


def _parse(text: str, path: tuple[str, ...] = ()) -> tuple[str, UUID]:
    try:
        if len(text) > ID_LIMIT:
            raise BadId(path=path)
        data = from_base64url(text)
        version, key, name = data[:1], data[1:17], data[17:].decode("ascii")
    except (DecodeError, UnicodeDecodeError):
        raise BadId(path=path) from None
    if version != VERSION or len(key) != 16 or name not in _loaders:
        raise BadId(path=path)
    return name, UUID(bytes=key)


async def load_node(context: Context, kind: type[N], key: UUID) -> N | None:
    """Return the object if it exists and is visible to the actor, in a batch with its like."""
    node = await _loaders[type_name(kind)](context, key)
    return node if isinstance(node, kind) else None


async def require_node(context: Context, kind: type[N], key: UUID) -> N:
    """Return the object that a mutation made or changed, as the actor may see it.

    Raises:
        NotFound: they may not, or not any more.
    """
    node = await load_node(context, kind, key)
    if node is None:
        raise NotFound()
    return node


async def load_any(context: Context, text: str, *path: str) -> Node | None:
    """Return the object of a global id, or None when there is none that the actor may see.

    Raises:
        BadId: the id is malformed.
    """
    name, key = _parse(text, path)
    return await _loaders[name](context, key)


@strawberry.type
class NodeQuery:
    """The two root fields that every Relay client expects."""

    @strawberry.field(description="The object with this id, or null when you may see none.")
    async def node(self, info: Info, id: GlobalId) -> Node | None:
        """Return one object."""
        return await load_any(info.context, id, "id")

    @strawberry.field(
        description="The objects with these ids (at most 100), in their order;"
        " null where you may see none."
    )
    async def nodes(self, info: Info, ids: GlobalIds) -> list[Node | None]:
        """Return several objects, each type in one read."""
        if len(ids) > NODES_LIMIT:
            raise ValidationFailed(f"At most {NODES_LIMIT} ids.", path=("ids",))
        parsed = [_parse(text, ("ids",)) for text in ids]
        return await gather(*(_loaders[name](info.context, key) for name, key in parsed))
