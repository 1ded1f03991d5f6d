"""Which version of a document is the current one, for whom: the one rule, in SQL.

A version whose place was taken by what somebody may not know of is the current one to them still:
were it gone from their lists, that would tell of the other.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select

from carnet.access.facts import DOCUMENTS
from carnet.access.filters import Columns, concealed, concealed_as
from carnet.access.rules import Role
from carnet.people.actor import Actor, Patient

LATER = DOCUMENTS.alias("later")


def is_current(
    actor: Actor, now: datetime, document: Columns, role: Role | None = None
) -> ColumnElement[bool]:
    """Return whether a version that the actor sees is the current one to them.

    To the holder's side it is, too, where all that came after it is hidden from them, and what is
    current, or went before they could know of it, is among that.

    Args:
        actor: who asks.
        now: the moment.
        document: columns of a version.
        role: somebody imagined, to whom it must be the current one as well.
    """
    current: ColumnElement[bool] = document.status == "CURRENT"
    if not isinstance(actor, Patient):
        return current
    reasons = [concealed(actor, now, LATER.c)]
    if role is not None:
        reasons.append(concealed_as(role, now, LATER.c))
    # The reasons are the dearest part of the statement, so they stand in it once.
    after = (
        select(or_(*reasons).label("unknown"), LATER.c.status.label("status"))
        .where(LATER.c.lineage_id == document.lineage_id, LATER.c.version > document.version)
        .correlate_except(LATER)
        .subquery()
    )
    taken = func.bool_or(and_(after.c.unknown, after.c.status != "SUPERSEDED"))
    followed = func.bool_or(and_(~after.c.unknown, after.c.status != "WITHDRAWN"))
    is_newest = select(and_(taken, ~followed)).select_from(after).scalar_subquery()
    return or_(current, and_(document.status == "SUPERSEDED", is_newest))
