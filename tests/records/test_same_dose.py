import pytest

from carnet.records.rules import Dose, same_dose
from carnet.values import PartialDate

TETANUS = frozenset({"tetanus"})
HEXAVALENT = frozenset({"tetanus", "diphtheria", "hepatitis-b"})


def dose(
    day: str | None = "2024-03-05",
    *,
    diseases: frozenset[str] = TETANUS,
    codes: frozenset[str] = frozenset({"x|1"}),
    lot: str | None = None,
    rank: int | None = None,
) -> Dose:
    return Dose(diseases, codes, PartialDate.parse(day) if day else None, lot, rank)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (dose(), dose(), True),
        (dose(rank=1), dose(rank=1), True),
        (dose(rank=1), dose(rank=2), False),
        (dose(lot="A 1"), dose(lot="a1"), True),
        (dose(lot="A1"), dose(lot="B2"), False),
        (dose(rank=1, lot="A1"), dose(rank=1, lot="B2"), True),
        (dose(rank=1, lot="A1"), dose(rank=2, lot="A1"), True),
        (dose(rank=1), dose(lot="A1"), True),
        (dose(rank=1), dose(), True),
        (dose("2024-03-05"), dose("2024-03-06"), False),
        (dose("2024-03-05", rank=1), dose("2024-03-06", rank=1), False),
        (dose(diseases=HEXAVALENT), dose(diseases=TETANUS, codes=frozenset({"y|2"})), True),
        (dose(), dose(diseases=frozenset({"measles"}), codes=frozenset({"y|2"})), False),
        (dose(diseases=frozenset()), dose(diseases=frozenset()), True),
        (dose(diseases=frozenset()), dose(diseases=frozenset(), codes=frozenset({"y|2"})), False),
        (dose(None), dose(None), False),
        (dose(None, lot="A1"), dose(None, lot="A1"), True),
        (dose(None, rank=1), dose("2024-03-05", rank=1), False),
        (dose("1975"), dose("1975"), False),
        (dose("1975", rank=1), dose("1975-03-05", rank=1), True),
        (dose("1975", rank=1), dose("1976-03-05", rank=1), False),
    ],
)
def test_two_reports_are_one_dose(one: Dose, other: Dose, same: bool) -> None:
    assert same_dose(one, other) is same
    assert same_dose(other, one) is same
