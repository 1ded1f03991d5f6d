"""Budgets of viewers: spent, refused, filled again, and kept apart."""

from __future__ import annotations

from uuid import UUID

import pytest

from carnet.errors import OperationTooCostly, RateLimited, UserMistake
from carnet.http.operations import budget
from carnet.http.operations.budget import Budgets, Spent
from carnet.people.actor import Anonymous, Assurance, Operator, Publisher
from carnet.settings import Settings

SMALL = Settings(query_cost_limit=60, query_budget=100, query_budget_per_second=10)
ONE, TWO = (Operator(UUID(int=number), Assurance.SANDBOX) for number in (1, 2))
A, B = "192.0.2.1", "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_budget_is_spent_refused_and_filled_again() -> None:
    clock = Clock()
    budgets = Budgets(SMALL, clock)
    assert budgets.spend(ONE, A, 60) == Spent(60, 40, 100, 10)
    with pytest.raises(RateLimited) as refused:
        budgets.spend(ONE, A, 60)
    assert refused.value.retry_after == 2
    assert "costs 60 and 40 are left" in refused.value.message
    clock.now += 2
    assert budgets.spend(ONE, A, 60) == Spent(60, 0, 100, 10)
    clock.now += 3600
    assert budgets.spend(ONE, A, 1).available == 99  # never more than the whole


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    budgets = Budgets(SMALL, clock)
    budgets.spend(ONE, A, 60)
    for _ in range(100):
        with pytest.raises(RateLimited):
            budgets.spend(ONE, A, 50)
    assert budgets.spend(ONE, A, 40).available == 0


def test_what_no_budget_allows_is_told_apart() -> None:
    with pytest.raises(OperationTooCostly, match="costs 61 and one may cost at most 60"):
        Budgets(SMALL, Clock()).check(61)


def test_who_sends_what_is_refused_pays_for_its_reading() -> None:
    budgets = Budgets(SMALL, Clock())
    with budgets.reading(ONE, "a", "x" * 250) as reading:
        reading.is_good = True
    assert budgets.spend(ONE, "a", 0).available == 100
    for left in (50, 0):
        with budgets.reading(ONE, "a", "x" * 250):
            pass
        assert budgets.spend(ONE, "a", 0).available == left
    with pytest.raises(RateLimited), budgets.reading(ONE, "a", "x" * 5):
        raise AssertionError("it was read")
    with budgets.reading(TWO, "a", "x" * 10**6):  # never more than one operation may cost
        pass
    assert budgets.spend(TWO, "a", 0).available == 40


def test_viewers_have_their_own_and_those_without_a_session_their_addresses() -> None:
    budgets = Budgets(SMALL, Clock())
    viewers = [(ONE, A), (TWO, A), (Anonymous(), A), (Anonymous(), B)]
    assert [budgets.spend(actor, address, 60).available for actor, address in viewers] == [40] * 4
    for actor, address in [*viewers, (ONE, B)]:
        with pytest.raises(RateLimited):
            budgets.spend(actor, address, 41)
    publisher = Publisher(UUID(int=1))
    assert budgets.spend(publisher, A, 60).available == 40


def test_addresses_of_one_household_share_a_budget() -> None:
    """IPv6 gives everybody 2**64 of them, and a socket for both kinds writes IPv4 in IPv6."""
    budgets = Budgets(SMALL, Clock())
    budgets.spend(Anonymous(), "2001:db8:1:2::1", 60)
    for address in ("2001:db8:1:2::2", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::1%eth0"):
        with pytest.raises(RateLimited):
            budgets.spend(Anonymous(), address, 41)
    assert budgets.spend(Anonymous(), "2001:db8:1:3::1", 60).available == 40
    assert budgets.spend(Anonymous(), "192.0.2.1", 60).available == 40
    with pytest.raises(RateLimited):
        budgets.spend(Anonymous(), "::ffff:192.0.2.1", 41)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_VIEWERS", 3)
    budgets = Budgets(SMALL, Clock())
    for address in (A, B, "192.0.2.3", "192.0.2.4", A):
        budgets.spend(Anonymous(), address, 50)
    assert list(budgets._left) == ["192.0.2.3", "192.0.2.4", A]
    assert budgets.spend(Anonymous(), "192.0.2.3", 50).available == 0  # who comes again is kept


def test_an_operation_that_no_budget_holds_is_the_operators_mistake() -> None:
    with pytest.raises(UserMistake, match="CARNET_QUERY_COST_LIMIT is above"):
        Settings.from_env({"CARNET_QUERY_COST_LIMIT": "11", "CARNET_QUERY_BUDGET": "10"})


def test_sockets_that_would_never_open_are_a_mistake() -> None:
    few = {"CARNET_CONNECTIONS_PER_ADDRESS": "10", "CARNET_SOCKETS_PER_ADDRESS": "11"}
    with pytest.raises(UserMistake, match="CARNET_SOCKETS_PER_ADDRESS is above"):
        Settings.from_env(few)
    proxied = Settings.from_env(few | {"CARNET_TRUSTED_PROXIES": "10.0.0.4"})
    assert (proxied.connections_per_address, proxied.sockets_per_address) == (10, 11)
    more = Settings.from_env({"CARNET_SOCKETS_PER_ADDRESS": "100000"})
    assert more.connections_per_address == 200_000
