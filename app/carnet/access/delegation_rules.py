"""Pure decisions about delegation: who may be invited, for how long, and how many."""

from __future__ import annotations

from datetime import datetime, timedelta

from carnet.access.tables import DelegationKind, DelegationScope
from carnet.errors import AccessDenied, QuotaExceeded, ValidationFailed
from carnet.people.rules import majority
from carnet.values import PartialDate

HOLDER_LIMITS = {DelegationKind.PARENT: 2, DelegationKind.CAREGIVER: 3}
"""Delegates of one holder, invitations that can still be accepted among them."""

CAREGIVER_LIMIT = 5  # persons that one caregiver acts for
INVITATION_LIFE = timedelta(days=7)

EVERYTHING = frozenset(DelegationScope)


def is_minor(birth_date: PartialDate | None, now: datetime) -> bool:
    """Tell whether somebody is under 18; nobody whose birth date is unknown is."""
    return birth_date is not None and now < majority(birth_date)


def delegation_end(
    kind: DelegationKind,
    birth_date: PartialDate | None,
    now: datetime,
    wanted: datetime | None,
) -> datetime | None:
    """Return when a delegation ends: a parent's at the child's majority, if not before.

    Raises:
        ValidationFailed: the wanted end is past.
        AccessDenied: the holder is of age and has no parents to act for them, or is a minor and
            chooses no caregivers.
    """
    if wanted is not None and wanted <= now:
        raise ValidationFailed("The end lies in the past.", path=("expires_at",))
    minor = is_minor(birth_date, now)
    if kind is DelegationKind.CAREGIVER:
        if minor:
            raise AccessDenied("delegation.minor", "A minor is represented by their parents.")
        return wanted
    if not minor or birth_date is None:
        raise AccessDenied("delegation.adult", "Only a minor is represented by parents.")
    end = majority(birth_date)
    return min(end, wanted) if wanted is not None else end


def check_scopes(kind: DelegationKind, scopes: frozenset[DelegationScope]) -> None:
    """Check what a delegation covers: something, and a parent's everything.

    Raises:
        ValidationFailed: it does not.
    """
    if not scopes:
        raise ValidationFailed("Name at least one scope.", path=("scopes",))
    if kind is DelegationKind.PARENT and scopes != EVERYTHING:
        raise ValidationFailed("A parent acts for the child in everything.", path=("scopes",))


def check_room(kind: DelegationKind, of_holder: int, of_delegate: int) -> None:
    """Check that one more delegation of this kind fits.

    Args:
        kind: its kind.
        of_holder: how many of that kind the holder has.
        of_delegate: for how many persons the delegate is a caregiver.

    Raises:
        QuotaExceeded: it does not.
    """
    limit = HOLDER_LIMITS[kind]
    if of_holder >= limit:
        raise QuotaExceeded(f"A person has at most {limit} delegates of this kind.")
    if kind is DelegationKind.CAREGIVER and of_delegate >= CAREGIVER_LIMIT:
        raise QuotaExceeded(f"A caregiver acts for at most {CAREGIVER_LIMIT} persons.")
