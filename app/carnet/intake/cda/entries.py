"""What all readers of structured entries share: keys, dates, states, and whom an entry is about.

An entry becomes a fact of the record only when it is certain: coded, about the patient, and said
to be so. What is doubtful stays in the document, which is always kept whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from carnet.errors import ValidationFailed
from carnet.intake.cda.codes import attribute, code_of, is_true, unique_id
from carnet.intake.cda.narrative import Narrative
from carnet.intake.cda.xml import Element
from carnet.intake.dates import read_day
from carnet.intake.model import Item, NothingToDeclareItem, Reason, Skipped
from carnet.records.tables import EntryStatus, Section
from carnet.values import PartialDate

ANOTHER_PERSON = "It is about another person than the patient."
NEGATED = "It is said not to be so."
NO_CODE = "It has no code that says what it is; it stays within the document."
REIMBURSED = "Reimbursed is not administered."
WITHDRAWN = "It was withdrawn by its author."
NOT_CARRIED_OUT = "It was not carried out."
PLANNED = "It is planned, not done."

_STATUSES = {
    "55561003": EntryStatus.ACTIVE,
    "73425007": EntryStatus.INACTIVE,
    "413322009": EntryStatus.RESOLVED,
    "active": EntryStatus.ACTIVE,
    "recurrence": EntryStatus.ACTIVE,
    "relapse": EntryStatus.ACTIVE,
    "inactive": EntryStatus.INACTIVE,
    "remission": EntryStatus.INACTIVE,
    "resolved": EntryStatus.RESOLVED,
}
"""Values of the observation «status» (LOINC 33999-4) in SNOMED CT and in FHIR's code systems."""

_NONE = re.compile(
    r"no (?:known|current|active|history|medications?|allerg\w+|problems?|immuni[sz]ations?)\b"
    r"|(?:none|nil|nka|nkda|aucune?|néant)\b"
    r"|pas d(?:['’]|e )\s?(?:allergie|antécédent|traitement|vaccin|médicament|probl[eè]me)",
    re.IGNORECASE,
)

NOT_DONE_STATES = frozenset({"aborted", "cancelled", "held", "new", "suspended"})
WITHDRAWN_STATES = frozenset({"nullified", "obsolete"})


@dataclass(slots=True)
class Entries:
    """A document's entries as they are read; ``items`` collects what comes of them."""

    document: str  # its source key
    patient: str
    root: Element = field(repr=False)
    is_reimbursement: bool = False
    items: list[Item] = field(default_factory=list)
    has_unreadable_date: bool = False
    narrative: Narrative = field(init=False)
    _keys: Counter[str] = field(default_factory=Counter)
    _others: set[Element] = field(init=False)  # what names a subject that is not the patient
    _sections: dict[Element, str | None] = field(init=False)

    def __post_init__(self) -> None:
        self.narrative = Narrative(self.root)
        self._others = {
            parent
            for subject in self.root.iter("subject")
            if subject.find("relatedSubject") is not None
            for parent in [next(subject.iterancestors())]
        }
        self._sections = {each: code_of(each.find("code")) for each in self.root.iter("section")}

    def key(self, element: Element) -> str:
        """Return the entry's key: within its document, by its own id, and never given twice."""
        own = unique_id(element.find("id")) or element.tag
        key = f"{self.document}#{own}"
        self._keys[key] += 1
        return key if self._keys[key] == 1 else f"{key}/{self._keys[key]}"

    def skip(self, element: Element, reason: Reason, message: str) -> None:
        """Note that an entry does not become a fact, and why."""
        is_refused = reason is Reason.MALFORMED
        self.items.append(Skipped(self.key(element), element.tag, reason, message, is_refused))

    def nothing(self, element: Element, section: Section) -> None:
        """Note that the author has nothing to declare for a section."""
        self.items.append(
            NothingToDeclareItem(self.key(element), self.patient, section, self.document)
        )

    def day(self, element: Element | None) -> PartialDate | None:
        """Return the date in ``value``, or None when there is none or none that can be read."""
        text = attribute(element, "value")
        if text is None:
            return None
        try:
            return read_day(text)
        except ValidationFailed:
            self.has_unreadable_date = True
            return None

    def period(self, element: Element) -> tuple[PartialDate | None, PartialDate | None]:
        """Return when an entry began and ended; a moment has only a beginning."""
        start = end = None
        for time in element.findall("effectiveTime"):
            start = start or self.day(time) or self.day(time.find("low"))
            end = end or self.day(time.find("high"))
        if start and end and end.text < start.text[: len(end.text)]:
            self.has_unreadable_date = True
            return start, None
        return start, end

    def is_usable(self, element: Element) -> bool:
        """Tell whether an entry is about the patient and stands; notes why it does not."""
        if self.is_about_another(element):
            self.skip(element, Reason.NOT_SUPPORTED, ANOTHER_PERSON)
        elif state_of(element) in WITHDRAWN_STATES:
            self.skip(element, Reason.ENTERED_IN_ERROR, WITHDRAWN)
        else:
            return True
        return False

    def is_about_another(self, element: Element) -> bool:
        """Tell whether an entry or anything around it names another subject, like the mother."""
        if not self._others:
            return False
        return not self._others.isdisjoint((element, *element.iterancestors()))

    def sections(self, *codes: str) -> Iterator[Element]:
        """Yield the sections with one of the codes, wherever they are."""
        return (section for section, code in self._sections.items() if code in codes)

    def section_code(self, element: Element) -> str | None:
        """Return the code of the section that an element stands in."""
        section = next(element.iterancestors("section"), None)
        return self._sections[section] if section is not None else None


def says_none(label: str) -> bool:
    """Tell whether a label says in words that there is nothing, which some software codes."""
    return _NONE.match(label) is not None


def state_of(element: Element) -> str | None:
    """Return the state of an act (``completed``, ``aborted``…)."""
    code = code_of(element.find("statusCode"))
    return code.lower() if code else None


def is_event(element: Element) -> bool:
    """Tell whether an act took place, rather than being planned or asked for."""
    return element.get("moodCode") in (None, "EVN")


def is_negated(element: Element) -> bool:
    """Tell whether an act or observation says that it is not so."""
    return is_true(element, "negationInd")


def observation_with(element: Element, code: str) -> Element | None:
    """Return the observation with a code that is attached to an entry."""
    for observation in element.findall("entryRelationship/observation"):
        if code_of(observation.find("code")) == code:
            return observation
    return None


def stated_status(element: Element) -> EntryStatus | None:
    """Return the clinical status that an attached observation gives, or None."""
    observation = observation_with(element, "33999-4")
    code = code_of(observation.find("value")) if observation is not None else None
    return _STATUSES.get(code.lower()) if code else None
