"""A real SMTP server in this process, which answers as it is told."""

from __future__ import annotations

import asyncio
import datetime
import email
import email.policy
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "carnet", "p@ss word/1"


class Mailbox:
    """What arrived, and what the server answers next."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.answers: dict[str, list[str]] = {"MAIL": [], "RCPT": [], "DATA": []}
        self.refuses: dict[str, str] = {}  # answers to RCPT, by address, each time
        self.dies_in_data = 0  # how many mails are cut off in the middle
        self.sessions = 0
        self.at_once = self.most_at_once = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.news = asyncio.Condition()
        self.was_secure: list[bool] = []
        self.was_signed_in: list[bool] = []

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for mail in self.mails]

    async def handle_MAIL(
        self, server: Any, session: Any, envelope: Any, address: str, o: Any
    ) -> str:
        if self.answers["MAIL"]:
            return self.answers["MAIL"].pop(0)
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, o: Any
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        if self.answers["RCPT"]:
            return self.answers["RCPT"].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self._tell()
            await self.may_answer.wait()
        finally:
            self.at_once -= 1
        if self.answers["DATA"]:
            return self.answers["DATA"].pop(0)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.recipients.append(envelope.rcpt_tos)
        self.was_secure.append(session.ssl is not None)
        self.was_signed_in.append(bool(session.authenticated))
        await self._tell()
        return "250 OK"

    async def until(self, *, mails: int = 0, at_once: int = 0) -> None:
        """Wait until so many mails came, and so many are just coming."""
        async with asyncio.timeout(60), self.news:
            await self.news.wait_for(lambda: len(self.mails) >= mails and self.at_once >= at_once)

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()


class _Dying(SMTP):
    """Hangs up after the first lines of a mail, as often as the mailbox says."""

    async def smtp_DATA(self, arg: str) -> None:
        mailbox: Mailbox = self.event_handler
        if not mailbox.dies_in_data:
            await super().smtp_DATA(arg)
            return
        mailbox.dies_in_data -= 1
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        await self._reader.readline()
        self.transport.abort()


@asynccontextmanager
async def smtp_server(
    mailbox: Mailbox,
    *,
    tls: ssl.SSLContext | None = None,
    implicit: bool = False,
    auth: bool = False,
) -> AsyncIterator[Mailbox]:
    """Serve on loopback; on the same port again when the mailbox was served before."""
    loop = asyncio.get_running_loop()
    sessions: set[_Dying] = set()

    def authenticate(
        server: Any, session: Any, envelope: Any, mechanism: str, given: Any
    ) -> AuthResult:
        is_right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)

    def make() -> SMTP:
        mailbox.sessions += 1
        session = _Dying(
            mailbox,
            hostname="mail.example.org",
            tls_context=None if implicit else tls,
            require_starttls=tls is not None and not implicit,
            authenticator=authenticate if auth else None,
            auth_required=auth,
            auth_require_tls=not implicit and tls is not None,
            loop=loop,
        )
        sessions.add(session)
        return session

    server = await loop.create_server(
        make, "127.0.0.1", mailbox.port, ssl=tls if implicit else None, reuse_address=True
    )
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        for session in sessions:
            if session.transport is not None:
                session.transport.abort()
        await server.wait_closed()


def certificates(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return contexts of a server with a certificate of its own, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False), True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=file)
