"""The life cycle of a record: which state allows what, and what happens when a time has come.

Pure. A `Life` is what decides of one record; `advance` brings it up to a moment and `act` does
what somebody asks for. Whoever acts advances first, so that a worker that comes late finds what
it would have found on time: an action at noon meets a record that was opened at eleven, whether
or not anything ran at eleven.

Source: Code de la santé publique, R1111-28, R1111-36, R1111-40.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from carnet.errors import RecordClosed
from carnet.records.tables import RecordState

NOTICE = timedelta(weeks=6)
"""Between the notice and the opening: the time to object (R1111-28)."""

ARCHIVE_YEARS = 10
"""How long a closed record is kept (R1111-36)."""

ARCHIVE_WARNING = timedelta(days=90)
"""How long before the end of its archive the holder is told."""

TAKE_BACK = timedelta(days=30)
"""How long a request for deletion can be taken back; the law allows 3 months until it is done."""

DELETION_WARNING = timedelta(days=7)
"""How long before a requested deletion the holder is told once more."""


class LifeAction(StrEnum):
    """What somebody does to a record's state."""

    ACTIVATE = "ACTIVATE"
    OPPOSE = "OPPOSE"
    REVERSE_OPPOSITION = "REVERSE_OPPOSITION"
    CLOSE = "CLOSE"
    REOPEN = "REOPEN"
    REQUEST_DELETION = "REQUEST_DELETION"
    CANCEL_DELETION = "CANCEL_DELETION"
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"


class Happening(StrEnum):
    """What happens by itself when its time has come."""

    OPENED = "OPENED"
    DELETION_DUE = "DELETION_DUE"  # a warning; it changes no state
    DELETED = "DELETED"
    MAJORITY = "MAJORITY"  # the holder is 18; it changes no state


_S = RecordState
_A = LifeAction

ALLOWED: dict[LifeAction, frozenset[RecordState]] = {
    _A.ACTIVATE: frozenset({_S.OPEN}),
    _A.OPPOSE: frozenset({_S.NOTIFIED, _S.OPEN}),
    _A.REVERSE_OPPOSITION: frozenset({_S.OPPOSED}),
    _A.CLOSE: frozenset({_S.OPEN, _S.ACTIVATED}),
    _A.REOPEN: frozenset({_S.CLOSED}),
    _A.REQUEST_DELETION: frozenset({_S.OPEN, _S.ACTIVATED, _S.OPPOSED, _S.CLOSED}),
    _A.CANCEL_DELETION: frozenset({_S.DELETION_REQUESTED}),
    _A.SUSPEND: frozenset(_S) - {_S.SUSPENDED, _S.DELETED},
    _A.RESUME: frozenset({_S.SUSPENDED}),
}
"""The states from which each action leads somewhere."""

OPERATORS = frozenset({_A.SUSPEND, _A.RESUME})
"""What only operators do; everything else is the holder's."""

_DONE: dict[LifeAction, frozenset[RecordState]] = {
    _A.ACTIVATE: frozenset({_S.ACTIVATED}),
    _A.OPPOSE: frozenset({_S.OPPOSED}),
    _A.REVERSE_OPPOSITION: frozenset({_S.NOTIFIED, _S.OPEN, _S.ACTIVATED}),
    _A.CLOSE: frozenset({_S.CLOSED}),
    _A.REOPEN: frozenset({_S.OPEN, _S.ACTIVATED}),
    _A.REQUEST_DELETION: frozenset({_S.DELETION_REQUESTED}),
    _A.CANCEL_DELETION: frozenset({_S.OPEN, _S.ACTIVATED, _S.OPPOSED, _S.CLOSED}),
    _A.SUSPEND: frozenset({_S.SUSPENDED}),
    _A.RESUME: frozenset(_S) - {_S.SUSPENDED, _S.DELETED},
}


@dataclass(frozen=True, slots=True)
class Life:
    """Everything that decides what becomes of a record; the columns of the same names.

    ``majority_at`` is when the holder is 18, None where that is not known.
    """

    state: RecordState
    notified_at: datetime | None = None
    opens_at: datetime | None = None
    opened_at: datetime | None = None
    activated_at: datetime | None = None
    closed_at: datetime | None = None
    opposed_at: datetime | None = None
    suspended_at: datetime | None = None
    deletion_requested_at: datetime | None = None
    deleted_at: datetime | None = None
    former_state: RecordState | None = None
    due_at: datetime | None = None
    majority_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened by itself, at its own time and not when it was found due."""

    at: datetime
    what: Happening
    before: Life
    after: Life


def notified(now: datetime, majority_at: datetime | None = None) -> Life:
    """Return the life of a record whose holder is sent the notice now."""
    life = Life(_S.NOTIFIED, notified_at=now, opens_at=now + NOTICE, majority_at=majority_at)
    return replace(life, due_at=next_due(life, now))


def opened(now: datetime, majority_at: datetime | None = None) -> Life:
    """Return the life of a record that opens at once, as when a publisher brings its holder."""
    life = Life(_S.OPEN, opened_at=now, majority_at=majority_at)
    return replace(life, due_at=next_due(life, now))


def made_by_holder(now: datetime, majority_at: datetime | None = None) -> Life:
    """Return the life of a record that a holder asks for after the former one was deleted."""
    life = Life(_S.ACTIVATED, opened_at=now, activated_at=now, majority_at=majority_at)
    return replace(life, due_at=next_due(life, now))


def deadline(life: Life) -> datetime | None:
    """Return when the state changes by itself; None when it does not."""
    match life.state:
        case RecordState.NOTIFIED:
            return life.opens_at
        case RecordState.CLOSED if life.closed_at is not None:
            return years_after(life.closed_at, ARCHIVE_YEARS)
        case RecordState.DELETION_REQUESTED if life.deletion_requested_at is not None:
            return life.deletion_requested_at + TAKE_BACK
    return None


def deletion_due(life: Life) -> datetime | None:
    """Return when the record is deleted by itself; None when it is not."""
    return None if life.state is _S.NOTIFIED else deadline(life)


def warning(life: Life) -> datetime | None:
    """Return when the holder is told that a deletion is near; None without a deletion."""
    due = deletion_due(life)
    if due is None:
        return None
    return due - (ARCHIVE_WARNING if life.state is _S.CLOSED else DELETION_WARNING)


def next_due(life: Life, after: datetime) -> datetime | None:
    """Return when something happens next, given that all until ``after`` has happened.

    A deadline that passed meanwhile, as during a suspension, is met at once.
    """
    if life.state is _S.DELETED:
        return None
    moments = [moment for moment in (warning(life), life.majority_at) if moment and moment > after]
    limit = deadline(life)
    if limit is not None:
        moments.append(max(limit, after))
    return min(moments, default=None)


def advance(life: Life, now: datetime) -> tuple[Life, list[Step]]:
    """Return the life of now and what has happened until now, in order, each with its own time."""
    steps: list[Step] = []
    while life.due_at is not None and life.due_at <= now:
        at = life.due_at
        for what in _happenings(life, at):
            after = _happen(life, what, at)
            steps.append(Step(at, what, life, after))
            life = after
        life = replace(life, due_at=next_due(life, at))
    return life, steps


def _happenings(life: Life, at: datetime) -> list[Happening]:
    happened = []
    if life.majority_at == at:
        happened.append(Happening.MAJORITY)
    if warning(life) == at:
        happened.append(Happening.DELETION_DUE)
    limit = deadline(life)
    if limit is not None and limit <= at:
        happened.append(Happening.OPENED if life.state is _S.NOTIFIED else Happening.DELETED)
    return happened


def _happen(life: Life, what: Happening, at: datetime) -> Life:
    match what:
        case Happening.OPENED:
            return replace(life, state=_S.OPEN, opened_at=at)
        case Happening.DELETED:
            return replace(life, state=_S.DELETED, deleted_at=at, former_state=None)
    return life


def is_done(life: Life, action: LifeAction) -> bool:
    """Tell whether the action has nothing left to do: asked for again, it changes nothing."""
    return life.state in _DONE[action]


def act(life: Life, action: LifeAction, now: datetime) -> Life:
    """Return the life after the action; one that is done already leaves it as it is.

    Args:
        life: advanced until now.
        action: what is asked for, by somebody who may.
        now: the moment.

    Raises:
        RecordClosed: the state allows no such action.
    """
    if is_done(life, action):
        return life
    if life.state not in ALLOWED[action]:
        raise RecordClosed(f"The record is {life.state.value}, which does not allow this.")
    life = _acted(life, action, now)
    return replace(life, due_at=next_due(life, now))


def _acted(life: Life, action: LifeAction, now: datetime) -> Life:
    match action:
        case LifeAction.ACTIVATE:
            return replace(life, state=_S.ACTIVATED, activated_at=now)
        case LifeAction.OPPOSE:
            return replace(life, state=_S.OPPOSED, opposed_at=now)
        case LifeAction.REVERSE_OPPOSITION:
            opened_at = life.opened_at or now
            return replace(life, state=_S.OPEN, opposed_at=None, opened_at=opened_at)
        case LifeAction.CLOSE:
            return replace(life, state=_S.CLOSED, closed_at=now, former_state=life.state)
        case LifeAction.REOPEN:
            state = life.former_state or _open_state(life)
            return replace(life, state=state, closed_at=None, former_state=None)
        case LifeAction.REQUEST_DELETION:
            return replace(
                life,
                state=_S.DELETION_REQUESTED,
                deletion_requested_at=now,
                former_state=life.state,
            )
        case LifeAction.CANCEL_DELETION:
            state = life.former_state or _state_before_deletion(life)
            return _come_back(replace(life, deletion_requested_at=None), state)
        case LifeAction.SUSPEND:
            return replace(life, state=_S.SUSPENDED, suspended_at=now, former_state=life.state)
        case LifeAction.RESUME:
            state = life.former_state or _open_state(life)
            if state is _S.DELETION_REQUESTED:  # the holder gets the time to take it back anew
                life = replace(life, deletion_requested_at=now)
            return _come_back(replace(life, suspended_at=None), state)


def _come_back(life: Life, state: RecordState) -> Life:
    """Return to a state, and with it to what that state itself would come back to."""
    former = None
    if state is _S.CLOSED:
        former = _open_state(life)
    elif state is _S.DELETION_REQUESTED:
        former = _state_before_deletion(life)
    return replace(life, state=state, former_state=former)


def _state_before_deletion(life: Life) -> RecordState:
    if life.closed_at is not None:
        return _S.CLOSED
    return _S.OPPOSED if life.opposed_at is not None else _open_state(life)


def _open_state(life: Life) -> RecordState:
    return _S.ACTIVATED if life.activated_at is not None else _S.OPEN


def years_after(moment: datetime, years: int) -> datetime:
    """Return the same day some years later; 29 February becomes 1 March."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, month=3, day=1)
