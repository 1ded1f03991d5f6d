"""The codes of the vaccines in the real samples: exactly these stay unknown."""

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from carnet.store.database import Database
from carnet.terminology.actions import LoadReport
from carnet.terminology.queries import diseases_of_many
from carnet.terminology.systems import ICD_11, NDC, SHORT, SNOMED_CT
from carnet.values import Coding

# What these documents call systems; the OIDs stand beside the names in the files.
CNAM = {
    "JDV_BDM_CNAM-HR_CISIS": "urn:oid:1.2.250.1.215.200.1.1.1",
    "JDV_BDM_ATC_CNAM-HR_CISIS": "urn:oid:1.2.250.1.215.200.1.2.1",
}
Shape = dict[str, list[dict[str, list[list[str | None]]]]]  # of one document


def codings(file: Path) -> list[Coding]:
    """Return all codes of vaccines that the file says are in its documents, each once."""
    documents: dict[str, Shape | list[Shape]] = json.loads(file.read_text("utf-8"))
    found = {
        Coding(SHORT.get(system) or CNAM.get(system) or system, code)
        for shape in documents.values()
        for document in (shape if isinstance(shape, list) else [shape])
        for immunization in document.get("immunizations", [])
        for system, code in immunization["codes"]
        if system and code
    }
    return sorted(found, key=lambda coding: (coding.system, coding.code))


async def unknown(database: Database, known: Sequence[Coding]) -> set[tuple[str, str]]:
    async with database.read() as work:
        found = await diseases_of_many(work, [[coding] for coding in known])
    return {
        (coding.system, coding.code)
        for coding, diseases in zip(known, found, strict=True)
        if not diseases
    }


async def test_codings_of_cda(
    database: Database, samples: Path, load_files: Callable[..., Awaitable[LoadReport]]
) -> None:
    found = codings(samples / "EXPECTED_cda.json")
    assert len(found) == 25
    never = {
        ("2.16.840.1.113883.6.59", "33"),  # a wrong OID of CVX, in one vendor's export
        ("RxNORM", "1300310"),  # each beside a CVX code
        ("RxNORM", "1427027"),
        ("RxNORM", "854981"),
    }
    assert await unknown(database, found) == never
    await load_files(samples / "nuva")
    assert await unknown(database, found) == never


async def test_codings_of_fhir(
    database: Database, samples: Path, load_files: Callable[..., Awaitable[LoadReport]]
) -> None:
    found = codings(samples / "EXPECTED_fhir.json")
    assert len(found) == 35
    australian = "https://www.humanservices.gov.au/organisations/health-professionals/enablers/"
    never = {
        *((f"{australian}air-vaccine-code-formats", code) for code in ("COMIRN", "FQUAD")),
        *(("urn:oid:1.2.36.1.2001.1005.17", code) for code in ("FLUVAX", "GNFLU")),
        (SNOMED_CT, "1525011000168107"),  # of the Australian edition, as those below
        (SNOMED_CT, "1602431000168100"),
        (SNOMED_CT, "1655101000168104"),
        (SNOMED_CT, "1731271000168105"),
        (SNOMED_CT, "884862121000036103"),
    }
    learned = {(ICD_11, "XM0GQ8"), (NDC, "49281012188")}
    assert await unknown(database, found) == never | learned
    await load_files(samples / "nuva")
    assert await unknown(database, found) == never
