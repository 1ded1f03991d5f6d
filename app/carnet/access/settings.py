"""What a holder decides for the whole record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from carnet.access import delays
from carnet.access.deciding import require
from carnet.access.delays import LONGEST_DELAY
from carnet.access.events import DocumentEventKind, tell_delayed, tell_masked
from carnet.access.facts import SettingsFacts
from carnet.access.journal import JournalAction
from carnet.access.locating import lock_record
from carnet.access.queries import settings_facts
from carnet.access.rules import Action
from carnet.access.tables import AccessSettings
from carnet.errors import Conflict, ValidationFailed
from carnet.people.actor import Actor
from carnet.store.database import Work


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """New values; None leaves a setting as it is."""

    is_masked_by_default: bool | None = None
    hide_results_days: int | None = None
    allows_regulation_centre: bool | None = None
    allows_break_glass: bool | None = None
    shows_masked_in_emergency: bool | None = None
    allows_attested_consent: bool | None = None


async def change_settings(
    actor: Actor, work: Work, record_id: UUID, change: SettingsChange, revision: int
) -> UUID:
    """Change settings of a record; they decide from the commit on. Returns the record's id.

    Args:
        actor: the holder, or a delegate whose delegation covers access.
        work: the transaction.
        record_id: the record.
        change: the new values.
        revision: the one that the actor saw; 0 where nothing was ever set.

    Raises:
        NotFound, AccessDenied: see `require`.
        Conflict: the settings changed since.
        ValidationFailed: a number is out of bounds.
    """
    await lock_record(work, record_id)
    granted = await require(actor, work, record_id, Action.MANAGE_ACCESS)
    days = change.hide_results_days
    if days is not None and not 0 <= days <= LONGEST_DELAY:
        raise ValidationFailed(f"From 0 to {LONGEST_DELAY} days.", path=("hide_results_days",))
    row = await work.session.scalar(
        select(AccessSettings).where(AccessSettings.record_id == record_id).with_for_update()
    )
    if (row.revision if row else 0) != revision:
        raise Conflict()
    values = asdict(settings_facts(row) if row else SettingsFacts())
    changed = {
        name: value
        for name, value in asdict(change).items()
        if value is not None and value != values[name]
    }
    if not changed:
        return record_id
    stored = {"record_id": record_id, "revision": revision + 1, "updated_at": work.now}
    statement = insert(AccessSettings).values({**values, **changed, **stored})
    await work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[AccessSettings.record_id],
            set_={**changed, "revision": revision + 1, "updated_at": work.now},
        )
    )
    told = {name: str(value).lower() for name, value in changed.items()}
    await granted.journal(JournalAction.CHANGE_SETTINGS, details=told)
    if days is not None:
        lost = await delays.lost(work, record_id, days, values["hide_results_days"])
        await tell_delayed(work, record_id, lost)
    if changed.get("shows_masked_in_emergency") is False:
        await tell_masked(work, record_id, DocumentEventKind.SHUT)
    return record_id
