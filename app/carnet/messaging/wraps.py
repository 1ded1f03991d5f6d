"""The secrets of epochs, sealed for accounts: which of them come with a control entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.errors import ValidationFailed
from carnet.messaging.tables import EpochWrap, MessagingAccount
from carnet.store.database import Work
from carnet_crypto.account import Account
from carnet_crypto.errors import Reason, Refused
from carnet_crypto.rotation import Rotation, Wrap, WrapFor
from carnet_crypto.thread import Thread as ThreadLog
from carnet_crypto.values import AccountId

MOST_HISTORY = 2000  # older epochs' wraps in one call


@dataclass(frozen=True, slots=True)
class GivenWrap:
    """An epoch's secret, sealed for an account; ``epoch`` None is the entry's own."""

    account: bytes
    wrap: bytes
    epoch: int | None = None


def check_recipients(
    rotation: Rotation, thread: ThreadLog, accounts: Mapping[AccountId, Account], now: datetime
) -> None:
    """Refuse an epoch for an account that is closed, for a key that has a successor, or, where the
    policy allows no delegates, for an account that has some.

    Raises:
        Refused: with which of these it is.
    """
    at = int(now.timestamp() * 1000)
    for member in rotation.members:
        account = accounts[member.account]
        newest = account.generation
        if account.is_closed:
            raise Refused(Reason.CLOSED)
        if newest is None or newest.number != member.generation:
            raise Refused(Reason.WRONG_GENERATION)
        if not thread.policy.is_delegation_allowed and account.active_delegations(at):
            raise Refused(Reason.DELEGATION_FORBIDDEN)


def own_wraps(wraps: Sequence[GivenWrap]) -> list[WrapFor]:
    """Return the wraps of the entry's own epoch."""
    return [
        WrapFor(AccountId(wrap.account), Wrap(wrap.wrap)) for wrap in wraps if wrap.epoch is None
    ]


def check_history(wraps: Sequence[GivenWrap], before: ThreadLog, after: ThreadLog) -> None:
    """Refuse older secrets for anybody but who has just joined, or from before they may read.

    Raises:
        ValidationFailed: one is, or there are too many.
    """
    older = [wrap for wrap in wraps if wrap.epoch is not None]
    joined = {bytes(id_): m for id_, m in after.members.items() if id_ not in before.members}
    if len(older) > MOST_HISTORY:
        raise ValidationFailed(f"At most {MOST_HISTORY} older wraps.", path=("wraps",))
    for wrap in older:
        member = joined.get(wrap.account)
        epoch = wrap.epoch or 0
        if (
            member is None
            or not member.history_from <= epoch <= before.epoch.number
            or len(wrap.wrap) != Wrap.SIZE
        ):
            raise ValidationFailed("An older wrap is not for who joins.", path=("wraps",))


async def keep(
    work: Work,
    thread: UUID,
    epoch: int,
    wraps: Sequence[GivenWrap],
    rows: Mapping[AccountId, MessagingAccount],
) -> None:
    """Store the wraps that come with an entry of this epoch."""
    if not wraps:
        return
    statement = upsert(EpochWrap)
    await work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[EpochWrap.thread_id, EpochWrap.account_id, EpochWrap.epoch],
            set_={"data": statement.excluded.data},
        ),
        [
            {
                "thread_id": thread,
                "account_id": rows[AccountId(wrap.account)].id,
                "epoch": wrap.epoch or epoch,
                "data": wrap.wrap,
            }
            for wrap in wraps
        ],
    )
