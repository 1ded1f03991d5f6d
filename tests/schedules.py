"""Hand-made schedules for the calendar's tests: one vaccine group, written as files and loaded."""

from pathlib import Path

from carnet.calendar.loading import load
from carnet.calendar.schedule import Schedule

COMMON = """\
format: carnet-schedule/1
kind: schedule
name: hand-made
version: "1"
vaccine_groups:
  vaccine_group:
{groups}
vaccine_group_to_antigen_map:
  vaccine_group_map:
{maps}
cvx_to_antigen_map:
  cvx_map:
{vaccines}
{more}
"""

ANTIGEN = """\
format: carnet-schedule/1
kind: antigen
antigen: {antigen}
{more}
series:
{series}
"""

SERIES = """\
  - series_name: {name}
    target_disease: {antigen}
    vaccine_group: {group}
    series_type: {kind}
    source: our own
    select_series:
      default_series: "{default}"
      product_path: "No"
      series_group: "{series_group}"
      series_priority: A
      series_preference: "{preference}"
{more}
    series_dose:
{doses}
"""

TWO_DOSES = """\
      - dose_number: "1"
        age:
          abs_min_age: 2 months - 4 days
          min_age: 2 months
          earliest_rec_age: 3 months
          latest_rec_age: 5 months
          max_age: 10 years
        preferable_vaccine: {cvx: "10", begin_age: 2 months, forecast_vaccine_type: "Y"}
        allowable_vaccine: {cvx: "11"}
        inadvertent_vaccine: {cvx: "12"}
      - dose_number: "2"
        age: {max_age: 10 years}
        interval:
          from_previous: "Y"
          abs_min_int: 4 weeks - 4 days
          min_int: 4 weeks
          earliest_rec_int: 8 weeks
          latest_rec_int: 13 weeks
        preferable_vaccine: {cvx: "10"}
        allowable_vaccine: {cvx: "11"}
        inadvertent_vaccine: {cvx: "12"}
"""


def series(
    doses: str = TWO_DOSES,
    *,
    name: str = "two doses",
    antigen: str = "Alpha",
    group: str = "Alpha",
    kind: str = "Standard",
    default: str = "Yes",
    series_group: str = "1",
    preference: str = "1",
    more: str = "",
) -> str:
    return SERIES.format(
        name=name,
        antigen=antigen,
        group=group,
        kind=kind,
        default=default,
        series_group=series_group,
        preference=preference,
        more=more,
        doses=doses,
    )


def write(
    folder: Path,
    antigens: dict[str, str],
    *,
    groups: dict[str, tuple[str, ...]] | None = None,
    full: str = "No",
    about: str = "",
    common: str = "",
) -> Path:
    """Write a schedule whose vaccines 10, 11 and 12 count for every antigen."""
    grouped = groups or {name: (name,) for name in antigens}
    listed = "\n".join(
        f'    - {{name: {g}, administer_full_vaccine_group: "{full}"}}' for g in grouped
    )
    maps = "\n".join(
        f"    - {{name: {g}, antigen: [{', '.join(of)}]}}" for g, of in grouped.items()
    )
    counted = ", ".join(f"{{antigen: {name}}}" for name in antigens)
    vaccines = "\n".join(f'    - {{cvx: "{c}", association: [{counted}]}}' for c in (10, 11, 12))
    text = COMMON.format(groups=listed, maps=maps, vaccines=vaccines, more=common)
    (folder / "schedule.yaml").write_text(text)
    for name, body in antigens.items():
        text = ANTIGEN.format(antigen=name, series=body, more=about)
        (folder / f"{name.lower()}.yaml").write_text(text)
    return folder


def one(folder: Path, *bodies: str, about: str = "", common: str = "") -> Schedule:
    """Load a schedule of one antigen, Alpha, with these series."""
    return load(
        write(folder, {"Alpha": "".join(bodies or (series(),))}, about=about, common=common)
    )
