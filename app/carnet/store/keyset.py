"""Pages of a list by key: bounded, stable while the list grows, never OFFSET.

An area declares each order of a list once, and asks for pages of one list or of many lists in
one statement::

    NEWEST_FIRST = Order("documents.newest", desc(Document.sort_at), desc(Document.id))

    async def pages_of_records(actor, work, record_ids, request, wanted):
        statement = select(Document).where(visible_to(actor), *wanted.criteria())
        return await paginate_many(
            work, statement, NEWEST_FIRST, request, parent=Document.record_id, parents=record_ids
        )

A cursor is canonical base64url of a version byte and the JSON array ``[order, key, …]``. It says
where a page ends and which order it belongs to; it grants nothing, so it is not signed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    Select,
    UnaryExpression,
    and_,
    column,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, aliased
from sqlalchemy.sql import operators

from carnet.errors import BadCursor, ValidationFailed
from carnet.store.database import Work
from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url

DEFAULT_PAGE = 20  # items, when neither first nor last is asked for
LARGEST_PAGE = 100  # items: what one screen or one batch of a client can use
CURSOR_LIMIT = 8192  # characters: bounds the work on a forged cursor; the longest key is a title
VERSION = b"\x01"

T = TypeVar("T")
U = TypeVar("U")


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise BadCursor
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise BadCursor
    return value


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise BadCursor
    return moment


_READERS: dict[type, Callable[[Any], Any]] = {
    str: _text,
    int: _number,
    datetime: _moment,
    date: lambda value: date.fromisoformat(_text(value)),
    UUID: lambda value: UUID(_text(value)),
}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is wanted. Hashable, so that equal requests can share a statement.

    Use `of`, which checks the bounds. ``first`` and ``last`` count items.
    """

    first: int | None = DEFAULT_PAGE
    last: int | None = None
    after: str | None = None
    before: str | None = None

    @classmethod
    def of(
        cls,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> PageRequest:
        """Read the four Relay arguments; without ``first`` and ``last``, the first 20.

        Raises:
            ValidationFailed: first and last together, or one of them not from 1 to 100.
        """
        if first is not None and last is not None:
            raise ValidationFailed("Ask for first or for last, not for both.", path=("last",))
        for name, count in (("first", first), ("last", last)):
            if count is not None and not 1 <= count <= LARGEST_PAGE:
                raise ValidationFailed(f"{name} is from 1 to {LARGEST_PAGE}.", path=(name,))
        if first is None and last is None:
            first = DEFAULT_PAGE
        return cls(first, last, after, before)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list in its order, each with its cursor, and whether there are more."""

    items: Sequence[T] = field(repr=False)
    cursors: Sequence[str] = field(repr=False)
    has_next: bool
    has_previous: bool

    def map(self, convert: Callable[[T], U]) -> Page[U]:
        """Return the same page of converted items."""
        return Page(
            [convert(item) for item in self.items], self.cursors, self.has_next, self.has_previous
        )


class Order:
    """One order of a list: a name that its cursors carry, and its keys.

    The last key is unique (an id) and no key is ever NULL, else rows would be skipped. Keys are
    columns, or expressions of them, of text, whole numbers, times, days or UUIDs;
    ``desc(column)`` turns one round.
    """

    def __init__(self, name: str, *keys: InstrumentedAttribute[Any] | ColumnElement[Any]) -> None:
        self.name = name
        self.columns: list[ColumnElement[Any]] = []
        self.descending: list[bool] = []
        for key in keys:
            turned = isinstance(key, UnaryExpression) and key.modifier is operators.desc_op
            plain = key.element if isinstance(key, UnaryExpression) else key
            if plain.type.python_type not in _READERS:
                raise TypeError(f"{name}: {plain} cannot be a key of an order")
            self.columns.append(plain)  # type: ignore[arg-type]  # an attribute is a column here
            self.descending.append(turned)

    def cursor(self, keys: Sequence[Any]) -> str:
        """Return the cursor of the row that has these keys."""
        shape = [self.name, *(_plain(key) for key in keys)]
        return to_base64url(VERSION + orjson.dumps(shape))

    def position(self, cursor: str) -> tuple[Any, ...]:
        """Return the keys that a cursor holds.

        Raises:
            BadCursor: it is malformed, or of another list or order.
        """
        try:
            if len(cursor) > CURSOR_LIMIT:
                raise BadCursor
            data = from_base64url(cursor)
            shape = orjson.loads(data[1:])
            if data[:1] != VERSION or not isinstance(shape, list):
                raise BadCursor
            name, *texts = shape
            keys = tuple(
                _READERS[column.type.python_type](text)
                for column, text in zip(self.columns, texts, strict=True)
            )
            if name != self.name or self.cursor(keys) != cursor:
                raise BadCursor
        except (DecodeError, ValueError, OverflowError):
            raise BadCursor from None
        return keys

    def sorted_by(
        self, columns: Sequence[ColumnElement[Any]], *, backwards: bool
    ) -> list[ColumnElement[Any]]:
        """Return the ORDER BY of these columns, which stand for the keys."""
        return [
            column.desc() if turned != backwards else column.asc()
            for column, turned in zip(columns, self.descending, strict=True)
        ]

    def beyond(
        self, keys: Sequence[Any], *, backwards: bool, inclusive: bool = False
    ) -> ColumnElement[bool]:
        """Return the condition that a row comes after the position (before it: backwards).

        One row comparison where all keys run the same way, which an index answers.
        """
        values = [literal(key, column.type) for key, column in zip(keys, self.columns, strict=True)]
        falls = [turned != backwards for turned in self.descending]
        if len(set(falls)) == 1:
            mine, theirs = tuple_(*self.columns), tuple_(*values)
            if falls[0]:
                return mine <= theirs if inclusive else mine < theirs
            return mine >= theirs if inclusive else mine > theirs
        steps: list[ColumnElement[bool]] = []
        equal: list[ColumnElement[bool]] = []
        for key, value, fall in zip(self.columns, values, falls, strict=True):
            steps.append(and_(*equal, key < value if fall else key > value))
            equal.append(key == value)
        return or_(*steps, and_(*equal)) if inclusive else or_(*steps)


async def paginate(work: Work, statement: Select[T], order: Order, request: PageRequest) -> Page[T]:
    """Return one page of what the statement selects (one entity or column; no ORDER BY).

    Raises:
        BadCursor: ``after`` or ``before`` is not a cursor of this order.
    """
    one = select(literal(True).label("parent")).subquery("one")
    rows = await _rows(work, statement, order, request, one, one.c.parent)
    return _page(rows, order, request)


async def paginate_many(
    work: Work,
    statement: Select[T],
    order: Order,
    request: PageRequest,
    *,
    parent: InstrumentedAttribute[Any],
    parents: Sequence[UUID],
) -> dict[UUID, Page[T]]:
    """Return a page for each parent, in one statement (a LATERAL join that stops at the limit).

    Args:
        statement: selects one entity or column of all parents together, without ORDER BY.
        parent: the column that holds the parent's id.
        parents: ids; a parent without rows gets an empty page.

    Raises:
        BadCursor: ``after`` or ``before`` is not a cursor of this order.
    """
    wanted = (
        func.unnest(literal(list(parents), ARRAY(parent.type)))
        .table_valued(column("parent", parent.type), name="wanted")
        .render_derived()
    )
    rows = await _rows(
        work,
        statement.where(parent == wanted.c.parent),
        order,
        request,
        wanted,
        wanted.c.parent,
    )
    grouped: dict[UUID, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row[0], []).append(row)
    return {key: _page(found, order, request) for key, found in grouped.items()}


async def count_many(
    work: Work,
    statement: Select[Any],
    *,
    parent: InstrumentedAttribute[Any],
    parents: Sequence[UUID],
) -> dict[UUID, int]:
    """Return how many rows each parent has, in one statement; 0 for a parent without rows."""
    counted = (
        statement.with_only_columns(parent, func.count())
        .where(parent.in_(parents))
        .group_by(parent)
    )
    found = {key: count for key, count in await work.session.execute(counted)}
    return {key: found.get(key, 0) for key in parents}


async def _rows(
    work: Work,
    statement: Select[Any],
    order: Order,
    request: PageRequest,
    parents: Any,
    parent: ColumnElement[Any],
) -> Sequence[Any]:
    """Return rows of (parent, rows beyond after?, rows beyond before?, item, *keys).

    A parent with an empty page gives one row whose keys are NULL.
    """
    backwards = request.last is not None
    beyond: list[ColumnElement[bool]] = []
    window = statement
    for cursor, towards_start in ((request.after, True), (request.before, False)):
        if cursor is None:
            beyond.append(literal(False))
            continue
        keys = order.position(cursor)
        window = window.where(order.beyond(keys, backwards=not towards_start))
        outside = order.beyond(keys, backwards=towards_start, inclusive=True)
        beyond.append(
            statement.with_only_columns(literal(1), maintain_column_froms=True)
            .where(outside)
            .correlate(parents)
            .exists()
        )
    labels = [f"keyset_{number}" for number in range(len(order.columns))]
    page = (
        window.add_columns(
            *(column.label(label) for column, label in zip(order.columns, labels, strict=True))
        )
        .order_by(*order.sorted_by(order.columns, backwards=backwards))
        .limit(_limit(request) + 1)
        .correlate(parents)
        .lateral("page")
    )
    columns = [page.c[label] for label in labels]
    rows = (
        select(parent, *beyond, _item(statement, page), *columns)
        .select_from(parents)
        .join(page, true(), isouter=True)
        .order_by(*order.sorted_by(columns, backwards=backwards))
    )
    return (await work.session.execute(rows)).all()


def _limit(request: PageRequest) -> int:
    return request.last or request.first or DEFAULT_PAGE


def _item(statement: Select[Any], page: Any) -> Any:
    """Return what the statement selects, read out of the page instead of the table."""
    (selected,) = statement.column_descriptions
    entity = selected["entity"]
    if entity is not None and entity is selected["expr"]:
        return aliased(entity, page)
    return page.c[selected["name"]]


def _page(rows: Sequence[Any], order: Order, request: PageRequest) -> Page[Any]:
    """Cut the rows of one parent to a page. The last key is NULL where no row joined."""
    found = [row for row in rows if row[-1] is not None]
    limit = _limit(request)
    more = len(found) > limit
    found = found[:limit]
    beyond_after, beyond_before = rows[0][1], rows[0][2]
    if request.last is not None:
        found.reverse()
        has_next, has_previous = beyond_before, more or beyond_after
    else:
        has_next, has_previous = more or beyond_before, beyond_after
    return Page(
        [row[3] for row in found],
        [order.cursor(row[4:]) for row in found],
        has_next,
        has_previous,
    )


def _plain(key: Any) -> Any:
    """Return the key as JSON has it; a moment always in UTC, so that its text is one."""
    if isinstance(key, UUID):
        return str(key)  # asyncpg's own subclass, which orjson does not know
    return key.astimezone(UTC) if isinstance(key, datetime) else key
