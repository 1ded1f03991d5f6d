"""Safety numbers: what two people compare to know that nobody stands between them."""

from __future__ import annotations

from hashlib import blake2b

from carnet_crypto.labels import Label
from carnet_crypto.values import AccountId, SignPublic

ROUNDS = 5200  # makes the search for an account with a chosen number 2^12 times dearer
DIGITS = 30  # of an account, from 128 bits
_GROUP = 5


def account_number(account: AccountId, root: SignPublic) -> str:
    """Return an account's thirty digits. They change with its root, not with its devices."""
    start = Label.SAFETY.prefix + account + root
    state = start
    for _ in range(ROUNDS):
        state = blake2b(state + start, digest_size=64).digest()
    return f"{int.from_bytes(state[:16], 'big') % 10**DIGITS:0{DIGITS}d}"


def safety_number(one: str, other: str) -> str:
    """Return what both see of two accounts: sixty digits in groups of five, the same for both."""
    digits = "".join(sorted((one, other)))
    return " ".join(digits[at : at + _GROUP] for at in range(0, len(digits), _GROUP))
