"""Notifications that leave the server: a real SMTP server, a real push service, a real queue."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import uuid4

import graph
import http_ece
import pytest
import world
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import URL, func, select

from carnet.clock import MovableClock
from carnet.errors import UserMistake, ValidationFailed
from carnet.notifications import rules, texts
from carnet.notifications.actions import notify
from carnet.notifications.delivering import Channels, run
from carnet.notifications.mail import Mail
from carnet.notifications.push import Push
from carnet.notifications.tables import (
    Channel,
    Delivery,
    Destination,
    Language,
    NotificationKind,
)
from carnet.people.actor import Patient
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.context import Context

LINK = "https://sante.example.org"
SETTINGS = """{ viewer { ... on Patient { notificationSettings { channels pushPublicKey
  destinations { id channel emailAddress confirmedAt } preferences { kind channel isOn isMandatory }
} } } }"""


class Mailbox:
    """What an SMTP server took, and how it answers."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answers: list[str] = []  # to the next messages; then 250
        self.arrived = asyncio.Event()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        answer = self.answers.pop(0) if self.answers else "250 taken"
        if answer.startswith("250"):
            message = message_from_bytes(envelope.content, policy=policy.default)
            self.taken.append((envelope.rcpt_tos, message))
            self.arrived.set()
        return answer

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address.startswith("gone"):
            return "550 nobody here"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    @property
    def codes(self) -> list[str]:
        found = []
        for _, message in self.taken:
            found += re.findall(r"\b\d{8}\b", message.get_content())
        return found


@asynccontextmanager
async def smtp(mailbox: Mailbox, **options: Any) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop, **options), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Browser:
    """A browser's half of Web Push, and the push service in front of it."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.secret = os.urandom(16)
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.status = 201
        self.arrived = asyncio.Event()
        self.port = 0

    @property
    def subscription(self) -> dict[str, str]:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {
            "endpoint": f"http://127.0.0.1:{self.port}/push/{id(self)}",
            "p256dh": base64.urlsafe_b64encode(point).rstrip(b"=").decode(),
            "auth": base64.urlsafe_b64encode(self.secret).rstrip(b"=").decode(),
        }

    def read(self, body: bytes) -> str:
        return http_ece.decrypt(
            body, private_key=self.key, auth_secret=self.secret, version="aes128gcm"
        ).decode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        raw = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        if self.status == 201:
            self.received.append(({name.lower(): value for name, value in raw.items()}, body))
            self.arrived.set()
        writer.write(f"HTTP/1.1 {self.status} x\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def push_service() -> AsyncIterator[Browser]:
    browser = Browser()
    server = await asyncio.start_server(browser.serve, "127.0.0.1", 0)
    browser.port = server.sockets[0].getsockname()[1]
    try:
        yield browser
    finally:
        server.close()


@pytest.fixture
def push(tmp_path: Path) -> Push:
    opened = Push.open(None, tmp_path, "mailto:ops@example.org", may_create=True, private=True)
    assert opened is not None
    return opened


def channels(port: int | None, push: Push | None = None) -> Channels:
    mail = Mail.of(f"smtp://127.0.0.1:{port}", "carnet@example.org") if port else None
    return Channels(mail, push, LINK, graph.SERVER_KEY)


Ask = Callable[..., Awaitable[Any]]


def asking(database: Database, blobs: BlobStore, set_up: Channels) -> Ask:
    async def ask(actor: Patient, query: str, **variables: Any) -> Any:
        context: Context = graph.context_of(database, blobs, actor)
        context.channels = set_up
        data, errors = await graph.answer(context, query, variables)
        assert errors == [], errors
        return data

    return ask


async def do(ask: Ask, actor: Patient, mutation: str, fields: str = "", **given: Any) -> Any:
    name = mutation[0].upper() + mutation[1:]
    query = (
        f"mutation($input: {name}Input!) {{ {mutation}(input: $input) {{ __typename"
        f" ... on {name}Success {{ {fields} }} ... on UserError {{ code message path }} }} }}"
    )
    return (await ask(actor, query, input=given))[mutation]


async def tell(database: Database, holder: Patient, kind: NotificationKind) -> None:
    async with database.write() as work:
        await notify(work, kind, uuid4(), person_id=holder.person_id)


async def confirmed(
    database: Database, ask: Ask, set_up: Channels, mailbox: Mailbox, holder: Patient, address: str
) -> None:
    answer = await do(ask, holder, "setNotificationEmail", "destination { id }", address=address)
    assert answer["__typename"] == "SetNotificationEmailSuccess", answer
    await run(database, set_up, {})
    answer = await do(
        ask,
        holder,
        "confirmNotificationEmail",
        "destination { confirmedAt }",
        code=mailbox.codes[-1],
    )
    assert answer["__typename"] == "ConfirmNotificationEmailSuccess", answer


async def test_an_address_is_confirmed_then_told_and_the_old_one_hears_of_a_new_one(
    database: Database, blobs: BlobStore
) -> None:
    holder = await world.holder(database)
    mailbox = Mailbox()
    async with smtp(mailbox) as port:
        set_up = channels(port)
        ask = asking(database, blobs, set_up)
        await do(ask, holder, "setNotificationEmail", "destination { id }", address="a@Example.org")
        await tell(database, holder, NotificationKind.EXPORT_READY)
        await run(database, set_up, {})
        assert len(mailbox.taken) == 1, "before it is confirmed an address gets its code only"
        wrong = f"{(int(mailbox.codes[0]) + 1) % 10**8:08d}"
        for _ in range(rules.CODE_TRIES):
            answer = await do(ask, holder, "confirmNotificationEmail", code=wrong)
            assert (answer["code"], answer["path"]) == ("VALIDATION_FAILED", ["code"])
        answer = await do(ask, holder, "confirmNotificationEmail", code=mailbox.codes[0])
        assert answer["code"] == "VALIDATION_FAILED", "tried too often"
        await confirmed(database, ask, set_up, mailbox, holder, "a@example.org")
        await tell(database, holder, NotificationKind.EXPORT_READY)
        await run(database, set_up, {})
        to, message = mailbox.taken[-1]
        assert to == ["a@example.org"] and message["Subject"] == "Votre export est prêt"
        assert LINK in message.get_content()
        assert re.fullmatch(r"<[0-9a-f-]{36}@example.org>", message["Message-ID"])
        await confirmed(database, ask, set_up, mailbox, holder, "b@example.org")
        await run(database, set_up, {})
        assert mailbox.taken[-1][0] == ["a@example.org"]
        assert "adresse a changé" in mailbox.taken[-1][1]["Subject"]
        found = await ask(holder, SETTINGS)
        (one,) = found["viewer"]["notificationSettings"]["destinations"]
        assert one["emailAddress"] == "b@example.org"


async def test_what_is_silenced_stays_in_the_app_and_some_things_cannot_be(
    database: Database, blobs: BlobStore
) -> None:
    holder = await world.holder(database)
    mailbox = Mailbox()
    async with smtp(mailbox) as port:
        set_up = channels(port)
        ask = asking(database, blobs, set_up)
        await confirmed(database, ask, set_up, mailbox, holder, "a@example.org")
        count = len(mailbox.taken)
        for kind in ("EXPORT_READY", "EMERGENCY_ACCESS"):
            answer = await do(
                ask, holder, "setNotificationPreference", kind=kind, channel="EMAIL", isOn=False
            )
            mandatory = NotificationKind(kind) in rules.MANDATORY
            assert ("code" in answer) == mandatory
        for kind in NotificationKind:
            await tell(database, holder, kind)
        await run(database, set_up, {})
        assert len(mailbox.taken) - count == len(NotificationKind) - 1
        found = (await ask(holder, SETTINGS))["viewer"]["notificationSettings"]
        off = [cell["kind"] for cell in found["preferences"] if not cell["isOn"]]
        assert off == ["EXPORT_READY"] and found["channels"] == ["EMAIL"]


async def test_what_is_refused_now_is_sent_later_and_what_is_refused_for_good_ends(
    database: Database, blobs: BlobStore, clock: MovableClock
) -> None:
    holder = await world.holder(database)
    mailbox = Mailbox()
    async with smtp(mailbox) as port:
        set_up = channels(port)
        ask = asking(database, blobs, set_up)
        await confirmed(database, ask, set_up, mailbox, holder, "a@example.org")
        count = len(mailbox.taken)
        mailbox.answers = ["451 later", "421 busy"]
        await tell(database, holder, NotificationKind.EXPORT_READY)
        await run(database, set_up, {})
        await run(database, set_up, {})
        assert len(mailbox.taken) == count, "not before its time"
        for _ in range(2):
            clock.offset += timedelta(minutes=5)
            await run(database, set_up, {})
        assert len(mailbox.taken) == count + 1
    await tell(database, holder, NotificationKind.EXPORT_READY)
    await run(database, set_up, {})  # nobody listens any more
    async with database.read() as work:
        (left,) = await work.session.scalars(select(Delivery).where(Delivery.ended_at.is_(None)))
        assert left.last_error and "example" not in left.last_error
    clock.offset += rules.GIVEN_UP_AFTER + timedelta(days=1)
    await run(database, set_up, {})
    async with database.read() as work:
        waiting = select(func.count()).where(Delivery.ended_at.is_(None))
        assert (await work.session.scalars(waiting)).one() == 0
    async with smtp(mailbox) as port:
        set_up = channels(port)
        await do(
            asking(database, blobs, set_up), holder, "setNotificationEmail", address="gone@e.org"
        )
        await run(database, set_up, {})
        async with database.read() as work:
            ended = select(Destination.ended_at).where(Destination.address == "gone@e.org")
            assert await work.session.scalar(ended) is not None


async def test_mail_is_encrypted_and_signed_in(
    database: Database, blobs: BlobStore, tls: tuple[ssl.SSLContext, Path], monkeypatch: Any
) -> None:
    server_side, certificate = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    holder = await world.holder(database)
    mailbox = Mailbox()
    seen: list[tuple[str, bytes]] = []

    def authenticator(_s: Any, _e: Any, _c: Any, mechanism: str, data: Any) -> AuthResult:
        seen.append((mechanism, data.password))
        return AuthResult(success=data.password == b"p@ss")

    options = {
        "tls_context": server_side,
        "require_starttls": True,
        "authenticator": authenticator,
        "auth_required": True,
    }
    async with smtp(mailbox, hostname="localhost", **options) as port:
        mail = Mail.of(f"smtp+starttls://me:p%40ss@localhost:{port}", "Carnet <c@example.org>")
        set_up = Channels(mail, None, LINK, graph.SERVER_KEY)
        assert "p@ss" not in repr(set_up) and "p@ss" not in repr(mail)
        ask = asking(database, blobs, set_up)
        await confirmed(database, ask, set_up, mailbox, holder, "a@example.org")
        assert seen and seen[0][1] == b"p@ss"


async def test_a_push_is_for_the_browser_alone_and_signed(
    database: Database, blobs: BlobStore, push: Push
) -> None:
    holder = await world.holder(database)
    async with push_service() as browser:
        set_up = channels(None, push)
        ask = asking(database, blobs, set_up)
        answer = await do(
            ask, holder, "addPushSubscription", "destination { id channel }", **browser.subscription
        )
        assert answer["destination"]["channel"] == "WEB_PUSH", answer
        await tell(database, holder, NotificationKind.RESULT_AWAITS)
        await run(database, set_up, {})
        ((headers, body),) = browser.received
        assert "Quelque chose" in browser.read(body) and LINK in browser.read(body)
        assert b"attend" not in body
        scheme, _, fields = headers["authorization"].partition(" ")
        given = dict(part.strip().split("=", 1) for part in fields.split(","))
        assert scheme == "vapid" and given["k"].rstrip("=") == push.public_key
        point = base64.urlsafe_b64decode(given["k"] + "=" * (-len(given["k"]) % 4))
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        claims = jwt.decode(given["t"], ECKey.import_key(key), algorithms=["ES256"]).claims
        assert claims["aud"] == f"http://127.0.0.1:{browser.port}"
        assert claims["sub"] == "mailto:ops@example.org"
        found = (await ask(holder, SETTINGS))["viewer"]["notificationSettings"]
        assert found["pushPublicKey"] == push.public_key
        browser.status = 410
        await tell(database, holder, NotificationKind.RESULT_AWAITS)
        await run(database, set_up, {})
        found = (await ask(holder, SETTINGS))["viewer"]["notificationSettings"]
        assert found["destinations"] == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.org/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://10.0.0.1/x",
        "https://localhost/x",
        "https://intranet/x",
        "https://u:p@push.example.org/x",
        "https://push.example.org/x#y",
        "https://push.example.org:99999/x",
        "ftp://push.example.org",
        "nonsense",
        "",
        "https://push.example.org/" + "x" * 1000,
    ],
)
def test_an_endpoint_leads_to_the_internet_only(endpoint: str) -> None:
    with pytest.raises(ValidationFailed):
        rules.checked_endpoint(endpoint, allows_private=False)


async def test_a_name_that_leads_to_a_private_address_is_not_followed(
    database: Database, blobs: BlobStore, tmp_path: Path
) -> None:
    strict = Push.open(None, tmp_path, LINK, may_create=True, private=False)
    async with push_service() as browser:
        from carnet.notifications.outcomes import Refused
        from carnet.notifications.push import PushSession

        given = browser.subscription
        async with PushSession(strict) as session:
            with pytest.raises(Refused):
                text = texts.of_change(Language.EN, LINK)
                endpoint = f"http://localhost:{browser.port}/"
                await session.send(uuid4(), endpoint, given["p256dh"], given["auth"], text)
        assert browser.received == []


@pytest.mark.parametrize("address", ["", "a", "a@b", "a b@c.de", "a@c.de\nBcc: x@y.z", "é@c.de"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValidationFailed):
        rules.checked_address(address)


@pytest.mark.parametrize(
    ("url", "sender"),
    [
        ("smtp://mail.example.org", "a@b.c"),
        ("http://mail.example.org", "a@b.c"),
        ("smtps://", "a@b.c"),
        ("smtps://h:x", "a@b.c"),
        ("smtps://h", None),
    ],
)
def test_settings_of_mail_that_cannot_be_used(url: str, sender: str | None) -> None:
    with pytest.raises(UserMistake):
        Mail.of(url, sender)


def test_no_text_has_room_for_more_than_a_link() -> None:
    for language in Language:
        for kind in NotificationKind:
            text = texts.of_notification(kind, language, LINK)
            assert text.title and "{" not in text.title + text.body
            assert text.body.count(LINK) == 1
        assert len(
            {texts.of_notification(kind, language, LINK) for kind in NotificationKind}
        ) == len(NotificationKind)


DELIVERER = """
import asyncio, sys
from carnet.notifications.delivering import Channels, run
from carnet.notifications.mail import Mail
from carnet.store.database import Database
async def main():
    database = Database.connect(sys.argv[1])
    mail = Mail.of(f"smtp://127.0.0.1:{sys.argv[2]}", "carnet@example.org")
    await run(database, Channels(mail, None, "https://x", b"k" * 32), {})
asyncio.run(main())
"""


async def test_a_process_that_dies_in_the_middle_loses_none(
    database: Database, blobs: BlobStore, owner_url: URL, clock: MovableClock
) -> None:
    holder = await world.holder(database)
    mailbox = Mailbox()
    async with smtp(mailbox) as port:
        set_up = channels(port)
        ask = asking(database, blobs, set_up)
        await confirmed(database, ask, set_up, mailbox, holder, "a@example.org")
        mailbox.taken.clear()
        mailbox.arrived.clear()
        for _ in range(40):
            await tell(database, holder, NotificationKind.EXPORT_READY)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", DELIVERER),
            owner_url.render_as_string(hide_password=False),
            str(port),
        )
        await asyncio.wait_for(mailbox.arrived.wait(), 30)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        clock.offset += timedelta(hours=1)
        await run(database, set_up, {})
        ids = [message["Message-ID"] for _, message in mailbox.taken]
        assert len(set(ids)) == 40
        assert len(ids) <= 42, "what was under way may come twice, under one id"


async def test_two_processes_send_nothing_twice(database: Database, blobs: BlobStore) -> None:
    holder = await world.holder(database)
    mailbox = Mailbox()
    async with smtp(mailbox) as port:
        set_up = channels(port)
        ask = asking(database, blobs, set_up)
        await confirmed(database, ask, set_up, mailbox, holder, "a@example.org")
        mailbox.taken.clear()
        for _ in range(30):
            await tell(database, holder, NotificationKind.EXPORT_READY)
        await asyncio.gather(*(run(database, set_up, {}) for _ in range(4)))
        ids = [message["Message-ID"] for _, message in mailbox.taken]
        assert len(ids) == len(set(ids)) == 30


async def test_destinations_are_their_owners_alone(database: Database, blobs: BlobStore) -> None:
    holder, stranger = await world.holder(database), await world.holder(database)
    mailbox = Mailbox()
    async with smtp(mailbox) as port:
        ask = asking(database, blobs, channels(port))
        made = await do(
            ask, holder, "setNotificationEmail", "destination { id }", address="a@e.org"
        )
        id_ = made["destination"]["id"]
        assert (await ask(stranger, "query($i: ID!) { node(id: $i) { id } }", i=id_))[
            "node"
        ] is None
        refused = await do(ask, stranger, "removeNotificationDestination", destinationId=id_)
        assert refused["code"] == "NOT_FOUND"
        removed = await do(ask, holder, "removeNotificationDestination", destinationId=id_)
        assert removed["__typename"] == "RemoveNotificationDestinationSuccess"
    async with database.read() as work:
        channel = select(Destination.channel).where(Destination.ended_at.is_not(None))
        assert list(await work.session.scalars(channel)) == [Channel.EMAIL]
