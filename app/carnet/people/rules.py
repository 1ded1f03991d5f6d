"""Decisions about people: who is who, how long a session lasts, how often one may try. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

from carnet.people.claims import Candidate, Claim, Traits
from carnet.people.identifiers import fold_name, is_national, normalize
from carnet.people.tables import AccountKind, Sex
from carnet.values import PartialDate

MAJORITY_YEARS = 18
NIR_LENGTH = 13  # characters of a NIR without its key


class Match(Enum):
    """Whether a claim speaks of a registered person."""

    SAME = "SAME"
    DIFFERENT = "DIFFERENT"
    UNSURE = "UNSURE"


class Recognition(Enum):
    """What a claim leads to."""

    FOUND = "FOUND"  # it is this registered person
    CREATED = "CREATED"  # it was nobody yet and was registered
    UNKNOWN = "UNKNOWN"  # nobody registered, and not to be registered
    CONFLICT = "CONFLICT"  # the number belongs to somebody else, or to several: a human decides


@dataclass(frozen=True, slots=True)
class Recognized:
    """Whom a claim means.

    ``unsure`` are persons who share a number that does not suffice alone.
    """

    kind: Recognition
    person_id: UUID | None = None
    unsure: tuple[UUID, ...] = ()


def dates_agree(one: PartialDate, other: PartialDate) -> bool:
    """Tell whether two partial dates can be the same day: one is a prefix of the other."""
    return one.text.startswith(other.text) or other.text.startswith(one.text)


def same_person(known: Traits, claim: Claim, *, by_national: bool) -> Match:
    """Decide whether a claim that shares a number with a person speaks of them.

    A national number is one person's, so it suffices unless birth date or sex contradict it.
    Any other number is given twice in real life (local counters, placeholders); it suffices
    only with the same birth date, the same sex and a family name in common.

    Args:
        known: the registered person.
        claim: what a source says.
        by_national: a national number is shared.
    """
    said = claim.traits
    if claim.is_reference:
        return Match.SAME if by_national else Match.UNSURE
    if _contradict(known, said):
        return Match.DIFFERENT
    in_common = bool(_family_names(known) & _family_names(said))
    if by_national:
        if (known.birth_date and said.birth_date) or not _family_names(said) or in_common:
            return Match.SAME
        return Match.UNSURE
    if known.birth_date != said.birth_date or known.sex != said.sex or not in_common:
        return Match.UNSURE
    if said.birth_date is None and not _same_given_names(known, said):
        return Match.UNSURE
    return Match.SAME


def recognize(claim: Claim, candidates: Sequence[Candidate]) -> Recognized:
    """Decide whom a claim means, of all who share an identifier with it."""
    verdicts = [(candidate, _judge(claim, candidate)) for candidate in candidates]
    if any(seen.shares_national and match is not Match.SAME for seen, match in verdicts):
        return Recognized(Recognition.CONFLICT)
    same = [candidate for candidate, match in verdicts if match is Match.SAME]
    chosen = [candidate for candidate in same if candidate.shares_national] or same
    if len(chosen) > 1:
        return Recognized(Recognition.CONFLICT)
    if chosen:
        return Recognized(Recognition.FOUND, chosen[0].person_id)
    unsure = tuple(seen.person_id for seen, match in verdicts if match is Match.UNSURE)
    return Recognized(Recognition.UNKNOWN, unsure=unsure)


def _judge(claim: Claim, candidate: Candidate) -> Match:
    if not candidate.shares_national and _other_national(claim, candidate):
        return Match.DIFFERENT
    return same_person(candidate.traits, claim, by_national=candidate.shares_national)


def _other_national(claim: Claim, candidate: Candidate) -> bool:
    """Tell whether both have a number of one national system, and not the same."""
    said = {i.system: i.value[:NIR_LENGTH] for i in map(normalize, claim.identifiers)}
    return any(
        known.system in said and said[known.system] != known.value[:NIR_LENGTH]
        for known in candidate.national
        if is_national(known.system)
    )


def _contradict(known: Traits, said: Traits) -> bool:
    if known.birth_date and said.birth_date and not dates_agree(known.birth_date, said.birth_date):
        return True
    return {known.sex, said.sex} == {Sex.FEMALE, Sex.MALE}


def _family_names(traits: Traits) -> set[str]:
    names = (traits.birth_family_name, traits.used_family_name)
    return {fold_name(name) for name in names if name} - {""}


def _same_given_names(known: Traits, said: Traits) -> bool:
    names = [fold_name(name) for name in said.given_names]
    return bool(names) and names == [fold_name(name) for name in known.given_names]


def majority(birth_date: PartialDate) -> datetime:
    """Return the moment from which a person acts alone: the start, in UTC, of their 18th birthday.

    Of a date known to the year or month only, the earliest possible day counts, so that a young
    adult's parents never read on by mistake. Who was born on 29 February is of age on 1 March.
    """
    year, month, day = (int(part) for part in (*birth_date.text.split("-"), "1", "1")[:3])
    year = min(year + MAJORITY_YEARS, MAXYEAR)
    try:
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return datetime(year, 3, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SessionSpan:
    """How long a session lasts without use, and at most."""

    idle: timedelta
    absolute: timedelta


# NIST SP 800-63B-4, 2.1.3, 2.2.3 and 2.3.3. A patient signs in on a phone of their own: level 1
# asks for at most 30 days. A professional shares workstations with patients' data of many: idle
# time of level 2 (an hour), end of level 3 (12 hours, a shift). Operators get level 3 whole.
SESSION_SPANS = {
    AccountKind.PATIENT: SessionSpan(idle=timedelta(days=1), absolute=timedelta(days=30)),
    AccountKind.PROFESSIONAL: SessionSpan(idle=timedelta(hours=1), absolute=timedelta(hours=12)),
    AccountKind.OPERATOR: SessionSpan(idle=timedelta(minutes=15), absolute=timedelta(hours=12)),
}
SESSIONS_LIMIT = 50  # live sessions of one account; the one unused for longest makes room
USE_NOTED_EVERY = timedelta(minutes=1)  # so that most requests write nothing


def session_is_live(
    kind: AccountKind,
    now: datetime,
    *,
    last_used_at: datetime,
    expires_at: datetime,
    revoked_at: datetime | None,
) -> bool:
    """Tell whether a session still opens anything."""
    if revoked_at is not None or now >= expires_at:
        return False
    return now < last_used_at + SESSION_SPANS[kind].idle


# Attempts on one login. Five are free, as OWASP's Authentication Cheat Sheet has it; then each
# waits twice as long as the one before, to an hour. That lets through 34 guesses a day (NIST
# SP 800-63B-4, 3.2.2 allows 100 in a row before disabling). The account is never disabled: that
# would let anybody shut a patient out of their own record for good.
FREE_ATTEMPTS = 5
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=1)
LOGIN_WINDOW = timedelta(days=1)

# Attempts from one address, where a whole hospital may sit: many mistyped passwords a quarter
# of an hour, few enough to make trying one password on every login slow.
ADDRESS_LIMIT = 60
ADDRESS_WINDOW = timedelta(minutes=15)

# Patients whom one account did not find. Most callers of a regulation centre may have no record,
# and it reaches up to 120 patients an hour; nobody types more numbers than that.
ACCOUNT_LIMIT = 120
ACCOUNT_WINDOW = timedelta(hours=1)


def login_delay(failed: int) -> timedelta:
    """Return how long after the last of ``failed`` attempts in a row the next may come."""
    if failed < FREE_ATTEMPTS:
        return timedelta()
    doublings = min(failed - FREE_ATTEMPTS, 16)
    return min(FIRST_DELAY * (1 << doublings), LONGEST_DELAY)


def login_wait(now: datetime, failed: int, last_failed_at: datetime | None) -> timedelta:
    """Return how long a login must wait; zero when it may try now.

    ``now`` may lie a little before the last failure: who waited for a lock began earlier.
    """
    if last_failed_at is None:
        return timedelta()
    delay = login_delay(failed)
    return min(max(last_failed_at + delay - now, timedelta()), delay)


def address_wait(now: datetime, failed: int, first_failed_at: datetime | None) -> timedelta:
    """Return how long an address must wait until the first failure leaves the window."""
    if failed < ADDRESS_LIMIT or first_failed_at is None:
        return timedelta()
    return max(first_failed_at + ADDRESS_WINDOW - now, timedelta(seconds=1))


def account_wait(now: datetime, failed: int, first_failed_at: datetime | None) -> timedelta:
    """Return how long an account must wait until the first failure leaves the window."""
    if failed < ACCOUNT_LIMIT or first_failed_at is None:
        return timedelta()
    return max(first_failed_at + ACCOUNT_WINDOW - now, timedelta(seconds=1))
