"""An address gets notifications when its code was given, and the former one is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import telling
import world
from mailing import Mailbox, smtp_server
from sqlalchemy import func, select

from carnet.clock import MovableClock
from carnet.errors import NotFound, RateLimited, Unauthenticated, ValidationFailed
from carnet.notifications import addresses
from carnet.notifications.codes import Codes
from carnet.notifications.delivering import forget
from carnet.notifications.rules import CODE_LIFE, CODE_TRIES, CODES_OF_RECIPIENT, CODES_WINDOW
from carnet.notifications.tables import (
    CodeRequest,
    DeliveryMessage,
    DeliveryState,
    DestinationState,
)
from carnet.people.actor import CONSOLE, Actor, Anonymous
from carnet.store.database import Database

S = DestinationState


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with smtp_server(Mailbox()) as served:
        yield served


async def ask(database: Database, actor: Actor, address: str = "alix@example.org") -> None:
    async with database.write() as work:
        await addresses.request_code(actor, work, telling.CODES, address)


async def answer(database: Database, actor: Actor, code: str) -> None:
    counted = await addresses.count_try(actor, database)
    async with database.write() as work:
        await addresses.confirm(actor, work, telling.CODES, counted, code)


async def states(database: Database) -> list[DestinationState]:
    return [row.state for row in await telling.destinations(database)]


async def test_before_the_code_is_given_nothing_goes_to_the_address(
    database: Database, mailbox: Mailbox
) -> None:
    patient = await world.holder(database)
    await ask(database, patient, "  Alix.Dupont+carnet@Example.ORG ")
    await telling.tell(database, patient)
    sender = telling.mail_sender(mailbox)
    await telling.deliver(database, sender)
    assert mailbox.recipients == [["Alix.Dupont+carnet@example.org"]]
    await answer(
        database, patient, f" {telling.code_in(mailbox)[:3]} {telling.code_in(mailbox)[3:]}"
    )
    assert await states(database) == [S.ACTIVE]
    await telling.tell(database, patient)
    await telling.deliver(database, sender)
    assert [mail["Subject"] for mail in mailbox.mails] == [
        "Votre code de confirmation",
        "Une archive est prête",
    ]


async def test_a_wrong_code_is_wrong_five_times_and_then_the_right_one_too(
    database: Database, mailbox: Mailbox
) -> None:
    patient = await world.holder(database)
    await ask(database, patient)
    await telling.deliver(database, telling.mail_sender(mailbox))
    right = telling.code_in(mailbox)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for code in [wrong] * CODE_TRIES + [right]:
        with pytest.raises(ValidationFailed) as refused:
            await answer(database, patient, code)
        assert refused.value.path == ("code",) and right not in refused.value.message
    assert await states(database) == [S.PENDING]
    (pending,) = await telling.destinations(database)
    assert pending.tries == CODE_TRIES


async def test_tries_at_once_are_counted_all(database: Database, mailbox: Mailbox) -> None:
    patient = await world.holder(database)
    await ask(database, patient)
    counted = await asyncio.gather(*(addresses.count_try(patient, database) for _ in range(20)))
    assert len([each for each in counted if each is not None]) == CODE_TRIES


async def test_a_code_ends_and_only_the_newest_is_right(
    database: Database, mailbox: Mailbox, clock: MovableClock
) -> None:
    patient = await world.holder(database)
    sender = telling.mail_sender(mailbox)
    codes = []
    for _ in range(2):
        await ask(database, patient)
        await telling.deliver(database, sender)
        codes.append(telling.code_in(mailbox))
    assert codes[0] != codes[1]
    with pytest.raises(ValidationFailed):
        await answer(database, patient, codes[0])
    clock.offset += CODE_LIFE
    with pytest.raises(ValidationFailed):
        await answer(database, patient, codes[1])
    assert await states(database) == [S.PENDING]


async def test_a_code_is_the_actors_own(database: Database, mailbox: Mailbox) -> None:
    patient, other = [await world.holder(database) for _ in range(2)]
    await ask(database, patient)
    await telling.deliver(database, telling.mail_sender(mailbox))
    stolen = telling.code_in(mailbox)
    with pytest.raises(ValidationFailed):
        await answer(database, other, stolen)
    await ask(database, other, "other@example.org")
    with pytest.raises(ValidationFailed):
        await answer(database, other, stolen)
    assert await states(database) == [S.PENDING, S.PENDING]


async def test_codes_are_limited_for_each_asker_and_for_each_address(
    database: Database, clock: MovableClock
) -> None:
    patient = await world.holder(database)
    for number in range(CODES_OF_RECIPIENT):
        await ask(database, patient, f"a{number}@example.org")
    with pytest.raises(RateLimited) as limited:
        await ask(database, patient, "b@example.org")
    assert 3500 < limited.value.retry_after <= 3600
    others = [await world.holder(database) for _ in range(5)]
    done = await asyncio.gather(
        *(ask(database, other, "Victim@example.org") for other in others), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ["NoneType"] * 3 + ["RateLimited"] * 2
    clock.offset += CODES_WINDOW
    await ask(database, patient, "b@example.org")


async def test_a_new_address_is_confirmed_anew_and_the_old_one_is_told(
    database: Database, mailbox: Mailbox
) -> None:
    patient = await world.holder(database)
    sender = telling.mail_sender(mailbox)
    await telling.with_address(database, mailbox, patient, "old@example.org")
    await ask(database, patient, "new@example.org")
    await telling.tell(database, patient)  # still to the old one
    await telling.deliver(database, sender)
    code = next(
        str(mail.get_content()) for mail in mailbox.mails if mail["To"] == "new@example.org"
    )
    await telling.tell(database, patient)  # queued before, sent after
    await answer(database, patient, "".join(filter(str.isdigit, code.split("valable")[0])))
    await telling.tell(database, patient)
    await telling.deliver(database, sender)
    said = [(mail["To"], mail["Subject"]) for mail in mailbox.mails]
    assert sorted(said[1:]) == sorted(
        [
            ("new@example.org", "Votre code de confirmation"),
            ("old@example.org", "Une archive est prête"),
            ("new@example.org", "Une archive est prête"),
            ("new@example.org", "Une archive est prête"),
            ("old@example.org", "Cette adresse ne reçoit plus de notifications"),
        ]
    )
    (left,) = await telling.destinations(database)  # the old one is forgotten
    assert (left.address, left.state) == ("new@example.org", S.ACTIVE)


async def test_what_the_old_address_refuses_meanwhile_goes_to_the_new_one(
    database: Database, mailbox: Mailbox
) -> None:
    patient = await world.holder(database)
    sender = telling.mail_sender(mailbox)
    await telling.with_address(database, mailbox, patient, "old@example.org")
    await ask(database, patient, "new@example.org")
    await telling.deliver(database, sender)
    code = telling.code_in(mailbox)
    await telling.tell(database, patient)
    mailbox.mails.clear()
    mailbox.may_answer.clear()
    mailbox.answers["DATA"] = ["550 5.1.1 gone"]
    running = asyncio.create_task(telling.deliver(database, sender))
    async with asyncio.timeout(20):
        await mailbox.until(at_once=1)
        await answer(database, patient, code)  # while the old server makes up its mind
        mailbox.may_answer.set()
        await running
    assert ("new@example.org", "Une archive est prête") in [
        (mail["To"], mail["Subject"]) for mail in mailbox.mails
    ]


async def test_asking_for_the_address_in_use_sends_nothing(
    database: Database, mailbox: Mailbox
) -> None:
    patient = await world.holder(database)
    await telling.with_address(database, mailbox, patient)
    await ask(database, patient, "ALIX@example.org")
    await telling.deliver(database, telling.mail_sender(mailbox))
    assert len(mailbox.mails) == 1 and await states(database) == [S.ACTIVE]


async def test_an_address_that_is_removed_is_told_and_forgotten(
    database: Database, mailbox: Mailbox
) -> None:
    patient = await world.holder(database)
    await telling.with_address(database, mailbox, patient)
    await telling.tell(database, patient)
    async with database.write() as work:
        await addresses.remove_address(patient, work)
    assert await states(database) == [S.RETIRED]
    await telling.deliver(database, telling.mail_sender(mailbox))
    assert [mail["Subject"] for mail in mailbox.mails[1:]] == [
        "Cette adresse ne reçoit plus de notifications"
    ]
    assert await telling.destinations(database) == []
    assert await telling.deliveries(database) == []
    with pytest.raises(NotFound):
        async with database.write() as work:
            await addresses.remove_address(patient, work)


async def test_no_code_is_kept_and_none_follows_without_the_key(
    database: Database, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    patient = await world.holder(database)
    await ask(database, patient)
    await telling.deliver(database, telling.mail_sender(mailbox))
    code = telling.code_in(mailbox)
    (pending,) = await telling.destinations(database)
    assert telling.CODES.code(pending.id) == code
    assert Codes(b"another").code(pending.id) != code
    held = [str(vars(row)) for row in [pending, *await telling.deliveries(database)]]
    assert not any(f"'{code}'" in text for text in held)
    ours = [each.getMessage() for each in caplog.records if each.name != "mail.log"]  # the server's
    assert not [line for line in ours if "alix" in line or f" {code}" in line]
    assert "alix" not in repr(pending)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alix",
        "alix@",
        "@mail.example",
        "a@b",
        "a b@example.org",
        "a@example.org\r\nBcc: all@example.org",
        "a@example.org,b@example.org",
        "<a@example.org>",
        "a..b@example.org",
        ".a@example.org",
        "a@-example.org",
        "a@example..org",
        "a@127.0.0.1",
        "a@[127.0.0.1]",
        "é@example.org",
        "a@exämple.org",
        f"{'a' * 65}@example.org",
        f"a@{'b' * 64}.org",
        f"a@{'.'.join(['b' * 60] * 5)}.org",
        "a@" + "b." * 100_000 + "org",
        "a\0@example.org",
    ],
)
async def test_what_is_no_address_is_refused_and_not_repeated(
    database: Database, address: str
) -> None:
    patient = await world.holder(database)
    with pytest.raises(ValidationFailed) as refused:
        await ask(database, patient, address)
    assert refused.value.path == ("address",)
    assert not address or address not in refused.value.message
    assert await telling.destinations(database) == []


@pytest.mark.parametrize(
    "address", ["a@b.fr", "o'neil+x@sub.example.museum", "a@xn--exmple-cua.org"]
)
def test_what_is_an_address(address: str) -> None:
    assert addresses.mail_address(f" {address} ") == address


async def test_only_persons_and_professionals_have_addresses(database: Database) -> None:
    publisher = await world.publisher(database)
    for actor, refusal in [
        (Anonymous(), Unauthenticated),
        (CONSOLE, NotFound),
        (publisher, NotFound),
    ]:
        with pytest.raises(refusal):
            await ask(database, actor)
        with pytest.raises(refusal):
            await addresses.count_try(actor, database)
    assert await telling.destinations(database) == []


async def test_what_is_done_with_is_forgotten_in_time(
    database: Database, mailbox: Mailbox, clock: MovableClock
) -> None:
    patient, other = [await world.holder(database) for _ in range(2)]
    await telling.with_address(database, mailbox, patient)
    await ask(database, other, "never@example.org")
    await telling.tell(database, patient)
    await telling.deliver(database, telling.mail_sender(mailbox))
    await telling.tell(database, patient)  # and then the server has no channel any more

    async def left() -> tuple[int, int, int]:
        async with database.read() as work:
            requests = await work.session.scalar(select(func.count()).select_from(CodeRequest))
        rows = await telling.deliveries(database)
        return len(rows), len(await telling.destinations(database)), requests or 0

    await forget(database, {})
    assert await left() == (4, 2, 2)
    clock.offset += timedelta(days=1, minutes=1)
    await forget(database, {})  # gives up the code that nobody sent; then its address can go
    await forget(database, {})
    assert await left() == (3, 1, 0)
    clock.offset += timedelta(days=3)
    await forget(database, {})
    rows = await telling.deliveries(database)
    assert [(row.message, row.state) for row in rows] == [
        (DeliveryMessage.EMAIL_CODE, DeliveryState.SENT),
        (DeliveryMessage.NOTIFICATION, DeliveryState.SENT),
        (DeliveryMessage.NOTIFICATION, DeliveryState.GIVEN_UP),
    ]
    clock.offset += timedelta(days=8)
    await forget(database, {})
    assert await left() == (0, 1, 0)
