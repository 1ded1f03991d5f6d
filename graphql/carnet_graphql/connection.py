"""Relay connections over keyset pages: ``Connection[Document]`` prints ``DocumentConnection``.

A connection field takes the four Relay arguments and hands them on::

    @strawberry.field(description="Documents, newest first.")
    async def documents(
        self, info: Info,
        first: First = UNSET, after: After = UNSET, last: Last = UNSET, before: Before = UNSET,
    ) -> Connection[Document]:
        return await connection(
            info.context, self.key, page_request(first, after, last, before), Document.of,
            pages=documents.queries.pages,
            counts=documents.queries.counts,
            order=documents.queries.NEWEST,
            arguments=(wanted,),
        )

with the two area queries ``pages(actor, work, ids, request, order, *arguments)`` that returns
``{id: Page[Row]}`` and ``counts(actor, work, ids, *arguments)`` that returns ``{id: int}``.
However many records an operation visits, each of the two runs once (see `Context.load`), and
``counts`` only when ``totalCount`` is selected.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Annotated, Generic, TypeAlias, TypeVar

import strawberry
from strawberry import UNSET

from carnet.store.keyset import Order, Page, PageRequest
from carnet_graphql.context import Context
from carnet_graphql.scalars import Cursor

T = TypeVar("T")
Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)

First: TypeAlias = Annotated[
    int | None,
    strawberry.argument(description="How many from the start: 1 to 100, by default 20."),
]
Last: TypeAlias = Annotated[
    int | None,
    strawberry.argument(description="How many from the end: 1 to 100; not together with first."),
]
After: TypeAlias = Annotated[
    Cursor | None, strawberry.argument(description="Only what follows this cursor.")
]
Before: TypeAlias = Annotated[
    Cursor | None, strawberry.argument(description="Only what precedes this cursor.")
]


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    """The four fields of Relay."""

    has_next_page: bool = strawberry.field(description="Whether the list goes on after this page.")
    has_previous_page: bool = strawberry.field(
        description="Whether the list has something before this page."
    )
    start_cursor: Cursor | None = strawberry.field(
        description="Cursor of the first edge; null on an empty page."
    )
    end_cursor: Cursor | None = strawberry.field(
        description="Cursor of the last edge; null on an empty page."
    )


@strawberry.type(description="One object and its place in the list.")
class Edge(Generic[T]):
    """Relay's edge."""

    node: T = strawberry.field(description="The object.")
    cursor: Cursor = strawberry.field(description="The object's place in this list.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    """Relay's connection. ``count`` runs only when ``totalCount`` is selected."""

    edges: list[Edge[T]] = strawberry.field(description="The objects of this page, in order.")
    page_info: PageInfo = strawberry.field(description="Where this page lies in the list.")
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="How many the whole list has, whatever the page.")
    async def total_count(self) -> int:
        """Count now."""
        return await self.count()


def page_request(
    first: int | None, after: str | None, last: int | None, before: str | None
) -> PageRequest:
    """Return the four arguments, of which any may be UNSET, as a checked request.

    Raises:
        ValidationFailed: first and last together, or one of them not from 1 to 100.
    """
    return PageRequest.of(
        first=None if first is UNSET else first,
        after=None if after is UNSET else after,
        last=None if last is UNSET else last,
        before=None if before is UNSET else before,
    )


def connection_of(
    page: Page[Row], of: Callable[[Row], T], count: Callable[[], Awaitable[int]]
) -> Connection[T]:
    """Return a page as a connection.

    Args:
        page: rows with their cursors.
        of: turns a row into the GraphQL object.
        count: counts the whole list, if it is asked for.
    """
    cursors = [Cursor(cursor) for cursor in page.cursors]
    return Connection(
        edges=[
            Edge(node=of(row), cursor=cursor)
            for row, cursor in zip(page.items, cursors, strict=True)
        ],
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
        count=count,
    )


async def connection(
    context: Context,
    parent: Key,
    request: PageRequest,
    of: Callable[[Row], T],
    *,
    pages: Callable[..., Awaitable[Mapping[Key, Page[Row]]]],
    counts: Callable[..., Awaitable[Mapping[Key, int]]],
    order: Order,
    arguments: tuple[Hashable, ...] = (),
) -> Connection[T]:
    """Return a page of the parent's list, read together with the pages of its siblings.

    Args:
        context: of the request.
        parent: whose list it is.
        request: which page.
        of: turns a row into the GraphQL object.
        pages: the area's ``pages(actor, work, ids, request, order, *arguments)``.
        counts: the area's ``counts(actor, work, ids, *arguments)``.
        order: the order of the list.
        arguments: what selects the list's rows.

    Raises:
        BadCursor: a cursor of the request is not one of this list in this order.
    """
    page = await context.load(pages, parent, request, order, *arguments)

    async def count() -> int:
        return await context.load(counts, parent, *arguments) or 0

    return connection_of(page or Page([], [], False, False), of, count)
