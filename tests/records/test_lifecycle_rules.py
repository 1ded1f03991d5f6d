"""The life cycle as pure rules: late is the same as on time, and nothing happens that may not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet.errors import RecordClosed
from carnet.people.rules import majority
from carnet.records.lifecycle import (
    ALLOWED,
    ARCHIVE_WARNING,
    DELETION_WARNING,
    NOTICE,
    OPERATORS,
    TAKE_BACK,
    Happening,
    Life,
    LifeAction,
    act,
    advance,
    deadline,
    deletion_due,
    is_done,
    made_by_holder,
    next_due,
    notified,
    opened,
    warning,
    years_after,
)
from carnet.records.tables import RecordState
from carnet.values import PartialDate

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
S, A = RecordState, LifeAction

STEPS = {
    (S.NOTIFIED, S.OPEN),
    (S.CLOSED, S.DELETED),
    (S.DELETION_REQUESTED, S.DELETED),
}
"""All that may happen by itself."""

spans = st.one_of(
    st.integers(0, 10).map(lambda days: timedelta(days=days)),
    st.integers(0, 60 * 24 * 400).map(lambda minutes: timedelta(minutes=minutes)),
    st.sampled_from([NOTICE, TAKE_BACK, TAKE_BACK - DELETION_WARNING, timedelta(days=365 * 11)]),
)
sequences = st.lists(st.tuples(spans, st.sampled_from(LifeAction)), max_size=14)
births = st.one_of(
    st.none(), st.sampled_from([START, START + NOTICE, START + timedelta(days=30)]),
    st.integers(-1000, 6000).map(lambda days: START + timedelta(days=days)),
)  # fmt: skip
beginnings = st.sampled_from([notified, opened, made_by_holder])


def on_time(life: Life, until: datetime) -> tuple[Life, list[tuple[datetime, Happening]]]:
    """Run a worker that is there at every moment at which something is due."""
    seen = []
    while life.due_at is not None and life.due_at <= until:
        life, steps = advance(life, life.due_at)
        seen += [(step.at, step.what) for step in steps]
    return life, seen


def play(begin, majority_at, sequence, *, is_late: bool):
    now = START
    life = begin(now, majority_at)
    log: list[object] = []
    for span, action in sequence:
        now += span
        if is_late:
            life, steps = advance(life, now)
            log += [(step.at, step.what) for step in steps]
        else:
            life, seen = on_time(life, now)
            log += seen
        try:
            life = act(life, action, now)
            log.append((now, action))
        except RecordClosed:
            log.append((now, action, "refused"))
    return life, log


@given(beginnings, births, sequences)
def test_a_late_worker_ends_where_a_prompt_one_does(begin, majority_at, sequence) -> None:
    late = play(begin, majority_at, sequence, is_late=True)
    prompt = play(begin, majority_at, sequence, is_late=False)
    assert late == prompt


@given(beginnings, births, sequences, st.lists(spans, max_size=6))
def test_any_number_of_looks_is_one_look(begin, majority_at, sequence, looks) -> None:
    life, _ = play(begin, majority_at, sequence, is_late=True)
    now = START + sum((span for span, _ in sequence), timedelta())
    once, steps = advance(life, now + sum(looks, timedelta()))
    seen = []
    for look in looks:
        now += look
        life, some = advance(life, now)
        seen += some
    life, some = advance(life, now)
    assert (life, [(s.at, s.what) for s in [*seen, *some]]) == (
        once,
        [(s.at, s.what) for s in steps],
    )


@given(beginnings, births, sequences)
def test_only_what_may_happen_happens(begin, majority_at, sequence) -> None:
    now = START
    life = begin(now, majority_at)
    majorities = 0
    for span, action in sequence:
        now += span
        before = life
        life, steps = advance(life, now)
        moment = before.due_at
        for step in steps:
            assert moment is not None and moment <= step.at <= now
            moment = step.at
            if step.before.state is not step.after.state:
                assert (step.before.state, step.after.state) in STEPS
            majorities += step.what is Happening.MAJORITY
        assert life.due_at is None or life.due_at > now
        was = life
        if is_done(life, action):
            assert act(life, action, now) == life
        elif life.state in ALLOWED[action]:
            life = act(life, action, now)
            assert life.state is not was.state
            assert is_done(life, action)
            assert act(life, action, now) == life
        else:
            with pytest.raises(RecordClosed):
                act(life, action, now)
        assert (life.state is S.SUSPENDED) == (life.suspended_at is not None)
        assert (life.state is S.DELETED) == (life.deleted_at is not None)
        assert life.due_at is None or life.due_at >= now  # what is due at once, the worker does
    assert majorities <= 1


@given(births, st.lists(st.tuples(spans, st.sampled_from(sorted(set(A) - OPERATORS)))))
def test_a_deletion_is_announced(majority_at, sequence) -> None:
    now = START
    life = opened(now, majority_at)
    told = []
    for span, action in [*sequence, (timedelta(days=9000), A.ACTIVATE)]:
        now += span
        life, steps = advance(life, now)
        for step in steps:
            if step.what is Happening.DELETION_DUE:
                told.append(step.at)
            if step.what is Happening.DELETED:
                wait = ARCHIVE_WARNING if step.before.state is S.CLOSED else DELETION_WARNING
                assert told[-1] == step.at - wait
        if is_done(life, action) or life.state in ALLOWED[action]:
            life = act(life, action, now)


def test_the_notice_gives_six_weeks() -> None:
    life = notified(START)
    assert life.due_at == life.opens_at == START + timedelta(weeks=6)
    assert advance(life, START + NOTICE - timedelta(microseconds=1)) == (life, [])
    after, (step,) = advance(life, START + timedelta(days=400))
    assert (after.state, after.opened_at) == (S.OPEN, START + NOTICE)
    assert (step.what, step.at) == (Happening.OPENED, START + NOTICE)


def test_a_closed_record_is_kept_ten_years_and_its_holder_is_warned() -> None:
    closed = act(opened(START), A.CLOSE, START)
    end = datetime(2036, 1, 31, 12, tzinfo=UTC)
    assert (deletion_due(closed), warning(closed)) == (end, end - ARCHIVE_WARNING)
    after, steps = advance(closed, end)
    assert [step.what for step in steps] == [Happening.DELETION_DUE, Happening.DELETED]
    assert (after.state, after.deleted_at, after.due_at) == (S.DELETED, end, None)


def test_reopening_restores_the_former_state() -> None:
    for begin in (opened, made_by_holder):
        life = begin(START)
        closed = act(life, A.CLOSE, START)
        assert act(closed, A.REOPEN, START + timedelta(days=3000)) == life


@pytest.mark.parametrize(
    ("before", "actions"),
    [
        (S.OPEN, []),
        (S.ACTIVATED, [A.ACTIVATE]),
        (S.OPPOSED, [A.OPPOSE]),
        (S.CLOSED, [A.ACTIVATE, A.CLOSE]),
    ],
)
def test_a_deletion_can_be_taken_back(before: RecordState, actions: list[LifeAction]) -> None:
    life = opened(START)
    for action in actions:
        life = act(life, action, START)
    asked = act(life, A.REQUEST_DELETION, START)
    assert (life.state, asked.state) == (before, S.DELETION_REQUESTED)
    just_before = START + TAKE_BACK - timedelta(seconds=1)
    waiting, _ = advance(asked, just_before)
    assert act(waiting, A.CANCEL_DELETION, just_before) == replace(
        life, due_at=next_due(life, just_before)
    )
    gone, _ = advance(asked, START + TAKE_BACK)
    with pytest.raises(RecordClosed):
        act(gone, A.CANCEL_DELETION, START + TAKE_BACK)


def test_a_suspended_record_stands_still_and_goes_on() -> None:
    asked = act(act(opened(START), A.CLOSE, START), A.REQUEST_DELETION, START)
    stopped = act(asked, A.SUSPEND, START + timedelta(days=1))
    later = START + timedelta(days=4000)
    assert advance(stopped, later) == (stopped, [])
    back = act(stopped, A.RESUME, later)
    assert (back.state, deadline(back)) == (S.DELETION_REQUESTED, later + TAKE_BACK)
    assert act(back, A.CANCEL_DELETION, later).state is S.CLOSED


def test_a_notice_that_ran_out_during_a_suspension_opens_on_return() -> None:
    stopped = act(notified(START), A.SUSPEND, START)
    later = START + timedelta(days=300)
    back, (step,) = advance(act(stopped, A.RESUME, later), later)
    assert (back.state, back.opened_at, step.at) == (S.OPEN, later, later)


def test_majority_comes_once_and_in_every_state() -> None:
    of_age = START + timedelta(days=100)
    for actions in ([], [A.OPPOSE], [A.CLOSE], [A.SUSPEND], [A.CLOSE, A.SUSPEND]):
        life = opened(START, of_age)
        for action in actions:
            life = act(life, action, START)
        after, steps = advance(life, of_age)
        assert [step.what for step in steps] == [Happening.MAJORITY]
        assert after.state is life.state
        assert Happening.MAJORITY not in [
            step.what for step in advance(after, of_age + timedelta(days=9000))[1]
        ]


@pytest.mark.parametrize(
    ("born", "of_age"),
    [
        ("2010-05-04", "2028-05-04"),
        ("2010-05", "2028-05-01"),
        ("2010", "2028-01-01"),
        ("2008-02-29", "2026-03-01"),
        ("9999-12-31", "9999-12-31"),
    ],
)
def test_majority_is_the_earliest_possible_day(born: str, of_age: str) -> None:
    assert majority(PartialDate(born)) == datetime.fromisoformat(of_age).replace(tzinfo=UTC)


def test_a_leap_day_comes_again_a_day_later() -> None:
    assert years_after(datetime(2028, 2, 29, tzinfo=UTC), 10) == datetime(2038, 3, 1, tzinfo=UTC)


def test_a_time_that_leads_nowhere_is_passed_over() -> None:
    odd = replace(opened(START), due_at=START)
    assert advance(odd, START) == (replace(odd, due_at=None), [])
