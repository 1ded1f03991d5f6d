from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from carnet.people import rules
from carnet.people.claims import Candidate, Claim, Traits
from carnet.people.identifiers import INS_NIR
from carnet.people.rules import Match, Recognition, recognize, same_person
from carnet.people.tables import AccountKind, Sex
from carnet.values import Identifier, PartialDate

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LOCAL = Identifier("urn:oid:1.2.3.4.567.8.9.10", "1234567890121")
INS = Identifier(INS_NIR, "255081416802538")
OTHER_INS = Identifier(INS_NIR, "180057512345678")
KNOWN = Traits("PAT-TROIS", "DUPONT", ("Dominique",), PartialDate("1979-03-28"), Sex.FEMALE)
ONE, TWO = UUID(int=1), UUID(int=2)


def claim(
    *identifiers: Identifier,
    born: str | None = "1979-03-28",
    sex: Sex = Sex.FEMALE,
    family: str | None = "Pat Trois",
    used: str | None = None,
    given: tuple[str, ...] = ("Dominique",),
    is_reference: bool = False,
) -> Claim:
    return Claim(
        identifiers or (LOCAL,),
        birth_family_name=family,
        used_family_name=used,
        given_names=given,
        birth_date=PartialDate(born) if born else None,
        sex=sex,
        is_reference=is_reference,
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (claim(), Match.SAME),
        (claim(family="MARRIED"), Match.SAME),
        (claim(born="1979"), Match.SAME),
        (claim(born="1979-03"), Match.SAME),
        (claim(sex=Sex.UNKNOWN), Match.SAME),
        (claim(born=None), Match.SAME),
        (claim(born=None, family=None, given=()), Match.SAME),
        (claim(born=None, family="MARTIN"), Match.UNSURE),
        (claim(born="1979-03-29"), Match.DIFFERENT),
        (claim(born="1980"), Match.DIFFERENT),
        (claim(sex=Sex.MALE), Match.DIFFERENT),
        (claim(born=None, family=None, given=(), is_reference=True), Match.SAME),
    ],
)
def test_a_national_number_suffices_unless_contradicted(said: Claim, expected: Match) -> None:
    assert same_person(KNOWN, said, by_national=True) is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (claim(), Match.SAME),
        (claim(family=None, used="Dupont"), Match.SAME),
        (claim(family="dupont"), Match.SAME),
        (claim(given=("Other",)), Match.SAME),
        (claim(family="MARTIN"), Match.UNSURE),
        (claim(born="1979-03"), Match.UNSURE),
        (claim(born=None), Match.UNSURE),
        (claim(sex=Sex.UNKNOWN), Match.UNSURE),
        (claim(born="1979-03-29"), Match.DIFFERENT),
        (claim(sex=Sex.MALE), Match.DIFFERENT),
        (claim(born=None, family=None, given=(), is_reference=True), Match.UNSURE),
    ],
)
def test_a_local_number_never_suffices_alone(said: Claim, expected: Match) -> None:
    assert same_person(KNOWN, said, by_national=False) is expected


def test_without_birth_dates_the_whole_name_must_agree() -> None:
    undated = Traits("PAT-TROIS", None, ("Dominique",), None, Sex.FEMALE)
    assert same_person(undated, claim(born=None), by_national=False) is Match.SAME
    said = claim(born=None, given=("Camille",))
    assert same_person(undated, said, by_national=False) is Match.UNSURE
    said = claim(born=None, given=())
    assert same_person(undated, said, by_national=False) is Match.UNSURE


def candidate(key: UUID, *, national: bool = False, has: Identifier | None = None) -> Candidate:
    return Candidate(key, KNOWN, national, (has,) if has else ())


def test_who_is_recognized() -> None:
    assert recognize(claim(), []).kind is Recognition.UNKNOWN
    found = recognize(claim(), [candidate(ONE)])
    assert (found.kind, found.person_id) == (Recognition.FOUND, ONE)


def test_a_national_number_of_somebody_else_is_a_conflict() -> None:
    said = claim(INS, born="1990-01-01")
    assert recognize(said, [candidate(ONE, national=True)]).kind is Recognition.CONFLICT


def test_the_national_number_decides_between_two() -> None:
    said = claim(INS, LOCAL)
    found = recognize(said, [candidate(ONE), candidate(TWO, national=True, has=INS)])
    assert (found.kind, found.person_id) == (Recognition.FOUND, TWO)


def test_two_persons_that_a_local_number_fits_are_a_conflict() -> None:
    found = recognize(claim(), [candidate(ONE), candidate(TWO)])
    assert (found.kind, found.person_id) == (Recognition.CONFLICT, None)


def test_twins_with_one_local_number_stay_two_when_their_national_numbers_differ() -> None:
    found = recognize(claim(LOCAL, OTHER_INS), [candidate(ONE, has=INS)])
    assert found.kind is Recognition.UNKNOWN
    found = recognize(
        claim(LOCAL, Identifier(INS.system, INS.value[:13])), [candidate(ONE, has=INS)]
    )
    assert found.kind is Recognition.FOUND


def test_a_reference_by_a_local_number_names_who_it_may_be() -> None:
    said = claim(born=None, family=None, given=(), is_reference=True)
    found = recognize(said, [candidate(ONE), candidate(TWO)])
    assert (found.kind, found.unsure) == (Recognition.UNKNOWN, (ONE, TWO))


def test_personal_data_stays_out_of_reprs() -> None:
    text = repr(claim(INS)) + repr(KNOWN) + repr(candidate(ONE, has=INS))
    assert not any(secret in text for secret in ("PAT", "Pat", "1979", "2550814", "Dominique"))


@pytest.mark.parametrize("kind", AccountKind)
def test_a_session_ends_by_idleness_by_age_and_by_revocation(kind: AccountKind) -> None:
    span = rules.SESSION_SPANS[kind]
    assert span.idle < span.absolute
    end = NOW + span.absolute

    def live(now: datetime, used: datetime = NOW, revoked: datetime | None = None) -> bool:
        return rules.session_is_live(
            kind, now, last_used_at=used, expires_at=end, revoked_at=revoked
        )

    assert live(NOW)
    assert live(NOW + span.idle - timedelta(seconds=1))
    assert not live(NOW + span.idle)
    assert live(end - timedelta(seconds=1), used=end - timedelta(minutes=1))
    assert not live(end, used=end - timedelta(minutes=1))
    assert not live(NOW, revoked=NOW)


def test_the_delay_doubles_to_an_hour() -> None:
    delays = [rules.login_delay(failed).total_seconds() for failed in range(14)]
    assert delays == [0, 0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert rules.login_delay(10**9) == timedelta(hours=1)


def test_one_login_takes_few_guesses_a_day() -> None:
    """What an attacker gets who tries again at the first moment that is allowed."""
    now, times = NOW, [NOW]
    while True:
        failed = [at for at in times if at > now - rules.LOGIN_WINDOW]
        now += rules.login_wait(now, len(failed), failed[-1])
        if now >= NOW + timedelta(days=1):
            break
        times.append(now)
    assert len(times) == 34


def test_an_address_waits_until_its_first_failure_is_old() -> None:
    first = NOW - timedelta(minutes=5)
    assert rules.address_wait(NOW, rules.ADDRESS_LIMIT - 1, first) == timedelta()
    assert rules.address_wait(NOW, rules.ADDRESS_LIMIT, first) == timedelta(minutes=10)
    assert rules.address_wait(NOW, 0, None) == timedelta()
