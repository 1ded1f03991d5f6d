"""How many patients an hour are plausible, and what follows; no database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from carnet.access.volume_rules import (
    LONGEST_DELAY,
    SHORTEST_DELAY,
    hour_of,
    most,
    pace,
    plausible_volume,
    volumes,
)

PLAUSIBLE = st.integers(1, 500)
FRESH = st.integers(1, 100)


@given(PLAUSIBLE, st.integers(0, 500), FRESH)
def test_up_to_what_is_plausible_nothing_happens(plausible, below, fresh):
    found = pace(max(plausible - below, 0), plausible, fresh)
    assert (found.delay_seconds, found.is_alarm, found.is_refused) == (0, False, False)


@given(PLAUSIBLE, st.integers(0, 5000), FRESH)
def test_beyond_it_a_request_waits_or_is_refused_and_operators_are_told(plausible, above, fresh):
    count = plausible + 1 + above
    found = pace(count, plausible, fresh)
    assert found.is_alarm
    assert found.is_refused == (count > 5 * plausible)
    if not found.is_refused:
        assert SHORTEST_DELAY <= found.delay_seconds <= LONGEST_DELAY


@given(PLAUSIBLE, st.integers(0, 5000), FRESH)
def test_no_further_patient_is_ever_cheaper_than_the_one_before(plausible, count, fresh):
    one, next_one = pace(count, plausible, fresh), pace(count + 1, plausible, fresh)
    assert next_one.is_refused >= one.is_refused
    assert next_one.is_alarm >= one.is_alarm
    assert next_one.is_refused or next_one.delay_seconds >= one.delay_seconds


@given(PLAUSIBLE, st.integers(0, 5000), FRESH)
def test_many_at_once_cost_no_less_than_one(plausible, count, fresh):
    assert pace(count, plausible, fresh).delay_seconds >= pace(count, plausible).delay_seconds


@given(PLAUSIBLE, st.integers(0, 5000))
def test_who_reaches_nobody_new_neither_waits_nor_is_refused(plausible, count):
    found = pace(count, plausible, 0)
    assert (found.delay_seconds, found.is_refused) == (0, False)
    assert found.is_alarm == (count > plausible)


def test_the_delay_rises_from_one_second_to_ten():
    assert pace(61, 60).delay_seconds == 1
    assert pace(300, 60).delay_seconds == 10
    assert pace(65, 60, fresh=3).delay_seconds == 3 * pace(65, 60).delay_seconds
    assert pace(61, 60, fresh=50).delay_seconds == 1  # only one of them is too many
    assert (most(60), pace(301, 60).is_refused) == (300, True)


def test_what_is_plausible_follows_the_profession_the_speciality_and_the_place():
    assert plausible_volume("10", "SM26", regulates=False) == 60
    assert plausible_volume("10", None, regulates=False) == 60
    assert plausible_volume("10", "SM03", regulates=False) == 400
    assert plausible_volume("21", None, regulates=False) == 150
    assert plausible_volume("60", None, regulates=False) == 80
    assert plausible_volume("unheard of", "SM03", regulates=False) == 60
    assert plausible_volume("10", "SM26", regulates=True) == 120
    assert plausible_volume("unheard of", None, regulates=True) == 120
    assert plausible_volume("10", "SM03", regulates=True) == 400


def test_every_row_of_the_shipped_table_can_be_used():
    assert volumes()["*", "*"] == 60
    assert all(volume > 0 and len(key) == 2 for key, volume in volumes().items())


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)), st.uuids())
def test_an_alarm_is_one_for_an_account_and_an_hour_of_the_clock(moment, account_id):
    hour = moment.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    one = hour_of(account_id, hour)
    assert one == hour_of(account_id, hour + timedelta(minutes=59))
    assert one != hour_of(account_id, hour + timedelta(hours=1))
    assert one != hour_of(UUID(int=account_id.int ^ 1), hour)
