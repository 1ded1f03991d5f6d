"""E-mail over SMTP. The Message-ID is the delivery's, so a mail that is sent again after a crash is
the same mail to servers and readers that look.

What a server says may repeat an address, so only its codes are kept (RFC 5321, RFC 3463).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, formataddr
from ipaddress import ip_address
from typing import Literal
from urllib.parse import unquote, urlsplit

import aiosmtplib

from carnet.errors import UserMistake, ValidationFailed
from carnet.notifications.addresses import mail_address
from carnet.notifications.sending import (
    AT_ONCE,
    ChannelDown,
    Later,
    Outcome,
    Parcel,
    Refused,
    Sent,
)
from carnet.notifications.tables import Channel

ANSWER_WITHIN = 10  # seconds, to each command
OF_A_CONNECTION = 50  # messages; servers end connections that go on for long
SENDER_NAME = "Carnet"
NO_MAILBOX = {550, 551, 553}

_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


@dataclass(frozen=True, slots=True)
class Relay:
    """The mail server that takes our mails. The password stays out of the repr."""

    scheme: Literal["smtp", "smtp+starttls", "smtps"]
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Relay:
        """Read ``smtp+starttls://user:password@host:587``, ``smtps://…`` or ``smtp://…``.

        Raises:
            UserMistake: it is none of these, or a password or mail would cross a network in clear.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise UserMistake("CARNET_SMTP_URL is no URL.") from None
        if parts.scheme not in _PORTS or not host or parts.path.strip("/") or parts.query:
            raise UserMistake(
                "CARNET_SMTP_URL must be smtp+starttls://user:password@host:587,"
                " smtps://user:password@host or, on this machine, smtp://localhost."
            )
        if parts.scheme == "smtp" and not _is_loopback(host):
            raise UserMistake(
                "CARNET_SMTP_URL: smtp:// is for a server on this machine; to another one, mails"
                " go with smtp+starttls:// or smtps://."
            )
        if (parts.username is None) != (parts.password is None):
            raise UserMistake("CARNET_SMTP_URL has a user or a password, and needs both or none.")
        return cls(
            scheme=parts.scheme,  # type: ignore[arg-type]  # one of _PORTS
            host=host,
            port=port or _PORTS[parts.scheme],
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class MailSender:
    """Sends e-mails through a relay.

    Args:
        relay: who takes them.
        sender: the address they come from.
        link: the address of the app.
        tls: how servers prove who they are; by default as this machine trusts.
    """

    channel = Channel.EMAIL

    def __init__(
        self, relay: Relay, sender: str, link: str, tls: ssl.SSLContext | None = None
    ) -> None:
        try:
            self.sender = mail_address(sender)
        except ValidationFailed:
            raise UserMistake("CARNET_MAIL_FROM is no e-mail address.") from None
        self.relay = relay
        self.link = link
        self._tls = tls or ssl.create_default_context()

    @asynccontextmanager
    async def run(self) -> AsyncIterator[MailRun]:
        """Open connections as they are needed, and close them."""
        run = MailRun(self)
        try:
            yield run
        finally:
            await run.close()

    def message(self, parcel: Parcel) -> EmailMessage:
        """Return the mail."""
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"] = formataddr((SENDER_NAME, self.sender))
        mail["To"] = parcel.address
        mail["Subject"] = parcel.text.title
        mail["Date"] = format_datetime(datetime.now(UTC))  # of the wire, not of the sandbox
        mail["Message-ID"] = f"<{parcel.id}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        mail.set_content(f"{parcel.text.body}\n\n{self.link}\n", cte="quoted-printable")
        return mail

    async def connect(self) -> aiosmtplib.SMTP:
        """Return an open, secured and signed-in connection.

        Raises:
            ChannelDown: the server is out of reach or does not let us in.
        """
        client = aiosmtplib.SMTP(
            hostname=self.relay.host,
            port=self.relay.port,
            username=self.relay.user,
            password=self.relay.password,
            local_hostname=self.sender.rpartition("@")[2],
            timeout=ANSWER_WITHIN,
            use_tls=self.relay.scheme == "smtps",
            start_tls=self.relay.scheme == "smtp+starttls",
            tls_context=None if self.relay.scheme == "smtp" else self._tls,
        )
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            client.close()
            raise ChannelDown(_name(error)) from None
        except asyncio.CancelledError:  # it took too long, or the process stops
            client.close()
            raise
        return client


class MailRun:
    """Some mails over a few connections."""

    def __init__(self, sender: MailSender) -> None:
        self._sender = sender
        self._idle: list[tuple[aiosmtplib.SMTP, int]] = []
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def send(self, parcel: Parcel) -> Outcome:
        """Send one mail; see `carnet.notifications.sending.Run`."""
        async with self._slots:
            client, used = self._idle.pop() if self._idle else (await self._sender.connect(), 0)
            is_whole = False
            try:
                await client.send_message(
                    self._sender.message(parcel),
                    sender=self._sender.sender,
                    recipients=[parcel.address],
                )
                is_whole = True
                return Sent()
            except aiosmtplib.SMTPSenderRefused as error:  # of us, not of the recipient
                raise ChannelDown(_name(error)) from None
            except aiosmtplib.SMTPRecipientsRefused as error:
                is_whole = True
                return _of_recipient(error.recipients[0])
            except aiosmtplib.SMTPResponseException as error:
                is_whole = error.code != 421  # the server ends the connection
                failure = _name(error)
                return Refused(failure) if 500 <= error.code < 600 else Later(failure)
            except (aiosmtplib.SMTPException, OSError) as error:
                return Later(_name(error))
            finally:
                if is_whole and client.is_connected and used + 1 < OF_A_CONNECTION:
                    self._idle.append((client, used + 1))
                else:
                    client.close()

    async def close(self) -> None:
        """Say goodbye to the server."""
        while self._idle:
            client, _ = self._idle.pop()
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit(timeout=1)
            client.close()


def _of_recipient(refused: aiosmtplib.SMTPRecipientRefused) -> Outcome:
    """Tell a mailbox that does not exist from one that is full or a server that declines."""
    failure = _name(refused)
    if not 500 <= refused.code < 600:
        return Later(failure)
    enhanced = _ENHANCED.match(refused.message)
    if enhanced:
        return Refused(failure, is_undeliverable=enhanced[1].startswith("5.1."))
    return Refused(failure, is_undeliverable=refused.code in NO_MAILBOX)


def _name(error: BaseException) -> str:
    """Return the kind of an error, and a server's code, without its words."""
    code = getattr(error, "code", None)
    return type(error).__name__ + (f" {code}" if isinstance(code, int) else "")
