"""Cutting an account off at once, as when it reaches far too many records, and restoring it.

From the commit on, each request of the account is Unauthenticated, whatever it came in with. Any
operator may cut off; only the console restores, so that who stole an operator's session can
lock people out at worst, and let nobody in.
"""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, select

from carnet.access.technical import note_technical
from carnet.errors import NotFound
from carnet.people.accounts import disable_account, restore_account
from carnet.people.actor import Actor, require_operator
from carnet.people.tables import Account
from carnet.store.database import Work

ACCOUNT_CUT_OFF = "ACCOUNT_CUT_OFF"  # kind of the technical event; details: account, reason
ACCOUNT_RESTORED = "ACCOUNT_RESTORED"  # kind of the technical event; details: account


class CutOffReason(StrEnum):
    """Why an account is cut off."""

    VOLUME = "VOLUME"  # it reached more patients than its owner treats
    COMPROMISED = "COMPROMISED"  # somebody else has, or may have, its password or device
    LEFT = "LEFT"  # its owner no longer works
    OTHER = "OTHER"


async def cut_off(actor: Actor, work: Work, account_id: UUID, reason: CutOffReason) -> None:
    """Disable an account and end its sessions; one that is disabled already stays so.

    Raises:
        AccessDenied: the actor is no operator.
        NotFound: no such account.
    """
    require_operator(actor)
    await _cut_off(actor, work, Account.id == account_id, reason)


async def cut_off_professional(
    actor: Actor, work: Work, professional_id: UUID, reason: CutOffReason
) -> None:
    """Disable every account of a professional, who gets no new one by an identity provider.

    Raises:
        AccessDenied: the actor is no operator.
        NotFound: no such professional, or without an account.
    """
    require_operator(actor)
    await _cut_off(actor, work, Account.professional_id == professional_id, reason)


async def restore(actor: Actor, work: Work, account_id: UUID) -> None:
    """Let a disabled account be used again; its owner signs in anew.

    Raises:
        AccessDenied: the actor is not the console.
        NotFound: no such account, or it is not disabled.
    """
    await restore_account(actor, work, account_id)
    await note_technical(work, ACCOUNT_RESTORED, actor, {"account": str(account_id)})


async def _cut_off(
    actor: Actor, work: Work, theirs: ColumnElement[bool], reason: CutOffReason
) -> None:
    held = select(Account.id, Account.disabled_at).where(theirs).order_by(Account.id)
    accounts = (await work.session.execute(held.with_for_update())).all()
    if not accounts:
        raise NotFound()
    for account_id, disabled_at in accounts:
        if disabled_at is None:
            await disable_account(actor, work, account_id)
            details = {"account": str(account_id), "reason": reason.value}
            await note_technical(work, ACCOUNT_CUT_OFF, actor, details)
