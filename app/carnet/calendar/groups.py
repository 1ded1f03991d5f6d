"""Blend the best series of a vaccine group's antigens into what is forecast (CDSi chapter 9)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from carnet.calendar.course import Cause, Evaluated, Status
from carnet.calendar.facts import Administration
from carnet.calendar.forecasting import SeriesStatus
from carnet.calendar.schedule import SeriesType, VaccineGroup
from carnet.calendar.selection import PatientSeries
from carnet.calendar.why import Why


@dataclass(frozen=True, slots=True)
class DoseVerdict:
    """What a dose administered is worth for a vaccine group."""

    administration: Administration
    status: Status
    cause: Cause
    why: tuple[Why, ...]


@dataclass(frozen=True, slots=True)
class GroupForecast:
    """What is next for a vaccine group. Days are day numbers; `series` names the best series."""

    group: str
    status: SeriesStatus
    type: SeriesType
    why: tuple[Why, ...]
    series: tuple[str, ...]
    doses: tuple[DoseVerdict, ...] = ()
    dose_number: int | None = None
    earliest: int | None = None
    recommended: int | None = None
    past_due: int | None = None
    latest: int | None = None
    antigens: tuple[str, ...] = ()
    vaccines: tuple[str, ...] = ()


_ORDER = (
    SeriesStatus.CONTRAINDICATED,
    SeriesStatus.AGED_OUT,
    SeriesStatus.NOT_RECOMMENDED,
    SeriesStatus.NOT_COMPLETE,
)
_PAST = frozenset({SeriesStatus.AGED_OUT, SeriesStatus.NOT_RECOMMENDED})


def blend(
    group: VaccineGroup, bests: Mapping[str, Sequence[PatientSeries]]
) -> tuple[GroupForecast, ...]:
    """Forecast a vaccine group; risk and standard series are not blended with each other.

    Args:
        group: the vaccine group.
        bests: the best series of each of its antigens.
    """
    found = []
    doses = _verdicts([each for name in group.antigens for each in bests[name]])
    kinds = dict.fromkeys(each.series.type for name in group.antigens for each in bests[name])
    for kind in sorted(kinds, key=lambda k: k is not SeriesType.RISK):
        of = [[e for e in bests[name] if e.series.type is kind] for name in group.antigens]
        found.append(_blended(group, kind, [e for each in of for e in _going_on(each)], doses))
    return tuple(found)


def _status(members: Sequence[PatientSeries], *, full: bool) -> SeriesStatus:
    """The group's status from those of its series (9.2, table 9-3).

    Where antigens are also given apart, a contraindication to one leaves the others to be given.
    """
    statuses = {each.forecast.status for each in members}
    if not full and len(statuses) > 1:
        statuses.discard(SeriesStatus.CONTRAINDICATED)
    for status in _ORDER:
        if status in statuses:
            return status
    return SeriesStatus.IMMUNE if statuses == {SeriesStatus.IMMUNE} else SeriesStatus.COMPLETE


def _going_on(members: Sequence[PatientSeries]) -> list[PatientSeries]:
    """Series groups for other ages leave the forecast of one antigen to those that go on."""
    return [e for e in members if e.forecast.status not in _PAST] or list(members)


def _blended(
    group: VaccineGroup,
    kind: SeriesType,
    members: Sequence[PatientSeries],
    doses: tuple[DoseVerdict, ...],
) -> GroupForecast:
    status = _status(members, full=group.full)
    forecasts = [each.forecast for each in members]
    result = GroupForecast(
        group=group.name,
        status=status,
        type=kind,
        why=tuple(why for each in forecasts for why in each.why),
        series=tuple(each.series.name for each in members),
        doses=doses,
    )
    due = [each for each in members if each.forecast.earliest is not None]
    if status is not SeriesStatus.NOT_COMPLETE or not due:
        return result
    earliest = _earliest(group, due)
    recommended = [d for e in due if (d := e.forecast.recommended) is not None]
    past_due = [d for e in due if (d := e.forecast.past_due) is not None]
    latest = [d for e in due if (d := e.forecast.latest) is not None]
    numbers = [n for e in due if (n := e.forecast.dose_number) is not None]
    return GroupForecast(
        group=group.name,
        status=status,
        type=kind,
        why=result.why,
        series=result.series,
        doses=result.doses,
        dose_number=min(numbers) if group.full else max(numbers),
        earliest=earliest,
        recommended=max(earliest, min(recommended)),
        past_due=max(earliest, min(past_due)) if past_due else None,
        latest=min(latest) if latest else None,
        antigens=tuple(dict.fromkeys(each.series.antigen for each in due)),
        vaccines=tuple(dict.fromkeys(v for each in due for v in each.forecast.vaccines)),
    )


def _earliest(group: VaccineGroup, due: Sequence[PatientSeries]) -> int:
    """The earliest day: of one antigen the first, of several the last unless one has priority."""
    days = [d for each in due if (d := each.forecast.earliest) is not None]
    if len(group.antigens) == 1:
        return min(days)
    if any(each.forecast.overrides for each in due):
        given = [e.administration.given_on for each in due for e in each.course.evaluated]
        return max([min(days), *given])
    return max(days)


_RANK = {Status.VALID: 0, Status.NOT_VALID: 1, Status.EXTRANEOUS: 2, Status.SUB_STANDARD: 3}


def _verdicts(members: Sequence[PatientSeries]) -> tuple[DoseVerdict, ...]:
    """One verdict for each dose: the best that any of the series has for it."""
    of_dose: dict[int, list[Evaluated]] = {}
    for each in members:
        for one in each.course.evaluated:
            of_dose.setdefault(one.administration.place, []).append(one)
    found = []
    for held in of_dose.values():
        chosen = min(held, key=lambda one: _RANK[one.status])
        why = tuple(one.why for one in held)
        found.append(DoseVerdict(chosen.administration, chosen.status, chosen.cause, why))
    return tuple(sorted(found, key=lambda v: (v.administration.given_on, v.administration.place)))
