"""Decisions about what goes out: over which channels, how often it is tried, how many codes. Pure.

The list in the app has everything; this is about what leaves it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from carnet.notifications.tables import Channel, DeliveryMessage, NotificationKind

MANDATORY = frozenset(
    {
        NotificationKind.RECORD_NOTICE,  # the six weeks to object run from it (R1111-28)
        NotificationKind.RECORD_DELETION_DUE,  # it can still be taken back
        NotificationKind.RESULT_AWAITS,  # the holder is told after two weeks (R1111-53)
        NotificationKind.CARE_TEAM_JOINED,  # authorized once the holder was informed (R1111-46)
        NotificationKind.CONSENT_ATTESTED,  # by somebody else, in the holder's name (R1111-46)
        NotificationKind.EMERGENCY_ACCESS,  # reported afterwards, to the doctor too (R1111-48)
    }
)
"""What a rule wants told: it reaches its recipient as long as there is a way to reach them."""

URGENT = frozenset({NotificationKind.EMERGENCY_ACCESS})

TO_PROFESSIONALS = (
    NotificationKind.EMERGENCY_ACCESS,
    NotificationKind.MESSAGE_AWAITS,
    NotificationKind.DEVICE_ADDED,
)
TO_PERSONS = tuple(kind for kind in NotificationKind if kind is not NotificationKind.VOLUME_ALARM)
"""Operators are told in the app only."""

DEFAULT = frozenset(Channel)  # whoever sets a channel up wants to be told over it

CODE_DIGITS = 6
CODE_LIFE = timedelta(minutes=30)
CODE_TRIES = 5  # 5 of 10⁶, five times an hour
CODES_OF_RECIPIENT = 5  # in CODES_WINDOW
CODES_TO_ADDRESS = 3  # in CODES_WINDOW: nobody's mailbox is filled from here
CODES_WINDOW = timedelta(hours=1)

DEVICES_LIMIT = 10  # browsers of one recipient

NOTIFICATION_LIFE = timedelta(days=3)  # then the app has to do; mail servers try as long or longer
FIRST_BACKOFF = timedelta(seconds=30)
LONGEST_BACKOFF = timedelta(hours=6)
LONGEST_WAIT = timedelta(hours=12)  # however long the other side asks to wait

Choices = Mapping[str, Collection[str]]


def chosen_channels(kind: NotificationKind, choices: Choices) -> frozenset[Channel]:
    """Return what somebody chose for a kind, or the default."""
    chosen = choices.get(kind.value)
    return DEFAULT if chosen is None else frozenset(Channel(name) for name in chosen)


def outgoing_channels(
    kind: NotificationKind, choices: Choices, set_up: Collection[Channel]
) -> frozenset[Channel]:
    """Return over which channels a kind goes out.

    What is mandatory goes over all that are set up where none of them was chosen: the one that was
    may have been removed since, or its mailbox be gone.
    """
    available = frozenset(set_up)
    going = chosen_channels(kind, choices) & available
    return available if not going and kind in MANDATORY else going


def may_choose(
    kind: NotificationKind, chosen: Collection[Channel], set_up: Collection[Channel]
) -> bool:
    """Tell whether a kind may go over these channels only: what is mandatory keeps a way."""
    if kind not in MANDATORY:
        return True
    return bool(chosen) and (not set_up or bool(set(chosen) & set(set_up)))


def is_urgent(message: DeliveryMessage, kind: NotificationKind | None) -> bool:
    """Tell whether a delivery goes before others: somebody waits for a code."""
    return message is DeliveryMessage.EMAIL_CODE or kind in URGENT


def next_attempt(
    now: datetime, attempts: int, expires_at: datetime, wanted_wait: timedelta = timedelta()
) -> datetime | None:
    """Return when to try again what failed ``attempts`` times, or None when to give up.

    Args:
        now: the moment of the failure.
        attempts: how often it was tried.
        expires_at: when it is worth nothing any more.
        wanted_wait: how long the other side asked to wait.
    """
    backoff = min(FIRST_BACKOFF * 2 ** min(max(attempts, 1) - 1, 20), LONGEST_BACKOFF)
    at = now + max(backoff, min(wanted_wait, LONGEST_WAIT))
    return at if at < expires_at else None
