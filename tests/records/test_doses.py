import itertools
from uuid import UUID

import pytest
import world
from sqlalchemy import select

from carnet.records.doses import DoseFact, record_doses, retract_doses, retract_reports
from carnet.records.tables import Immunization, ImmunizationSource, StatedBy
from carnet.store.database import Database, Work
from carnet.values import Coding, PartialDate


def report(
    key: str,
    *,
    day: str | None = "2024-03-05",
    lot: str | None = None,
    rank: int | None = None,
    label: str = "vaccin",
    code: str = "J07AM01",
    diseases: frozenset[str] = frozenset({"tetanus"}),
) -> DoseFact:
    return DoseFact(
        source_key=key,
        vaccine_label=label,
        codings=(Coding("http://www.whocc.no/atc", code),),
        disease_codes=diseases,
        given_on=PartialDate(day) if day else None,
        lot_number=lot,
        dose_rank=rank,
        is_subpotent=False,
        stated_by=StatedBy.PUBLISHER,
        stated_by_id=UUID(int=7),
    )


@pytest.fixture
async def record_id(database: Database) -> UUID:
    return await world.record_of(database, await world.holder(database))


async def doses(work: Work) -> list[Immunization]:
    return list(await work.session.scalars(select(Immunization).order_by(Immunization.sort_on)))


async def sources(work: Work) -> int:
    return len(list(await work.session.scalars(select(ImmunizationSource.id))))


async def test_two_reports_of_one_dose_merge_and_keep_both_sources(
    database: Database, record_id: UUID
) -> None:
    async with database.write() as work:
        first = await record_doses(work, record_id, [report("a", rank=1)])
    async with database.write() as work:
        second = await record_doses(
            work, record_id, [report("b", rank=1, lot="L1", label="Vaccin tétanique", code="J07AM")]
        )
    async with database.read() as work:
        (dose,) = await doses(work)
        assert await sources(work) == 2
    assert first["a"] == second["b"] == dose.id
    assert (dose.lot_number, dose.dose_rank, dose.vaccine_label) == ("L1", 1, "Vaccin tétanique")
    assert {c["code"] for c in dose.codings} == {"J07AM01", "J07AM"}


async def test_other_lots_on_one_day_are_two_doses(database: Database, record_id: UUID) -> None:
    async with database.write() as work:
        await record_doses(
            work, record_id, [report("a", rank=1, lot="L1"), report("b", rank=2, lot="L2")]
        )
    async with database.read() as work:
        assert len(await doses(work)) == 2


async def test_the_same_report_again_changes_nothing(database: Database, record_id: UUID) -> None:
    facts = [report("a", rank=1), report("b", day=None, lot="L9"), report("c", day="1975", rank=3)]
    async with database.write() as work:
        first = await record_doses(work, record_id, facts)
    async with database.write() as work:
        second = await record_doses(work, record_id, facts)
    async with database.read() as work:
        assert len(await doses(work)) == 3
        assert await sources(work) == 3
    assert first == second


async def test_a_corrected_report_keeps_the_dose(database: Database, record_id: UUID) -> None:
    async with database.write() as work:
        first = await record_doses(work, record_id, [report("a", day="2024-03-05")])
    async with database.write() as work:
        second = await record_doses(work, record_id, [report("a", day="2024-03-06", lot="L2")])
    async with database.read() as work:
        (dose,) = await doses(work)
    assert first["a"] == second["a"] == dose.id
    assert (str(dose.given_on), dose.lot_number) == ("2024-03-06", "L2")


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
async def test_taking_one_report_back_leaves_what_the_others_say(
    database: Database, record_id: UUID, order: tuple[str, ...]
) -> None:
    reports = {
        "a": report("a", rank=1, label="A"),
        "b": report("b", rank=1, lot="L1", label="BBBB"),
        "c": report("c", rank=1, label="CC"),
    }
    async with database.write() as work:
        for key in order:
            await record_doses(work, record_id, [reports[key]])
    async with database.write() as work:
        (dose,) = await doses(work)
        row = await work.session.scalar(
            select(ImmunizationSource).where(ImmunizationSource.source_key == "b")
        )
        assert row is not None
        row.stated_by = StatedBy.HOLDER
        await work.session.flush()
        assert await retract_reports(work, dose, (StatedBy.HOLDER, UUID(int=7)))
        assert not await retract_reports(work, dose, (StatedBy.HOLDER, UUID(int=7)))
    async with database.read() as work:
        (left,) = await doses(work)
        assert await sources(work) == 2
    assert (left.id, left.lot_number, left.vaccine_label) == (dose.id, None, "CC")


async def test_a_dose_that_nobody_reports_any_more_goes(
    database: Database, record_id: UUID
) -> None:
    async with database.write() as work:
        await record_doses(work, record_id, [report("a")])
        await retract_doses(work, record_id, [UUID(int=1)])
    async with database.write() as work:
        (dose,) = await doses(work)
        assert await retract_reports(work, dose, (StatedBy.PUBLISHER, UUID(int=7)))
    async with database.read() as work:
        assert await doses(work) == []
        assert await sources(work) == 0


async def test_a_record_holds_so_many_reports_and_renews_them_when_full(
    database: Database, record_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carnet.records.doses.REPORTS_LIMIT", 3)
    facts = [report(key, day=f"2024-03-0{n}") for n, key in enumerate("abcde", 1)]
    async with database.write() as work:
        landed = await record_doses(work, record_id, facts)
    assert set(landed) == {"a", "b", "c"}
    async with database.write() as work:
        again = await record_doses(work, record_id, [facts[4], report("c", day="2024-04-01")])
    assert again == {"c": landed["c"]}
    async with database.read() as work:
        assert [str(dose.given_on) for dose in await doses(work)] == [
            "2024-03-01",
            "2024-03-02",
            "2024-04-01",
        ]
