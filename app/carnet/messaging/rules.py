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
    "messaging.stays": "Nobody new comes in, and a professional stays.",
    "messaging.no-professional": "A thread has a professional.",
    "messaging.one-patient": "A thread has one patient at most.",
    "messaging.guardian-of-nobody": "A guardian is one of those who act for the patient.",
    "messaging.patient-manages": "Whoever manages a thread is a professional, or opened it.",
    "messaging.unmanaged": "One of the professionals manages the thread.",
    "messaging.not-reachable": "The professional has no access to the patient's record.",
    "messaging.blocked": "The patient shut the professional out.",
    "messaging.never-wrote": "The professional has not written to the patient.",
    "messaging.ended": "The professional has ended the exchanges.",
    "messaging.writes": "A member writes.",
    "messaging.reader": "They read the thread, and do not write in it.",
    "messaging.device": "The device is not one of the account's, or no longer.",
    "messaging.record-not-open": "The patient's record is not open.",
    "messaging.unheard": "No professional is there to read it.",
    "messaging.erases": "Only who sent a message, or manages the thread, erases it.",
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


def composition(
    parties: Collection[Party], opener: UUID, facts: Facts, joining: Collection[UUID]
) -> str | None:
    """Return the rule that a thread with these members breaks, None where it breaks none.

    Args:
        parties: all members.
        opener: the account that opened the thread.
        facts: what is known of the patient and the members.
        joining: who of them is new: whom the patient shut out before stays, unread and unheard.
    """
    professionals = [party for party in parties if party.is_professional]
    persons = [party for party in parties if not party.is_professional]
    guardians = [party for party in persons if party.role is ThreadRole.GUARDIAN]
    patients = [party for party in persons if party.role is not ThreadRole.GUARDIAN]
    if not professionals:
        return "messaging.no-professional"
    if len(patients) > 1:
        return "messaging.one-patient"
    if any(
        party.account in joining and party.account not in facts.guardians for party in guardians
    ):
        return "messaging.guardian-of-nobody"
    if not any(party.role is ThreadRole.MANAGER for party in professionals):
        return "messaging.unmanaged"
    for party in persons:
        if party.role is ThreadRole.MANAGER and party.account != opener:
            return "messaging.patient-manages"
    is_met = any(party.account in joining for party in patients)
    met = [party for party in professionals if is_met or party.account in joining]
    if persons and any(party.account in facts.blocked for party in met):
        return "messaging.blocked"
    return None


def opening(parties: Collection[Party], opener: Party, facts: Facts) -> tuple[bool, str]:
    """Decide whether a thread may be opened; the rule says why, or why not."""
    everybody = {party.account for party in parties}
    return joining(parties, everybody, opener, opener.account, facts)


def joining(
    parties: Collection[Party],
    new: Collection[UUID],
    author: Party,
    opener: UUID,
    facts: Facts,
) -> tuple[bool, str]:
    """Decide whether a thread may have these members, of whom some are new.

    What may not be opened cannot be made by adding to what may.

    Args:
        parties: all members as they would be.
        new: the accounts of them who come in; none where only somebody goes.
        author: who brings them in.
        opener: the account that opened the thread.
        facts: what is known of the patient and the members.
    """
    broken = composition(parties, opener, facts, new)
    if broken is not None:
        return False, broken
    if not new:
        return True, "messaging.stays"
    persons = [party for party in parties if not party.is_professional]
    if author.is_professional:
        meets = any(party.account in new for party in persons)
        if meets and author.account not in facts.reachable:
            return False, "messaging.not-reachable"
        return True, "messaging.opens"
    for party in parties:
        if not party.is_professional or party.account not in new:
            continue
        if party.account not in facts.wrote:
            return False, "messaging.never-wrote"
        if party.account in facts.ended:
            return False, "messaging.ended"
    return True, "messaging.answers"


@dataclass(frozen=True, slots=True)
class Writing:
    """What decides whether a member writes in an open thread that they see.

    ``is_device``: the device is one of the account's now. ``is_open``: the patient's record is, or
    there is no patient. ``professionals``: how many members' accounts stand for professionals whom
    the patient has not shut out.
    """

    kind: MessagingAccountKind  # of the member who is written for
    role: ThreadRole
    is_device: bool = True
    is_open: bool = True
    professionals: int = 1


def writing(facts: Writing) -> tuple[bool, str]:
    """Decide whether a member may write; the rule says why, or why not."""
    if facts.role is ThreadRole.READER:
        return False, "messaging.reader"
    if not facts.is_device:
        return False, "messaging.device"
    if not facts.is_open:
        return False, "messaging.record-not-open"
    if not facts.professionals:
        return False, "messaging.unheard"
    return True, "messaging.writes"
