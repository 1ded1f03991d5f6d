"""Who someone is said to be: identifiers and traits, before a person is found or registered."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from carnet.people.identifiers import key_valid
from carnet.people.tables import Sex
from carnet.values import Identifier, PartialDate


@dataclass(frozen=True, slots=True)
class Traits:
    """What tells two persons with the same number apart. Personal data, so out of reprs."""

    birth_family_name: str | None = field(default=None, repr=False)
    used_family_name: str | None = field(default=None, repr=False)
    given_names: tuple[str, ...] = field(default=(), repr=False)
    birth_date: PartialDate | None = field(default=None, repr=False)
    sex: Sex = field(default=Sex.UNKNOWN, repr=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a source says that a person is."""

    identifiers: tuple[Identifier, ...] = field(repr=False)
    birth_family_name: str | None = field(default=None, repr=False)
    used_family_name: str | None = field(default=None, repr=False)
    given_names: tuple[str, ...] = field(default=(), repr=False)
    birth_date: PartialDate | None = field(default=None, repr=False)
    sex: Sex = field(default=Sex.UNKNOWN, repr=False)
    birth_place_code: str | None = field(default=None, repr=False)
    is_deceased: bool = field(default=False, repr=False)
    deceased_on: PartialDate | None = field(default=None, repr=False)
    is_reference: bool = False  # only identifiers are known

    @property
    def traits(self) -> Traits:
        """What is compared."""
        return Traits(
            self.birth_family_name,
            self.used_family_name,
            self.given_names,
            self.birth_date,
            self.sex,
        )

    @property
    def has_invalid_key(self) -> bool:
        """Whether a national number among the identifiers has a wrong key."""
        return any(key_valid(identifier) is False for identifier in self.identifiers)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A registered person who shares an identifier with a claim."""

    person_id: UUID
    traits: Traits
    shares_national: bool  # one of the shared numbers is national
    national: tuple[Identifier, ...] = field(default=(), repr=False)  # all that the person has
