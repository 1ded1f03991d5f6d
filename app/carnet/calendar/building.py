"""From files to a schedule: one antigen's rules. Strict: an unknown word refuses everything."""

from collections.abc import Iterable

from carnet.calendar.dates import FIRST, LAST
from carnet.calendar.reading import (
    choice,
    codes,
    cvx,
    cvxs,
    day,
    flag,
    length,
    number,
    only,
    text,
    validity,
)
from carnet.calendar.schedule import (
    COMPARISONS,
    Age,
    Antigen,
    BirthImmunity,
    Condition,
    ConditionSet,
    Contraindication,
    Dose,
    Indication,
    Interval,
    Place,
    Series,
    SeriesType,
    Skip,
    Vaccine,
)
from carnet.calendar.tree import Node


def _names(said: str) -> frozenset[str]:
    return frozenset(said.split())


_ANTIGEN = _names("immunity contraindications series format kind antigen")
_SERIES = _names(
    "series_name target_disease vaccine_group series_admin_guidance series_type"
    " equivalent_series_groups required_gender select_series indication series_dose"
    " source level confidence valid_from valid_to"
)
_SELECT = _names(
    "default_series product_path series_group_name series_group series_priority"
    " series_preference min_age_to_start max_age_to_start"
)
_DOSE = _names(
    "dose_number age interval allowable_interval preferable_vaccine allowable_vaccine"
    " inadvertent_vaccine conditional_skip recurring_dose seasonal_recommendation source"
)
_AGE = _names(
    "abs_min_age min_age earliest_rec_age latest_rec_age max_age effective_date cessation_date"
)
_INTERVAL = _names(
    "from_previous from_target_dose from_most_recent from_relevant_obs abs_min_int min_int"
    " earliest_rec_int latest_rec_int interval_priority effective_date cessation_date"
)
_VACCINE = _names("vaccine_type cvx begin_age end_age trade_name mvx volume forecast_vaccine_type")
_SET = _names("set_id set_description effective_date cessation_date condition_logic condition")
_CONDITION = _names(
    "condition_id condition_type start_date end_date begin_age end_age interval dose_count"
    " dose_type dose_count_logic vaccine_types series_groups"
)
_CONTRAINDICATION = _names(
    "observation_code observation_title contraindication_text contraindication_guidance"
    " begin_age end_age contraindicated_vaccine"
)
_KINDS = {
    "age": "age",
    "interval": "interval",
    "vaccine count by age": "vaccine count",
    "vaccine count by date": "vaccine count",
    "vaccine count by date and age": "vaccine count",
    "completed series": "completed series",
}
_LOGIC = {"and": True, "or": False}
_CONTEXTS = {"both": (True, True), "evaluation": (True, False), "forecast": (False, True)}
_SERIES_TYPES = {each.value.casefold(): each for each in SeriesType}
_CONFIDENCES = {"confirmed": "confirmed", "unconfirmed": "unconfirmed"}


def antigen(root: Node) -> Antigen:
    """Build one antigen from its file.

    Raises:
        BrokenSchedule: at the first rule of the format that the file breaks.
    """
    only(root, _ANTIGEN)
    series = tuple(_series(node) for node in root.all("series"))
    if not series:
        raise root.broken("an antigen needs a series")
    name = series[0].antigen
    for other, node in zip(series, root.all("series"), strict=True):
        if other.antigen != name:
            raise node.broken(f"target_disease {other.antigen!r} is not {name!r} as before")
    if len({each.name for each in series}) < len(series):
        raise root.broken("two series have one name")
    immunity = root.one("immunity")
    against = root.one("contraindications")
    return Antigen(
        name=name,
        series=series,
        immunity_codes=_immunity_codes(immunity) if immunity else {},
        birth_immunity=_birth_immunity(immunity) if immunity else (),
        contraindications=tuple(_contraindications(against)) if against else (),
    )


def _immunity_codes(node: Node) -> dict[str, str]:
    only(node, _names("clinical_history date_of_birth"))
    return {
        text(each, "guideline_code"): each.said("guideline_title")
        for each in node.all("clinical_history")
    }


def _birth_immunity(node: Node) -> tuple[BirthImmunity, ...]:
    return tuple(
        BirthImmunity(
            before=day(each, "immunity_birth_date", FIRST),
            country=each.said("birth_country"),
            exclusions=frozenset(text(e, "exclusion_code") for e in each.all("exclusion")),
        )
        for each in node.all("date_of_birth")
    )


def _contraindications(node: Node) -> Iterable[Contraindication]:
    only(node, _names("vaccine_group vaccine"))
    for kind in ("vaccine_group", "vaccine"):
        for holder in node.all(kind):
            only(holder, _names("contraindication"))
            for each in holder.all("contraindication"):
                only(each, _CONTRAINDICATION)
                vaccines = tuple(_vaccine(v) for v in each.all("contraindicated_vaccine"))
                if (kind == "vaccine") != bool(vaccines):
                    raise each.broken(f"a contraindication of a {kind} names vaccines, or not")
                yield Contraindication(
                    code=text(each, "observation_code"),
                    text=each.said("observation_title"),
                    begin_age=length(each, "begin_age"),
                    end_age=length(each, "end_age"),
                    vaccines=vaccines,
                )


def _series(node: Node) -> Series:
    only(node, _SERIES)
    select = node.one("select_series")
    if select is None:
        raise node.broken("series needs select_series")
    only(select, _SELECT)
    doses = tuple(_dose(each, at) for at, each in enumerate(node.all("series_dose"), 1))
    if not doses:
        raise node.broken("series needs a series_dose")
    kind = choice(node, "series_type", _SERIES_TYPES)
    indications = tuple(map(_indication, node.all("indication")))
    if kind is SeriesType.RISK and not indications:
        raise node.broken("a risk series needs an indication")
    return Series(
        name=text(node, "series_name"),
        antigen=text(node, "target_disease"),
        vaccine_group=text(node, "vaccine_group"),
        place=Place(node.file, node.line, node.said("source")),
        doses=doses,
        type=kind,
        equivalent_groups=codes(node, "equivalent_series_groups"),
        genders=frozenset(_gender(each) for each in node.all("required_gender")),
        default=flag(select, "default_series"),
        product_path=flag(select, "product_path"),
        group=text(select, "series_group"),
        group_name=select.said("series_group_name"),
        priority=select.said("series_priority", "A"),
        preference=number(select, "series_preference", 99),
        min_age_to_start=length(select, "min_age_to_start"),
        max_age_to_start=length(select, "max_age_to_start"),
        indications=indications,
        guidance=tuple(each.text for each in node.all("series_admin_guidance")),
        level=node.said("level"),
        confidence=choice(node, "confidence", _CONFIDENCES, "confirmed"),
        validity=validity(node, "valid_from", "valid_to"),
    )


def _gender(node: Node) -> str:
    if node.text not in ("Female", "Male", "Unknown"):
        raise node.broken(f"required_gender: {node.text!r} is none of Female, Male, Unknown")
    return node.text[0]


def _indication(node: Node) -> Indication:
    only(node, _names("observation_code description begin_age end_age guidance"))
    code = node.one("observation_code")
    if code is None:
        raise node.broken("indication needs observation_code")
    return Indication(
        code=text(code, "code"),
        text=code.said("text"),
        begin_age=length(node, "begin_age"),
        end_age=length(node, "end_age"),
    )


def _dose(node: Node, number_: int) -> Dose:
    only(node, _DOSE)
    if node.said("dose_number").removeprefix("Dose ") != str(number_):
        raise node.broken(f"dose_number: {node.said('dose_number')!r} is not {number_}")
    season = node.one("seasonal_recommendation")
    if season is not None:
        only(season, _names("start_date end_date"))
    return Dose(
        number=number_,
        place=Place(node.file, node.line, node.said("source")),
        ages=tuple(map(_age, node.all("age"))),
        intervals=tuple(_interval(each, number_) for each in node.all("interval")),
        allowable_intervals=tuple(
            _interval(each, number_) for each in node.all("allowable_interval")
        ),
        preferable=tuple(map(_vaccine, node.all("preferable_vaccine"))),
        allowable=tuple(map(_vaccine, node.all("allowable_vaccine"))),
        inadvertent=frozenset(_vaccine(each).cvx for each in node.all("inadvertent_vaccine")),
        skips=tuple(map(_skip, node.all("conditional_skip"))),
        recurring=flag(node, "recurring_dose"),
        season=validity(season, "start_date", "end_date") if season is not None else None,
    )


def _age(node: Node) -> Age:
    only(node, _AGE)
    return Age(
        absolute_minimum=length(node, "abs_min_age"),
        minimum=length(node, "min_age"),
        earliest_recommended=length(node, "earliest_rec_age"),
        latest_recommended=length(node, "latest_rec_age"),
        maximum=length(node, "max_age"),
        validity=validity(node),
    )


def _interval(node: Node, dose_number: int) -> Interval:
    only(node, _INTERVAL)
    previous = flag(node, "from_previous")
    target = number(node, "from_target_dose", 0) or None
    recent = cvxs(node, "from_most_recent")
    observed = node.one("from_relevant_obs")
    code = text(observed, "code") if observed is not None else None
    if sum((previous, target is not None, bool(recent), code is not None)) != 1:
        raise node.broken("an interval counts from exactly one reference")
    if target is not None and target >= dose_number:
        raise node.broken(f"from_target_dose {target} is not before dose {dose_number}")
    return Interval(
        from_previous=previous,
        from_target_dose=target,
        from_most_recent=recent,
        from_observation=code,
        absolute_minimum=length(node, "abs_min_int"),
        minimum=length(node, "min_int"),
        earliest_recommended=length(node, "earliest_rec_int"),
        latest_recommended=length(node, "latest_rec_int"),
        overrides=choice(node, "interval_priority", {"override": True}, False),
        validity=validity(node),
    )


def _vaccine(node: Node) -> Vaccine:
    only(node, _VACCINE)
    return Vaccine(
        cvx=cvx(node),
        name=node.said("vaccine_type"),
        begin_age=length(node, "begin_age"),
        end_age=length(node, "end_age"),
        trade_name=node.said("trade_name"),
        mvx=node.said("mvx"),
        forecast=flag(node, "forecast_vaccine_type"),
    )


def _skip(node: Node) -> Skip:
    only(node, _names("context set_logic set"))
    in_evaluation, in_forecast = choice(node, "context", _CONTEXTS)
    sets = tuple(map(_condition_set, node.all("set")))
    if not sets:
        raise node.broken("conditional_skip needs a set")
    return Skip(in_evaluation, in_forecast, sets, choice(node, "set_logic", _LOGIC, False))


def _condition_set(node: Node) -> ConditionSet:
    only(node, _SET)
    conditions = tuple(map(_condition, node.all("condition")))
    if not conditions:
        raise node.broken("set needs a condition")
    if len(conditions) > 1 and not node.said("condition_logic"):
        raise node.broken("set with several conditions needs condition_logic")
    return ConditionSet(
        conditions=conditions,
        every=choice(node, "condition_logic", _LOGIC, True),
        description=node.said("set_description"),
        validity=validity(node),
    )


def _condition(node: Node) -> Condition:
    only(node, _CONDITION)
    kind = choice(node, "condition_type", _KINDS)
    counted = kind == "vaccine count"
    valid_only = choice(node, "dose_type", {"valid": True, "total": False}, False)
    comparison = choice(node, "dose_count_logic", {each: each for each in COMPARISONS}, "")
    if counted and not comparison:
        raise node.broken("a vaccine count needs dose_count_logic")
    groups = codes(node, "series_groups")
    if kind == "completed series" and not groups:
        raise node.broken("a completed series needs series_groups")
    period = length(node, "interval")
    if kind == "interval" and period is None:
        raise node.broken("an interval condition needs an interval")
    return Condition(
        kind=kind,
        start=day(node, "start_date", FIRST),
        end=day(node, "end_date", LAST),
        begin_age=length(node, "begin_age"),
        end_age=length(node, "end_age"),
        interval=period,
        dose_count=number(node, "dose_count") if counted else 0,
        valid_only=valid_only,
        comparison=comparison,
        vaccines=cvxs(node, "vaccine_types"),
        series_groups=groups,
    )
