"""Doses of vaccines: what a resource of FHIR becomes, and what becomes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from resources import SNOMED, aside, coded, read

from carnet.intake.model import ImmunizationItem, Reason
from carnet.values import Coding


def dose(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"text": "BCG", "coding": [{"system": "urn:s", "code": "19"}]},
        **more,
    }


def given(**more: Any) -> ImmunizationItem:
    (found,) = read(dose(**more))
    assert isinstance(found, ImmunizationItem), found
    return found


def test_a_dose() -> None:
    found = given(
        occurrenceDateTime="2021-03-04T23:30:00-08:00",
        lotNumber=" AB12 ",
        isSubpotent=True,
        protocolApplied=[
            {"doseNumberPositiveInt": 2, "targetDisease": [coded("56717001", text="Tuberculose")]}
        ],
    )
    assert (found.vaccine_label, found.codings) == ("BCG", (Coding("urn:s", "19"),))
    assert found.given_on is not None and found.given_on.text == "2021-03-04"
    assert (found.lot_number, found.dose_rank, found.is_subpotent) == ("AB12", 2, True)
    assert found.target_diseases == (Coding(SNOMED, "56717001"),)


@pytest.mark.parametrize(
    ("time", "known"),
    [
        ({"occurrenceDateTime": "1996"}, "1996"),
        ({"occurrenceDateTime": "1996-02"}, "1996-02"),
        ({"occurrenceString": "January 2012"}, None),
        ({"occurrenceString": "date inconnue"}, None),
        ({"occurrenceString": "2012-01"}, "2012-01"),
        ({"_occurrenceDateTime": {"extension": []}}, None),
        ({}, None),
    ],
)
def test_a_date_is_as_exact_as_it_is_written_or_unknown(
    time: dict[str, Any], known: str | None
) -> None:
    found = given(**time)
    assert (found.given_on.text if found.given_on else None) == known


@pytest.mark.parametrize(
    "date",
    ["04/03/2021", "2021-13", "2021-02-30", "0000", "2021-03-04 10:00", "2021-03T10:00", 2021, ""],
)
def test_a_date_that_is_none_is_refused_and_not_unknown(date: Any) -> None:
    if date == "":
        assert given(occurrenceDateTime=date).given_on is None
    else:
        assert aside(dose(occurrenceDateTime=date)) == (Reason.MALFORMED, True)


@pytest.mark.parametrize(
    ("protocols", "rank"),
    [
        ([{"doseNumberString": "2"}], 2),
        ([{"doseNumberString": "2/3"}], 2),
        ([{"doseNumberString": "2 of 3"}], 2),
        ([{"doseNumberString": "rappel"}], None),
        ([{"doseNumberString": "0"}], None),
        ([{"doseNumberPositiveInt": 1}, {"doseNumberPositiveInt": 1}], 1),
        ([{"doseNumberPositiveInt": 1}, {"doseNumberPositiveInt": 2}], None),
        ([{"series": "1"}], None),
    ],
)
def test_ranks(protocols: list[dict[str, Any]], rank: int | None) -> None:
    assert given(protocolApplied=protocols).dose_rank == rank


@pytest.mark.parametrize(
    "said", [{"status": "not-done"}, {"notGiven": True}, {"wasNotGiven": True}]
)
def test_what_was_not_done_is_no_vaccination(said: dict[str, Any]) -> None:
    assert aside(dose(**said)) == (Reason.NOT_DONE, False)


def test_other_states_of_a_dose() -> None:
    assert aside(dose(status="entered-in-error")) == (Reason.ENTERED_IN_ERROR, False)
    assert aside(dose(status=None)) == (Reason.MALFORMED, True)
    assert aside(dose(vaccineCode={})) == (Reason.MALFORMED, True)
    assert aside(dose(vaccineCode=coded("no-immunization-info"))) == (Reason.NOT_SUPPORTED, False)
    assert aside(dose(lotNumber="x" * 101)) == (Reason.MALFORMED, True)
    assert aside(dose(modifierExtension=[{"url": "urn:x"}])) == (Reason.NOT_SUPPORTED, True)
