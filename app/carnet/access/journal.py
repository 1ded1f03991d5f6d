"""The access journal: every access and change, with the rule that allowed it.

`write` belongs to the transaction of what it tells of: a change and its entry are seen together
or not at all, and reads are written down before their answer leaves the server. Sealing the
entries into the log comes afterwards (`carnet.access.sealing`).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from secrets import token_bytes
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, column, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.access.events import tell
from carnet.access.journal_tables import JournalChain, JournalCounter, JournalEntry, UnsealedEntry
from carnet.people.actor import Actor, Anonymous, Operator, Patient, Professional, Publisher
from carnet.store.database import Work

_JOURNAL = 0x6A6F75726E616C << 72  # tells a journal's stream from its record's
OBJECTS_LIMIT = 1000  # ids in one entry; a longer list becomes several entries


class JournalAction(StrEnum):
    """What was done."""

    READ_RECORD = "READ_RECORD"
    READ_PROFILE = "READ_PROFILE"
    READ_DOCUMENT = "READ_DOCUMENT"  # its metadata
    READ_CONTENT = "READ_CONTENT"
    READ_JOURNAL = "READ_JOURNAL"
    READ_ACCESS = "READ_ACCESS"  # who may see the record
    EXPORT = "EXPORT"
    DEPOSIT_DOCUMENT = "DEPOSIT_DOCUMENT"
    REPLACE_DOCUMENT = "REPLACE_DOCUMENT"
    CORRECT_DOCUMENT = "CORRECT_DOCUMENT"
    MASK_DOCUMENT = "MASK_DOCUMENT"
    UNMASK_DOCUMENT = "UNMASK_DOCUMENT"
    HIDE_DOCUMENT = "HIDE_DOCUMENT"
    RELEASE_DOCUMENT = "RELEASE_DOCUMENT"
    DELETE_DOCUMENT = "DELETE_DOCUMENT"
    ADD_ENTRY = "ADD_ENTRY"
    CORRECT_ENTRY = "CORRECT_ENTRY"
    REMOVE_ENTRY = "REMOVE_ENTRY"
    DECLARE_NOTHING = "DECLARE_NOTHING"
    REPORT_DOSE = "REPORT_DOSE"
    WITHDRAW_DOSE = "WITHDRAW_DOSE"
    CHANGE_STATE = "CHANGE_STATE"  # details: from, to
    CHANGE_SETTINGS = "CHANGE_SETTINGS"
    JOIN_CARE_TEAM = "JOIN_CARE_TEAM"
    LEAVE_CARE_TEAM = "LEAVE_CARE_TEAM"
    GIVE_CONSENT = "GIVE_CONSENT"
    REVOKE_CONSENT = "REVOKE_CONSENT"
    BLOCK = "BLOCK"
    UNBLOCK = "UNBLOCK"
    OPEN_EMERGENCY = "OPEN_EMERGENCY"
    CLOSE_EMERGENCY = "CLOSE_EMERGENCY"
    INVITE_DELEGATE = "INVITE_DELEGATE"
    ACCEPT_DELEGATION = "ACCEPT_DELEGATION"
    REVOKE_DELEGATION = "REVOKE_DELEGATION"
    BEGIN_MESSAGING = "BEGIN_MESSAGING"  # an account; a former one ends
    CHANGE_MESSAGING_KEYS = "CHANGE_MESSAGING_KEYS"
    READ_RECOVERY_BACKUP = "READ_RECOVERY_BACKUP"
    READ_CALENDAR = "READ_CALENDAR"
    CHANGE_CALENDAR = "CHANGE_CALENDAR"  # details: what


class ObjectKind(StrEnum):
    """What the ids of an entry are of."""

    DOCUMENT = "DOCUMENT"
    PROFILE_ENTRY = "PROFILE_ENTRY"
    IMMUNIZATION = "IMMUNIZATION"
    CARE_TEAM_MEMBER = "CARE_TEAM_MEMBER"
    CONSENT = "CONSENT"
    BLOCK = "BLOCK"
    EMERGENCY_ACCESS = "EMERGENCY_ACCESS"
    DELEGATION = "DELEGATION"
    EXPORT = "EXPORT"
    MESSAGING_ACCOUNT = "MESSAGING_ACCOUNT"
    APPOINTMENT = "APPOINTMENT"
    PREVENTION_STATEMENT = "PREVENTION_STATEMENT"  # an act, a fact or a pregnancy
    CALENDAR_FEED = "CALENDAR_FEED"


@dataclass(frozen=True, slots=True)
class Fact:
    """One access or change, before it has its number.

    ``is_held``: it tells of a document that its holder may not know of yet. Not ``is_told``: it
    is a decision that changes nothing which anybody follows, so it is no event.
    """

    record_id: UUID
    action: JournalAction
    rule: str
    object_kind: ObjectKind | None = None
    object_ids: tuple[UUID, ...] = ()
    on_behalf_of: UUID | None = None
    is_held: bool = False
    is_told: bool = True
    is_emergency: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    text_digest: bytes | None = None


def stream_of(record_id: UUID) -> UUID:
    """Return what names the stream of a record's main chain in wake-ups: not the record's own."""
    return UUID(int=record_id.int ^ _JOURNAL)


def salted_digest(text: str) -> tuple[bytes, bytes]:
    """Return a fresh salt and SHA-256 of salt and text: what an entry holds of words."""
    salt = token_bytes(16)
    return salt, hashlib.sha256(salt + text.encode()).digest()


def behalf(actor: Actor, holder_id: UUID) -> UUID | None:
    """Return the holder when the actor is somebody else who acts for them, else None."""
    match actor:
        case Patient(person_id=person_id) if person_id != holder_id:
            return holder_id
    return None


async def write(actor: Actor | None, work: Work, facts: Sequence[Fact]) -> list[UUID]:
    """Add entries to the journal and return their ids.

    The numbers of a record are taken under the lock of its counter, which lasts until the
    transaction ends; records are taken in the order of their ids, so that no two writers wait
    for each other.

    Args:
        actor: who did it; None for what happens by itself when its time has come.
        work: the transaction of what happened.
        facts: what happened, in order.
    """
    kind, actor_id = _who(actor)
    by_record: dict[UUID, list[Fact]] = defaultdict(list)
    for fact in facts:
        for start in range(0, max(len(fact.object_ids), 1), OBJECTS_LIMIT):
            by_record[fact.record_id].append(_slice(fact, start))
    if not by_record:
        return []
    rows: list[dict[str, Any]] = []
    numbers_of = await _take_numbers(work, by_record)
    for record_id in sorted(by_record):
        theirs = by_record[record_id]
        for fact, number in zip(theirs, numbers_of[record_id], strict=True):
            if not fact.is_held:
                work.grown[stream_of(record_id)] = number
            rows.append(
                {
                    "id": work.new_id(),
                    "record_id": record_id,
                    "chain": JournalChain.HELD if fact.is_held else JournalChain.MAIN,
                    "number": number,
                    "at": work.now,
                    "actor_kind": kind,
                    "actor_id": actor_id,
                    "on_behalf_of": fact.on_behalf_of,
                    "action": fact.action.value,
                    "object_kind": fact.object_kind.value if fact.object_kind else None,
                    "object_ids": list(fact.object_ids),
                    "rule": fact.rule,
                    "is_emergency": fact.is_emergency,
                    "details": fact.details,
                    "text_digest": fact.text_digest,
                }
            )
    # Without render_nulls, entries with objects and without are statements of their own.
    statement = insert(JournalEntry).execution_options(render_nulls=True)
    await work.session.execute(statement, rows)
    await work.session.execute(insert(UnsealedEntry), [{"entry_id": row["id"]} for row in rows])
    await tell(work, [fact for fact in facts if fact.is_told])
    return [row["id"] for row in rows]


def _slice(fact: Fact, start: int) -> Fact:
    if len(fact.object_ids) <= OBJECTS_LIMIT:
        return fact
    return replace(fact, object_ids=fact.object_ids[start : start + OBJECTS_LIMIT])


async def _take_numbers(
    work: Work, by_record: Mapping[UUID, Sequence[Fact]]
) -> dict[UUID, list[int]]:
    """Return a number for each fact, in one statement that locks the counters in one order."""
    ids = sorted(by_record)
    held = {id_: sum(fact.is_held for fact in by_record[id_]) for id_ in ids}
    main = {id_: len(by_record[id_]) - held[id_] for id_ in ids}
    asked = (
        func.unnest(
            literal(ids, ARRAY(PG_UUID(as_uuid=True))),
            literal([main[id_] for id_ in ids], ARRAY(BigInteger)),
            literal([held[id_] for id_ in ids], ARRAY(BigInteger)),
        )
        .table_valued(
            column("record_id", PG_UUID(as_uuid=True)),
            column("last_main", BigInteger),
            column("last_held", BigInteger),
            name="asked",
        )
        .render_derived()
    )
    taken = upsert(JournalCounter).from_select(
        ["record_id", "last_main", "last_held"],
        select(asked.c.record_id, asked.c.last_main, asked.c.last_held),
    )
    taken = taken.on_conflict_do_update(
        index_elements=[JournalCounter.record_id],
        set_={
            "last_main": JournalCounter.last_main + taken.excluded.last_main,
            "last_held": JournalCounter.last_held + taken.excluded.last_held,
        },
    )
    returned = taken.returning(
        JournalCounter.record_id, JournalCounter.last_main, JournalCounter.last_held
    )
    numbers: dict[UUID, list[int]] = {}
    for record_id, last_main, last_held in await work.session.execute(returned):
        next_number = {
            False: last_main - main[record_id] + 1,
            True: last_held - held[record_id] + 1,
        }
        numbers[record_id] = []
        for fact in by_record[record_id]:
            numbers[record_id].append(next_number[fact.is_held])
            next_number[fact.is_held] += 1
    return numbers


def _who(actor: Actor | None) -> tuple[str, UUID | None]:
    match actor:
        case None:
            return "SYSTEM", None
        case Patient(person_id=id_):
            return actor.kind, id_
        case Professional(professional_id=id_):
            return actor.kind, id_
        case Publisher(publisher_id=id_):
            return actor.kind, id_
        case Operator(account_id=id_):
            return actor.kind, id_
        case Anonymous():
            return actor.kind, None
