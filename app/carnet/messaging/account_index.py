"""What of a chain is kept in columns: what a send is checked against, without reading the chain."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete, func, insert
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.messaging.tables import MessagingDevice, MessagingMandate
from carnet.store.database import Work
from carnet_crypto.account import Account
from carnet_crypto.kinds import Scope

LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC)  # the protocol's time goes on after it


async def index(work: Work, row_id: UUID, account: Account) -> None:
    """Keep the account's devices, and who writes for it, as they are now."""
    await _index_devices(work, row_id, account)
    await work.session.execute(
        delete(MessagingMandate).where(MessagingMandate.account_id == row_id)
    )
    mandates = [
        {
            "account_id": row_id,
            "who": bytes(given.delegate),
            "is_delegation": True,
            "may_write": bool(given.scope & Scope.WRITE),
            "not_before": _moment(given.not_before),
            "not_after": _moment(given.not_after),
        }
        for given in account.delegations.values()
    ]
    mandates += [
        {
            "account_id": row_id,
            "who": bytes(who),
            "is_delegation": False,
            "may_write": True,
            "not_before": None,
            "not_after": None,
        }
        for who in account.roster
    ]
    if mandates:
        statement = insert(MessagingMandate).execution_options(render_nulls=True)
        await work.session.execute(statement, mandates)


async def _index_devices(work: Work, row_id: UUID, account: Account) -> None:
    rows = [
        {
            "account_id": row_id,
            "device_id": bytes(device.id),
            "not_after": _moment(device.not_after) if device.not_after else None,
            "revoked_at": work.now if device.revoked_in is not None else None,
        }
        for device in account.devices.values()
    ]
    if not rows:
        return
    statement = upsert(MessagingDevice)
    kept = func.coalesce(MessagingDevice.revoked_at, statement.excluded.revoked_at)
    await work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[MessagingDevice.account_id, MessagingDevice.device_id],
            set_={"revoked_at": kept},
        ),
        rows,
    )


def _moment(milliseconds: int) -> datetime:
    """Return a moment of the protocol; one that no calendar has is the last."""
    most = int(LAST_MOMENT.timestamp()) * 1000
    return datetime.fromtimestamp(min(milliseconds, most) / 1000, UTC)
