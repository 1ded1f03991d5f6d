"""The names of settings: a misspelt ``CARNET_…`` would be ignored without a word."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from carnet.settings import Settings

PREFIX = "CARNET_"
ELSEWHERE = frozenset(
    {
        "CARNET_CLIENT_HOME",
        "CARNET_CLIENT_PASSPHRASE",
        "CARNET_CLIENT_PASSWORD",
        "CARNET_DEBUG",
        "CARNET_PUBLISHER_SECRET",
        "CARNET_SAMPLES",
        "CARNET_SHRINK",
        "CARNET_STORIES",
        "CARNET_TEST_FILE_MIB",
        "CARNET_TEST_NO_BROWSER",
        "CARNET_TRUSTED",
        "CARNET_URL",
    }
)
"""Read by commands, the client, the examples, tests and benches, and not as settings."""


def known_names() -> frozenset[str]:
    """Return every variable that any part of Carnet reads."""
    return Settings.names() | ELSEWHERE


def unknown_names(env: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that begins like ours and that nothing reads."""
    known = sorted(known_names())
    return [
        _sentence(name, get_close_matches(name, known, n=1, cutoff=0.8))
        for name in sorted(env)
        if name.startswith(PREFIX) and name not in known
    ]


def _sentence(name: str, nearest: list[str]) -> str:
    meant = f"; is {nearest[0]} meant?" if nearest else "."
    return f"{name} is no setting{meant}"
