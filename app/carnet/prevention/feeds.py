"""Addresses at which a phone reads a calendar. Whoever has one reads it, so it can be revoked.

The address holds a random id and a code under a key that is not in the database: a stolen table
gives no address, and an owner can be shown theirs again.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select

from carnet.access.deciding import require
from carnet.access.journal import JournalAction, ObjectKind
from carnet.access.locating import lock_record
from carnet.access.rules import Action
from carnet.calendar.items import Item
from carnet.errors import AccessDenied, NotFound, QuotaExceeded
from carnet.people.actor import Actor, Assurance, Patient
from carnet.people.sessions import actor_of
from carnet.people.tables import Account
from carnet.prevention.queries import RecordCalendar, calendars, of_visible_profile
from carnet.prevention.tables import Appointment, CalendarFeed, CalendarFeedEntry
from carnet.store.database import Work
from carnet_crypto.encoding import DecodeError, from_base64url, to_base64url

FEEDS_LIMIT = 10  # of one account in one record
AHEAD = timedelta(days=2 * 366)  # that a feed looks ahead
KEPT = timedelta(days=60)  # that it says what is cancelled, and shows what is past
_CODE = 16  # bytes


@dataclass(frozen=True, slots=True)
class FeedSecrets:
    """Makes and checks the secret part of addresses, under a key that follows from the server's."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, server_key: bytes) -> FeedSecrets:
        """Return those of a server."""
        return cls(hmac.digest(server_key, b"carnet calendar feeds v1", "sha256"))

    def seal(self, feed_id: UUID) -> str:
        """Return the secret part of a feed's address."""
        return to_base64url(feed_id.bytes + self._code(feed_id))

    def open(self, secret: str) -> UUID:
        """Return the feed's id.

        Raises:
            NotFound: this is no such secret.
        """
        try:
            plain = from_base64url(secret) if len(secret) <= 64 else b""
        except DecodeError:
            plain = b""
        if len(plain) != 16 + _CODE:
            raise NotFound()
        feed_id = UUID(bytes=plain[:16])
        if not hmac.compare_digest(plain[16:], self._code(feed_id)):
            raise NotFound()
        return feed_id

    def _code(self, feed_id: UUID) -> bytes:
        return hmac.digest(self.key, feed_id.bytes, "sha256")[:_CODE]


async def create(actor: Actor, work: Work, record_id: UUID, *, is_detailed: bool) -> UUID:
    """Make a feed of a record's calendar, for the one who asks; returns its id.

    Args:
        is_detailed: whether it says what is due. Without, it says only that something is.

    Raises:
        NotFound: there is no such record, or it is not theirs to see.
        AccessDenied: only the holder, or who acts for them, has feeds.
        QuotaExceeded: they have enough.
    """
    await lock_record(work, record_id)  # so that no count is passed by two at once
    granted = await require(actor, work, record_id, Action.READ_PROFILE)
    if not isinstance(actor, Patient):
        raise AccessDenied("access.holder-only")
    mine = CalendarFeed.record_id == record_id, CalendarFeed.account_id == actor.account_id
    count = select(func.count()).where(*mine, CalendarFeed.revoked_at.is_(None))
    if (await work.session.scalar(count) or 0) >= FEEDS_LIMIT:
        raise QuotaExceeded("Revoke a feed before you make another.")
    row = CalendarFeed(
        id=work.new_id(),
        record_id=record_id,
        account_id=actor.account_id,
        is_detailed=is_detailed,
        created_at=work.now,
    )
    work.session.add(row)
    await work.session.flush()
    what = {"what": "feed"}
    await granted.journal(
        JournalAction.CHANGE_CALENDAR, ObjectKind.CALENDAR_FEED, row.id, details=what
    )
    return row.id


async def revoke(actor: Actor, work: Work, feed_id: UUID) -> UUID:
    """End a feed of the actor's; its address answers nothing any more. Returns the record's id.

    Raises:
        NotFound: there is no such feed, or it is not theirs.
    """
    found = (await by_ids(actor, work, [feed_id])).get(feed_id)
    if found is None:
        raise NotFound()
    granted = await require(actor, work, found.record_id, Action.READ_PROFILE)
    if found.revoked_at is None:
        found.revoked_at = work.now
        await work.session.flush()
        what = {"what": "feed-revoked"}
        await granted.journal(
            JournalAction.CHANGE_CALENDAR, ObjectKind.CALENDAR_FEED, feed_id, details=what
        )
    return found.record_id


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, CalendarFeed]:
    """Return those of the feeds that are the actor's."""
    if not isinstance(actor, Patient):
        return {}
    statement = select(CalendarFeed).where(
        CalendarFeed.id.in_(ids),
        CalendarFeed.account_id == actor.account_id,
        of_visible_profile(actor, work, CalendarFeed.record_id),
    )
    return {row.id: row for row in await work.session.scalars(statement)}


async def of_records(
    actor: Actor, work: Work, record_ids: Collection[UUID]
) -> dict[UUID, list[CalendarFeed]]:
    """Return the actor's feeds of each record that are not revoked, the oldest first."""
    if not isinstance(actor, Patient):
        return {}
    statement = select(CalendarFeed).where(
        CalendarFeed.record_id.in_(record_ids),
        CalendarFeed.account_id == actor.account_id,
        CalendarFeed.revoked_at.is_(None),
        of_visible_profile(actor, work, CalendarFeed.record_id),
    )
    found: dict[UUID, list[CalendarFeed]] = defaultdict(list)
    for row in await work.session.scalars(statement.order_by(CalendarFeed.id)):
        found[row.record_id].append(row)
    return dict(found)


@dataclass(frozen=True, slots=True)
class Entered:
    """An item as it stands in a feed: since when, how often it moved, whether it went away."""

    key: str
    on: date
    item: Item | None
    sequence: int
    changed_at: datetime
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """What a feed shows now."""

    feed: CalendarFeed
    entered: list[Entered] = field(repr=False)
    appointments: list[Appointment] = field(repr=False)


async def read(work: Work, feed_id: UUID) -> Read:
    """Return what a feed shows: the calendar as its owner may see it now.

    Raises:
        NotFound: there is no such feed, it was revoked, its owner has no access any more.
    """
    feed = await work.session.scalar(
        select(CalendarFeed).where(CalendarFeed.id == feed_id, CalendarFeed.revoked_at.is_(None))
    )
    account = await work.session.get(Account, feed.account_id) if feed is not None else None
    if feed is None or account is None or account.disabled_at is not None:
        raise NotFound()
    owner = actor_of(account, Assurance.PASSWORD)
    calendar = (await calendars(owner, work, [feed.record_id])).get(feed.record_id)
    if calendar is None:
        raise NotFound()
    granted = await require(owner, work, feed.record_id, Action.READ_PROFILE)
    await granted.journal(JournalAction.READ_CALENDAR, ObjectKind.CALENDAR_FEED, feed.id)
    entered = await _entered(work, feed, calendar)
    since = work.now - KEPT
    appointments = [
        row
        for row in calendar.appointments
        if row.sort_at > since and (row.cancelled_at is None or row.cancelled_at > since)
    ]
    return Read(feed, entered, appointments)


async def _entered(work: Work, feed: CalendarFeed, calendar: RecordCalendar) -> list[Entered]:
    """Return the items of a feed, and keep how each stands, so that a change has a number."""
    until = (calendar.as_of + AHEAD).toordinal()
    open_ = {
        entry.key: entry.item
        for entry in calendar.entries
        if entry.is_open and entry.item.due is not None and entry.item.due <= until
    }
    locked = select(CalendarFeed.id).where(CalendarFeed.id == feed.id).with_for_update()
    await work.session.execute(locked)
    statement = select(CalendarFeedEntry).where(CalendarFeedEntry.feed_id == feed.id)
    kept = {row.item_key: row for row in await work.session.scalars(statement)}
    for key, item in open_.items():
        on = date.fromordinal(item.due or 0)
        row = kept.get(key)
        if row is None:
            row = kept[key] = CalendarFeedEntry(
                feed_id=feed.id,
                item_key=key,
                item_on=on,
                last_on=on,
                sequence=0,
                changed_at=work.now,
            )
            work.session.add(row)
        elif row.item_on != on:
            row.item_on = row.last_on = on
            row.sequence += 1
            row.changed_at = work.now
    for key, row in list(kept.items()):
        if key in open_:
            continue
        if row.item_on is not None:
            row.item_on, row.changed_at = None, work.now
            row.sequence += 1
        elif row.changed_at < work.now - KEPT:
            await work.session.delete(row)
            del kept[key]
    await work.session.flush()
    return [
        Entered(
            row.item_key,
            row.last_on,
            open_.get(row.item_key),
            row.sequence,
            row.changed_at,
            is_cancelled=row.item_on is None,
        )
        for row in sorted(kept.values(), key=lambda row: (row.last_on, row.item_key))
    ]
