"""What stretching a recovery code may cost whoever does it, and at least costs whoever guesses."""

from __future__ import annotations

from carnet_crypto.errors import Reason, Refused

LEAST_PASSES = 3  # of Argon2id
MOST_PASSES = 10
LEAST_MEMORY_KIB = 64 * 1024
MOST_MEMORY_KIB = 1024 * 1024  # what a phone can still do


def check_cost(passes: int, memory_kib: int) -> None:
    """Refuse what is too cheap to hold, or too dear to be meant.

    Raises:
        Refused: it is so (`WEAK_PARAMETERS`).
    """
    if not LEAST_PASSES <= passes <= MOST_PASSES:
        raise Refused(Reason.WEAK_PARAMETERS)
    if not LEAST_MEMORY_KIB <= memory_kib <= MOST_MEMORY_KIB:
        raise Refused(Reason.WEAK_PARAMETERS)
