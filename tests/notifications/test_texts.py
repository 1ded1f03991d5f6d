"""What is sent says that something awaits, and nothing of what it is or whom it is about."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import telling
import world
from mailing import Mailbox, smtp_server
from pushing import PushService, push_service
from sqlalchemy import inspect, select

from carnet.notifications import texts
from carnet.notifications.actions import Notice, notify, notify_all
from carnet.notifications.preferences import set_preferences
from carnet.notifications.tables import (
    DeliveryMessage,
    Destination,
    Locale,
    NotificationKind,
)
from carnet.people.actor import Patient
from carnet.people.tables import Account, Person
from carnet.records.tables import Record
from carnet.store.database import Database

KINDS = [kind for kind in NotificationKind if kind is not NotificationKind.VOLUME_ALARM]


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with smtp_server(Mailbox()) as served:
        yield served


async def values_of(database: Database, patient: Patient, document_id: UUID) -> set[str]:
    """Return every value that the database holds of a person and their record."""
    from carnet.documents.tables import Document

    found: set[str] = set()
    statements: list[Any] = [
        select(Person).where(Person.id == patient.person_id),
        select(Account).where(Account.person_id == patient.person_id),
        select(Record).where(Record.person_id == patient.person_id),
        select(Document).where(Document.id == document_id),
        select(Destination).where(Destination.person_id == patient.person_id),
    ]
    async with database.read() as work:
        for statement in statements:
            for row in await work.session.scalars(statement):
                for column in inspect(row).mapper.column_attrs:
                    value = getattr(row, column.key)
                    for each in value if isinstance(value, list) else [value]:
                        text = str(getattr(each, "text", each))
                        is_word = isinstance(each, Enum)  # such as OPEN, which is said in general
                        if each is not None and not is_word and len(text) > 3:
                            found |= {text.casefold(), text.casefold().replace("-", "")}
    return found - {"true", "false"}


@pytest.mark.parametrize("locale", Locale)
async def test_no_value_of_a_record_reaches_a_text(
    database: Database, mailbox: Mailbox, tmp_path: Path, locale: Locale
) -> None:
    patient = await world.holder(database, ins="280050000000001")
    record_id = await world.record_of(database, patient)
    document_id = await world.document(database, record_id, title="Sérologie VIH positive")
    await telling.with_address(database, mailbox, patient)
    async with push_service(PushService()) as service:
        await telling.with_browser(database, patient, service.browser())
        async with database.write() as work:
            await set_preferences(patient, work, {}, locale)
        for kind in KINDS:
            async with database.write() as work:
                await notify(
                    work, kind, document_id, person_id=patient.person_id, record_id=record_id
                )
                notice = Notice(patient.person_id, kind, work.new_id(), record_id)
                await notify_all(work, [notice])
        mailbox.mails.clear()
        await telling.deliver(database, telling.mail_sender(mailbox))
        await telling.deliver(database, telling.push_sender(tmp_path))
    assert len(mailbox.mails) == len(service.pushed) == 2 * len(KINDS)
    said = [f"{mail['Subject']}\n{mail.get_content()}" for mail in mailbox.mails]
    said += [
        f"{p.payload['title']}\n{p.payload['body']}\n{p.payload['url']}" for p in service.pushed
    ]
    wanted = {texts.notification_text(kind, locale).title for kind in KINDS}
    assert {text.splitlines()[0] for text in said} == wanted
    values = await values_of(database, patient, document_id)
    assert "sérologie vih positive" in values and "dupont" in values
    for text in said:
        assert [value for value in values if value in text.casefold()] == []
        assert re.findall(r"\d", text) == []


@pytest.mark.parametrize("locale", Locale)
@pytest.mark.parametrize("kind", NotificationKind)
def test_every_kind_has_a_text_that_fits_a_lock_screen(
    kind: NotificationKind, locale: Locale
) -> None:
    text = texts.notification_text(kind, locale)
    assert 10 < len(text.title) <= 60
    assert 20 < len(text.body) <= 200
    assert not re.search(r"[{}<>\n]", text.title + text.body)


def test_the_two_languages_differ() -> None:
    for kind in NotificationKind:
        french, english = [
            texts.notification_text(kind, locale) for locale in (Locale.FR, Locale.EN)
        ]
        assert french.title != english.title and french.body != english.body
    for locale in Locale:
        code = texts.text_of(DeliveryMessage.EMAIL_CODE, None, locale, "012345", 30)
        assert "012345" in code.body and "30 minutes" in code.body
        assert "012345" not in code.title
        retired = texts.text_of(DeliveryMessage.EMAIL_RETIRED, None, locale, None, 30)
        assert retired == texts.retired_text(locale)


async def test_each_is_told_in_their_language(database: Database, mailbox: Mailbox) -> None:
    patient, other = [await world.holder(database) for _ in range(2)]
    await telling.with_address(database, mailbox, patient, "a@example.org")
    await telling.with_address(database, mailbox, other, "b@example.org")
    async with database.write() as work:
        await set_preferences(other, work, {}, Locale.EN)
    mailbox.mails.clear()
    for each in (patient, other):
        await telling.tell(database, each)
    await telling.deliver(database, telling.mail_sender(mailbox))
    subjects = {mail["To"]: mail["Subject"] for mail in mailbox.mails}
    assert subjects == {
        "a@example.org": "Une archive est prête",
        "b@example.org": "An archive is ready",
    }
