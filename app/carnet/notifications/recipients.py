"""Who is told things: a person or a professional, and the row whose lock orders their changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.dialects.postgresql import insert

from carnet.errors import NotFound, Unauthenticated
from carnet.notifications.rules import TO_PERSONS, TO_PROFESSIONALS
from carnet.notifications.tables import (
    CodeRequest,
    Destination,
    Locale,
    NotificationKind,
    NotificationSettings,
)
from carnet.people.actor import Actor, Anonymous, Patient, Professional
from carnet.people.tables import Account
from carnet.store.database import Work


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person or a professional."""

    person_id: UUID | None = None
    professional_id: UUID | None = None

    @property
    def columns(self) -> dict[str, UUID | None]:
        """The columns that name them."""
        return {"person_id": self.person_id, "professional_id": self.professional_id}

    @property
    def kinds(self) -> Sequence[NotificationKind]:
        """What they can be told."""
        return TO_PERSONS if self.person_id else TO_PROFESSIONALS

    def owns(
        self, table: type[Destination] | type[NotificationSettings] | type[CodeRequest]
    ) -> ColumnElement[bool]:
        """Return the filter on their rows."""
        if self.person_id is not None:
            return table.person_id == self.person_id
        return table.professional_id == self.professional_id


def recipient(actor: Actor) -> Recipient:
    """Return the actor as somebody who is told things outside the app.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: software and operators are told nothing there.
    """
    match actor:
        case Patient(person_id=id_):
            return Recipient(person_id=id_)
        case Professional(professional_id=id_):
            return Recipient(professional_id=id_)
        case Anonymous():
            raise Unauthenticated()
    raise NotFound()


def may_sign_in() -> ColumnElement[bool]:
    """Return the filter on destinations whose owner can still sign in, by whichever account.

    Who was cut off on all of them is told nothing more outside the app: what was set up may be in
    the hands of the one it was cut off from. It is used again once an account is restored.
    """
    return exists().where(
        or_(
            Account.person_id == Destination.person_id,
            Account.professional_id == Destination.professional_id,
        ),
        Account.disabled_at.is_(None),
    )


async def hold(work: Work, who: Recipient) -> NotificationSettings:
    """Return the recipient's settings, locked, so that one change comes after the other."""
    fresh: dict[str, Any] = {
        "id": work.new_id(),
        **who.columns,
        "locale": Locale.FR,
        "choices": {},
        "updated_at": work.now,
    }
    await work.session.execute(insert(NotificationSettings).values(fresh).on_conflict_do_nothing())
    statement = select(NotificationSettings).where(who.owns(NotificationSettings))
    return (await work.session.scalars(statement.with_for_update())).one()
