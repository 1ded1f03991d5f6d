"""What each wants to be told outside the app: over which channels, in which language."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select

from carnet.errors import ValidationFailed
from carnet.notifications.recipients import Recipient, hold, recipient
from carnet.notifications.rules import (
    Choices,
    chosen_channels,
    may_choose,
    outgoing_channels,
)
from carnet.notifications.tables import (
    Channel,
    Destination,
    DestinationState,
    Locale,
    NotificationKind,
    NotificationSettings,
)
from carnet.people.actor import Actor, Patient, Professional
from carnet.store.database import Work


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a recipient has chosen, and where they are reached."""

    who: Recipient
    locale: Locale
    choices: Choices
    destinations: Sequence[Destination] = field(repr=False)

    @property
    def set_up(self) -> frozenset[Channel]:
        """The channels that reach them."""
        return frozenset(
            each.channel for each in self.destinations if each.state is DestinationState.ACTIVE
        )

    def chosen(self, kind: NotificationKind) -> list[Channel]:
        """Return the channels chosen for a kind, set up or not."""
        return sorted(chosen_channels(kind, self.choices))

    def outgoing(self, kind: NotificationKind) -> list[Channel]:
        """Return over which channels a kind goes out now."""
        return sorted(outgoing_channels(kind, self.choices, self.set_up))


async def set_preferences(
    actor: Actor,
    work: Work,
    choices: Mapping[NotificationKind, Collection[Channel]],
    locale: Locale | None = None,
) -> UUID:
    """Choose the channels of some kinds, and the language; the others stay as they are.

    Returns:
        The recipient.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: the actor is told nothing outside the app.
        ValidationFailed: a kind is never told to them, or must keep a channel that reaches them.
    """
    who = recipient(actor)
    settings = await hold(work, who)
    set_up = set(
        await work.session.scalars(
            select(Destination.channel).where(
                who.owns(Destination), Destination.state == DestinationState.ACTIVE
            )
        )
    )
    for number, (kind, channels) in enumerate(choices.items()):
        path = ("kinds", str(number))
        if kind not in who.kinds:
            raise ValidationFailed(f"{kind.value} is never told to you.", path=(*path, "kind"))
        if not may_choose(kind, channels, set_up):
            reach = " or ".join(sorted(channel.value for channel in set_up)) or "one channel"
            raise ValidationFailed(
                f"{kind.value} must reach you: keep {reach}.", path=(*path, "channels")
            )
    kept = {kind.value: sorted(channel.value for channel in to) for kind, to in choices.items()}
    settings.choices = {**settings.choices, **kept}
    settings.locale = locale or settings.locale
    settings.updated_at = work.now
    await work.session.flush()
    return _id_of(who)


async def preferences(
    actor: Actor, work: Work, recipient_ids: Sequence[UUID]
) -> dict[UUID, Preferences]:
    """Return the actor's own preferences; nothing of anybody else."""
    if not isinstance(actor, Patient | Professional):
        return {}
    who = recipient(actor)
    own = _id_of(who)
    if own not in recipient_ids:
        return {}
    settings = await work.session.scalar(
        select(NotificationSettings).where(who.owns(NotificationSettings))
    )
    shown = select(Destination).where(
        who.owns(Destination), Destination.state != DestinationState.RETIRED
    )
    destinations = (await work.session.scalars(shown.order_by(Destination.id))).all()
    locale, choices = (settings.locale, settings.choices) if settings else (Locale.FR, {})
    return {own: Preferences(who, locale, choices, destinations)}


async def own_devices(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, Destination]:
    """Return those of the browsers that are the actor's."""
    if not isinstance(actor, Patient | Professional):
        return {}
    statement = select(Destination).where(
        Destination.id.in_(ids),
        recipient(actor).owns(Destination),
        Destination.channel == Channel.WEB_PUSH,
    )
    return {row.id: row for row in await work.session.scalars(statement)}


def _id_of(who: Recipient) -> UUID:
    id_ = who.person_id or who.professional_id
    if id_ is None:
        raise ValueError("a recipient is somebody")
    return id_
