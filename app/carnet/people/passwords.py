"""Passwords: which are acceptable, and argon2id at bounded concurrency.

Hashing is meant to be expensive, so it runs in as many threads as there are processors; a short
line may wait for them and everybody else is told to come back.
"""

from __future__ import annotations

import asyncio
import os
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from carnet.errors import RateLimited, ValidationFailed

SHORTEST = 12  # characters; NIST SP 800-63B-4, 3.1.1.2 asks for length and no composition rules
LONGEST_BYTES = 1024  # in UTF-8: bounds the work on what anybody may send
LINE_PER_WORKER = 16  # waiting hashes, about three seconds of work at the default parameters
COME_BACK_AFTER = 5  # seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """What `Passwords.hash` made of an acceptable password; the only thing that is stored."""

    text: str = field(repr=False)


class Passwords:
    """Hashes and verifies passwords. One for each process, so that its bounds are the process's.

    The default parameters are the second choice of RFC 9106, section 4: 64 MiB, 3 passes,
    4 lanes. ``worked`` counts the hashes computed since the start.
    """

    def __init__(
        self,
        parameters: Parameters = RFC_9106_LOW_MEMORY,
        *,
        workers: int | None = None,
        line: int | None = None,
    ) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._nobodys = _nobodys_hash(parameters)
        workers = workers or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="passwords")
        self._limit = workers * (1 + LINE_PER_WORKER) if line is None else workers + line
        self._inside = 0
        self.worked = 0

    async def hash(self, password: str, *, login: str) -> PasswordHash:
        """Return the hash of a new password.

        Raises:
            ValidationFailed: it is too short, too long, or the login.
            RateLimited: the line is too long.
        """
        secret = acceptable(password, login)
        return PasswordHash(await self._work(lambda: self._hasher.hash(secret)))

    async def verify(self, stored: PasswordHash | None, password: str) -> bool:
        """Tell whether the password is the stored one.

        Without a stored hash the same work is done for nothing, so that time tells nobody
        whether an account exists.

        Raises:
            RateLimited: the line is too long.
        """
        secret = _bytes(password)
        if secret is None or len(secret) > LONGEST_BYTES:
            stored, secret = None, b""
        text = self._nobodys if stored is None else stored.text
        given = secret

        def check() -> bool:
            try:
                return self._hasher.verify(text, given)
            except (VerificationError, InvalidHashError):
                return False

        return await self._work(check) and stored is not None

    def is_outdated(self, stored: PasswordHash) -> bool:
        """Tell whether the hash was made with other parameters than today's."""
        try:
            return self._hasher.check_needs_rehash(stored.text)
        except InvalidHashError:
            return True

    async def rehash(self, password: str) -> PasswordHash:
        """Return a fresh hash of a password that was just verified, acceptable today or not.

        Raises:
            RateLimited: the line is too long.
        """
        secret = _bytes(password) or b""
        return PasswordHash(await self._work(lambda: self._hasher.hash(secret)))

    def refuse_a_crowd(self) -> None:
        """Find out that the line is too long before an attempt is counted.

        Raises:
            RateLimited: it is.
        """
        if self._inside >= self._limit:
            raise RateLimited(retry_after=COME_BACK_AFTER)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _work(self, job: Callable[[], T]) -> T:
        self.refuse_a_crowd()
        self._inside += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, job)
            self.worked += 1
            return answer
        finally:
            self._inside -= 1


def acceptable(password: str, login: str) -> bytes:
    """Return the bytes of an acceptable new password.

    Raises:
        ValidationFailed: it is too short, too long, or the login.
    """
    secret = _bytes(password)
    if secret is None or len(secret) > LONGEST_BYTES:
        raise ValidationFailed(
            f"A password has at most {LONGEST_BYTES} bytes of text.", path=("password",)
        )
    if len(secret.decode()) < SHORTEST:
        raise ValidationFailed(
            f"A password has at least {SHORTEST} characters.", path=("password",)
        )
    if secret.decode().casefold().strip() == login.casefold().strip():
        raise ValidationFailed("The login is no password.", path=("password",))
    return secret


def _bytes(password: str) -> bytes | None:
    """Return the UTF-8 of the normalized text, the same from every keyboard; None for no text."""
    if len(password) > LONGEST_BYTES:
        return None
    try:
        return unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:
        return None


def _nobodys_hash(parameters: Parameters) -> str:
    """Return a well-formed hash that no password has and that costs the same to verify."""
    salt, digest = (
        b64encode(token_bytes(size)).rstrip(b"=").decode()
        for size in (parameters.salt_len, parameters.hash_len)
    )
    cost = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    return f"$argon2id$v={parameters.version}${cost}${salt}${digest}"
