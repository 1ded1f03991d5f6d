"""Recovery backups: what only a recovery code opens, kept for whoever lost all devices."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.access.journal import JournalAction
from carnet.errors import NotFound, RateLimited, ValidationFailed
from carnet.messaging.accounts import require_own
from carnet.messaging.chains import state
from carnet.messaging.recounting import note, tell_owner
from carnet.messaging.tables import RecoveryBackup
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label

MOST_BYTES = 8192
MOST_READS = 5  # in READS_WINDOW: one recovery takes one
READS_WINDOW = timedelta(days=1)


async def put(actor: Actor, work: Work, account_id: bytes, data: bytes) -> UUID:
    """Keep what only the recovery code opens.

    Raises:
        NotFound: the account is not the actor's to act with.
        ValidationFailed: it is not what the account's chain says.
    """
    row = await require_own(actor, work, account_id)
    if not 1 <= len(data) <= MOST_BYTES:
        raise ValidationFailed(f"A backup has 1 to {MOST_BYTES} bytes.", path=("backup",))
    account = await state(work, row.id)
    if account.recovery is None or digest(Label.BACKUP, data) != account.recovery.backup:
        raise ValidationFailed("The chain names another backup.", path=("backup",))
    statement = upsert(RecoveryBackup).values(account_id=row.id, data=data, stored_at=work.now)
    await work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[RecoveryBackup.account_id],
            set_={"data": statement.excluded.data, "stored_at": statement.excluded.stored_at},
        )
    )
    return row.id


async def fetch(actor: Actor, work: Work, account_id: bytes) -> bytes:
    """Return the backup of an account of the actor's, and tell its owner that it was fetched.

    Raises:
        NotFound: there is none, or the account is not theirs.
        RateLimited: it was fetched too often.
    """
    row = await require_own(actor, work, account_id)
    kept = select(RecoveryBackup).where(RecoveryBackup.account_id == row.id).with_for_update()
    found = await work.session.scalar(kept)
    if found is None:
        raise NotFound()
    if found.read_since is None or found.read_since + READS_WINDOW <= work.now:
        found.read_since, found.reads = work.now, 0
    if found.reads >= MOST_READS:
        wait = found.read_since + READS_WINDOW - work.now
        raise RateLimited(retry_after=max(1, round(wait.total_seconds())))
    found.reads += 1
    await work.session.flush()
    await note(actor, work, row, JournalAction.READ_RECOVERY_BACKUP)
    await tell_owner(work, row, NotificationKind.BACKUP_FETCHED)
    return found.data
