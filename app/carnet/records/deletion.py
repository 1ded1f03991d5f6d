"""Erases what a record holds here: the profile, doses, settings, grants and what people were told.

The record's row stays, with its state and times, and so does the journal, which holds ids only.
Parents stay parents: a fresh record of their child is theirs to ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select

from carnet.access.tables import (
    AccessSettings,
    Block,
    CareTeamMember,
    Consent,
    Delegation,
    DelegationKind,
    EmergencyAccess,
    Reach,
)
from carnet.notifications.tables import Notification
from carnet.records.tables import Immunization, NothingToDeclare, ProfileEntry, Record
from carnet.store.database import Work

TABLES = (
    NothingToDeclare,
    ProfileEntry,
    Immunization,
    AccessSettings,
    CareTeamMember,
    Consent,
    Block,
    EmergencyAccess,
    Reach,
    Notification,
)
"""What hangs from a record here and in the areas below."""


async def erase(work: Work, record_ids: Sequence[UUID]) -> None:
    """Delete it all. The caller holds the records' rows and writes the journal."""
    for table in TABLES:
        await work.session.execute(delete(table).where(table.record_id.in_(record_ids)))
    holders = select(Record.person_id).where(Record.id.in_(record_ids))
    await work.session.execute(
        delete(Delegation).where(
            Delegation.holder_person_id.in_(holders),
            Delegation.kind != DelegationKind.PARENT,
        )
    )
