"""Budgets of viewers: spent, refused, filled again, and kept apart."""

from __future__ import annotations

from uuid import UUID

import pytest

from carnet.errors import OperationTooCostly, RateLimited, UserMistake
from carnet.http import budget
from carnet.http.budget import Budgets, Spent
from carnet.people.actor import Anonymous, Assurance, Operator, Publisher
from carnet.settings import Settings

SMALL = Settings(query_cost_limit=60, query_budget=100, query_budget_per_second=10)
ONE, TWO = (Operator(UUID(int=number), Assurance.SANDBOX) for number in (1, 2))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_is_spent_refused_and_filled_again() -> None:
    clock = Clock()
    budgets = Budgets(SMALL, clock)
    assert budgets.spend(ONE, "a", 60) == Spent(60, 40, 100, 10)
    with pytest.raises(RateLimited) as refused:
        budgets.spend(ONE, "a", 60)
    assert refused.value.retry_after == 2
    assert "costs 60 and 40 are left" in refused.value.message
    clock.now += 2
    assert budgets.spend(ONE, "a", 60) == Spent(60, 0, 100, 10)
    clock.now += 3600
    assert budgets.spend(ONE, "a", 1).available == 99  # never more than the whole


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    budgets = Budgets(SMALL, clock)
    budgets.spend(ONE, "a", 60)
    for _ in range(100):
        with pytest.raises(RateLimited):
            budgets.spend(ONE, "a", 50)
    assert budgets.spend(ONE, "a", 40).available == 0


def test_what_no_budget_allows_is_told_apart() -> None:
    with pytest.raises(OperationTooCostly, match="costs 61 and one may cost at most 60"):
        Budgets(SMALL, Clock()).spend(ONE, "a", 61)


def test_viewers_have_their_own_and_those_without_a_session_their_addresses() -> None:
    budgets = Budgets(SMALL, Clock())
    viewers = [(ONE, "a"), (TWO, "a"), (Anonymous(), "a"), (Anonymous(), "b")]
    assert [budgets.spend(actor, address, 60).available for actor, address in viewers] == [40] * 4
    for actor, address in [*viewers, (ONE, "b")]:
        with pytest.raises(RateLimited):
            budgets.spend(actor, address, 41)
    publisher = Publisher(UUID(int=1))
    assert budgets.spend(publisher, "a", 60).available == 40


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_VIEWERS", 3)
    budgets = Budgets(SMALL, Clock())
    for address in "abcda":
        budgets.spend(Anonymous(), address, 50)
    assert list(budgets._left) == ["c", "d", "a"]
    assert budgets.spend(Anonymous(), "c", 50).available == 0  # who comes again is kept


def test_an_operation_that_no_budget_holds_is_the_operators_mistake() -> None:
    with pytest.raises(UserMistake, match="CARNET_QUERY_COST_LIMIT is above"):
        Settings.from_env({"CARNET_QUERY_COST_LIMIT": "11", "CARNET_QUERY_BUDGET": "10"})
