"""The document: a Composition with its sections, and every resource that they list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid5

from carnet.documents.tables import DocumentCategory
from carnet.exports.facts import SECTION_LIMIT, Facts
from carnet.exports.ips import care
from carnet.exports.ips.absences import NO_INFORMATION, NOTHING_KNOWN, absence
from carnet.exports.ips.elements import (
    LOINC,
    TERMINOLOGY,
    URI,
    Element,
    coded,
    instant,
    listed,
    narrative,
    paragraph,
    reference,
    urn,
    without_nothing,
)
from carnet.exports.ips.people import author, full_name, patient, practitioner, present
from carnet.exports.ips.sections import PARTS, PLAN, Part
from carnet.records.tables import EntryStatus, Immunization, ProfileEntry, Section
from carnet.values import PartialDate

BUNDLE_PROFILE = "http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips"
COMPOSITION_PROFILE = "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"
EMPTY_REASON = f"{TERMINOLOGY}list-empty-reason"
NOTHING = "Nothing to declare, stated on {day}."
SHORTENED = f"Only the latest {SECTION_LIMIT} entries; profile.json has them all."


def bundle(facts: Facts, *, id_: UUID, at: datetime) -> Element:
    """Return the summary as a document Bundle.

    Args:
        facts: what it tells.
        id_: of the bundle; other ids that the record does not give are made from it.
        at: when it is made.
    """
    made = _Summary(facts, id_)
    sections = [section for part in PARTS if (section := made.section(part))]
    if plan := made.plan():
        sections.append(plan)
    author_id, device = author(id_)
    composition_id = uuid5(id_, "composition")
    composition = {
        "resourceType": "Composition",
        "id": str(composition_id),
        "meta": {"profile": [COMPOSITION_PROFILE]},
        "text": narrative(paragraph(f"Patient summary of {full_name(facts.person)}.")),
        "identifier": {"system": URI, "value": urn(composition_id)},
        "status": "final",
        "type": coded(LOINC, "60591-5", "Patient summary Document"),
        "subject": reference(facts.person.id),
        "date": instant(at),
        "author": [reference(author_id)],
        "title": "International Patient Summary",
        "section": sections,
    }
    doctors = [practitioner(row) for row in present(facts, Section.ATTENDING_DOCTOR)]
    resources = [composition, patient(facts), device, *doctors, *made.resources]
    return {
        "resourceType": "Bundle",
        "id": str(id_),
        "meta": {"profile": [BUNDLE_PROFILE]},
        "identifier": {"system": URI, "value": urn(id_)},
        "type": "document",
        "timestamp": instant(at),
        "entry": [
            {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
            for resource in resources
        ],
    }


@dataclass(slots=True)
class _Summary:
    facts: Facts
    id_: UUID
    resources: list[Element] = field(default_factory=list)

    def section(self, part: Part) -> Element | None:
        """Return one section and keep what it lists; None for one that has nothing to say."""
        listed_ids, lines = self._entries(part)
        said: list[str] = []
        declared = self.facts.nothing.get(part.section)
        shape = _heading(part.title, part.code, part.display)
        if not listed_ids:
            if declared is not None and part.declares:
                said.append(NOTHING.format(day=declared.stated_at.date().isoformat()))
                if part.section in NOTHING_KNOWN:
                    listed_ids.append(self._absence(part.section, is_declared=True))
                else:
                    shape["emptyReason"] = coded(EMPTY_REASON, "nilknown", "Nil Known")
            elif part.is_required:
                listed_ids.append(self._absence(part.section, is_declared=False))
                said.append(f"{NO_INFORMATION[part.section].display}.")
            else:
                return None
        if part.section in self.facts.shortened:
            said.append(SHORTENED)
        blocks = [*map(paragraph, said), *([listed(lines)] if lines else [])]
        return without_nothing(
            {
                **shape,
                "text": narrative(*blocks),
                "entry": [reference(id_) for id_ in listed_ids],
            }
        )

    def plan(self) -> Element | None:
        """Return the plan of care: the documents of that folder."""
        ids, lines = self._documents(DocumentCategory.CARE_PLAN)
        if not ids:
            return None
        entries = [reference(id_) for id_ in ids]
        return {**_heading(*PLAN), "text": narrative(listed(lines)), "entry": entries}

    def _entries(self, part: Part) -> tuple[list[UUID], list[str]]:
        patient_id = self.facts.person.id
        ids: list[UUID] = []
        lines: list[str] = []
        if part.section is Section.IMMUNIZATIONS:
            for row in self.facts.doses:
                lines.append(_dose_line(row))
                ids.append(self._keep(row.id, care.dose(row, patient_id), lines[-1]))
        for entry in self.facts.entries.get(part.section, ()) if part.write else ():
            if entry.status is not EntryStatus.REFUTED and part.wanted(entry) and part.write:
                lines.append(_line(entry))
                ids.append(self._keep(entry.id, part.write(entry, patient_id), lines[-1]))
        if part.folder is not None:
            more_ids, more_lines = self._documents(part.folder)
            ids += more_ids
            lines += more_lines
        return ids, lines

    def _documents(self, folder: DocumentCategory) -> tuple[list[UUID], list[str]]:
        ids: list[UUID] = []
        lines: list[str] = []
        for row, contents in self.facts.documents:
            if row.category is folder:
                lines.append(f"{row.sort_at.date().isoformat()}: {row.title}")
                shape = care.document(row, contents, self.facts.person.id)
                ids.append(self._keep(row.id, shape, lines[-1]))
        return ids, lines

    def _keep(self, id_: UUID, shape: Element, line: str) -> UUID:
        kind = {"resourceType": shape["resourceType"], "id": str(id_)}
        text = {"text": narrative(paragraph(line))}
        self.resources.append(kind | text | without_nothing(shape))
        return id_

    def _absence(self, section: Section, *, is_declared: bool) -> UUID:
        said, shape = absence(section, self.facts.person.id, is_declared=is_declared)
        return self._keep(uuid5(self.id_, said.code), shape, said.display)


def _heading(title: str, code: str, display: str | None) -> Element:
    return {"title": title, "code": coded(LOINC, code, display)}


def _line(row: ProfileEntry) -> str:
    """Return what a person reads of an entry: when, what, how much."""
    value = "" if row.value is None else f"{row.value:f} {row.unit or ''}".strip()
    answer = row.details.get("answer") or row.details.get("dosage") or ""
    parts: Sequence[str] = [part for part in (row.label, value, answer) if part]
    return _on(row.started_on, ", ".join(parts))


def _dose_line(row: Immunization) -> str:
    return _on(row.given_on, row.vaccine_label)


def _on(day: PartialDate | None, text: str) -> str:
    return f"{day.text}: {text}" if day else text
