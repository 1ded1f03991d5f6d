"""Statistics through GraphQL: right for operators, and for nobody else."""

from __future__ import annotations

from uuid import UUID, uuid4

import graph
import leaves
import reaching
import world

from carnet.access.journal import Fact, JournalAction, ObjectKind, write
from carnet.people.actor import Anonymous, Assurance, Operator
from carnet.statistics import folding
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

OPERATOR = Operator(UUID(int=9), Assurance.PASSWORD)
COUNT = "{ value isSuppressed }"
ALL = f"""query All($from: PartialDate, $to: PartialDate) {{ statistics {{
  asOf
  recordsByState {{ total {COUNT} states {{ state count {COUNT} }} }}
  activationsPerMonth(from: $from, to: $to) {{ month count {COUNT} }}
  documents(from: $from, to: $to) {{
    month total {COUNT} categories {{ category count {COUNT} }} }}
  feedingProfessionals {{ profession {{ code }} registered feeding {COUNT} share }}
  feedingOrganizations {{ facilityType registered feeding {COUNT} share }}
}} }}"""


def shown(value: int) -> dict[str, object]:
    return {"value": value, "isSuppressed": False}


SUPPRESSED = {"value": None, "isSuppressed": True}


async def happened(database: Database) -> None:
    """Have 30 records opened, 12 of them activated, and documents from 11 of 13 doctors."""
    ids = [uuid4() for _ in range(30)]
    states = [(id_, None, "OPEN") for id_ in ids]
    states += [(id_, "OPEN", "ACTIVATED") for id_ in ids[:12]]
    async with database.write() as work:
        facts = [
            Fact(id_, JournalAction.CHANGE_STATE, "test", details={"from": before, "to": after})
            for id_, before, after in states
        ]
        await write(None, work, facts)
    doctors = [await reaching.professional(database) for _ in range(13)]
    await reaching.professional(database, "60")
    for number, doctor in enumerate(doctors[:11]):
        category = "LABORATORY" if number else "REPORT"
        fact = Fact(
            ids[0],
            JournalAction.DEPOSIT_DOCUMENT,
            "test",
            ObjectKind.DOCUMENT,
            tuple(uuid4() for _ in range(10)),
            details={"category": category},
        )
        async with database.write() as work:
            await write(doctor, work, [fact])
    await leaves.lay(database)
    await folding.run(database, {})


async def test_an_operator_sees_counts_and_no_small_one(database: Database, blobs: BlobStore):
    await happened(database)
    found = (await graph.data(database, blobs, OPERATOR, ALL))["statistics"]
    assert found["asOf"] is not None
    assert found["recordsByState"]["total"] == shown(30)
    states = {cell["state"]: cell["count"] for cell in found["recordsByState"]["states"]}
    assert len(states) == 8
    # 18 are open; 12 went with the empty states, which alone would be seen to be empty.
    assert {state for state, count in states.items() if not count["isSuppressed"]} == {"OPEN"}
    assert states["OPEN"] == shown(18)
    assert len(found["activationsPerMonth"]) == 12
    assert found["activationsPerMonth"][-1]["count"] == shown(12)
    assert found["activationsPerMonth"][0]["count"] == SUPPRESSED
    now = found["documents"][-1]
    assert now["total"] == shown(110)
    # 10 reports alone would be 110 less the shown ones, so that no category is shown.
    assert [cell["count"] for cell in now["categories"]] == [SUPPRESSED] * 15
    assert found["feedingProfessionals"] == [
        {
            "profession": {"code": "10"},
            "registered": 13,
            "feeding": shown(11),
            "share": "0.8462",
        },
        {"profession": {"code": "60"}, "registered": 1, "feeding": SUPPRESSED, "share": None},
    ]
    assert found["feedingOrganizations"] == [
        {"facilityType": None, "registered": 14, "feeding": shown(11), "share": "0.7857"}
    ]


async def test_before_anything_is_counted_there_is_nothing_to_see(
    database: Database, blobs: BlobStore
):
    found = (await graph.data(database, blobs, OPERATOR, ALL))["statistics"]
    assert found["asOf"] is None
    assert found["recordsByState"]["total"] == SUPPRESSED
    assert found["feedingProfessionals"] == []


async def test_months_are_chosen_and_wrong_ones_refused(database: Database, blobs: BlobStore):
    span = {"from": "2025-11", "to": "2026-01"}
    found = (await graph.data(database, blobs, OPERATOR, ALL, **span))["statistics"]
    months = [item["month"] for item in found["activationsPerMonth"]]
    assert months == ["2025-11", "2025-12", "2026-01"]
    assert [item["month"] for item in found["documents"]] == months
    for wrong in ({"from": "2026-02", "to": "2026-01"}, {"from": "2001-01", "to": "2026-01"}):
        _, errors = await graph.execute(database, blobs, OPERATOR, ALL, **wrong)
        assert {error["extensions"]["code"] for error in errors} == {"VALIDATION_FAILED"}


async def test_nobody_else_sees_them(database: Database, blobs: BlobStore):
    for actor, code in (
        (Anonymous(), "UNAUTHENTICATED"),
        (await world.holder(database), "ACCESS_DENIED"),
        (await reaching.professional(database), "ACCESS_DENIED"),
        (await world.publisher(database), "ACCESS_DENIED"),
    ):
        data, errors = await graph.execute(database, blobs, actor, "{ statistics { asOf } }")
        assert data is None
        assert [error["extensions"]["code"] for error in errors] == [code]
