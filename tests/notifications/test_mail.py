"""E-mail, against a real SMTP server: what arrives, and what becomes of what does not."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import telling
import world
from mailing import PASSWORD, USER, Mailbox, certificates, smtp_server
from sqlalchemy import delete

from carnet.clock import MovableClock
from carnet.errors import UserMistake
from carnet.notifications.delivering import PAUSE, run
from carnet.notifications.mail import MailSender, Relay
from carnet.notifications.rules import FIRST_BACKOFF, NOTIFICATION_LIFE
from carnet.notifications.tables import Delivery, DeliveryState, DestinationState, NotificationKind
from carnet.people.actor import Patient
from carnet.store.database import Database

SENT, QUEUED = DeliveryState.SENT, DeliveryState.QUEUED


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with smtp_server(Mailbox()) as served:
        yield served


@pytest.fixture
async def told(database: Database, mailbox: Mailbox) -> Patient:
    """A patient with a confirmed address; the mailbox is empty again."""
    patient = await world.holder(database)
    await telling.with_address(database, mailbox, patient)
    mailbox.mails.clear()
    mailbox.recipients.clear()
    async with database.write() as work:
        await work.session.execute(delete(Delivery))
    return patient


async def test_a_mail_arrives_once_with_its_link_and_id(
    database: Database, mailbox: Mailbox, told: Patient
) -> None:
    await telling.tell(database, told)
    await telling.deliver(database, telling.mail_sender(mailbox))
    await telling.deliver(database, telling.mail_sender(mailbox))
    (mail,) = mailbox.mails
    (row,) = await telling.deliveries(database)
    assert mailbox.recipients == [["alix@example.org"]]
    assert (mail["To"], mail["From"]) == ("alix@example.org", f"Carnet <{telling.SENDER}>")
    assert mail["Message-ID"] == f"<{row.id}@example.org>"
    assert mail["Subject"] == "Une archive est prête"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().rstrip().endswith(telling.LINK)
    assert (row.state, row.attempts, row.leased_by, row.last_error) == (SENT, 1, None, None)


@pytest.mark.parametrize("step", ["RCPT", "DATA"])
async def test_what_is_refused_for_now_comes_later_with_the_same_id(
    database: Database, mailbox: Mailbox, told: Patient, clock: MovableClock, step: str
) -> None:
    mailbox.answers[step] = ["451 4.3.0 try again", "452 4.2.2 full"]
    await telling.tell(database, told)
    sender = telling.mail_sender(mailbox)
    for attempt in (1, 2):
        await telling.deliver(database, sender)
        (row,) = await telling.deliveries(database)
        assert (row.state, row.attempts, row.leased_by) == (QUEUED, attempt, None)
        wait = row.due_at - clock.now()
        assert timedelta() < wait <= FIRST_BACKOFF * 2 ** (attempt - 1)
        await telling.deliver(database, sender)  # not before it is due
        assert mailbox.mails == []
        clock.offset += FIRST_BACKOFF * 2 ** (attempt - 1)
    await telling.deliver(database, sender)
    assert mailbox.ids == [f"<{row.id}@example.org>"]
    assert [each.state for each in await telling.deliveries(database)] == [SENT]


@pytest.mark.parametrize(
    ("step", "answer", "state"),
    [
        ("RCPT", "550 5.1.1 no such user alix@example.org", DestinationState.UNDELIVERABLE),
        ("RCPT", "550 unknown alix@example.org", DestinationState.UNDELIVERABLE),
        ("RCPT", "550 5.7.1 blocked by policy", DestinationState.ACTIVE),
        ("RCPT", "552 5.2.2 mailbox full", DestinationState.ACTIVE),
        ("DATA", "554 5.7.1 looks like spam", DestinationState.ACTIVE),
    ],
)
async def test_what_is_refused_for_good_ends_and_marks_the_address(
    database: Database,
    mailbox: Mailbox,
    told: Patient,
    caplog: pytest.LogCaptureFixture,
    step: str,
    answer: str,
    state: DestinationState,
) -> None:
    caplog.set_level(logging.DEBUG)
    mailbox.answers[step] = [answer]
    await telling.tell(database, told)
    await telling.deliver(database, telling.mail_sender(mailbox))
    (row,) = await telling.deliveries(database)
    (destination,) = await telling.destinations(database)
    assert row.state is DeliveryState.REFUSED and row.last_error is not None
    assert row.last_error.endswith(answer[:3])
    assert destination.state is state and destination.refused_at is not None
    ours = " ".join(record.getMessage() for record in caplog.records if "carnet" in record.name)
    assert "alix" not in f"{row.last_error} {ours} {row!r} {destination!r}"
    await telling.tell(database, told)
    await telling.deliver(database, telling.mail_sender(mailbox))
    assert len(mailbox.mails) == (state is DestinationState.ACTIVE)
    (destination,) = await telling.destinations(database)
    assert (destination.refused_at is None) == (state is DestinationState.ACTIVE)


async def test_a_server_that_dies_in_the_middle_of_a_mail_gets_it_again(
    database: Database, mailbox: Mailbox, told: Patient, clock: MovableClock
) -> None:
    mailbox.dies_in_data = 1
    await telling.tell(database, told)
    await telling.deliver(database, telling.mail_sender(mailbox))
    (row,) = await telling.deliveries(database)
    assert (row.state, row.last_error) == (QUEUED, "SMTPServerDisconnected")
    clock.offset += FIRST_BACKOFF
    await telling.deliver(database, telling.mail_sender(mailbox))
    assert mailbox.ids == [f"<{row.id}@example.org>"]


async def test_while_the_server_is_away_nothing_counts_and_nothing_is_lost(
    database: Database, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox = Mailbox()
    async with smtp_server(mailbox):
        patient = await world.holder(database)
        await telling.with_address(database, mailbox, patient)
    await telling.tell(database, patient, times=20)
    sender = telling.mail_sender(mailbox)
    again_at = await run(database, sender, telling.CODES)
    assert clock.now() < again_at <= clock.now() + PAUSE
    rows = [row for row in await telling.deliveries(database) if row.state is QUEUED]
    assert {(row.attempts, row.leased_by) for row in rows} == {(0, None)}
    assert [record.getMessage() for record in caplog.records] == [
        "EMAIL cannot be sent: SMTPConnectError"
    ]
    async with smtp_server(mailbox):
        await telling.deliver(database, sender)
    assert len(set(mailbox.ids)) == len(mailbox.ids) == 21
    assert mailbox.most_at_once <= 8 and mailbox.sessions <= 1 + 8


async def test_a_server_that_says_nothing_is_left_after_a_time(
    database: Database, told: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carnet.notifications.mail.ANSWER_WITHIN", 0.2)
    await telling.tell(database, told)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        relay = Relay("smtp", "127.0.0.1", silent.getsockname()[1])
        sender = MailSender(relay, telling.SENDER, telling.LINK)
        async with asyncio.timeout(20):
            assert await run(database, sender, telling.CODES) > database.clock.now()
    (row,) = await telling.deliveries(database)
    assert (row.state, row.attempts, row.leased_by) == (QUEUED, 0, None)


async def test_what_nobody_takes_is_given_up_in_the_end(
    database: Database, mailbox: Mailbox, told: Patient, clock: MovableClock
) -> None:
    mailbox.refuses["alix@example.org"] = "450 4.2.1 not now"
    await telling.tell(database, told)
    sender = telling.mail_sender(mailbox)
    tries = 0
    for _ in range(100):
        (row,) = await telling.deliveries(database)
        if row.state is not QUEUED:
            break
        clock.offset += max(row.due_at - clock.now(), timedelta())
        await telling.deliver(database, sender)
        tries += 1
    assert row.state is DeliveryState.GIVEN_UP
    assert row.attempts == tries and 10 < tries < 25
    assert row.finished_at is not None
    assert row.finished_at - row.created_at <= NOTIFICATION_LIFE
    (destination,) = await telling.destinations(database)
    assert destination.state is DestinationState.ACTIVE
    await telling.deliver(database, sender)
    assert mailbox.mails == []


async def test_a_code_and_an_emergency_go_before_the_rest(
    database: Database, mailbox: Mailbox, told: Patient
) -> None:
    await telling.tell(database, told, times=30)
    other = await world.holder(database)
    async with database.write() as work:
        await telling.addresses.request_code(other, work, telling.CODES, "other@example.org")
    await telling.tell(database, told, NotificationKind.EMERGENCY_ACCESS)
    await telling.deliver(database, telling.mail_sender(mailbox))
    firsts = [recipients[0] for recipients in mailbox.recipients[:8]]
    assert "other@example.org" in firsts
    subjects = [mail["Subject"] for mail in mailbox.mails[:8]]
    assert "Un accès en urgence a eu lieu" in subjects
    assert len(mailbox.mails) == 32


async def test_starttls_and_a_password(tmp_path: Path, database: Database) -> None:
    server, client = certificates(tmp_path)
    async with smtp_server(Mailbox(), tls=server, auth=True) as mailbox:
        url = f"smtp+starttls://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{mailbox.port}"
        relay = Relay.parse(url)
        sender = MailSender(relay, telling.SENDER, telling.LINK, client)
        patient = await world.holder(database)
        async with database.write() as work:
            await telling.addresses.request_code(patient, work, telling.CODES, "a@example.org")
        await telling.deliver(database, sender)
        assert (mailbox.was_secure, mailbox.was_signed_in) == ([True], [True])
        for broken in (
            MailSender(relay, telling.SENDER, telling.LINK),  # does not trust the certificate
            MailSender(
                Relay("smtp+starttls", "127.0.0.1", mailbox.port, USER, "wrong"),
                telling.SENDER,
                telling.LINK,
                client,
            ),
        ):
            await telling.tell(database, patient)
            async with database.write() as work:
                await telling.addresses.request_code(patient, work, telling.CODES, "b@example.org")
            assert await run(database, broken, telling.CODES) > database.clock.now()
            assert len(mailbox.mails) == 1
        assert PASSWORD not in repr(relay) and "wrong" not in repr(broken.relay)


async def test_tls_from_the_first_byte(tmp_path: Path, database: Database) -> None:
    server, client = certificates(tmp_path)
    async with smtp_server(Mailbox(), tls=server, implicit=True) as mailbox:
        relay = Relay.parse(f"smtps://127.0.0.1:{mailbox.port}")
        patient = await world.holder(database)
        async with database.write() as work:
            await telling.addresses.request_code(patient, work, telling.CODES, "a@example.org")
        await telling.deliver(database, MailSender(relay, telling.SENDER, telling.LINK, client))
        assert [mail["To"] for mail in mailbox.mails] == ["a@example.org"]


async def test_a_server_without_starttls_gets_nothing(
    database: Database, mailbox: Mailbox, told: Patient
) -> None:
    await telling.tell(database, told)
    relay = Relay("smtp+starttls", "127.0.0.1", mailbox.port)
    await run(database, MailSender(relay, telling.SENDER, telling.LINK), telling.CODES)
    assert mailbox.mails == []
    assert [row.state for row in await telling.deliveries(database)] == [QUEUED]


@pytest.mark.parametrize(
    "url",
    [
        "smtp://mail.example.org",
        "smtp://10.0.0.1:25",
        "http://127.0.0.1",
        "smtps://",
        "smtps://h:99999",
        "smtps://u@h",
        "smtps://h/path",
        "nonsense",
        "smtps://[::1",
    ],
)
def test_urls_that_would_send_in_clear_or_lead_nowhere_are_refused(url: str) -> None:
    with pytest.raises(UserMistake, match="CARNET_SMTP_URL"):
        Relay.parse(url)


def test_urls_of_relays() -> None:
    assert Relay.parse("smtp://localhost") == Relay("smtp", "localhost", 25)
    assert Relay.parse("smtp://[::1]:2525") == Relay("smtp", "::1", 2525)
    assert Relay.parse("smtps://u:p%40@h") == Relay("smtps", "h", 465, "u", "p@")
    assert Relay.parse("smtp+starttls://h") == Relay("smtp+starttls", "h", 587)


async def test_a_process_that_stops_lets_the_mail_of_the_moment_go_through(
    database: Database, mailbox: Mailbox, told: Patient
) -> None:
    await telling.tell(database, told)
    mailbox.may_answer.clear()
    running = asyncio.create_task(run(database, telling.mail_sender(mailbox), telling.CODES))
    async with asyncio.timeout(20):
        await mailbox.until(at_once=1)
    running.cancel()
    mailbox.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [row.state for row in await telling.deliveries(database)] == [SENT]
    assert len(mailbox.mails) == 1
