"""Accounts: what the vectors cannot say in one entry."""

from __future__ import annotations

from dataclasses import replace

import pytest
from correspondents import NOW, Person, seeded

from carnet_crypto import account as accounts
from carnet_crypto import seeds
from carnet_crypto.account import Account
from carnet_crypto.errors import Malformed, Reason, Refused
from carnet_crypto.kinds import AccountKind, DeviceFlag, RosterRole, Scope
from carnet_crypto.secret import identity

DAY = 24 * 3600 * 1000


def refusal(person: Person, entry: bytes) -> Reason:
    with pytest.raises(Refused) as refused:
        person.account.extend(entry)
    return refused.value.reason


def delegate(person: Person, to: Person, not_after: int, at: int = NOW) -> None:
    assert person.newest is not None
    person.extend(
        identity.delegate(
            person.account,
            person.root,
            person.newest,
            to.account,
            Scope.BOTH,
            NOW,
            not_after,
            at,
            person.entropy,
        )
    )
    person.others[to.id] = to.account


def test_parameters_that_no_client_would_stretch_by_are_refused() -> None:
    person = Person.enrol(seeded(1))
    assert person.account.recovery is not None
    for passes, memory in ((2, 65536), (11, 65536), (3, 65535), (3, 1024 * 1024 + 1)):
        body = replace(person.account.recovery, passes=passes, memory_kib=memory)
        entry = identity.set_recovery(person.account, person.root, body, NOW)
        assert refusal(person, entry) is Reason.WEAK_PARAMETERS


@pytest.mark.parametrize("size", [0, 150, 152])
def test_a_wrap_of_another_length_is_malformed(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    person = Person.enrol(seeded(2))
    right = identity.seal_seed
    monkeypatch.setattr(identity, "seal_seed", lambda *given: right(*given).ljust(152, b"x")[:size])
    entry, _ = identity.rotate_aek(
        person.account, person.root, person.newest, {}, NOW, person.entropy
    )
    with pytest.raises(Malformed):
        person.account.extend(entry)


def test_a_revoked_device_makes_nobody_stale_when_its_time_comes() -> None:
    person = Person.enrol(seeded(3))
    phone = person.add_device(DeviceFlag.SECONDARY, not_after=NOW + DAY)
    assert person.account.is_stale(NOW + 2 * DAY)
    person.revoke(phone)
    assert not person.account.is_stale(NOW + 2 * DAY)


def test_whoever_was_given_the_key_after_their_end_makes_it_stale() -> None:
    person, other = Person.enrol(seeded(4)), Person.enrol(seeded(5))
    person.rotate(at=NOW + 3 * DAY)
    delegate(person, other, NOW + 5 * DAY, at=NOW + 4 * DAY)
    assert not person.account.is_stale(NOW + 5 * DAY)
    assert person.account.is_stale(NOW + 5 * DAY + 1)
    person.rotate(at=NOW + 6 * DAY)
    assert not person.account.is_stale(NOW + 7 * DAY)
    person.add_device(at=NOW + 7 * DAY, not_after=NOW + 8 * DAY)
    assert person.account.is_stale(NOW + 8 * DAY + 1)


def test_a_chain_can_always_be_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more devices, delegates or people of a roster than one entry has wraps for."""
    monkeypatch.setattr(accounts, "MOST_DEVICES", 2)
    monkeypatch.setattr(accounts, "MOST_WRAPS", 1)
    team = Person.enrol(seeded(6), kind=AccountKind.TEAM)
    one, other = Person.enrol(seeded(7)), Person.enrol(seeded(8))
    team.add_device()
    third = identity.offer(team.id, one.devices[0], DeviceFlag.PRIMARY)
    entry = identity.add_device(team.account, team.root, third, team.newest, NOW, team.entropy)
    assert refusal(team, entry) is Reason.TOO_MANY
    delegate(team, one, NOW + DAY)
    with pytest.raises(Refused) as refused:
        delegate(team, other, NOW + DAY)
    assert refused.value.reason is Reason.TOO_MANY
    assert team.newest is not None
    members = [(other.account, RosterRole.MEMBER)]
    entry = identity.set_roster(team.account, team.root, team.newest, members, NOW, team.entropy)
    assert refusal(team, entry) is Reason.TOO_MANY
    assert accounts.MOST_WRAPS == 1 and seeds.MOST_WRAPS == 512


def test_a_long_chain_replays_to_the_same_account() -> None:
    person = Person.enrol(seeded(9))
    for _ in range(40):
        person.rotate()
    assert Account.replay(person.chain) == person.account
    assert person.account.number == 43
