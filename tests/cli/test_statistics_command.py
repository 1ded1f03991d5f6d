"""``carnet statistics`` and cutting off from the terminal, on a database of their own."""

import csv
import io
import json
from uuid import uuid4

import pytest

# The database is shared with tests that want the sandbox, which wants to be there first.
pytestmark = pytest.mark.usefixtures("loaded")


def test_statistics_are_shown_for_people_programs_and_spreadsheets(carnet) -> None:
    told = carnet("statistics")
    assert (told.code, told.err) == (0, "")
    assert "Records\n" in told.out
    assert "\n  OPEN " in told.out
    found = json.loads(carnet("statistics", "--json", "--from", "2026-01", "--to", "2026-03").out)
    assert set(found) == {"asOf", "counts"}
    months = [line["month"] for line in found["counts"] if line["metric"] == "activations"]
    assert months == ["2026-01", "2026-02", "2026-03"]
    rows = list(csv.DictReader(io.StringIO(carnet("statistics", "--csv").out)))
    states = [row["group"] for row in rows if row["metric"] == "records"]
    assert states[:3] == ["NOTIFIED", "OPPOSED", "OPEN"]
    assert all((row["count"] == "") == (row["isSuppressed"] == "True") for row in rows)


def test_wrong_months_and_two_forms_at_once_are_refused(carnet) -> None:
    assert carnet("statistics", "--from", "2026").line == "A month is written YYYY-MM."
    assert carnet("statistics", "--from", "March").code == 1
    assert carnet("statistics", "--json", "--csv").code == 2


def test_an_account_is_cut_off_and_restored(carnet) -> None:
    login = f"ops.{uuid4()}"
    assert carnet("account", "add", login, "--operator", "--no-password").code == 0
    assert carnet("account", "restore", login).code == 1  # it is open
    assert carnet("account", "cut-off", login, "--reason", "LEFT").out == "Cut off.\n"
    assert carnet("account", "cut-off", login).out == "Cut off.\n"
    assert carnet("account", "restore", login).out == "Restored.\n"
    assert carnet("account", "disable", login).out == "Disabled.\n"
    assert carnet("account", "cut-off", f"nobody.{uuid4()}").line == "No account has this login."
