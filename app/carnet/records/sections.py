"""What one entry of a profile section may say, and the check of it before it is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from carnet.errors import ValidationFailed
from carnet.records.tables import EntryStatus, Section
from carnet.values import Coding, PartialDate

LABEL_LIMIT = 500  # characters; a heading, not a text
NOTE_LIMIT = 10_000  # characters
CODINGS_LIMIT = 20
UNIT_LIMIT = 100  # characters

DETAILS: dict[Section, frozenset[str]] = {
    Section.ALLERGIES: frozenset({"category", "criticality", "reaction"}),
    Section.CONDITIONS: frozenset({"category", "severity", "bodySite"}),
    Section.TREATMENTS: frozenset({"kind", "dosage", "intent", "reason"}),
    Section.PROCEDURES: frozenset({"bodySite", "reason", "performer"}),
    Section.STAYS: frozenset({"class", "reason", "location"}),
    Section.FAMILY_HISTORY: frozenset({"relationship"}),
    Section.LIFESTYLE: frozenset({"answer"}),
    Section.MEASUREMENTS: frozenset({"category", "answer", "targetLow", "targetHigh"}),
    Section.DISABILITIES: frozenset({"severity"}),
    Section.ADVANCE_DIRECTIVES: frozenset({"location"}),
    Section.ENTOURAGE: frozenset({"role", "relationship", "phone"}),
    Section.ATTENDING_DOCTOR: frozenset({"rpps", "phone", "location"}),
}
"""What each section has beyond the common fields; every value is a short text."""


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """One statement as its author made it. Health data, so mostly out of reprs."""

    section: Section
    label: str = field(repr=False)
    codings: tuple[Coding, ...] = field(default=(), repr=False)
    status: EntryStatus = EntryStatus.UNKNOWN
    started_on: PartialDate | None = field(default=None, repr=False)
    ended_on: PartialDate | None = field(default=None, repr=False)
    value: Decimal | None = field(default=None, repr=False)
    unit: str | None = field(default=None, repr=False)  # UCUM
    note: str | None = field(default=None, repr=False)
    details: dict[str, str] = field(default_factory=dict, repr=False)

    def checked(self) -> EntryDraft:
        """Return the draft itself when it can be stored.

        Raises:
            ValidationFailed: ``path`` names the field that is wrong.
        """
        if self.section is Section.IMMUNIZATIONS:
            raise ValidationFailed("An immunization is recorded as a dose.", path=("section",))
        if not self.label.strip() or len(self.label) > LABEL_LIMIT:
            raise ValidationFailed(f"A label has 1 to {LABEL_LIMIT} characters.", path=("label",))
        if self.note is not None and len(self.note) > NOTE_LIMIT:
            raise ValidationFailed(f"A note has at most {NOTE_LIMIT} characters.", path=("note",))
        if len(self.codings) > CODINGS_LIMIT:
            raise ValidationFailed(f"At most {CODINGS_LIMIT} codings.", path=("codings",))
        if self.unit is not None and len(self.unit) > UNIT_LIMIT:
            raise ValidationFailed(f"A unit has at most {UNIT_LIMIT} characters.", path=("unit",))
        if self.section is not Section.MEASUREMENTS:
            for name in ("value", "unit"):
                if getattr(self, name) is not None:  # an empty unit is one, to the database too
                    raise ValidationFailed(f"Only a measurement has a {name}.", path=(name,))
        if self.started_on and self.ended_on and not _in_order(self.started_on, self.ended_on):
            raise ValidationFailed("The end is before the start.", path=("endedOn",))
        for key, text in self.details.items():
            if key not in DETAILS[self.section]:
                raise ValidationFailed(f"{self.section} has no detail {key!r}.", path=("details",))
            if len(text) > LABEL_LIMIT:
                raise ValidationFailed("A detail is too long.", path=("details", key))
        return self


def _in_order(start: PartialDate, end: PartialDate) -> bool:
    shared = min(len(start.text), len(end.text))
    return start.text[:shared] <= end.text[:shared]
