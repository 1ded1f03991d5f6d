"""Web Push, against a real push service that opens what the browser would get."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest
import telling
import world
from pushing import Browser, PushService, push_service

from carnet.clock import MovableClock
from carnet.errors import NotFound, QuotaExceeded, UserMistake, ValidationFailed
from carnet.notifications import devices
from carnet.notifications.actions import notify
from carnet.notifications.devices import DEVICES_LIMIT, EndpointRules
from carnet.notifications.push import PushSender, is_public, public_socket
from carnet.notifications.rules import FIRST_BACKOFF, NOTIFICATION_LIFE
from carnet.notifications.tables import DeliveryState, NotificationKind
from carnet.notifications.vapid import TOKEN_LIFE, VapidKey
from carnet.people.actor import Anonymous
from carnet.store.database import Database

SENT, QUEUED, REFUSED = DeliveryState.SENT, DeliveryState.QUEUED, DeliveryState.REFUSED


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with push_service(PushService()) as served:
        yield served


@pytest.fixture
def sender(tmp_path: Path) -> PushSender:
    return telling.push_sender(tmp_path)


async def test_each_browser_can_open_what_it_gets_and_nobody_else(
    database: Database, service: PushService, sender: PushSender
) -> None:
    patient = await world.holder(database)
    browsers = [service.browser() for _ in range(3)]
    for browser in browsers:
        await telling.with_browser(database, patient, browser)
    async with database.write() as work:
        record_id = await telling.notify_about_the_record(work, patient)
    await telling.deliver(database, sender)
    await telling.deliver(database, sender)
    rows = await telling.deliveries(database)
    assert [(row.state, row.attempts) for row in rows] == [(SENT, 1)] * 3
    assert len(service.pushed) == 3
    for pushed in service.pushed:
        assert pushed.payload == {
            "title": "Un accès en urgence a eu lieu",
            "body": "Un carnet de santé a été ouvert en urgence. Connectez-vous pour voir par qui"
            " et pourquoi.",
            "url": telling.LINK,
            "tag": rows[0].notification_id.hex if rows[0].notification_id else None,
        }
        assert len(pushed.raw) == 1024  # its length tells nothing
        assert pushed.headers["Topic"] == pushed.payload["tag"]
        assert pushed.headers["Urgency"] == "high"
        assert 0 < int(pushed.headers["TTL"]) <= NOTIFICATION_LIFE.total_seconds()
        assert pushed.signed_with == sender.key.public_key
        assert pushed.claims["sub"] == f"mailto:{telling.SENDER}"
        assert 0 < pushed.claims["exp"] - time.time() <= TOKEN_LIFE
        assert record_id.hex not in str(pushed).replace("-", "")


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_ended_is_forgotten(
    database: Database, service: PushService, sender: PushSender, status: int
) -> None:
    patient = await world.holder(database)
    gone, there = service.browser(), service.browser()
    await telling.with_browser(database, patient, gone)
    service.answers = [(status, {})]
    await telling.tell(database, patient)
    await telling.deliver(database, sender)
    assert await telling.destinations(database) == []
    assert await telling.deliveries(database) == []
    await telling.with_browser(database, patient, there)
    await telling.tell(database, patient)
    await telling.deliver(database, sender)
    assert len(service.pushed) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 408])
async def test_a_service_that_is_busy_is_asked_again_when_it_wants(
    database: Database,
    service: PushService,
    sender: PushSender,
    clock: MovableClock,
    status: int,
) -> None:
    patient = await world.holder(database)
    await telling.with_browser(database, patient, service.browser())
    service.answers = [(status, {"Retry-After": "3600"}), (status, {"Retry-After": "soon"})]
    await telling.tell(database, patient)
    for wait in (timedelta(hours=1), FIRST_BACKOFF * 2):
        await telling.deliver(database, sender)
        (row,) = await telling.deliveries(database)
        assert (row.state, row.last_error) == (QUEUED, f"HTTP {status}")
        assert wait - timedelta(seconds=20) < row.due_at - clock.now() <= wait
        clock.offset += wait
    await telling.deliver(database, sender)
    assert [row.state for row in await telling.deliveries(database)] == [SENT]
    assert len(service.pushed) == 1


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 413])
async def test_what_a_service_refuses_ends_and_redirects_are_not_followed(
    database: Database, service: PushService, sender: PushSender, status: int
) -> None:
    patient = await world.holder(database)
    await telling.with_browser(database, patient, service.browser())
    other = service.browser()
    service.answers = [(status, {"Location": other.endpoint})]
    await telling.tell(database, patient)
    await telling.deliver(database, sender)
    (row,) = await telling.deliveries(database)
    assert (row.state, row.last_error) == (REFUSED, f"HTTP {status}")
    (destination,) = await telling.destinations(database)
    assert destination.refused_at is not None
    assert (service.requests, service.pushed) == (1, [])


async def test_a_service_that_is_away_and_comes_back(
    database: Database, tmp_path: Path, clock: MovableClock
) -> None:
    service = PushService()
    sender = telling.push_sender(tmp_path)
    patient = await world.holder(database)
    async with push_service(service):
        browser = service.browser()
    await telling.with_browser(database, patient, browser)
    await telling.tell(database, patient, times=3)
    await telling.deliver(database, sender)
    rows = await telling.deliveries(database)
    assert {(row.state, row.attempts, row.leased_by) for row in rows} == {(QUEUED, 1, None)}
    async with push_service(service):
        clock.offset += FIRST_BACKOFF
        await telling.deliver(database, sender)
    assert len({pushed.payload["tag"] for pushed in service.pushed}) == len(service.pushed) == 3


async def test_a_service_that_never_answers_is_left_after_a_time(
    database: Database,
    service: PushService,
    sender: PushSender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("carnet.notifications.delivering.SEND_WITHIN", 0.2)
    patient = await world.holder(database)
    await telling.with_browser(database, patient, service.browser())
    await telling.tell(database, patient)
    service.may_answer.clear()
    async with asyncio.timeout(10):
        await telling.deliver(database, sender)
    (row,) = await telling.deliveries(database)
    assert (row.state, row.last_error) == (QUEUED, "TimeoutError")
    service.may_answer.set()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 — the address itself
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "2001:db8::1",
    ],
)
def test_no_connection_is_made_to_what_is_not_public(address: str) -> None:
    assert not is_public(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(PermissionError):
        public_socket((family, socket.SOCK_STREAM, 0, "", (address, 443)))


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"])
def test_public_addresses_are(address: str) -> None:
    assert is_public(address)


async def test_a_name_that_leads_to_this_machine_is_not_connected_to(
    database: Database, service: PushService, tmp_path: Path
) -> None:
    sender = telling.push_sender(tmp_path)
    patient = await world.holder(database)
    await telling.with_browser(database, patient, service.browser())
    await telling.tell(database, patient)
    strict = PushSender(sender.key, sender.contact, sender.link, _Anything())
    await telling.deliver(database, strict)
    (row,) = await telling.deliveries(database)
    assert (row.state, row.attempts) == (QUEUED, 1)
    assert row.last_error == aiohttp.ClientConnectorError.__name__
    assert service.requests == 0
    await telling.deliver(
        database, PushSender(sender.key, sender.contact, sender.link, EndpointRules())
    )
    assert service.requests == 0


class _Anything(EndpointRules):
    """Takes every endpoint, so that the connection is what refuses it."""

    def check(self, endpoint: str) -> str:
        return endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com@evil.example/x",
        "https://evil.example/fcm.googleapis.com",
        "https://fcm.googleapis.com.evil.example/x",
        "https://push.apple.com/x",
        "https://xpush.apple.com/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://127.1/x",
        "https://localhost/x",
        "https://fcm.googleapis.com/x#y",
        "https://fcm.googleapis.com\\@evil.example/x",
        "https://fcm.googleapis.com/x y",
        "https://fcm.googleapis.com/x\r\nHost: evil",
        "https://fcm.googleapis.com:x/",
        "https://[/",
        "https:///x",
        "file:///etc/passwd",
        "",
        "https://fcm.googleapis.com/" + "x" * 2000,
    ],
)
async def test_endpoints_elsewhere_are_refused_and_not_repeated(
    database: Database, endpoint: str
) -> None:
    patient = await world.holder(database)
    browser = Browser(endpoint)
    for rules in (EndpointRules(), EndpointRules(hosts=(*devices.USUAL_HOSTS, "127.1", "[::1]"))):
        with pytest.raises(ValidationFailed) as refused:
            async with database.write() as work:
                await devices.add_device(
                    patient,
                    work,
                    rules,
                    endpoint=endpoint,
                    p256dh=browser.p256dh,
                    auth=browser.auth,
                )
        assert refused.value.path == ("endpoint",)
        assert not endpoint or endpoint not in refused.value.message
    assert await telling.destinations(database) == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/abc:def",
        "https://web.push.apple.com/QAbc",
        "https://updates.push.services.mozilla.com:443/wpush/v2/x",
        "https://wns2-par02p.notify.windows.com/w/?token=x",
    ],
)
def test_endpoints_of_the_usual_services_are_taken(endpoint: str) -> None:
    assert EndpointRules().check(endpoint) == endpoint
    assert EndpointRules(hosts=("*",)).check(endpoint) == endpoint
    with pytest.raises(ValidationFailed):
        EndpointRules(hosts=("push.example.org",)).check(endpoint)


async def test_keys_that_are_none_are_refused(database: Database, service: PushService) -> None:
    patient = await world.holder(database)
    browser = service.browser()
    for p256dh, auth, field in [
        (browser.p256dh[:-1], browser.auth, "p256dh"),
        (b"\x04" + bytes(64), browser.auth, "p256dh"),
        (b"", browser.auth, "p256dh"),
        (browser.p256dh, browser.auth[:-1], "auth"),
        (browser.p256dh, bytes(1000), "auth"),
    ]:
        with pytest.raises(ValidationFailed) as refused:
            async with database.write() as work:
                await devices.add_device(
                    patient,
                    work,
                    telling.LOCAL,
                    endpoint=browser.endpoint,
                    p256dh=p256dh,
                    auth=auth,
                )
        assert refused.value.path == (field,)
    assert await telling.destinations(database) == []


async def test_the_same_endpoint_again_has_new_keys_and_follows_who_adds_it(
    database: Database, service: PushService, sender: PushSender
) -> None:
    patient, other = [await world.holder(database) for _ in range(2)]
    browser = service.browser()
    first = await telling.with_browser(database, patient, browser)
    renewed = Browser(browser.endpoint)
    service.browsers[browser.endpoint.removeprefix(service.origin)] = renewed
    assert await telling.with_browser(database, patient, renewed) == first
    await telling.tell(database, patient)
    await telling.deliver(database, sender)
    assert len(service.pushed) == 1
    await telling.with_browser(database, other, renewed)
    (destination,) = await telling.destinations(database)
    assert destination.person_id == other.person_id
    await telling.tell(database, patient)
    await telling.deliver(database, sender)
    assert len(service.pushed) == 1


@pytest.mark.parametrize("former", [world.holder, world.professional])
@pytest.mark.parametrize("later", [world.holder, world.professional])
async def test_a_shared_browser_follows_who_signs_in_there(
    database: Database, service: PushService, sender: PushSender, former: Any, later: Any
) -> None:
    first, second = await former(database), await later(database)
    browser = service.browser()
    was = await telling.with_browser(database, first, browser)
    await tell(database, first)
    now = await telling.with_browser(database, second, browser)
    assert now != was
    await tell(database, first)
    await tell(database, second)
    await telling.deliver(database, sender)
    assert len(service.pushed) == 1  # also of what was queued before
    (destination,) = await telling.destinations(database)
    assert destination.id == now
    assert second in (await owners(database, [first, second]))[now]
    for id_ in (was, now, uuid4()):  # to the first, it is as if it never was
        with pytest.raises(NotFound):
            async with database.write() as work:
                await devices.remove_device(first, work, id_)


@pytest.mark.parametrize("knows", ["nothing else", "p256dh", "auth"])
@pytest.mark.parametrize("thief", [world.holder, world.professional])
async def test_who_knows_an_endpoint_but_not_both_keys_takes_nothing(
    database: Database, service: PushService, sender: PushSender, thief: Any, knows: str
) -> None:
    patient, stranger = await world.holder(database), await thief(database)
    browser = service.browser()
    was = await telling.with_browser(database, patient, browser)
    forged = Browser(browser.endpoint)
    if knows == "p256dh":
        forged = Browser(browser.endpoint, key=browser.key)
    elif knows == "auth":
        forged = Browser(browser.endpoint, auth=browser.auth)
    taken = await telling.with_browser(database, stranger, forged)
    assert taken != was
    assert await telling.with_browser(database, stranger, forged) == taken  # as any of theirs
    owned = await owners(database, [patient, stranger])
    assert owned == {was: [patient], taken: [stranger]}
    await tell(database, patient)
    await telling.deliver(database, sender)
    assert len(service.pushed) == 1
    assert await telling.with_browser(database, patient, browser) == was
    async with database.write() as work:
        await devices.remove_device(stranger, work, taken)
    assert [row.id for row in await telling.destinations(database)] == [was]


async def test_an_endpoint_that_somebody_squats_works_for_whose_browser_it_is(
    database: Database, service: PushService, sender: PushSender
) -> None:
    stranger, patient = [await world.holder(database) for _ in range(2)]
    browser = service.browser()
    await telling.with_browser(database, stranger, Browser(browser.endpoint))
    await telling.with_browser(database, patient, browser)
    await tell(database, patient)
    await telling.deliver(database, sender)
    assert len(service.pushed) == 1


async def test_one_browser_added_by_many_at_once_follows_one_of_them(
    database: Database, service: PushService
) -> None:
    people = [await world.holder(database) for _ in range(3)]
    people += [await world.professional(database) for _ in range(3)]  # type: ignore[misc]
    browser = service.browser()
    made = await asyncio.gather(
        *(telling.with_browser(database, each, browser) for each in people * 2)
    )
    (destination,) = await telling.destinations(database)
    assert destination.id in made


async def tell(database: Database, who: Any) -> None:
    """Tell a patient or a professional something."""
    async with database.write() as work:
        await notify(
            work,
            NotificationKind.EMERGENCY_ACCESS,
            work.new_id(),
            person_id=getattr(who, "person_id", None),
            professional_id=getattr(who, "professional_id", None),
        )


async def owners(database: Database, among: list[Any]) -> dict[UUID, list[Any]]:
    """Return whose each destination is."""
    return {
        row.id: [
            who
            for who in among
            if (row.person_id or row.professional_id)
            == getattr(who, "person_id", getattr(who, "professional_id", None))
        ]
        for row in await telling.destinations(database)
    }


async def test_browsers_are_bounded_also_when_they_come_at_once(
    database: Database, service: PushService
) -> None:
    patient = await world.holder(database)
    made = await asyncio.gather(
        *(
            telling.with_browser(database, patient, service.browser())
            for _ in range(DEVICES_LIMIT + 5)
        ),
        return_exceptions=True,
    )
    refused = [each for each in made if isinstance(each, BaseException)]
    assert [type(each) for each in refused] == [QuotaExceeded] * 5
    assert len(await telling.destinations(database)) == DEVICES_LIMIT


async def test_only_the_owner_removes_a_browser(database: Database, service: PushService) -> None:
    patient, other = [await world.holder(database) for _ in range(2)]
    device_id = await telling.with_browser(database, patient, service.browser())
    with pytest.raises(NotFound):
        async with database.write() as work:
            await devices.remove_device(other, work, device_id)
    assert len(await telling.destinations(database)) == 1
    async with database.write() as work:
        assert await devices.remove_device(patient, work, device_id) == device_id
    assert await telling.destinations(database) == []


async def test_endpoints_are_in_no_log(
    database: Database,
    service: PushService,
    sender: PushSender,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    patient = await world.holder(database)
    browser = service.browser()
    await telling.with_browser(database, patient, browser)
    secret = browser.endpoint.rpartition("/")[2]
    service.answers = [(503, {}), (400, {})]
    await telling.tell(database, patient, times=3)
    await telling.deliver(database, sender)
    assert len(await telling.deliveries(database)) == 3
    assert secret not in caplog.text.replace("asyncpg", "")
    assert browser.keys["auth"] not in caplog.text


def test_a_vapid_key_is_one_of_the_usual_tools(tmp_path: Path) -> None:
    file = tmp_path / "vapid"
    file.write_text("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94\n")
    file.chmod(0o600)
    key = VapidKey.open(file, tmp_path, may_create=False)
    assert key is not None
    # The pair of keys in RFC 8291, 5.
    assert key.public_key == (
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    )
    file.write_text("A" * 43 + "\n")
    with pytest.raises(UserMistake, match="no private key"):
        VapidKey.open(file, tmp_path, may_create=False)
    assert VapidKey.open(None, tmp_path, may_create=False) is None
    made = VapidKey.open(None, tmp_path, may_create=True)
    again = VapidKey.open(None, tmp_path, may_create=True)
    assert made is not None and again is not None and made.public_key == again.public_key


async def test_nobody_adds_a_browser(database: Database, service: PushService) -> None:
    with pytest.raises(Exception, match="Sign in first"):
        await telling.with_browser(database, Anonymous(), service.browser())


async def test_professionals_are_told_too(
    database: Database, service: PushService, sender: PushSender
) -> None:
    doctor = await world.professional(database)
    await telling.with_browser(database, doctor, service.browser())
    async with database.write() as work:
        await notify(
            work,
            NotificationKind.EMERGENCY_ACCESS,
            work.new_id(),
            professional_id=doctor.professional_id,
        )
        await notify(work, NotificationKind.VOLUME_ALARM, work.new_id())  # operators: the app only
    await telling.deliver(database, sender)
    assert [pushed.payload["title"] for pushed in service.pushed] == [
        "Un accès en urgence a eu lieu"
    ]
