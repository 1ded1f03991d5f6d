"""Whose data it is: never guessed, whatever a body says."""

from typing import Any

import orjson
import pytest
import world
from sqlalchemy import func, select

from carnet.errors import AccessDenied, Unauthenticated
from carnet.intake.actions import take_in
from carnet.intake.receipt import ItemOutcome
from carnet.people.actor import Anonymous, Publisher
from carnet.people.tables import Person
from carnet.records.tables import ProfileEntry, Record, RecordState
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

INS = "urn:oid:1.2.250.1.213.1.4.10"
LOCAL = "urn:oid:1.2.3.4.567.8.9.10"
NUMBER = "279035121518989"


def patient(
    *identifiers: tuple[str, str],
    birth: str = "1979-03-28",
    gender: str = "female",
    family: str = "PAT-TROIS",
) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"system": system, "value": value} for system, value in identifiers],
        "name": [{"use": "official", "family": family, "given": ["DOMINIQUE"]}],
        "gender": gender,
        "birthDate": birth,
    }


def condition(reference: dict[str, Any], id_: str = "c", text: str = "Asthme") -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": id_,
        "subject": reference,
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"text": text},
    }


def bundle(*resources: dict[str, Any]) -> bytes:
    entries = [
        {"fullUrl": f"urn:test:{r['resourceType']}:{r['id']}", "resource": r} for r in resources
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})


HERE = {"reference": "Patient/p"}


@pytest.fixture
async def publisher(database: Database) -> Publisher:
    return await world.publisher(database)


async def send(
    database: Database, blobs: BlobStore, actor: Publisher, body: bytes
) -> list[ItemOutcome]:
    return list((await take_in(actor, database, blobs, body, "application/fhir+json")).items)


async def people(database: Database) -> tuple[int, int]:
    async with database.read() as work:
        return (
            await work.session.scalar(select(func.count()).select_from(Person)) or 0,
            await work.session.scalar(select(func.count()).select_from(ProfileEntry)) or 0,
        )


def answers(items: list[ItemOutcome]) -> list[tuple[str, str | None]]:
    return [(item.outcome.value, item.reason.value if item.reason else None) for item in items]


async def test_a_national_number_finds_the_person_again(
    database: Database, blobs: BlobStore, publisher: Publisher
) -> None:
    await send(database, blobs, publisher, bundle(patient((INS, NUMBER)), condition(HERE)))
    again = bundle(patient((INS, NUMBER)), condition(HERE, "d", "Eczéma"))
    assert answers(await send(database, blobs, publisher, again)) == [
        ("DUPLICATE", None),
        ("CREATED", None),
    ]
    assert await people(database) == (1, 2)


async def test_a_national_number_with_another_birth_date_is_a_conflict(
    database: Database, blobs: BlobStore, publisher: Publisher
) -> None:
    await send(database, blobs, publisher, bundle(patient((INS, NUMBER)), condition(HERE)))
    other = bundle(patient((INS, NUMBER), birth="1980-03-28"), condition(HERE, "d"))
    assert answers(await send(database, blobs, publisher, other)) == [
        ("REFUSED", "IDENTITY_CONFLICT"),
        ("REFUSED", "IDENTITY_CONFLICT"),
    ]
    assert await people(database) == (1, 1)


async def test_one_local_number_for_two_women_stays_two_women(
    database: Database, blobs: BlobStore, publisher: Publisher
) -> None:
    shared = (LOCAL, "1234567890121")
    one = patient((INS, NUMBER), shared)
    two = patient((INS, "277076322082910"), shared, birth="1977-07-14", family="NESSI")
    await send(database, blobs, publisher, bundle(one, condition(HERE, text="Asthme")))
    await send(database, blobs, publisher, bundle(two, condition(HERE, text="Eczéma")))
    assert await people(database) == (2, 2)
    async with database.read() as work:
        records = await work.session.scalars(select(ProfileEntry.record_id))
        assert len(set(records)) == 2


async def test_a_patient_that_is_not_in_the_body_is_refused_with_help(
    database: Database, blobs: BlobStore, publisher: Publisher
) -> None:
    await send(database, blobs, publisher, bundle(patient((INS, NUMBER))))
    (item,) = await send(
        database, blobs, publisher, orjson.dumps(condition({"reference": "Patient/p"}))
    )
    assert answers([item]) == [("REFUSED", "NO_PATIENT")]
    assert "Bundle" in (item.message or "")
    assert await people(database) == (1, 0)


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": f"Patient?identifier={INS}|{NUMBER}"},
        {"identifier": {"system": INS, "value": NUMBER}},
    ],
)
async def test_a_reference_by_number_lands_once_the_person_is_known(
    database: Database, blobs: BlobStore, publisher: Publisher, reference: dict[str, Any]
) -> None:
    body = orjson.dumps(condition(reference))
    assert answers(await send(database, blobs, publisher, body)) == [("REFUSED", "UNKNOWN_PATIENT")]
    assert await people(database) == (0, 0)
    await send(database, blobs, publisher, bundle(patient((INS, NUMBER))))
    assert answers(await send(database, blobs, publisher, body)) == [("CREATED", None)]
    assert answers(await send(database, blobs, publisher, body)) == [("DUPLICATE", None)]


async def test_a_publisher_without_the_right_registers_nobody(
    database: Database, blobs: BlobStore
) -> None:
    modest = await world.publisher(database, may_register=False)
    body = bundle(patient((INS, NUMBER)), condition(HERE))
    refused = answers(await send(database, blobs, modest, body))
    assert refused == [("REFUSED", "UNKNOWN_PATIENT")] * 2
    assert await people(database) == (0, 0)


async def test_one_key_of_a_publisher_never_reaches_another_person(
    database: Database, blobs: BlobStore, publisher: Publisher
) -> None:
    one = bundle(patient((INS, NUMBER)), condition(HERE, "same", "Asthme"))
    other_patient = patient((INS, "277076322082910"), birth="1977-07-14", family="NESSI")
    two = bundle(other_patient, condition(HERE, "same", "Eczéma"))
    await send(database, blobs, publisher, one)
    assert answers(await send(database, blobs, publisher, two))[1] == ("CREATED", None)
    assert await people(database) == (2, 2)


async def test_a_closed_record_takes_nothing(
    database: Database, blobs: BlobStore, publisher: Publisher
) -> None:
    await send(database, blobs, publisher, bundle(patient((INS, NUMBER))))
    async with database.write() as work:
        record = await work.session.scalar(select(Record))
        assert record is not None
        record.state = RecordState.CLOSED
    body = bundle(patient((INS, NUMBER)), condition(HERE))
    refused = answers(await send(database, blobs, publisher, body))
    assert refused == [("REFUSED", "RECORD_CLOSED")] * 2
    assert await people(database) == (1, 0)


async def test_a_bad_item_never_loses_the_rest(
    database: Database, blobs: BlobStore, publisher: Publisher
) -> None:
    broken = condition(HERE, "broken")
    broken["code"] = ["not", "a", "concept"]
    body = bundle(patient((INS, NUMBER)), broken, condition(HERE, "good"))
    found = answers(await send(database, blobs, publisher, body))
    assert found == [("CREATED", None), ("REFUSED", "MALFORMED"), ("CREATED", None)]


async def test_only_publishers_feed(database: Database, blobs: BlobStore) -> None:
    alix = await world.holder(database)
    before = await people(database)
    with pytest.raises(AccessDenied):
        await take_in(alix, database, blobs, bundle(patient((INS, NUMBER))), "application/json")
    with pytest.raises(Unauthenticated):
        await take_in(Anonymous(), database, blobs, b"{}", "application/json")
    assert await people(database) == before
