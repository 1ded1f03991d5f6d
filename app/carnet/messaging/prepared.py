"""Statements that are made once for a kind of actor: making a filter costs more than what it finds.

All parameters begin with ``b_``: a column's own name may not be one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import DateTime, Select, Uuid, bindparam
from sqlalchemy.dialects.postgresql import ARRAY

from carnet.messaging.tables import ControlEntry, Message, Thread
from carnet.people.actor import Actor, Assurance, Patient, Professional
from carnet.store.database import Work

NOW = bindparam("b_now", type_=DateTime(timezone=True))
ME = bindparam("b_me", type_=Uuid())
IDS = bindparam("b_ids", type_=ARRAY(Uuid()))

Row = TypeVar("Row", Thread, Message, ControlEntry)


def anybody(kind: str) -> Patient | Professional | None:
    """Return who stands for every actor of a kind in a filter; None where such take part in no
    thread."""
    me = cast(UUID, ME)
    if kind == Patient.kind:
        return Patient(me, me, Assurance.SANDBOX)
    if kind == Professional.kind:
        return Professional(me, me, Assurance.SANDBOX)
    return None


def given(actor: Actor, now: datetime, **more: Any) -> dict[str, Any]:
    """Return the parameters of a statement: who asks, when, and ``more`` by its names without
    ``b_``."""
    match actor:
        case Patient(person_id=me) | Professional(professional_id=me):
            asked = {"b_me": me, "b_now": now}
        case _:
            asked = {"b_now": now}
    return asked | {f"b_{name}": value for name, value in more.items()}


async def seen(
    actor: Actor, work: Work, statement: Select[Row] | None, ids: Collection[UUID]
) -> dict[UUID, Row]:
    """Return what a statement finds of these ids; nothing where such an actor has none."""
    if statement is None:
        return {}
    asked = given(actor, work.now, ids=list(ids))
    return {row.id: row for row in await work.session.scalars(statement, asked)}
