"""``carnet notifications``: a test message, and how the queue stands."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mailing import Mailbox, smtp_server


async def command(
    serve_command: tuple[str, ...], env: dict[str, str], *words: str
) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *serve_command[:-1], "notifications", *words,
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_test_message_arrives_or_the_answer_is_shown(
    serve_command: tuple[str, ...], command_env: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    async with smtp_server(Mailbox()) as mailbox:
        env = command_env(
            tmp_path, CARNET_SMTP_URL=mailbox.url, CARNET_MAIL_FROM="carnet@example.org"
        )
        words = ("test", "--email", "you@example.org")
        assert await command(serve_command, env, *words, "--locale", "en") == (
            0,
            "The mail server took the message; see whether it is in the mailbox.\n",
            "",
        )
        assert [mail["Subject"] for mail in mailbox.mails] == ["Test message"]
        mailbox.answers["RCPT"] = ["550 5.1.1 no you@example.org"]
        code, out, err = await command(serve_command, env, *words)
        assert (code, out) == (1, "")
        assert err == (
            "carnet: The mail server did not take the message: SMTPRecipientRefused 550.\n"
        )
    code, out, err = await command(serve_command, env, *words)
    assert (code, err) == (1, "carnet: The mail server cannot be used: SMTPConnectError.\n")
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["keys"]  # and no database


def test_what_stands_is_shown_without_a_name(carnet: Any) -> None:
    done = carnet("notifications", "status")
    assert (done.code, done.err) == (0, "")
    assert "EMAIL: off\n" in done.out and "WEB_PUSH: on\n" in done.out
    assert "  waiting: 0; 0 of them failed before\n" in done.out
    assert "Public VAPID key: B" in done.out


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "E-mail is off: set CARNET_SMTP_URL, such as smtps://user:password@host."),
        (
            {"CARNET_SMTP_URL": "smtps://h"},
            "CARNET_SMTP_URL needs CARNET_MAIL_FROM, the sender's address.",
        ),
        (
            {"CARNET_SMTP_URL": "smtps://h", "CARNET_MAIL_FROM": "nobody"},
            "CARNET_MAIL_FROM is no e-mail address.",
        ),
        (
            {"CARNET_SMTP_URL": "smtp://u:secret@mail.example.org", "CARNET_MAIL_FROM": "a@b.fr"},
            "CARNET_SMTP_URL: smtp:// is for a server on this machine; to another one, mails go"
            " with smtp+starttls:// or smtps://.",
        ),
        (
            {
                "CARNET_SMTP_URL": "smtps://h",
                "CARNET_MAIL_FROM": "a@b.fr",
                "CARNET_MODE": "production",
            },
            "CARNET_PUBLIC_URL is missing: what is sent leads to the app there.",
        ),
        (
            {
                "CARNET_SMTP_URL": "smtps://h",
                "CARNET_MAIL_FROM": "a@b.fr",
                "CARNET_MODE": "production",
                "CARNET_PUBLIC_URL": "http://carnet.example.org",
            },
            "CARNET_PUBLIC_URL must be the https URL of the app.",
        ),
        (
            {"CARNET_PUSH_PRIVATE": "1", "CARNET_MODE": "production"},
            "CARNET_PUSH_PRIVATE is for development only.",
        ),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    carnet: Any, settings: dict[str, str], said: str
) -> None:
    done = carnet("notifications", "test", "--email", "you@example.org", **settings)
    assert (done.code, done.line) == (1, said)


def test_what_is_no_address_is_not_sent_to(carnet: Any) -> None:
    done = carnet("notifications", "test", "--email", "you")
    assert done.line == "This is no e-mail address in ASCII, such as name@example.org."
