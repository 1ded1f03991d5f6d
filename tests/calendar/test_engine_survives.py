"""Whatever a history holds, possible or not, the engine answers, and answers the same."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedules import TWO_DOSES, one, series

from carnet.calendar.dates import LAST
from carnet.calendar.engine import assess
from carnet.calendar.facts import MOST_DOSES, Aside, Observation, Person, Written
from carnet.calendar.forecasting import SeriesStatus
from carnet.calendar.schedule import Schedule

DATES = st.one_of(
    st.dates(date(1880, 1, 1), date(2100, 12, 31)).map(date.isoformat),
    st.dates(date(2024, 1, 1), date(2027, 12, 31)).map(date.isoformat),
    st.sampled_from(["", "2025", "2025-06", "2025-13", "2025-02-30", "0000-00-00", "9999-12-31"]),
    st.text(max_size=12),
)
DOSES = st.builds(
    Written,
    DATES,
    st.one_of(st.sampled_from(["10", "11", "12", "010", "", "0"]), st.text(max_size=6)),
    st.sampled_from(["", "PMC"]),
    st.just(""),
    st.booleans(),
)
DAYS = st.dates(date(1900, 1, 1), date(2200, 12, 31)).map(date.toordinal)
PEOPLE = st.builds(
    Person,
    DAYS,
    st.sampled_from("FMU"),
    st.lists(st.builds(Observation, st.sampled_from(["007", "x"]), st.none() | DAYS)).map(tuple),
)


@pytest.fixture(scope="module")
def schedule(tmp_path_factory: pytest.TempPathFactory) -> Schedule:
    more = "    indication: {observation_code: {code: '007', text: a risk}}"
    recurring = TWO_DOSES + '        recurring_dose: "Yes"\n'
    return one(
        tmp_path_factory.mktemp("schedule"),
        series(),
        series(recurring, name="other", default="No", preference="2"),
        series(name="risk", kind="Risk", series_group="2", default="No", more=more),
    )


@settings(deadline=None)
@given(person=PEOPLE, history=st.lists(DOSES, max_size=12), as_of=DAYS)
def test_any_history_is_answered(
    schedule: Schedule, person: Person, history: list[Written], as_of: int
) -> None:
    result = assess(person, history, schedule, as_of)
    assert result == assess(person, history, schedule, as_of)
    aside = {each.place for each in result.aside}
    for group in result.groups:
        used = {each.administration.place for each in group.doses}
        assert used | aside == set(range(len(history))), "each dose is judged or set aside"
        assert not used & aside
        days = [group.earliest, group.recommended, group.past_due, group.latest]
        if group.earliest is None:
            assert not any(days)
        else:
            assert group.status is SeriesStatus.NOT_COMPLETE
            assert person.born_on <= group.earliest <= (group.recommended or LAST) <= LAST
            assert group.past_due is None or group.earliest <= group.past_due
        assert group.why and all(str(why) for why in group.why)
        for dose in group.doses:
            assert person.born_on <= dose.administration.given_on <= as_of


@settings(deadline=None, max_examples=30)
@given(history=st.lists(DOSES, max_size=8))
def test_the_order_of_writing_does_not_matter(schedule: Schedule, history: list[Written]) -> None:
    history = [each for each in history if [e.given_on for e in history].count(each.given_on) == 1]
    person, as_of = Person(date(2024, 1, 1).toordinal()), date(2027, 12, 31).toordinal()
    there = assess(person, history, schedule, as_of)
    back = assess(person, history[::-1], schedule, as_of)
    assert len(there.aside) == len(back.aside)
    for one_way, other_way in zip(there.groups, back.groups, strict=True):
        assert (one_way.status, one_way.earliest) == (other_way.status, other_way.earliest)


def test_a_history_without_end_is_cut_and_said(schedule: Schedule) -> None:
    history = [Written("2025-06-01", "10")] * (MOST_DOSES + 3)
    result = assess(Person(date(2025, 1, 1).toordinal()), history, schedule, 740_000)
    assert [each.place for each in result.aside] == list(range(MOST_DOSES, MOST_DOSES + 3))
    assert {each.reason for each in result.aside} == {Aside.TOO_MANY}
    assert len(result.groups[0].doses) == MOST_DOSES
