"""E-mail over SMTP, through aiosmtplib."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib

from carnet.errors import UserMistake
from carnet.notifications.outcomes import Gone, Refused
from carnet.notifications.texts import Text

TIMEOUT = 20.0  # seconds for each step
PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Mail:
    """Where messages are handed over, and who they are from."""

    host: str
    port: int
    scheme: str
    sender: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, sender: str | None) -> Self:
        """Read ``CARNET_SMTP_URL`` and ``CARNET_MAIL_FROM``.

        Raises:
            UserMistake: they cannot be used; messages in the clear go to this machine only.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise _mistake() from None
        if parts.scheme not in PORTS or not host:
            raise _mistake()
        if parts.scheme == "smtp" and host not in LOOPBACK:
            raise UserMistake("CARNET_SMTP_URL is not encrypted: use smtp+starttls:// or smtps://.")
        if not sender or "@" not in sender or "\n" in sender:
            raise UserMistake("CARNET_MAIL_FROM is the address that messages come from.")
        return cls(
            host,
            port or PORTS[parts.scheme],
            parts.scheme,
            sender,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
        )


class MailSession:
    """One connection to the server, for the messages of a batch; dialled for the first."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self._client: aiosmtplib.SMTP | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()

    async def send(self, id_: UUID, address: str, text: Text, at: datetime) -> None:
        """Hand over one message. Its Message-ID is that of its delivery: sent twice, it is one.

        Raises:
            Gone: the server will never take it for this address.
            Refused: it does not take it now.
        """
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = self._mail.sender
        message["To"] = address
        message["Subject"] = text.title
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{id_}@{self._mail.sender.rpartition('@')[2].rstrip('>')}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text.body)
        try:
            client = await self._connected()
            await client.send_message(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            code = error.recipients[0].code
            raise (Gone if code >= 500 else Refused)(str(code)) from None
        except aiosmtplib.SMTPAuthenticationError as error:
            self._forget()
            raise Refused(str(error.code)) from None
        except aiosmtplib.SMTPResponseException as error:
            self._forget()
            raise (Gone if 550 <= error.code <= 553 else Refused)(str(error.code)) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            self._forget()
            raise Refused(type(error).__name__) from None

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is not None and self._client.is_connected:
            return self._client
        mail = self._mail
        client = aiosmtplib.SMTP(
            hostname=mail.host,
            port=mail.port,
            username=mail.username,
            password=mail.password,
            use_tls=mail.scheme == "smtps",
            start_tls=mail.scheme == "smtp+starttls",
            timeout=TIMEOUT,
        )
        await client.connect()
        self._client = client
        return client

    def _forget(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _mistake() -> UserMistake:
    return UserMistake(
        "CARNET_SMTP_URL looks like smtp+starttls://user:password@host:587 or smtps://host."
    )
