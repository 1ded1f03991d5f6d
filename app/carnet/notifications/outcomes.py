"""What may come of sending: each holds a status or a type, never an address."""

from __future__ import annotations


class Refused(Exception):
    """It was not taken now; try again later."""


class Gone(Exception):
    """There is nobody there any more; never try again."""
