"""An item as something to store: what the database can hold, whose fault an error is, a digest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from hashlib import sha256

import orjson
from sqlalchemy.exc import DBAPIError

from carnet.documents.tables import Document
from carnet.intake.model import EntryItem, ImmunizationItem, Item

KEY_LIMIT = 2000  # bytes of a key or unique id: PostgreSQL indexes 2,704
OF_ITEM = frozenset({"22", "23", "54"})  # SQLSTATE classes: data, constraints, program limits


def is_storable(item: Item) -> bool:
    """Tell whether the database can hold the item's texts, index its keys and hold its rank."""
    keys = (item.source_key, getattr(item, "unique_id", ""), getattr(item, "set_id", None) or "")
    if any("\0" in text or not _is_utf8(text) for text in _texts(item)):
        return False
    if any(len(key.encode()) > KEY_LIMIT for key in keys):
        return False
    rank = getattr(item, "dose_rank", None)
    return rank is None or 0 < rank < 2**31


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for part in fields(value):
            yield from _texts(getattr(value, part.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, dict):
        yield from _texts(tuple(value.items()))


def _is_utf8(text: str) -> bool:
    return (
        not any("\ud800" <= letter <= "\udfff" for letter in text) if not text.isascii() else True
    )


def shown_key(item: Item) -> str:
    """Return as much of an item's key as an answer can hold."""
    key = item.source_key.replace("\0", "?").encode(errors="replace")
    return key[:KEY_LIMIT].decode(errors="ignore")


def raise_unless_of_item(error: DBAPIError) -> None:
    """Raise what is no fault of the item: a lost race, a full disk, a broken connection."""
    state = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or state == "23505" or (state and state[:2] not in OF_ITEM):
        raise error


def digest_of(item: EntryItem | ImmunizationItem, document: Document | None) -> bytes:
    """Return what tells a changed fact from one sent again; its document is part of it."""
    shape = [item, str(document.id) if document else None]  # asyncpg's UUID is not orjson's
    return sha256(orjson.dumps(shape, default=_plain)).digest()


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError
