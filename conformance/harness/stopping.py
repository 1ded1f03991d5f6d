"""SIGTERM and SIGINT end a run in order: what it started is stopped, and its folders are deleted.

By a KeyboardInterrupt: Hypothesis takes every other exception for a failure of what it tries.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """The first signal came; further ones change nothing.

    Attributes:
        code: what the process ends with.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


class _Ear:
    """What this process has heard."""

    def __init__(self) -> None:
        self.heard: int | None = None
        self.is_told = False
        self.depth = 0

    def hear(self, number: int, _: object) -> None:
        if self.heard is None:
            self.heard = number
        self.tell()

    def tell(self) -> None:
        if self.heard is not None and not self.is_told and not self.depth:
            self.is_told = True
            raise Stopped(self.heard)


_EAR = _Ear()


def stop_in_order() -> None:
    """Let the first signal raise `Stopped`, once, in this process's main thread."""
    for number in SIGNALS:
        signal.signal(number, _EAR.hear)


def check() -> None:
    """See whether a signal came; others' code, which ran meanwhile, may have swallowed it.

    Raises:
        Stopped: one came.
    """
    if _EAR.heard is not None:
        raise Stopped(_EAR.heard)


@contextmanager
def whole() -> Iterator[None]:
    """Let no signal in while the block runs; one that comes is told at its end.

    Raises:
        Stopped: one came, and the block ended without an error.
    """
    _EAR.depth += 1
    try:
        yield
    finally:
        _EAR.depth -= 1
    _EAR.tell()
