"""The clocks of devices: what is signed says when it was, and may not be far from now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from carnet.errors import ValidationFailed

SKEW = timedelta(minutes=5)  # that a device's clock may be wrong by


def check_clock(said: int, now: datetime, *path: str) -> None:
    """Refuse an entry from another time.

    Args:
        said: milliseconds since 1970, as the entry has them.
        path: the field of the input that it came in.

    Raises:
        ValidationFailed: it is of another time, or of none.
    """
    try:
        at = datetime.fromtimestamp(said / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        raise ValidationFailed("The device's clock is wrong.", path=path) from None
    if abs(at - now) > SKEW:
        raise ValidationFailed("The device's clock is wrong.", path=path)
