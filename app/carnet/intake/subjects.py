"""Whose data a body holds: each patient it names becomes a person with a record, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from carnet.intake.model import PatientClaim, Reason
from carnet.people.actor import Publisher
from carnet.people.registration import register_persons
from carnet.people.rules import Recognition
from carnet.records.actions import lock_records, open_records
from carnet.records.rules import may_be_fed
from carnet.store.database import Work

UNKNOWN = "Nobody is registered under these identifiers."
CONFLICT = "The number belongs to a person with another birth date, sex or name."
CLOSED = "The record takes nothing in its present state."


@dataclass(frozen=True, slots=True)
class Subject:
    """A patient of a body. ``record_id`` is None where everything of theirs is refused."""

    record_id: UUID | None
    refusal: Reason | None = None
    message: str = ""
    is_new: bool = False
    has_invalid_key: bool = False


async def identify(
    actor: Publisher, work: Work, patients: Mapping[str, PatientClaim]
) -> dict[str, Subject]:
    """Find, or register where the publisher may, every patient of a body.

    The records found are locked until the transaction ends.

    Returns:
        For each key of ``patients`` its subject.
    """
    keys = list(patients)
    found = await register_persons(actor, work, [patients[key] for key in keys])
    known = [seen.person_id for seen in found if seen.person_id is not None]
    records = await open_records(actor, work, known)
    locked = await lock_records(work, [record.id for record in records.values()])
    subjects: dict[str, Subject] = {}
    for key, seen in zip(keys, found, strict=True):
        if seen.kind is Recognition.CONFLICT:
            subjects[key] = Subject(None, Reason.IDENTITY_CONFLICT, CONFLICT)
        elif seen.person_id is None:
            subjects[key] = Subject(None, Reason.UNKNOWN_PATIENT, UNKNOWN)
        else:
            record = locked[records[seen.person_id].id]
            if may_be_fed(record.state):
                subjects[key] = Subject(
                    record.id, is_new=seen.is_new, has_invalid_key=seen.has_invalid_key
                )
            else:
                subjects[key] = Subject(None, Reason.RECORD_CLOSED, CLOSED)
    return subjects
