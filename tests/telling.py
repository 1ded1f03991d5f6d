"""People who are told things, over channels that were set up the way people do it."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID, uuid4

from mailing import Mailbox
from pushing import Browser
from sqlalchemy import func, select, update

from carnet.notifications import addresses, delivering, devices
from carnet.notifications.actions import notify
from carnet.notifications.codes import Codes
from carnet.notifications.devices import EndpointRules
from carnet.notifications.mail import MailSender, Relay
from carnet.notifications.push import PushSender
from carnet.notifications.sending import Sender
from carnet.notifications.tables import Delivery, Destination, NotificationKind
from carnet.notifications.vapid import VapidKey
from carnet.people.actor import Actor, Patient
from carnet.records.tables import Record
from carnet.store.database import Database, Work

CODES = Codes(b"s" * 32)  # as `graph.SERVER_KEY` has them
LINK = "https://carnet.example.org/"
SENDER = "carnet@example.org"
LOCAL = EndpointRules(allows_private=True)


def mail_sender(mailbox: Mailbox) -> MailSender:
    return MailSender(Relay.parse(mailbox.url), SENDER, LINK)


def push_sender(folder: Path) -> PushSender:
    key = VapidKey.open(None, folder, may_create=True)
    assert key is not None
    return PushSender(key, f"mailto:{SENDER}", LINK, LOCAL)


async def deliver(database: Database, sender: Sender) -> None:
    """Send all that is due."""
    while await delivering.run(database, sender, CODES) <= database.clock.now():
        pass


def code_in(mailbox: Mailbox) -> str:
    """Return the code in the newest mail."""
    found = re.search(r"\b\d{6}\b", mailbox.mails[-1].get_content())
    assert found is not None
    return found[0]


async def with_address(
    database: Database, mailbox: Mailbox, actor: Actor, address: str = "alix@example.org"
) -> UUID:
    """Ask for a code, read it in the mail, and give it."""
    async with database.write() as work:
        await addresses.request_code(actor, work, CODES, address)
    await deliver(database, mail_sender(mailbox))
    counted = await addresses.count_try(actor, database)
    async with database.write() as work:
        confirmed = await addresses.confirm(actor, work, CODES, counted, code_in(mailbox))
    return confirmed


async def with_browser(database: Database, actor: Actor, browser: Browser) -> UUID:
    async with database.write() as work:
        return await devices.add_device(
            actor, work, LOCAL, endpoint=browser.endpoint, p256dh=browser.p256dh, auth=browser.auth
        )


async def tell(
    database: Database,
    patient: Patient,
    kind: NotificationKind = NotificationKind.EXPORT_READY,
    times: int = 1,
) -> None:
    for _ in range(times):
        async with database.write() as work:
            await notify(work, kind, uuid4(), person_id=patient.person_id)


async def notify_about_the_record(work: Work, patient: Patient) -> UUID:
    """Tell of an emergency, and return the id of the record that it is about."""
    record_id = await work.session.scalar(
        select(Record.id).where(Record.person_id == patient.person_id)
    )
    assert record_id is not None
    await notify(
        work,
        NotificationKind.EMERGENCY_ACCESS,
        uuid4(),
        person_id=patient.person_id,
        record_id=record_id,
    )
    return record_id


async def deliveries(database: Database) -> list[Delivery]:
    async with database.read() as work:
        return list(await work.session.scalars(select(Delivery).order_by(Delivery.id)))


async def destinations(database: Database) -> list[Destination]:
    async with database.read() as work:
        return list(await work.session.scalars(select(Destination).order_by(Destination.id)))


async def leases_run_out(database: Database) -> None:
    async with database.write() as work:
        await work.session.execute(
            update(Delivery)
            .where(Delivery.leased_until.is_not(None))
            .values(leased_until=func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, 1))
        )
