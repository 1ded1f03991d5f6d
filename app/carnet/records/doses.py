"""Doses of vaccines: reports from many sources merged into the doses that were given.

Every report is kept. A dose is the sum of its reports, so that taking one back leaves exactly
what the others say. Callers hold the record's lock (`records.actions`), so merging never races.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.certificates.certificate import Scheme
from carnet.records.looks import look_again
from carnet.records.rules import Author, Dose, may_change, same_dose, sharper
from carnet.records.tables import Immunization, ImmunizationSource, RetractedDose, StatedBy
from carnet.store.database import Work
from carnet.values import Coding, PartialDate

REPORTS_LIMIT = 1000  # of one record: many lives' worth, and few enough to compare at once


@dataclass(frozen=True, slots=True)
class DoseFact:
    """One report of a dose. ``source_key`` is unique among all reporters, and stable."""

    source_key: str
    vaccine_label: str = field(repr=False)
    codings: tuple[Coding, ...] = field(repr=False)
    disease_codes: frozenset[str] = field(repr=False)
    given_on: PartialDate | None = field(repr=False)
    lot_number: str | None = field(repr=False)
    dose_rank: int | None
    is_subpotent: bool
    stated_by: StatedBy
    stated_by_id: UUID | None
    source_document_id: UUID | None = None
    hidden_from_holder_until: datetime | None = None
    certificate_scheme: Scheme | None = None
    certificate_issuer: str | None = None

    def as_source(self, work: Work, immunization_id: UUID) -> ImmunizationSource:
        """Return the row that keeps this report."""
        return ImmunizationSource(
            id=work.new_id(),
            immunization_id=immunization_id,
            source_key=self.source_key,
            stated_by=self.stated_by,
            stated_by_id=self.stated_by_id,
            source_document_id=self.source_document_id,
            hidden_from_holder_until=self.hidden_from_holder_until,
            vaccine_label=self.vaccine_label,
            codings=[coding.as_json() for coding in self.codings],
            disease_codes=sorted(self.disease_codes),
            given_on=self.given_on,
            lot_number=self.lot_number,
            dose_rank=self.dose_rank,
            is_subpotent=self.is_subpotent,
            certificate_scheme=self.certificate_scheme,
            certificate_issuer=self.certificate_issuer,
            stated_at=work.now,
        )


async def record_doses(work: Work, record_id: UUID, facts: Sequence[DoseFact]) -> dict[str, UUID]:
    """Merge reports of doses into the record.

    Returns:
        The dose's id by each fact's ``source_key``, without those for which the record has no
        room (`REPORTS_LIMIT`). A second report under the same key replaces the first.
    """
    if not facts:
        return {}
    reports = await _reports(work, record_id)
    taken = _with_room(reports, facts)
    renewed = {fact.source_key for fact in taken}
    home: dict[str, UUID] = {}  # where a renewed report stood, so that a correction keeps the id
    for immunization_id, sources in reports.items():
        for source in [s for s in sources if s.source_key in renewed]:
            await _take_back(work, sources, source)
            home[source.source_key] = immunization_id
    changed = set(home.values())
    landed: dict[str, UUID] = {}
    sums = _Sums({key: _sum(sources) for key, sources in reports.items() if sources})
    for fact in taken:
        source = fact.as_source(work, UUID(int=0))
        alone = _alone(source)
        match = sums.find(alone.dose)
        if match is None:
            former = home.get(fact.source_key)
            match = former if former and not reports[former] else work.new_id()
        source.immunization_id = match
        reports[match].append(source)
        sums.add(match, alone)
        landed[fact.source_key] = match
        changed.add(match)
    await _store(work, record_id, {key: reports[key] for key in changed})
    return landed


def _with_room(
    reports: dict[UUID, list[ImmunizationSource]], facts: Sequence[DoseFact]
) -> list[DoseFact]:
    """Return the facts that renew a report, and as many others as the record has room for."""
    standing = {source.source_key for sources in reports.values() for source in sources}
    room = REPORTS_LIMIT - len(standing)
    taken: list[DoseFact] = []
    for fact in facts:
        if fact.source_key not in standing:
            if room <= 0:
                continue
            room -= 1
        taken.append(fact)
    return taken


async def retract_doses(work: Work, record_id: UUID, document_ids: Collection[UUID]) -> None:
    """Take back what was read from documents that are no longer current."""
    reports = await _reports(work, record_id)
    changed: dict[UUID, list[ImmunizationSource]] = {}
    for immunization_id, sources in reports.items():
        gone = [s for s in sources if s.source_document_id in document_ids]
        for source in gone:
            await _take_back(work, sources, source)
        if gone:
            changed[immunization_id] = sources
    await _store(work, record_id, changed)


async def retract_reports(work: Work, dose: Immunization, author: Author) -> bool:
    """Take back all of a dose that this author may; tells whether there was anything."""
    sources = (await _reports(work, dose.record_id)).get(dose.id, [])
    own = [s for s in sources if may_change(author, (s.stated_by, s.stated_by_id))]
    for source in own:
        await _take_back(work, sources, source)
    if own:
        await _store(work, dose.record_id, {dose.id: sources})
    return bool(own)


async def _take_back(
    work: Work, sources: list[ImmunizationSource], source: ImmunizationSource
) -> None:
    """Delete a report; of one that was read from a document it is known that there was one."""
    sources.remove(source)
    await work.session.delete(source)
    if source.source_document_id is not None:
        noted = upsert(RetractedDose).values(
            immunization_id=source.immunization_id, document_id=source.source_document_id
        )
        await work.session.execute(noted.on_conflict_do_nothing())


async def _reports(work: Work, record_id: UUID) -> dict[UUID, list[ImmunizationSource]]:
    """Return all reports of a record by dose, the oldest first."""
    statement = (
        select(ImmunizationSource)
        .join(Immunization, Immunization.id == ImmunizationSource.immunization_id)
        .where(Immunization.record_id == record_id)
        .order_by(ImmunizationSource.id)
        .execution_options(populate_existing=True)
    )
    reports: dict[UUID, list[ImmunizationSource]] = defaultdict(list)
    for source in await work.session.scalars(statement):
        reports[source.immunization_id].append(source)
    return reports


@dataclass(frozen=True, slots=True)
class _Sum:
    dose: Dose
    label: str
    codings: list[dict[str, str]]
    is_subpotent: bool


def _sum(sources: Sequence[ImmunizationSource]) -> _Sum:
    """Add up reports, at least one."""
    return reduce(_plus, map(_alone, sources))


def _alone(source: ImmunizationSource) -> _Sum:
    """Return what one report says."""
    diseases = frozenset(source.disease_codes)
    codes = _codes(source.codings, source.vaccine_label)
    dose = Dose(diseases, codes, source.given_on, source.lot_number, source.dose_rank)
    return _Sum(dose, source.vaccine_label, source.codings, source.is_subpotent)


def _plus(one: _Sum, other: _Sum) -> _Sum:
    """Add a later sum: the first to name a lot or rank counts, dates sharpen, codes gather."""
    known = {f"{coding['system']}|{coding['code']}" for coding in one.codings}
    added = [c for c in other.codings if f"{c['system']}|{c['code']}" not in known]
    codings = [*one.codings, *added] if added else one.codings
    label = max(one.label, other.label, key=len)
    dose = Dose(
        one.dose.diseases | other.dose.diseases,
        _codes(codings, label),
        sharper(one.dose.given_on, other.dose.given_on),
        one.dose.lot_number or other.dose.lot_number,
        one.dose.dose_rank or other.dose.dose_rank,
    )
    return _Sum(dose, label, codings, one.is_subpotent or other.is_subpotent)


def _codes(codings: Sequence[dict[str, str]], label: str) -> frozenset[str]:
    """Return what stands for an unknown vaccine: its codes, or its name where it has none."""
    found = frozenset(f"{coding['system']}|{coding['code']}" for coding in codings)
    return found or frozenset({f"label|{label.casefold()}"})


class _Sums:
    """The doses of a record, found by what a report shares with them instead of one by one."""

    def __init__(self, sums: dict[UUID, _Sum]) -> None:
        self._sums: dict[UUID, _Sum] = {}
        self._by_clue: dict[tuple[str, str], dict[UUID, None]] = defaultdict(dict)
        for key, total in sums.items():
            self.add(key, total)

    def add(self, key: UUID, further: _Sum) -> None:
        """Add a dose, or a further report of one."""
        known = self._sums.get(key)
        total = self._sums[key] = further if known is None else _plus(known, further)
        for clue in _clues(total.dose):
            self._by_clue[clue][key] = None

    def find(self, dose: Dose) -> UUID | None:
        """Return the first dose that is the same."""
        seen = {key: None for clue in _clues(dose) for key in self._by_clue.get(clue, ())}
        return next((key for key in seen if same_dose(self._sums[key].dose, dose)), None)


def _clues(dose: Dose) -> Iterator[tuple[str, str]]:
    """Yield pairs of which two reports of one dose share at least one: what, and which year."""
    year = dose.given_on.text[:4] if dose.given_on else ""
    for what in sorted(dose.diseases | dose.codes):
        yield what, year


def summed(sources: Sequence[ImmunizationSource]) -> dict[str, object]:
    """Return the columns of the dose that these reports, at least one, add up to."""
    total = _sum(sources)
    given_on = total.dose.given_on
    return {
        "vaccine_label": total.label,
        "codings": total.codings,
        "disease_codes": sorted(total.dose.diseases),
        "given_on": given_on,
        "sort_on": given_on.text if given_on else "",
        "lot_number": total.dose.lot_number,
        "dose_rank": total.dose.dose_rank,
        "is_subpotent": total.is_subpotent,
    }


async def _store(
    work: Work, record_id: UUID, changed: dict[UUID, list[ImmunizationSource]]
) -> None:
    """Write doses as the sum of their reports; a dose that nobody reports any more goes."""
    await work.session.flush()  # deletions first, so that a renewed key is free
    gone = [key for key, sources in changed.items() if not sources]
    if gone:
        await work.session.execute(delete(Immunization).where(Immunization.id.in_(gone)))
    standing = {
        row.id: row
        for row in await work.session.scalars(
            select(Immunization).where(Immunization.id.in_(changed))
        )
    }
    fresh: list[dict[str, object]] = []
    for key, sources in changed.items():
        if not sources:
            continue
        values = summed(sources) | {"updated_at": work.now}
        row = standing.get(key)
        if row is None:
            created = {"id": key, "record_id": record_id, "created_at": work.now}
            fresh.append(created | values)
        else:
            for name, value in values.items():
                setattr(row, name, value)
    if fresh:
        statement = insert(Immunization).execution_options(render_nulls=True)  # one for all rows
        await work.session.execute(statement, fresh)
    for sources in changed.values():
        work.session.add_all(sources)
    await work.session.flush()
    if changed:
        by_hand = any(s.source_document_id is None for each in changed.values() for s in each)
        await look_again(work, [record_id], is_told=by_hand)
