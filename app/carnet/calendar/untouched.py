"""What a rule asks of a person of whom nothing touches it: no act, and no fact that it names.

Most rules are in this case for most people, and the answer follows from the birth date alone. It is
the engine's own, found without the engine; a test holds both equal over generated people.
"""

from __future__ import annotations

from carnet.calendar.dates import FIRST, LAST, add
from carnet.calendar.forecasting import SeriesStatus
from carnet.calendar.groups import GroupForecast
from carnet.calendar.schedule import Antigen, Series, SeriesType
from carnet.calendar.why import Day, Why


def untouched(antigen: Antigen, born_on: int, as_of: int) -> GroupForecast | None:
    """Return the forecast of a rule's part without history; None where no scheme can be begun.

    Raises:
        NotImplementedError: several schemes could be begun, among which the engine selects.
    """
    able = [series for series in antigen.series if _may_begin(series, born_on, as_of)]
    if not able:
        return None
    if len(able) > 1:
        raise NotImplementedError
    return _first_dose(antigen.name, able[0], born_on, as_of)


def _may_begin(series: Series, born_on: int, as_of: int) -> bool:
    if series.type is not SeriesType.STANDARD or not series.validity.covers(as_of):
        return False
    begin, end = series.min_age_to_start, series.max_age_to_start
    first = FIRST if begin is None else add(born_on, begin)
    return first <= as_of < (LAST if end is None else add(born_on, end))


def _first_dose(name: str, series: Series, born_on: int, as_of: int) -> GroupForecast:
    dose = series.doses[0]
    (age,) = dose.ages
    place = dose.place
    bounds = [(born_on, Why("7.5", place, ("birth",)))]
    if age.minimum is not None:
        least = add(born_on, age.minimum)
        bounds.append((least, Why("7.5", place, ("minimum age", age.minimum))))
    if dose.season is not None:
        bounds.append((dose.season.effective, Why("7.5", place, ("the season starts",))))
    earliest, why = max(bounds, key=lambda bound: bound[0])
    due = earliest
    if age.earliest_recommended is not None:
        due = max(earliest, add(born_on, age.earliest_recommended))
    past_due = latest = None
    if age.latest_recommended is not None:
        past_due = max(earliest, add(born_on, age.latest_recommended) - 1)
    if age.maximum is not None:
        latest = add(born_on, age.maximum) - 1
    status, type_, names = SeriesStatus.NOT_COMPLETE, SeriesType.STANDARD, (series.name,)
    if latest is not None and max(as_of, earliest) > latest:
        why = Why("7.4", place, ("too old from", Day(latest + 1)))
        return GroupForecast(name, SeriesStatus.AGED_OUT, type_, (why,), names)
    if dose.season is not None and as_of > dose.season.cessation:
        why = Why("7.4", place, ("the season ended on", Day(dose.season.cessation)))
        return GroupForecast(name, status, type_, (why,), names)
    return GroupForecast(
        group=name,
        status=status,
        type=type_,
        why=(why,),
        series=names,
        dose_number=1,
        earliest=earliest,
        recommended=due,
        past_due=past_due,
        latest=latest,
        antigens=(name,),
        vaccines=tuple(vaccine.cvx for vaccine in dose.preferable),
    )
