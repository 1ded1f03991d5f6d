"""Reads of the access journal. It is here, above documents, because an entry is hidden from whom
the document that it tells of is hidden."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    any_,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from carnet.access.filters import concealed, is_own, kept_from_delegate, record_visible
from carnet.access.journal import JournalAction, ObjectKind
from carnet.access.journal_tables import JournalChain, JournalEntry, JournalLeaf
from carnet.access.sealing import LOG, leaf_bytes
from carnet.access.tables import DelegationScope
from carnet.documents.tables import Document
from carnet.people.actor import Actor, Patient
from carnet.people.tables import Person, Professional, Publisher
from carnet.records.tables import ImmunizationSource, ProfileEntry, Record, RetractedDose
from carnet.store import transparency
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many
from carnet_crypto.encoding import to_base64url
from carnet_crypto.headfile import head_to_json
from carnet_crypto.merkle import leaf_hash

NEWEST = Order(
    "journal.newest", JournalEntry.at.desc(), JournalEntry.number.desc(), JournalEntry.id.desc()
)
WAITED_RULE = "settings.results-shown"  # of a release because the days are over
RELEASED_LIMIT = 100  # entries that come with the one of a release
BATCH = 500  # entries of an archive read at a time
_DocumentId = InstrumentedAttribute[UUID] | InstrumentedAttribute[UUID | None]


def visible_to(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return the one filter on journal entries: for the holder, and delegates who may read it;
    without those that tell of what the reader may not know of.

    Of the chain HELD the reader sees what has been released, and never a number or leaf: a gap
    between two of them would tell of what is still hidden. Who acts for the holder is told no
    number or leaf of the chain MAIN either: some of its entries may tell of what is hidden from
    them. See `_is_numbered_for`.
    """
    about = any_(JournalEntry.object_ids)
    is_held = JournalEntry.chain == JournalChain.HELD
    document = exists().where(
        JournalEntry.object_kind == ObjectKind.DOCUMENT.value,
        Document.id == about,
        concealed(actor, now, Document.__table__.c),
    )
    entry = exists().where(
        JournalEntry.object_kind == ObjectKind.PROFILE_ENTRY.value,
        ProfileEntry.id == about,
        or_(
            and_(is_held, ProfileEntry.hidden_from_holder_until > now),
            _is_kept(actor, ProfileEntry.source_document_id),
        ),
    )
    dose = exists().where(
        JournalEntry.object_kind == ObjectKind.IMMUNIZATION.value,
        ImmunizationSource.immunization_id == about,
        or_(
            and_(is_held, ImmunizationSource.hidden_from_holder_until > now),
            _is_kept(actor, ImmunizationSource.source_document_id),
        ),
    )
    retracted = exists().where(
        JournalEntry.object_kind == ObjectKind.IMMUNIZATION.value,
        RetractedDose.immunization_id == about,
        or_(
            and_(is_held, _is_held_back(now, RetractedDose.document_id)),
            _is_kept(actor, RetractedDose.document_id),
        ),
    )
    return and_(_readable(actor, now), ~or_(document, entry, dose, retracted))


def _readable(actor: Actor, now: datetime) -> ColumnElement[bool]:
    """Return whether the entry is of a record whose journal the actor reads."""
    return exists().where(
        Record.id == JournalEntry.record_id,
        literal(isinstance(actor, Patient)),
        record_visible(actor, now, Record.__table__.c, DelegationScope.JOURNAL),
    )


def _is_kept(actor: Actor, document_id: _DocumentId) -> ColumnElement[bool]:
    """Return whether a fact was read from what is hidden from who acts for the holder."""
    source = aliased(Document)
    kept = kept_from_delegate(actor, source)
    return exists().where(source.id == document_id, kept).correlate_except(source)


def _is_held_back(now: datetime, document_id: _DocumentId) -> ColumnElement[bool]:
    """Return whether a fact was read from what its holder may not know of yet."""
    source = aliased(Document)
    is_hidden = source.hidden_from_holder_until > now
    return exists().where(source.id == document_id, is_hidden).correlate_except(source)


def _is_numbered_for(actor: Actor) -> ColumnElement[bool]:
    """Return whether the reader is told the entry's number and leaf, where they see it."""
    return and_(
        JournalEntry.chain == JournalChain.MAIN,
        is_own(actor, JournalEntry.record_id),
    )


@dataclass(frozen=True, slots=True)
class JournalFilter:
    """Which entries are wanted; every criterion that is given must hold."""

    actions: tuple[JournalAction, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    by_others: bool = False  # not by the reader
    emergencies: bool = False  # only what was done in an emergency

    def criteria(self, actor: Actor) -> list[ColumnElement[bool]]:
        """Return the conditions for a WHERE."""
        wanted: list[ColumnElement[bool]] = []
        if self.actions:
            wanted.append(JournalEntry.action.in_([action.value for action in self.actions]))
        if self.since is not None:
            wanted.append(JournalEntry.at >= self.since)
        if self.until is not None:
            wanted.append(JournalEntry.at < self.until)
        if self.by_others and isinstance(actor, Patient):
            wanted.append(JournalEntry.actor_id.is_distinct_from(actor.person_id))
        if self.emergencies:
            wanted.append(JournalEntry.is_emergency.is_(True))
        return wanted


def _entries(actor: Actor, work: Work, wanted: JournalFilter) -> Select[JournalEntry]:
    return select(JournalEntry).where(visible_to(actor, work.now), *wanted.criteria(actor))


async def pages(
    actor: Actor,
    work: Work,
    record_ids: Sequence[UUID],
    request: PageRequest,
    order: Order,
    wanted: JournalFilter,
) -> dict[UUID, Page[JournalEntry]]:
    """Return a page of the journal of each record."""
    return await paginate_many(
        work,
        _entries(actor, work, wanted),
        order,
        request,
        parent=JournalEntry.record_id,
        parents=record_ids,
    )


async def counts(
    actor: Actor, work: Work, record_ids: Sequence[UUID], wanted: JournalFilter
) -> dict[UUID, int]:
    """Return how many entries of each journal the actor sees."""
    rows = _entries(actor, work, wanted)
    return await count_many(work, rows, parent=JournalEntry.record_id, parents=record_ids)


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, JournalEntry]:
    """Return those of the entries that the actor sees."""
    statement = _entries(actor, work, JournalFilter()).where(JournalEntry.id.in_(ids))
    return {row.id: row for row in await work.session.scalars(statement)}


async def released_with(
    actor: Actor, work: Work, entry_ids: Collection[UUID]
) -> dict[UUID, list[JournalEntry]]:
    """Return, of entries that tell of a release, those about its documents held back until then:
    the chain HELD, and where the holder had chosen to wait, what came before the release.

    At most 100 in all, the oldest first.
    """
    telling = select(
        JournalEntry.id,
        JournalEntry.record_id,
        JournalEntry.object_ids,
        JournalEntry.number,
        JournalEntry.rule,
    ).where(
        JournalEntry.id.in_(entry_ids), JournalEntry.action == JournalAction.RELEASE_DOCUMENT.value
    )
    found: dict[UUID, list[JournalEntry]] = {}
    for id_, record_id, document_ids, number, rule in await work.session.execute(telling):
        before = and_(JournalEntry.number < number, literal(rule == WAITED_RULE))
        held = _entries(actor, work, JournalFilter()).where(
            JournalEntry.record_id == record_id,
            or_(JournalEntry.chain == JournalChain.HELD, before),
            JournalEntry.object_kind == ObjectKind.DOCUMENT.value,
            JournalEntry.object_ids.overlap(document_ids),
        )
        oldest = held.order_by(JournalEntry.at, JournalEntry.id).limit(RELEASED_LIMIT)
        found[id_] = list(await work.session.scalars(oldest))
    return found


async def actor_names(actor: Actor, work: Work, entry_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return who did what the entries tell of, by name; nobody for what happened by itself."""
    statement = (
        select(
            JournalEntry.id,
            case(
                (Person.id.is_not(None), _person_name()),
                (
                    Professional.id.is_not(None),
                    Professional.given_name + " " + Professional.family_name,
                ),
                else_=Publisher.name,
            ),
        )
        .outerjoin(
            Person, and_(JournalEntry.actor_kind == "PATIENT", Person.id == JournalEntry.actor_id)
        )
        .outerjoin(
            Professional,
            and_(
                JournalEntry.actor_kind == "PROFESSIONAL",
                Professional.id == JournalEntry.actor_id,
            ),
        )
        .outerjoin(
            Publisher,
            and_(JournalEntry.actor_kind == "PUBLISHER", Publisher.id == JournalEntry.actor_id),
        )
        .where(JournalEntry.id.in_(entry_ids), visible_to(actor, work.now))
    )
    rows = await work.session.execute(statement)
    return {id_: name for id_, name in rows if name}


def _person_name() -> ColumnElement[str]:
    family = func.coalesce(Person.used_family_name, Person.birth_family_name)
    return func.coalesce(Person.given_names[1] + " ", "") + family


async def numbers(actor: Actor, work: Work, entry_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return the numbers of those of the entries whose numbers the actor is told."""
    statement = select(JournalEntry.id, JournalEntry.number).where(
        JournalEntry.id.in_(entry_ids), _is_numbered_for(actor), visible_to(actor, work.now)
    )
    return {id_: number for id_, number in await work.session.execute(statement)}


async def leaf_indexes(actor: Actor, work: Work, entry_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return the places of those of the entries that are sealed, and numbered for the actor."""
    statement = (
        select(JournalLeaf.entry_id, JournalLeaf.index)
        .join(JournalEntry, JournalEntry.id == JournalLeaf.entry_id)
        .where(
            JournalLeaf.entry_id.in_(entry_ids),
            _is_numbered_for(actor),
            visible_to(actor, work.now),
        )
    )
    return {entry_id: index for entry_id, index in await work.session.execute(statement)}


async def inclusion_proofs(
    actor: Actor, work: Work, entry_ids: Collection[UUID], tree_size: int
) -> dict[UUID, list[bytes]]:
    """Return for each visible entry the hashes that prove it in the tree of this size; nothing
    for an entry that is not in that tree."""
    return await _proofs(work, await leaf_indexes(actor, work, entry_ids), tree_size)


async def _proofs(
    work: Work, places: Mapping[UUID, int], tree_size: int
) -> dict[UUID, list[bytes]]:
    if not 0 < tree_size <= await transparency.size(work, LOG):
        return {}
    inside = {entry_id: index for entry_id, index in places.items() if index < tree_size}
    proofs = await transparency.inclusion_proofs(work, LOG, list(inside.values()), tree_size)
    return {entry_id: proofs[index] for entry_id, index in inside.items()}


async def archive(
    actor: Actor, work: Work, record_id: UUID, public_key: bytes
) -> AsyncIterator[bytes]:
    """Yield the record's journal as a file that proves itself: JSON, as
    `carnet_client.journal` reads it.

    Entries are in the order of their numbers. One that is not sealed yet has no leaf index and no
    proof; of one about a result that the holder chose to see later there is its number and its
    hash, so that no number is missing. What was held and is released follows apart, in order of
    time, and so does everything for who acts for the holder: without number and proof, for the
    reason that `visible_to` gives.
    """
    head = await transparency.latest_head(work, LOG)
    told = head_to_json(head, public_key) if head else None
    yield b'{"head":' + orjson.dumps(told) + b',"entries":['
    after, separator = 0, b""
    is_shown = visible_to(actor, work.now)
    while True:
        statement = (
            select(JournalEntry, is_shown)
            .where(
                JournalEntry.record_id == record_id,
                _readable(actor, work.now),
                _is_numbered_for(actor),
                JournalEntry.number > after,
            )
            .order_by(JournalEntry.number)
            .limit(BATCH)
        )
        rows = [(row[0], row[1]) for row in await work.session.execute(statement)]
        if not rows:
            break
        async for line in _lines(work, rows, head.size if head else 0):
            yield separator + orjson.dumps(line)
            separator = b","
        after = rows[-1][0].number
        work.session.expunge_all()
    yield b'],"released":['
    async for released in _released(actor, work, record_id):
        yield released
    yield b"]}"


async def _released(actor: Actor, work: Work, record_id: UUID) -> AsyncIterator[bytes]:
    place = tuple_(JournalEntry.at, JournalEntry.id)
    statement = (
        _entries(actor, work, JournalFilter())
        .where(JournalEntry.record_id == record_id, ~_is_numbered_for(actor))
        .order_by(JournalEntry.at, JournalEntry.id)
        .limit(BATCH)
    )
    entries = list(await work.session.scalars(statement))
    separator = b""
    while entries:
        for entry in entries:
            told = orjson.loads(leaf_bytes(entry))
            del told["number"]
            yield separator + orjson.dumps(told)
            separator = b","
        last = entries[-1]
        work.session.expunge_all()
        entries = list(await work.session.scalars(statement.where(place > (last.at, last.id))))


async def _lines(
    work: Work, rows: Sequence[tuple[JournalEntry, bool]], tree_size: int
) -> AsyncIterator[dict[str, Any]]:
    """Yield entries, each with whether it is shown; of others only number and hash."""
    sealed = select(JournalLeaf.entry_id, JournalLeaf.index).where(
        JournalLeaf.entry_id.in_([entry.id for entry, _ in rows])
    )
    places = {entry_id: index for entry_id, index in await work.session.execute(sealed)}
    proofs = await _proofs(work, places, tree_size)
    for entry, is_shown in rows:
        proof, leaf = proofs.get(entry.id), leaf_bytes(entry)
        told: dict[str, Any] = {"leaf": to_base64url(leaf)}
        if not is_shown:
            told = {"number": entry.number, "leafHash": to_base64url(leaf_hash(leaf))}
        yield told | {
            "leafIndex": places.get(entry.id) if proof is not None else None,
            "inclusionProof": None if proof is None else [to_base64url(hash_) for hash_ in proof],
        }
