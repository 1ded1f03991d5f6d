"""The queue of deliveries: there exactly when its cause is, sent once, lost never."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
import telling
import world
from mailing import Mailbox, smtp_server
from pushing import PushService, push_service
from sqlalchemy import URL, func, select, text

from carnet.clock import MovableClock
from carnet.notifications.actions import Notice, notify, notify_all
from carnet.notifications.delivering import JOBS, run
from carnet.notifications.rules import NOTIFICATION_LIFE
from carnet.notifications.sending import AT_ONCE, Outcome, Parcel, Sent
from carnet.notifications.tables import (
    Channel,
    Delivery,
    DeliveryState,
    Notification,
    NotificationKind,
)
from carnet.people.tables import Person
from carnet.records.tables import Record
from carnet.store.base import Base
from carnet.store.database import Database
from carnet.store.migrations import everything  # noqa: F401 — all tables

QUEUED, SENT, GIVEN_UP = DeliveryState.QUEUED, DeliveryState.SENT, DeliveryState.GIVEN_UP


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with smtp_server(Mailbox()) as served:
        yield served


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with push_service(PushService()) as served:
        yield served


async def test_a_delivery_is_there_exactly_when_its_cause_is(
    database: Database, service: PushService
) -> None:
    patient = await world.holder(database)
    await telling.with_browser(database, patient, service.browser())
    with pytest.raises(ZeroDivisionError):
        async with database.write() as work:
            await notify(work, NotificationKind.EXPORT_READY, uuid4(), person_id=patient.person_id)
            raise ZeroDivisionError
    assert await telling.deliveries(database) == []
    subject = uuid4()
    for _ in range(2):  # told once, sent once
        async with database.write() as work:
            notice = Notice(patient.person_id, NotificationKind.EXPORT_READY, subject)
            await notify_all(work, [notice, notice])
    assert len(await telling.deliveries(database)) == 1


async def test_whoever_set_nothing_up_has_no_deliveries(database: Database) -> None:
    patient = await world.holder(database)
    await telling.tell(database, patient)
    async with database.write() as work:
        await notify(work, NotificationKind.VOLUME_ALARM, uuid4())
    assert await telling.deliveries(database) == []


async def test_many_are_told_at_once_each_where_they_are_reached(
    database: Database, mailbox: Mailbox, service: PushService
) -> None:
    people = [await world.holder(database) for _ in range(4)]
    await telling.with_address(database, mailbox, people[0], "a@example.org")
    await telling.with_browser(database, people[1], service.browser())
    await telling.with_address(database, mailbox, people[2], "c@example.org")
    await telling.with_browser(database, people[2], service.browser())
    async with database.write() as work:
        kind = NotificationKind.RECORD_NOTICE
        await notify_all(work, [Notice(each.person_id, kind, uuid4()) for each in people])
    rows = [row for row in await telling.deliveries(database) if row.state is QUEUED]
    places = {row.id: row for row in await telling.destinations(database)}
    found = sorted((places[row.destination_id].person_id, row.channel.value) for row in rows)  # type: ignore[type-var]
    assert found == sorted(
        [
            (people[0].person_id, "EMAIL"),
            (people[1].person_id, "WEB_PUSH"),
            (people[2].person_id, "EMAIL"),
            (people[2].person_id, "WEB_PUSH"),
        ]
    )


async def test_senders_at_once_send_each_once(database: Database, mailbox: Mailbox) -> None:
    patient = await world.holder(database)
    await telling.with_address(database, mailbox, patient)
    await telling.tell(database, patient, times=60)
    senders = [telling.mail_sender(mailbox) for _ in range(4)]
    await asyncio.gather(*(telling.deliver(database, sender) for sender in senders))
    assert len(mailbox.ids) == len(set(mailbox.ids)) == 61
    rows = await telling.deliveries(database)
    assert {(row.state, row.attempts) for row in rows} == {(SENT, 1)}


async def test_who_lost_the_lease_has_no_say_any_more(database: Database, mailbox: Mailbox) -> None:
    patient = await world.holder(database)
    await telling.with_address(database, mailbox, patient)
    await telling.tell(database, patient)
    mailbox.mails.clear()
    mailbox.may_answer.clear()
    slow = asyncio.create_task(run(database, telling.mail_sender(mailbox), telling.CODES))
    async with asyncio.timeout(60):
        await mailbox.until(at_once=1)
        await run(database, telling.mail_sender(mailbox), telling.CODES)  # it is leased
        assert mailbox.at_once == 1
        await telling.leases_run_out(database)
        mailbox.answers["DATA"] = ["451 for the first"]
        other = asyncio.create_task(run(database, telling.mail_sender(mailbox), telling.CODES))
        await mailbox.until(at_once=2)
        mailbox.may_answer.set()
        await asyncio.gather(slow, other)
    newest = (await telling.deliveries(database))[-1]
    assert newest.attempts == 2
    assert len(mailbox.ids) == 1


async def test_what_is_too_old_is_given_up_also_where_nothing_else_waits(
    database: Database, mailbox: Mailbox, clock: MovableClock
) -> None:
    patient = await world.holder(database)
    await telling.with_address(database, mailbox, patient)
    await telling.tell(database, patient, times=AT_ONCE)
    clock.offset += NOTIFICATION_LIFE
    await telling.deliver(database, telling.mail_sender(mailbox))
    rows = (await telling.deliveries(database))[1:]
    assert [(row.state, row.last_error) for row in rows] == [(GIVEN_UP, "Expired")] * AT_ONCE
    assert len(mailbox.mails) == 1  # the code


WORKER = """
import asyncio, sys
from carnet.notifications.delivering import run
from carnet.notifications.codes import Codes
from carnet.notifications.mail import MailSender, Relay
from carnet.store.database import Database

async def main(database_url, smtp_url):
    database = Database.connect(database_url)
    sender = MailSender(Relay.parse(smtp_url), "carnet@example.org", "https://carnet.example.org/")
    while True:
        await run(database, sender, Codes(b"s" * 32))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_a_killed_process_had_in_hand_is_sent_by_another(
    database: Database, mailbox: Mailbox, owner_url: URL
) -> None:
    patient = await world.holder(database)
    await telling.with_address(database, mailbox, patient)
    mailbox.mails.clear()
    await telling.tell(database, patient, times=40)
    url = owner_url.render_as_string(hide_password=False)
    for held_back in (True, False):  # killed before the server answered, and somewhere else
        if held_back:
            mailbox.may_answer.clear()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, url, mailbox.url
        )
        try:
            await mailbox.until(at_once=1) if held_back else await mailbox.until(mails=12)
        finally:
            process.kill()
            await process.wait()
        mailbox.may_answer.set()
        await telling.leases_run_out(database)
    await telling.deliver(database, telling.mail_sender(mailbox))
    rows = [row for row in await telling.deliveries(database) if row.notification_id]
    assert {row.state for row in rows} == {SENT} and len(rows) == 40
    assert set(mailbox.ids) == {f"<{row.id}@example.org>" for row in rows}
    # Sent twice is only what was in hand at a kill, and it has the same id.
    assert len(mailbox.ids) - 40 <= 2 * AT_ONCE
    again = {row.id for row in rows if row.attempts > 1}
    assert {id_ for id_ in mailbox.ids if mailbox.ids.count(id_) > 1} <= {
        f"<{id_}@example.org>" for id_ in again
    }


class _Instant:
    """A channel that takes everything, so that only the queue is measured."""

    channel = Channel.EMAIL

    def __init__(self) -> None:
        self.sent: set[UUID] = set()

    def run(self) -> _Instant:
        return self

    async def __aenter__(self) -> _Instant:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, parcel: Parcel) -> Outcome:
        self.sent.add(parcel.id)
        return Sent()


async def test_a_hundred_thousand_that_wait_need_no_memory(
    database: Database, mailbox: Mailbox
) -> None:
    patient = await world.holder(database)
    destination_id = await telling.with_address(database, mailbox, patient)
    async with database.write() as work:
        for _ in range(10):
            ids = [work.new_id() for _ in range(10_000)]
            await work.session.execute(
                text(
                    "INSERT INTO notifications (id, person_id, kind, subject_id, created_at)"
                    " SELECT id, :person, 'EXPORT_READY', id, :now FROM unnest(CAST(:ids AS uuid[])) AS id"
                ),
                {"ids": ids, "person": patient.person_id, "now": work.now},
            )
            await work.session.execute(
                text(
                    "INSERT INTO notification_deliveries (id, notification_id, destination_id,"
                    " channel, message, state, is_urgent, due_at, created_at, expires_at)"
                    " SELECT id, id, :to, 'EMAIL', 'NOTIFICATION', 'QUEUED', false, :now, :now,"
                    " CAST(:now AS timestamptz) + interval '1 day' FROM unnest(CAST(:ids AS uuid[])) AS id"
                ),
                {"ids": ids, "to": destination_id, "now": work.now},
            )
    sender = _Instant()
    await run(database, sender, telling.CODES)  # what is loaded once is loaded now
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    await run(database, sender, telling.CODES)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert len(sender.sent) == 800
    assert peak < 2 * 2**20  # bytes
    async with database.read() as work:
        waiting = await work.session.scalar(select(func.count()).where(Delivery.state == QUEUED))
    assert waiting == 100_000 - 800


def test_every_table_of_the_area_goes_with_its_person() -> None:
    """What hangs from a person, a notification or a destination is deleted with it."""
    area = {table.name for table in Base.metadata.tables.values() if table.name.startswith("notif")}
    assert len(area) == 5
    for name in area - {"notifications"}:
        keys = Base.metadata.tables[name].foreign_keys
        assert keys and {key.ondelete for key in keys} == {"CASCADE"}, name


async def test_with_the_record_goes_what_was_on_its_way_and_with_the_person_all(
    database: Database, service: PushService
) -> None:
    patient = await world.holder(database)
    await telling.with_browser(database, patient, service.browser())
    async with database.write() as work:
        await telling.notify_about_the_record(work, patient)
    assert len(await telling.deliveries(database)) == 1
    async with database.write() as work:
        record_id = await work.session.scalar(
            select(Record.id).where(Record.person_id == patient.person_id)
        )
        await work.session.execute(
            Notification.__table__.delete().where(Notification.record_id == record_id)
        )
    assert await telling.deliveries(database) == []
    assert len(await telling.destinations(database)) == 1
    async with database.write() as work:
        await work.session.execute(Record.__table__.delete())
        await work.session.execute(Person.__table__.delete())
    assert await telling.destinations(database) == []


def test_there_is_a_job_for_each_channel() -> None:
    assert set(JOBS) == set(Channel) and len(set(JOBS.values())) == len(Channel)


async def test_a_fault_of_ours_stops_nothing(
    database: Database, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    patient = await world.holder(database)
    await telling.with_address(database, mailbox, patient)
    await telling.tell(database, patient, times=3)
    broken = (await telling.deliveries(database))[1].id

    class Faulty(_Instant):
        async def send(self, parcel: Parcel) -> Outcome:
            if parcel.id == broken:
                raise LookupError("alix@example.org")
            return await super().send(parcel)

    await run(database, Faulty(), telling.CODES)
    rows = {row.id: row for row in await telling.deliveries(database)}
    assert (rows[broken].state, rows[broken].last_error) == (QUEUED, "LookupError")
    assert [row.state for id_, row in rows.items() if id_ != broken] == [SENT] * 3
    assert [record.getMessage() for record in caplog.records if "carnet" in record.name] == [
        "a delivery failed: LookupError"
    ]
