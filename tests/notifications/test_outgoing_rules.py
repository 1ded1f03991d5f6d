"""Which channels a kind goes out over, and when what failed is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from carnet.notifications.rules import (
    FIRST_BACKOFF,
    LONGEST_BACKOFF,
    LONGEST_WAIT,
    MANDATORY,
    NOTIFICATION_LIFE,
    TO_PERSONS,
    TO_PROFESSIONALS,
    may_choose,
    next_attempt,
    outgoing_channels,
)
from carnet.notifications.tables import Channel, NotificationKind

NOW = datetime(2026, 3, 28, tzinfo=UTC)
KINDS = st.sampled_from(NotificationKind)
SETS = st.frozensets(st.sampled_from(Channel))


@given(KINDS, st.none() | SETS, SETS)
def test_what_goes_out_was_chosen_or_is_mandatory(
    kind: NotificationKind, chosen: frozenset[Channel] | None, set_up: frozenset[Channel]
) -> None:
    choices = {} if chosen is None else {kind.value: sorted(chosen)}
    going = outgoing_channels(kind, choices, set_up)
    assert going <= set_up
    wanted = frozenset(Channel) if chosen is None else chosen
    if kind in MANDATORY:
        assert bool(going) == bool(set_up)
        assert going in (wanted & set_up, set_up)
    else:
        assert going == wanted & set_up


@given(KINDS, SETS, SETS)
def test_what_may_be_chosen_reaches_its_recipient(
    kind: NotificationKind, chosen: frozenset[Channel], set_up: frozenset[Channel]
) -> None:
    if may_choose(kind, chosen, set_up) and kind in MANDATORY and set_up:
        assert outgoing_channels(kind, {kind.value: sorted(chosen)}, set_up) == chosen & set_up
    assert may_choose(kind, frozenset(Channel), set_up)


@given(
    st.integers(1, 1000),
    st.timedeltas(timedelta(), timedelta(days=4)),
    st.timedeltas(timedelta(), timedelta(days=400)),
)
def test_the_next_attempt_is_bounded(attempts: int, age: timedelta, wanted: timedelta) -> None:
    expires_at = NOW - age + NOTIFICATION_LIFE
    at = next_attempt(NOW, attempts, expires_at, wanted)
    if at is None:
        assert NOW + max(LONGEST_BACKOFF, LONGEST_WAIT) >= expires_at
    else:
        assert NOW + FIRST_BACKOFF <= at < expires_at
        assert at <= NOW + max(LONGEST_BACKOFF, LONGEST_WAIT)


def test_every_kind_has_somebody_who_is_told() -> None:
    outside = {*TO_PERSONS, *TO_PROFESSIONALS}
    assert set(NotificationKind) - outside == {NotificationKind.VOLUME_ALARM}
    assert outside >= MANDATORY
