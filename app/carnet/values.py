"""Small values that every area shares: partial dates, codings, identifiers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from carnet.errors import ValidationFailed

_PARTIAL_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class PartialDate:
    """A date known to the year, the month or the day: ``1975``, ``1975-03``, ``1975-03-28``.

    The text sorts in time order, a year before its months and a month before its days.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a partial date.

        Raises:
            ValidationFailed: the text is not one of the three forms, or names no real day.
        """
        found = _PARTIAL_DATE.fullmatch(text)
        if found is not None:
            year, month, day = found.groups()
            try:
                date(int(year), int(month or 1), int(day or 1))
            except ValueError:
                found = None
        if found is None:
            raise ValidationFailed("A partial date is YYYY, YYYY-MM or YYYY-MM-DD.")
        return cls(text)

    @classmethod
    def of(cls, day: date) -> Self:
        """Return the day as a partial date of full precision."""
        return cls(day.isoformat()[:10])

    @property
    def day(self) -> date | None:
        """The exact day, or None when only the month or year is known."""
        return date.fromisoformat(self.text) if len(self.text) == 10 else None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Coding:
    """One code of one code system, with the name its source gave it.

    ``system`` is a URI; OIDs are written ``urn:oid:…``.
    """

    system: str
    code: str
    display: str | None = None

    def as_json(self) -> dict[str, str]:
        """Return the shape that is stored in JSONB columns."""
        shape = {"system": self.system, "code": self.code}
        if self.display:
            shape["display"] = self.display
        return shape

    @classmethod
    def from_json(cls, shape: dict[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        return cls(shape["system"], shape["code"], shape.get("display"))


@dataclass(frozen=True, slots=True)
class Identifier:
    """A number that some authority gave to a person, professional or organisation.

    ``system`` is a URI; OIDs are written ``urn:oid:…``. The value is personal data and stays
    out of reprs.
    """

    system: str
    value: str

    def __repr__(self) -> str:
        return f"Identifier({self.system!r}, …)"
