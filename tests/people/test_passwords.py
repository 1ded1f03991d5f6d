from __future__ import annotations

import asyncio
import threading

import pytest
from argon2 import Parameters, Type

from carnet.errors import RateLimited, ValidationFailed
from carnet.people.passwords import PasswordHash, Passwords, acceptable

CHEAP = Parameters(Type.ID, 19, 8, 16, time_cost=1, memory_cost=64, parallelism=1)


@pytest.mark.parametrize(
    "password",
    ["", "eleven char", "x" * 1025, "é" * 600, "\ud800" * 12, "Somebody@Example.org"],
)
def test_which_passwords_are_refused(password: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        acceptable(password, "somebody@example.org")
    assert refusal.value.path == ("password",)
    assert not password or password not in str(refusal.value)


@pytest.mark.parametrize(
    "password", ["twelve chars", "x" * 1024, "日本語のパスワードは長いです", " " * 12]
)
def test_length_is_all_that_counts(password: str) -> None:
    assert acceptable(password, "somebody@example.org")


async def test_the_same_text_from_another_keyboard_is_the_same_password() -> None:
    passwords = Passwords(CHEAP, workers=1)
    stored = await passwords.hash("re\u0301sume\u0301 long enough", login="a")
    assert await passwords.verify(stored, "r\u00e9sum\u00e9 long enough")
    assert not await passwords.verify(stored, "resume long enough")
    assert "argon2id" in stored.text and "argon2id" not in repr(stored)
    passwords.close()


async def test_nobodys_hash_costs_a_whole_verification_and_never_holds() -> None:
    passwords = Passwords(CHEAP, workers=1)
    for password in ("", "anything at all", "x" * 5000):
        assert not await passwords.verify(None, password)
    assert passwords.worked == 3
    passwords.close()


async def test_a_broken_hash_holds_for_nobody() -> None:
    passwords = Passwords(CHEAP, workers=1)
    for text in ("", "plain", "$argon2id$v=19$m=64,t=1,p=1$broken"):
        assert not await passwords.verify(PasswordHash(text), "anything at all")
        assert passwords.is_outdated(PasswordHash(text))
    passwords.close()


async def test_threads_and_line_are_bounded() -> None:
    passwords = Passwords(
        Parameters(Type.ID, 19, 16, 32, time_cost=4, memory_cost=16384, parallelism=1),
        workers=2,
        line=3,
    )
    answers = await asyncio.gather(
        *(passwords.verify(None, f"password {n}") for n in range(50)), return_exceptions=True
    )
    threads = [t for t in threading.enumerate() if t.name.startswith("passwords")]
    assert len(threads) <= 2
    refused = [answer for answer in answers if isinstance(answer, RateLimited)]
    assert len(refused) == 45 and {refusal.retry_after for refusal in refused} == {5}
    assert answers.count(False) == 5 == passwords.worked
    assert not await passwords.verify(None, "the line is empty again")
    passwords.close()


def test_the_default_is_rfc_9106() -> None:
    passwords = Passwords(workers=1)
    assert "$m=65536,t=3,p=4$" in passwords._nobodys
    passwords.close()
