"""Who may open a thread, and write in one: decided on what is in the clear, and on nothing else.

product.md, "Messaging": only a professional opens a first thread with a patient; the patient
answers, and may open one with a professional who already wrote to them and has not ended the
exchanges. No threads between patients. A professional may close a thread.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from carnet.messaging.tables import MessagingAccountKind, ThreadRole

RULES = {
    "messaging.opens": "A professional opens a thread with their patient, or a colleague.",
    "messaging.answers": "The patient opens one with a professional who wrote to them.",
    "messaging.no-professional": "A thread has a professional.",
    "messaging.one-patient": "A thread has one patient at most.",
    "messaging.guardian-of-nobody": "A guardian is one of those who act for the patient.",
    "messaging.patient-manages": "Whoever manages a thread is a professional, or opened it.",
    "messaging.unmanaged": "One of the professionals manages the thread.",
    "messaging.not-reachable": "The professional has no access to the patient's record.",
    "messaging.blocked": "The patient shut the professional out.",
    "messaging.never-wrote": "The professional has not written to the patient.",
    "messaging.ended": "The professional has ended the exchanges.",
}
"""What decides, with a sentence for people."""


@dataclass(frozen=True, slots=True)
class Party:
    """A member of a thread, as far as it is in the clear."""

    account: UUID
    kind: MessagingAccountKind
    role: ThreadRole

    @property
    def is_professional(self) -> bool:
        """Whether it stands for professionals."""
        return self.kind is not MessagingAccountKind.PERSON


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision is made from, about the one patient of a thread."""

    guardians: Collection[UUID] = ()  # accounts of those who act for the patient
    reachable: Collection[UUID] = ()  # professional accounts with access to the record
    blocked: Collection[UUID] = ()  # professional accounts that the patient shut out
    wrote: Collection[UUID] = ()  # professional accounts that have written to the patient
    ended: Collection[UUID] = ()  # of those, who have ended the exchanges


def composition(parties: Collection[Party], opener: UUID, facts: Facts) -> str | None:
    """Return the rule that a thread with these members breaks, None where it breaks none."""
    professionals = [party for party in parties if party.is_professional]
    persons = [party for party in parties if not party.is_professional]
    guardians = [party for party in persons if party.role is ThreadRole.GUARDIAN]
    patients = [party for party in persons if party.role is not ThreadRole.GUARDIAN]
    if not professionals:
        return "messaging.no-professional"
    if len(patients) > 1:
        return "messaging.one-patient"
    if any(party.account not in facts.guardians for party in guardians):
        return "messaging.guardian-of-nobody"
    if not any(party.role is ThreadRole.MANAGER for party in professionals):
        return "messaging.unmanaged"
    for party in persons:
        if party.role is ThreadRole.MANAGER and party.account != opener:
            return "messaging.patient-manages"
    if persons and any(party.account in facts.blocked for party in professionals):
        return "messaging.blocked"
    return None


def opening(parties: Collection[Party], opener: Party, facts: Facts) -> tuple[bool, str]:
    """Decide whether a thread may be opened; the rule says why, or why not."""
    broken = composition(parties, opener.account, facts)
    if broken is not None:
        return False, broken
    persons = [party for party in parties if not party.is_professional]
    professionals = [party for party in parties if party.is_professional]
    if opener.is_professional:
        if persons and opener.account not in facts.reachable:
            return False, "messaging.not-reachable"
        return True, "messaging.opens"
    for party in professionals:
        if party.account not in facts.wrote:
            return False, "messaging.never-wrote"
        if party.account in facts.ended:
            return False, "messaging.ended"
    return True, "messaging.answers"
