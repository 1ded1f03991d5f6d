"""Which version of a document is the current one, for whom: the one rule, in SQL.

A version whose place was taken by what somebody may not know of is the current one to them still:
were it gone from their lists, that would tell of the other.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, or_

from carnet.access.facts import DOCUMENTS
from carnet.access.filters import Columns, concealed, concealed_as
from carnet.access.rules import Role
from carnet.people.actor import Actor, Patient


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
    hidden, known = DOCUMENTS.alias(), DOCUMENTS.alias()

    def unknown(later: Columns) -> ColumnElement[bool]:
        reasons = [concealed(actor, now, later)]
        if role is not None:
            reasons.append(concealed_as(role, now, later))
        return or_(*reasons)

    taken = exists().where(
        hidden.c.lineage_id == document.lineage_id,
        hidden.c.version > document.version,
        hidden.c.status != "SUPERSEDED",
        unknown(hidden.c),
    )
    followed = exists().where(
        known.c.lineage_id == document.lineage_id,
        known.c.version > document.version,
        known.c.status != "WITHDRAWN",
        ~unknown(known.c),
    )
    # By themselves they would see the tables of the nearest enclosing query only.
    return or_(
        current,
        and_(
            document.status == "SUPERSEDED",
            taken.correlate_except(hidden),
            ~followed.correlate_except(known),
        ),
    )
