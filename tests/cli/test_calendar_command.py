"""The command that runs public cases: counts, every mismatch with its why, and broken input."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from schedules import series, write

from carnet.cli.faults import FAILED

COLUMNS = ("CDC_Test_ID", "Test_Case_Name", "DOB", "Gender", "Series_Status", "Vaccine_Group")
DATES = ("Assessment_Date", "Earliest_Date", "Recommended_Date", "Past_Due_Date")
DOSE = ("Date_Administered_", "Vaccine_Name_", "CVX_", "MVX_", "Evaluation_Status_")
AGREEING = {
    "CDC_Test_ID": "1",
    "Test_Case_Name": "newborn",
    "DOB": "2025-01-31",
    "Gender": "F",
    "Series_Status": "Not Complete",
    "Vaccine_Group": "ALPHA",
    "Assessment_Date": "2025-02-01",
    "Earliest_Date": "2025-03-31",
    "Recommended_Date": "2025-05-01",
    "Past_Due_Date": "2025-06-30",
}
OTHER = AGREEING | {
    "CDC_Test_ID": "2",
    "Earliest_Date": "2025-04-01",
    "Assessment_Date": "2025-04-02",
    "Date_Administered_1": "2025-04-01",
    "CVX_1": "10",
    "Evaluation_Status_1": "Not Valid",
    "Past_Due_Date": "",
}


def table(path: Path, *rows: dict[str, str]) -> str:
    columns = [*COLUMNS, *DATES, *(f"{name}{n}" for n in range(1, 8) for name in DOSE)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "schedule").mkdir()
    return str(write(tmp_path / "schedule", {"Alpha": series()}))


def test_it_counts_and_says_why_a_case_differs(carnet: Any, tmp_path: Path, folder: str) -> None:
    cases = table(tmp_path / "cases.csv", AGREEING, OTHER)
    done = carnet("calendar", "conformance", cases, "--schedule", folder)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[1].split() == ["Alpha", "2", "1", "2", "1", "1", "1", "1"]
    assert lines[3] == "1 of 2 cases agree in full (50.00 %)"
    assert "2 Alpha: newborn" in lines
    assert "  doses: expected not valid, is valid" in lines
    assert "  earliest: expected 2025-04-01, is 2025-04-29" in lines
    assert any("minimum interval 28 days after 2025-04-01" in line for line in lines)


def test_programs_get_json(carnet: Any, tmp_path: Path, folder: str) -> None:
    cases = table(tmp_path / "cases.csv", AGREEING, OTHER)
    done = carnet("calendar", "conformance", cases, "--schedule", folder, "--json")
    found = json.loads(done.out)
    assert found["groups"]["Alpha"]["agreeing"] == 1
    (mismatch,) = found["mismatches"]
    assert mismatch["id"] == "2" and mismatch["why"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Vaccine_Group": "Omega"}, "line 2: vaccine group 'Omega' is not in the schedule"),
        ({"DOB": "2025-02"}, "line 2: partial date '2025-02'"),
        ({"Assessment_Date": "never"}, "line 2: impossible date 'never'"),
    ],
)
def test_a_case_that_cannot_be_read_is_one_clear_line(
    carnet: Any, tmp_path: Path, folder: str, change: dict[str, str], said: str
) -> None:
    cases = table(tmp_path / "cases.csv", AGREEING | change)
    done = carnet("calendar", "conformance", cases, "--schedule", folder)
    assert (done.code, done.line) == (FAILED, said)


def test_a_broken_schedule_is_one_clear_line(carnet: Any, tmp_path: Path, folder: str) -> None:
    alpha = Path(folder) / "alpha.yaml"
    alpha.write_text(
        alpha.read_text().replace("earliest_rec_age: 3 months", "earliest_rec_age: soon")
    )
    cases = table(tmp_path / "cases.csv", AGREEING)
    done = carnet("calendar", "conformance", cases, "--schedule", folder)
    assert done.code == FAILED
    assert done.line.startswith("alpha.yaml:") and "'soon' is no age" in done.line
