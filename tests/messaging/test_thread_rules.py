"""Every company that a thread could have, against the rules in words."""

from __future__ import annotations

import itertools
from uuid import UUID

import pytest

from carnet.messaging.rules import RULES, Facts, Party, Writing, joining, opening, writing
from carnet.messaging.tables import MessagingAccountKind as Kind
from carnet.messaging.tables import ThreadRole as Role

DOCTOR, COLLEAGUE, PATIENT, RELATIVE, OTHER = (UUID(int=n) for n in range(1, 6))
KINDS = {
    DOCTOR: Kind.PROFESSIONAL,
    COLLEAGUE: Kind.TEAM,
    PATIENT: Kind.PERSON,
    RELATIVE: Kind.PERSON,
    OTHER: Kind.PERSON,
}
FACTS = {
    "guardians": RELATIVE,
    "reachable": DOCTOR,
    "blocked": DOCTOR,
    "wrote": DOCTOR,
    "ended": DOCTOR,
}


def party(account: UUID, role: Role) -> Party:
    return Party(account, KINDS[account], role)


def wanted(members: dict[UUID, Role], opener: UUID, facts: Facts) -> str:
    """Return the rule by product.md, in its order, said without the module's words."""
    pros = {a for a in members if KINDS[a] is not Kind.PERSON}
    persons = set(members) - pros
    if not pros:
        return "messaging.no-professional"
    if sum(members[a] is not Role.GUARDIAN for a in persons) > 1:
        return "messaging.one-patient"
    if any(members[a] is Role.GUARDIAN and a not in facts.guardians for a in persons):
        return "messaging.guardian-of-nobody"
    if all(members[a] is not Role.MANAGER for a in pros):
        return "messaging.unmanaged"
    if any(members[a] is Role.MANAGER and a != opener for a in persons):
        return "messaging.patient-manages"
    if persons and pros & set(facts.blocked):
        return "messaging.blocked"
    if opener in pros:
        out_of_reach = persons and opener not in facts.reachable
        return "messaging.not-reachable" if out_of_reach else "messaging.opens"
    if pros - set(facts.wrote):
        return "messaging.never-wrote"
    return "messaging.ended" if pros & set(facts.ended) else "messaging.answers"


def companies() -> list[dict[UUID, Role]]:
    choices = [[None, *Role] for _ in KINDS]
    made = []
    for roles in itertools.product(*choices):
        members = {
            a: role for a, role in zip(KINDS, roles, strict=True) if role and role != Role.READER
        }
        if members and members not in made[-1:]:
            made.append(members)
    return made


def test_every_company_is_decided_by_the_rules_in_words() -> None:
    seen: set[str] = set()
    facts_made = [
        Facts(**{name: {a} for name, a in zip(names, map(FACTS.get, names), strict=True)})  # type: ignore[arg-type]
        for n in range(len(FACTS) + 1)
        for names in itertools.combinations(FACTS, n)
    ]
    decided = 0
    for members in companies():
        parties = [party(a, role) for a, role in members.items()]
        for opener, role in members.items():
            if role is not Role.MANAGER:
                continue
            for facts in facts_made:
                is_allowed, rule = opening(parties, party(opener, role), facts)
                assert rule == wanted(members, opener, facts), (members, opener, facts)
                assert is_allowed == (rule in ("messaging.opens", "messaging.answers"))
                seen.add(rule)
                decided += 1
    assert decided > 50_000
    assert seen == set(RULES) - {
        "messaging.stays", "messaging.writes", "messaging.reader", "messaging.device",
        "messaging.record-not-open", "messaging.unheard", "messaging.erases",
        "messaging.no-owner", "messaging.not-yours-to-replace",
    }  # fmt: skip


def test_what_may_not_be_opened_is_not_made_by_adding() -> None:
    """From whatever thread, one member more is decided as when it is opened with them."""
    full = Facts({RELATIVE}, {DOCTOR, COLLEAGUE}, (), {DOCTOR, COLLEAGUE}, ())
    for facts in (Facts(), full):
        for members in companies():
            parties = [party(a, role) for a, role in members.items()]
            for author, role in members.items():
                if role is not Role.MANAGER:
                    continue
                opened, _ = opening(parties, party(author, role), facts)
                for new in set(members) - {author}:
                    added, rule = joining(parties, {new}, party(author, role), author, facts)
                    if added and not opened:
                        # Whoever was there before had been let in by somebody.
                        rest = [each for each in parties if each.account != new]
                        before, _ = opening(rest, party(author, role), facts)
                        assert not before, (members, author, new, rule)


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        (Writing(Kind.PERSON, Role.MEMBER), "messaging.writes"),
        (Writing(Kind.PERSON, Role.GUARDIAN), "messaging.writes"),
        (Writing(Kind.TEAM, Role.MANAGER), "messaging.writes"),
        (Writing(Kind.PERSON, Role.READER), "messaging.reader"),
        (Writing(Kind.PROFESSIONAL, Role.READER, False, False, 0), "messaging.reader"),
        (Writing(Kind.PERSON, Role.MEMBER, is_device=False), "messaging.device"),
        (Writing(Kind.PERSON, Role.MEMBER, is_open=False), "messaging.record-not-open"),
        (Writing(Kind.PROFESSIONAL, Role.MANAGER, is_open=False), "messaging.record-not-open"),
        (Writing(Kind.PERSON, Role.MEMBER, professionals=0), "messaging.unheard"),
    ],
)
def test_who_writes(facts: Writing, rule: str) -> None:
    assert writing(facts) == (rule == "messaging.writes", rule)
