"""Who can sign in no more is written to no more, whatever was queued while they could."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
import telling
import world
from mailing import Mailbox, smtp_server
from pushing import PushService, push_service

from carnet.access import cutting
from carnet.clock import MovableClock
from carnet.notifications import addresses
from carnet.notifications.actions import notify
from carnet.notifications.rules import FIRST_BACKOFF
from carnet.notifications.tables import DeliveryState, NotificationKind
from carnet.people.actor import CONSOLE, Actor, Patient, Professional
from carnet.people.tables import Account
from carnet.store.database import Database

GIVEN_UP, SENT = DeliveryState.GIVEN_UP, DeliveryState.SENT
NOT_SENT = (GIVEN_UP, 0, "RecipientCutOff")


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with smtp_server(Mailbox()) as served:
        yield served


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with push_service(PushService()) as served:
        yield served


async def cut_off(database: Database, account_id: UUID) -> None:
    async with database.write() as work:
        await cutting.cut_off(CONSOLE, work, account_id, cutting.CutOffReason.OTHER)


async def tell(database: Database, who: Patient | Professional) -> None:
    """Tell them what goes out whatever they chose."""
    async with database.write() as work:
        await notify(
            work,
            NotificationKind.EMERGENCY_ACCESS,
            work.new_id(),
            person_id=who.person_id if isinstance(who, Patient) else None,
            professional_id=who.professional_id if isinstance(who, Professional) else None,
        )


async def results(database: Database) -> list[tuple[DeliveryState, int, str | None]]:
    rows = await telling.deliveries(database)
    return [(row.state, row.attempts, row.last_error) for row in rows]


@pytest.mark.parametrize("kind", ["patient", "professional"])
async def test_what_was_queued_before_is_not_sent_and_nothing_is_queued_after(
    database: Database, mailbox: Mailbox, service: PushService, tmp_path: Path, kind: str
) -> None:
    who: Patient | Professional
    who = await (world.holder if kind == "patient" else world.professional)(database)
    other = await world.holder(database)
    senders = telling.mail_sender(mailbox), telling.push_sender(tmp_path)
    await telling.with_address(database, mailbox, who)
    await telling.with_browser(database, who, service.browser())
    await telling.with_address(database, mailbox, other, "other@example.org")
    before = len(await telling.deliveries(database))
    mailbox.mails.clear()
    mailbox.recipients.clear()
    await tell(database, who)
    await cut_off(database, who.account_id)
    await tell(database, who)
    await tell(database, other)
    for sender in senders:
        await telling.deliver(database, sender)
    assert sorted((await results(database))[before:], key=str) == sorted(
        [NOT_SENT, NOT_SENT, (SENT, 1, None)], key=str
    )
    assert (mailbox.recipients, service.requests) == ([["other@example.org"]], 0)
    assert len(await telling.destinations(database)) == 3  # should they be let in again
    async with database.write() as work:
        await cutting.restore(CONSOLE, work, who.account_id)
    await tell(database, who)
    for sender in senders:
        await telling.deliver(database, sender)
    assert mailbox.recipients[1:] == [["alix@example.org"]]
    assert len(service.pushed) == 1


async def test_what_failed_before_is_not_tried_again(
    database: Database, service: PushService, tmp_path: Path, clock: MovableClock
) -> None:
    patient = await world.holder(database)
    await telling.with_browser(database, patient, service.browser())
    service.answers = [(503, {})]
    await tell(database, patient)
    sender = telling.push_sender(tmp_path)
    await telling.deliver(database, sender)
    await cut_off(database, patient.account_id)
    clock.offset += FIRST_BACKOFF
    await telling.deliver(database, sender)
    assert await results(database) == [(GIVEN_UP, 1, "RecipientCutOff")]
    assert service.requests == 1


async def test_who_has_another_way_to_sign_in_is_written_to(
    database: Database, service: PushService, tmp_path: Path
) -> None:
    doctor = await world.professional(database)
    async with database.write() as work:
        second = Account(
            id=work.new_id(),
            kind="PROFESSIONAL",
            professional_id=doctor.professional_id,
            issuer="https://id.example",
            subject="10200000000",
            created_at=work.now,
        )
        work.session.add(second)
    await telling.with_browser(database, doctor, service.browser())
    sender = telling.push_sender(tmp_path)
    for account_id, pushed in ((doctor.account_id, 1), (second.id, 1)):
        await cut_off(database, account_id)
        await tell(database, doctor)
        await telling.deliver(database, sender)
        assert len(service.pushed) == pushed


async def test_no_code_is_sent_but_a_former_address_learns_that_it_is_used_no_more(
    database: Database, mailbox: Mailbox
) -> None:
    patient, waiting = [await world.holder(database) for _ in range(2)]
    sender = telling.mail_sender(mailbox)
    await telling.with_address(database, mailbox, patient, "former@example.org")
    await ask(database, patient, "thief@example.org")
    await telling.deliver(database, sender)
    counted = await addresses.count_try(patient, database)
    code = telling.code_in(mailbox)
    mailbox.recipients.clear()
    async with database.write() as work:
        await addresses.confirm(patient, work, telling.CODES, counted, code)
    await ask(database, waiting, "waiting@example.org")
    for each in (patient, waiting):
        await cut_off(database, each.account_id)
    await tell(database, patient)
    await telling.deliver(database, sender)
    assert mailbox.recipients == [["former@example.org"]]


async def ask(database: Database, actor: Actor, address: str) -> None:
    async with database.write() as work:
        await addresses.request_code(actor, work, telling.CODES, address)
