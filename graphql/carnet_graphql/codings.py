"""Codes of open code systems, and how they are shown."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import strawberry

from carnet import values
from carnet.errors import ValidationFailed
from carnet.terminology import codes, queries
from carnet_graphql.context import Info

CODE_LIMIT = 200  # characters of a system or a code


@strawberry.enum(description="Language of a display.")
class Locale(Enum):
    """Languages that the shipped tables speak."""

    FR = "fr"
    EN = "en"


InLocale = Annotated[Locale, strawberry.argument(description="The language wanted.")]


@strawberry.type(description="A code of an open code system such as LOINC, CVX or ATC.")
class Coding:
    """See `carnet.values.Coding`."""

    system: str = strawberry.field(description="URI of the code system; OIDs are `urn:oid:…`.")
    code: str = strawberry.field(description="The code in that system.")
    source_display: strawberry.Private[str | None]

    @strawberry.field(
        description="What the code means: in the language wanted where our tables know it,"
        " else as its source named it, else as a loaded value set does."
    )
    async def display(self, info: Info, locale: InLocale = Locale.FR) -> str | None:
        """Return the meaning of the code."""
        shipped = codes.display(self.system, self.code, locale.value)
        if shipped or self.source_display:
            return shipped or self.source_display
        return await info.context.load(queries.displays, (self.system, self.code))

    @classmethod
    def of(cls, coding: values.Coding) -> Coding:
        """Return the value as its GraphQL object."""
        return cls(system=coding.system, code=coding.code, source_display=coding.display)

    @classmethod
    def of_json(cls, shape: dict[str, Any]) -> Coding:
        """Return what a JSONB column holds as its GraphQL object."""
        return cls.of(values.Coding.from_json(shape))


def coding_of(system: str | None, code: str | None, display: str | None) -> Coding | None:
    """Return three columns as a coding, or None where there is no code."""
    if code is None:
        return None
    return Coding(system=system or "", code=code, source_display=display)


@strawberry.input(description="A code of an open code system.")
class CodingInput:
    """See `carnet.values.Coding`."""

    system: str = strawberry.field(description="URI of the code system; OIDs are `urn:oid:…`.")
    code: str = strawberry.field(description="The code in that system.")
    display: str | None = strawberry.field(default=None, description="What it means, in words.")

    def value(self) -> values.Coding:
        """Return the input as a value.

        Raises:
            ValidationFailed: empty or too long.
        """
        if not (0 < len(self.system) <= CODE_LIMIT and 0 < len(self.code) <= CODE_LIMIT):
            raise ValidationFailed("A coding has a system and a code.", path=("codings",))
        return values.Coding(self.system, self.code, (self.display or "")[:500] or None)
