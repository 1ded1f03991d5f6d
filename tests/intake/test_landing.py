import asyncio
import itertools
import json
from collections import Counter, defaultdict
from hashlib import sha256
from pathlib import Path

import pytest
import world
from sqlalchemy import func, select

from carnet.documents.tables import Document, DocumentContent
from carnet.errors import Refusal
from carnet.intake.actions import take_in
from carnet.intake.receipt import Outcome, Receipt
from carnet.people.actor import Publisher
from carnet.people.tables import Person
from carnet.records.tables import Immunization, ImmunizationSource, ProfileEntry
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.tables import Blob

FHIR = "application/fhir+json"


@pytest.fixture
async def publisher(database: Database) -> Publisher:
    return await world.publisher(database)


async def counts(database: Database) -> dict[str, int]:
    async with database.read() as work:
        return {
            table.__tablename__: await work.session.scalar(select(func.count()).select_from(table))
            or 0
            for table in (
                Person,
                Document,
                DocumentContent,
                ProfileEntry,
                Immunization,
                ImmunizationSource,
            )
        }


def outcomes(receipt: Receipt) -> Counter[Outcome]:
    return Counter(item.outcome for item in receipt.items)


async def test_a_whole_synthea_patient_lands_and_a_second_time_changes_nothing(
    database: Database, blobs: BlobStore, publisher: Publisher, samples: Path
) -> None:
    body = next((samples / "synthea-r4").glob("Octavio*")).read_bytes()
    first = await take_in(publisher, database, blobs, body, FHIR)
    after = await counts(database)
    assert after["persons"] == 1
    assert after["immunizations"] == 11
    assert outcomes(first)[Outcome.CREATED] > 100
    assert outcomes(first)[Outcome.REFUSED] == 0
    second = await take_in(publisher, database, blobs, body, FHIR)
    assert await counts(database) == after
    assert second.submission_id == first.submission_id
    assert outcomes(second)[Outcome.DUPLICATE] == outcomes(first)[Outcome.CREATED]
    reordered = b" " + body  # other bytes, the same content: every item is looked at again
    third = await take_in(publisher, database, blobs, reordered, FHIR)
    assert await counts(database) == after
    assert outcomes(third)[Outcome.CREATED] == outcomes(third)[Outcome.UPDATED] == 0


async def test_the_same_body_sent_many_times_at_once_lands_once(
    database: Database, blobs: BlobStore, publisher: Publisher, samples: Path
) -> None:
    body = next((samples / "synthea-r4").glob("Clemente*")).read_bytes()
    receipts = await asyncio.gather(
        *(take_in(publisher, database, blobs, body + b" " * n, FHIR) for n in (0, 0, 0, 1, 2))
    )
    after = await counts(database)
    assert after["persons"] == 1
    assert after["immunizations"] == after["immunization_sources"] == 4
    created = sum(outcomes(receipt)[Outcome.CREATED] for receipt in receipts)
    assert created == max(outcomes(receipt)[Outcome.CREATED] for receipt in receipts)


def media_type(path: Path) -> str:
    kinds = {".json": FHIR, ".er7": "application/hl7-v2"}
    return kinds.get(path.suffix.lower(), "text/xml")


def sample_files(samples: Path, folder: str) -> list[Path]:
    return sorted(path for path in (samples / folder).iterdir() if path.is_file())


FOLDERS = [
    "fr-cda",
    "fr-hl7v2",
    "fr-fhir-dmp",
    "fr-fhir-eprescription",
    "fr-fhir-agenda",
    "ips",
    "c-cda",
    "us-core",
    "fhir-r4-spec",
]


@pytest.mark.parametrize("folder", FOLDERS)
async def test_every_real_file_is_taken_in_and_a_second_time_changes_nothing(
    database: Database, blobs: BlobStore, publisher: Publisher, samples: Path, folder: str
) -> None:
    async def send_all() -> list[Receipt | str]:
        answers: list[Receipt | str] = []
        for path in sample_files(samples, folder):
            try:
                answers.append(
                    await take_in(publisher, database, blobs, path.read_bytes(), media_type(path))
                )
            except Refusal as refusal:
                answers.append(refusal.code)
        return answers

    await send_all()
    await send_all()  # what was refused for a reason that the rest of the folder removed
    after = await counts(database)
    third = await send_all()
    assert await counts(database) == after
    for answer in third:
        if isinstance(answer, Receipt):
            assert outcomes(answer)[Outcome.CREATED] == outcomes(answer)[Outcome.UPDATED] == 0
            for item in answer.items:
                assert item.outcome is Outcome.DUPLICATE or item.reason is not None


async def test_french_documents_land_with_the_expected_facts(
    database: Database, blobs: BlobStore, publisher: Publisher, samples: Path
) -> None:
    expected = json.loads((samples / "EXPECTED_cda.json").read_text())
    for path in sample_files(samples, "fr-cda"):
        await take_in(publisher, database, blobs, path.read_bytes(), "text/xml")
    async with database.read() as work:
        documents = {row.unique_id: row for row in await work.session.scalars(select(Document))}
        parts = defaultdict(list)
        for part, blob in await work.session.execute(
            select(DocumentContent, Blob).join(Blob).order_by(DocumentContent.part)
        ):
            parts[part.document_id].append((part, blob))
        people = await work.session.scalar(select(func.count()).select_from(Person))
        doses = list(await work.session.scalars(select(Immunization)))
    assert people == len({e["patientIds"][0][1] for k, e in expected.items() if "fr-cda" in k})
    for name, facts in expected.items():
        if not name.startswith("fr-cda/"):
            continue
        document = documents[facts["uniqueId"]]
        assert (document.set_id, document.type_code) == (facts["setId"], facts["typeCode"]), name
        assert document.title == facts["title"], name
        assert document.language == facts["language"], name
        assert document.practice_setting_code == facts["practiceSetting"], name
        assert document.facility_type_code == facts["facilityType"], name
        assert [document.replaces_unique_id] == (facts["replaces"] or [None]), name
        assert ("ORPHAN_REPLACEMENT" in document.flags) == bool(facts["replaces"]), name
        original, *embedded = parts[document.id]
        assert original[1].sha256 == sha256((samples / name).read_bytes()).digest(), name
        sizes = sorted((part.media_type, blob.size_bytes) for part, blob in embedded)
        if facts["level"] == "N3":
            # The expected sizes are counted from the base64, so padding may be in them.
            # One picture is called a JPEG and is a PNG: the bytes decide its type.
            told = sorted(facts["embedded"], key=lambda pair: pair[1])
            found = sorted(sizes, key=lambda pair: pair[1])
            for (kind, size), (claimed, about) in zip(found, told, strict=True):
                assert about - 2 <= size <= about, name
                assert (kind, claimed) in {(claimed, claimed), ("image/png", "image/jpeg")}, name
        else:
            assert [size for _, size in sizes] == [facts["bodyBytes"]], name
            assert embedded[0][1].sha256.hex() == facts["bodySha256"], name
    lots = {dose.lot_number for dose in doses}
    assert {"235421176", "4456668", "4456672", "357904636"} <= lots
    bcg = next(dose for dose in doses if dose.lot_number == "235421176")
    assert (str(bcg.given_on), bcg.disease_codes) == ("1975", ["tuberculosis"])


async def test_messages_of_a_hospital_end_the_same_in_any_order(
    database: Database, blobs: BlobStore, publisher: Publisher, samples: Path
) -> None:
    names = ["mdm_init.er7", "mdm_replace.er7", "mdm_delete.er7"]
    ends = []
    for order in itertools.permutations(names):
        sender = await world.publisher(database)
        for name in order:
            body = (samples / "fr-hl7v2" / name).read_bytes()
            await take_in(sender, database, blobs, body, "application/hl7-v2")
        async with database.read() as work:
            rows = await work.session.scalars(
                select(Document)
                .where(Document.publisher_id == sender.publisher_id)
                .order_by(Document.version)
            )
            ends.append([(row.unique_id, row.version, row.status.value) for row in rows])
    assert ends == [ends[0]] * len(ends)
    assert [end[2] for end in ends[0]] == ["SUPERSEDED", "WITHDRAWN"]
