"""The access decision: pure, total, and with the rule that decided.

`decide` answers whether an actor may do something with a record or one of its documents. The
filters of `carnet.access.filters` say the same in SQL. Rules are dotted codes, stable, and listed
in `RULES` with their meaning and source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from carnet.access.facts import (
    HOLDER_SIDE,
    PROFILE_TYPE,
    READABLE_STATES,
    RESULT_CATEGORIES,
    DelegationGrant,
    DocumentFacts,
    EmergencyGrant,
    Grants,
    Membership,
    Practice,
    RecordFacts,
    SettingsFacts,
)
from carnet.access.tables import (
    CareTeamRole,
    ConsentBasis,
    DelegationKind,
    DelegationScope,
    EmergencyKind,
    HabilitationLevel,
)
from carnet.people.actor import Actor, Assurance, Patient, Professional


class Action(StrEnum):
    """What an actor wants to do."""

    SEE_RECORD = "SEE_RECORD"
    READ_PROFILE = "READ_PROFILE"
    WRITE_PROFILE = "WRITE_PROFILE"
    READ_DOCUMENT = "READ_DOCUMENT"
    DEPOSIT_DOCUMENT = "DEPOSIT_DOCUMENT"
    MASK_DOCUMENT = "MASK_DOCUMENT"
    CHANGE_DOCUMENT = "CHANGE_DOCUMENT"  # correct, replace, delete
    READ_JOURNAL = "READ_JOURNAL"
    MANAGE_ACCESS = "MANAGE_ACCESS"


RULES = {
    "holder": "It is the holder's own record (L1111-14).",
    "delegate.parent": "A legal representative acts for a minor.",
    "delegate.caregiver": "A caregiver whom the holder chose acts for them.",
    "delegate.scope": "The delegation does not cover this.",
    "record.state": "The record is not open (R1111-28, R1111-36).",
    "document.withdrawn": "The document was withdrawn.",
    "document.hidden-from-holder": "Hidden until an announcement consultation (R1111-53).",
    "document.hidden-from-representatives": "Hidden from those who act for the holder (TRE_A07).",
    "document.masked": "The holder masked it from professionals (R1111-49).",
    "document.author": "The professional is its author (R1111-49).",
    "document.not-depositor": "Only who deposited a document changes or deletes it.",
    "document.masked-by-holder": "Only the holder masks documents (R1111-49).",
    "settings.results-too-new": "The holder chose to see results some days later.",
    "settings.results-shown": "The days that the holder chose to wait are over.",
    "access.blocked": "The holder shut this professional or organization out.",
    "access.no-grant": "No care team, no consent, no emergency (R1111-46).",
    "access.holder-only": "Only the holder, or who acts for them, does this.",
    "access.no-role": "This kind of account has no access to records.",
    "care-team.administrator": "The holder named the professional administrator (R1111-49).",
    "care-team.attending-doctor": "The professional is the holder's attending doctor.",
    "care-team.member": "Member of the care team; the holder was informed (R1111-46).",
    "consent.given": "The holder consented to this consultation (L1111-17).",
    "consent.attested": "The professional attests the consent to this consultation (L1111-17).",
    "emergency.regulation-centre": "Emergency regulation centre (R1111-48).",
    "emergency.break-glass": "Break-glass in an emergency (R1111-48).",
    "care-team.declared": "A professional declared themselves; the holder was informed.",
    "settings.no-attested-consent": "The holder consents in Carnet only.",
    "settings.no-regulation-centre": "The holder wants no access by regulation centres.",
    "settings.no-break-glass": "The holder wants no access by break-glass.",
    "emergency.not-a-centre": "The professional does not work at a regulation centre.",
    "delegation.minor": "A minor is represented by their parents.",
    "delegation.adult": "Only a minor is represented by parents.",
    "delegation.only-persons": "Only a person acts for another.",
    "delegation.not-yours-to-give": "Adults invite caregivers; a parent the other parent.",
    "records.opens-after-notice": "Six weeks passed since the notice (R1111-28).",
    "records.deleted-in-time": "Its archive, or the time to take a deletion back, is over.",
    "records.holder-is-of-age": "The holder became 18; the record is theirs alone.",
    "records.operator-enrols": "An operator enrolled a population.",
    "records.operator-suspends": "An operator suspended the record, such as for fraud.",
    "records.operator-resumes": "An operator let the record go on.",
    "records.holder-opposes": "The holder, or a minor's parent, opposed the record (R1111-28).",
    "records.code-opposes": "Whoever has the letter's code opposed the record (R1111-28).",
    "records.holder-reverses-opposition": "The opposition was taken back.",
    "records.code-reverses-opposition": "The opposition was taken back with the letter's code.",
    "records.holder-activates": "The holder used the letter's code.",
    "records.holder-closes": "The holder, or a minor's parent, closed the record (R1111-36).",
    "records.holder-reopens": "The holder, or a minor's parent, opened the record again.",
    "records.holder-requests-deletion": "The holder wants the record deleted (R1111-40).",
    "records.holder-cancels-deletion": "The holder took the request back in time.",
    "records.only-holder-decides": "Only the holder, or a minor's parent, decides this.",
    "records.only-author-changes": "Only who stated something changes it.",
    "documents.released-after-a-month": "A month passed since it was hidden (R1111-53).",
    "exports.holder": "The holder asked for all of it.",
    "exports.delegate": "A delegate whose delegation covers it asked for all of it.",
    "exports.system": "The archive was made or deleted.",
    "exports.only-holder-or-delegate": "Only the holder, or who acts for them, takes it all.",
    "people.only-operators": "Only operators do this.",
    "people.only-at-the-console": "Only a command on the server's own machine does this.",
    "people.only-publishers-register": "Only a trusted publisher registers persons.",
    "blobs.no-operators": "Operators upload nothing.",
    "intake.only-publishers": "Only publishers submit files.",
    "access.only-professionals": "Only professionals do this.",
    "publisher.feeds": "Software of an establishment feeds the record (R1111-42).",
    "habilitation.none": "The profession may not read this type of document.",
    "habilitation.read-only": "The profession may not write this type of document.",
}
"""Every rule that can decide, and what it means."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed, and the rule that decided."""

    is_allowed: bool
    rule: str

    @property
    def is_emergency(self) -> bool:
        """Whether it is allowed only because of an emergency."""
        return self.is_allowed and self.rule.startswith("emergency.")


class Standing(StrEnum):
    """What somebody would be to a holder, for «preview as»."""

    NONE = "NONE"
    CARE_TEAM = "CARE_TEAM"
    ADMINISTRATOR = "ADMINISTRATOR"
    EMERGENCY = "EMERGENCY"
    REPRESENTATIVE = "REPRESENTATIVE"


@dataclass(frozen=True, slots=True)
class Role:
    """Somebody imagined: a profession (None for a representative) and a standing."""

    standing: Standing
    profession_code: str | None = None

    def imagined(
        self, levels: Mapping[str, HabilitationLevel], now: datetime
    ) -> tuple[Actor, Grants]:
        """Return somebody with this role, who exists nowhere, and their grants.

        Args:
            levels: the matrix's row for the profession.
            now: the moment.
        """
        later = now + timedelta(days=1)
        nobody = UUID(int=0)
        match self.standing:
            case Standing.REPRESENTATIVE:
                parent = DelegationGrant(DelegationKind.PARENT, frozenset(DelegationScope), now)
                return Patient(nobody, nobody, Assurance.SANDBOX), Grants(delegations=(parent,))
            case Standing.CARE_TEAM:
                grants = Grants(memberships=(Membership(CareTeamRole.MEMBER),))
            case Standing.ADMINISTRATOR:
                grants = Grants(memberships=(Membership(CareTeamRole.ADMINISTRATOR),))
            case Standing.EMERGENCY:
                grants = Grants(emergencies=(EmergencyGrant(EmergencyKind.BREAK_GLASS, later),))
            case Standing.NONE:
                grants = Grants()
        practice = replace(grants, practice=Practice(None, levels))
        return Professional(nobody, nobody, Assurance.SANDBOX), practice


SCOPES = {
    Action.READ_PROFILE: DelegationScope.PROFILE,
    Action.WRITE_PROFILE: DelegationScope.PROFILE,
    Action.READ_DOCUMENT: DelegationScope.DOCUMENTS,
    Action.DEPOSIT_DOCUMENT: DelegationScope.DOCUMENTS,
    Action.MASK_DOCUMENT: DelegationScope.DOCUMENTS,
    Action.CHANGE_DOCUMENT: DelegationScope.DOCUMENTS,
    Action.READ_JOURNAL: DelegationScope.JOURNAL,
    Action.MANAGE_ACCESS: DelegationScope.ACCESS,
}
"""The scope that each action needs of a delegate; seeing that the record is there needs any."""

_WRITES = (Action.WRITE_PROFILE, Action.DEPOSIT_DOCUMENT)
_OF_DOCUMENTS = (Action.READ_DOCUMENT, Action.MASK_DOCUMENT, Action.CHANGE_DOCUMENT)
_ROLES = {
    CareTeamRole.ADMINISTRATOR: "care-team.administrator",
    CareTeamRole.ATTENDING_DOCTOR: "care-team.attending-doctor",
    CareTeamRole.MEMBER: "care-team.member",
}


def decide(
    actor: Actor,
    action: Action,
    record: RecordFacts,
    grants: Grants,
    now: datetime,
    document: DocumentFacts | None = None,
) -> Decision:
    """Decide whether the actor may do this now.

    Args:
        actor: who acts.
        action: what they want.
        record: the record it concerns.
        grants: everything the actor was granted on that record.
        now: the moment.
        document: the document that is read, masked or changed; for a deposit, the new one.
    """
    if record.state not in READABLE_STATES:
        return Decision(False, "record.state")
    if document is not None and document.status == "WITHDRAWN":
        return Decision(False, "document.withdrawn")
    match actor:
        case Patient():
            return _holder_side(actor, action, record, grants, now, document)
        case Professional():
            return _professional(actor, action, record, grants, now, document)
    return Decision(False, "access.no-role")


def _holder_side(
    actor: Patient,
    action: Action,
    record: RecordFacts,
    grants: Grants,
    now: datetime,
    document: DocumentFacts | None,
) -> Decision:
    granted = Decision(True, "holder")
    if actor.person_id != record.person_id:
        granted = _delegate(action, grants, now, document)
    if not granted.is_allowed or document is None or action not in _OF_DOCUMENTS:
        return granted
    own = document.depositor in HOLDER_SIDE
    if document.hidden_from_holder_until is not None and document.hidden_from_holder_until > now:
        return Decision(False, "document.hidden-from-holder")
    if not own and _is_too_new(record.settings, document, now):
        return Decision(False, "settings.results-too-new")
    if action is Action.CHANGE_DOCUMENT:
        return granted if own else _not_depositor()
    return granted


def _delegate(
    action: Action, grants: Grants, now: datetime, document: DocumentFacts | None
) -> Decision:
    held = [grant for grant in grants.delegations if is_in_force(grant, now)]
    if not held:
        return Decision(False, "access.no-grant")
    scope = SCOPES.get(action)
    covering = [grant for grant in held if scope is None or scope in grant.scopes]
    if not covering:
        return Decision(False, "delegate.scope")
    if document is not None and document.is_hidden_from_representatives:
        return Decision(False, "document.hidden-from-representatives")
    if any(grant.kind is DelegationKind.PARENT for grant in covering):
        return Decision(True, "delegate.parent")
    return Decision(True, "delegate.caregiver")


def is_in_force(grant: DelegationGrant, now: datetime) -> bool:
    """Tell whether a delegation holds at this moment."""
    return grant.revoked_at is None and (grant.expires_at is None or grant.expires_at > now)


def _is_too_new(settings: SettingsFacts, document: DocumentFacts, now: datetime) -> bool:
    return (
        document.category in RESULT_CATEGORIES
        and document.deposited_at > now - timedelta(days=settings.hide_results_days)
        and settings.hide_results_days > 0
    )


def is_told_to_all(settings: SettingsFacts, document: DocumentFacts, now: datetime) -> bool:
    """Tell whether everybody on the holder's side may know of a document now."""
    until = document.hidden_from_holder_until
    is_held = until is not None and until > now
    is_new = document.depositor not in HOLDER_SIDE and _is_too_new(settings, document, now)
    return not (is_held or is_new or document.is_hidden_from_representatives)


def _not_depositor() -> Decision:
    return Decision(False, "document.not-depositor")


def _professional(
    actor: Professional,
    action: Action,
    record: RecordFacts,
    grants: Grants,
    now: datetime,
    document: DocumentFacts | None,
) -> Decision:
    if any(block.lifted_at is None for block in grants.blocks):
        return Decision(False, "access.blocked")
    if action in (Action.READ_JOURNAL, Action.MANAGE_ACCESS):
        return Decision(False, "access.holder-only")
    if action is Action.MASK_DOCUMENT:
        return Decision(False, "document.masked-by-holder")
    own = document is not None and document.depositor_account_id == actor.account_id
    if action is Action.CHANGE_DOCUMENT:
        return Decision(True, "document.author") if own else _not_depositor()
    rpps = grants.practice.rpps if grants.practice else None
    if action is Action.READ_DOCUMENT and document is not None:
        if own or (rpps is not None and rpps in document.author_rpps):
            return Decision(True, "document.author")
        return _reads(record, grants, now, document)
    entries = _entries(record.settings, grants, now)
    if not entries:
        return Decision(False, "access.no-grant")
    if action is Action.SEE_RECORD:
        return Decision(True, entries[0])
    type_code = document.type_code if document is not None else PROFILE_TYPE
    return _habilitated(action, grants, type_code, entries[0])


def _reads(record: RecordFacts, grants: Grants, now: datetime, document: DocumentFacts) -> Decision:
    entries = _entries(record.settings, grants, now)
    if not entries:
        return Decision(False, "access.no-grant")
    if document.is_masked:
        if "care-team.administrator" in entries:
            entries = ["care-team.administrator"]
        elif record.settings.shows_masked_in_emergency:
            entries = [rule for rule in entries if rule.startswith("emergency.")]
        else:
            entries = []
        if not entries:
            return Decision(False, "document.masked")
    return _habilitated(Action.READ_DOCUMENT, grants, document.type_code, entries[0])


def _habilitated(action: Action, grants: Grants, type_code: str | None, rule: str) -> Decision:
    level = grants.practice.level(type_code) if grants.practice else HabilitationLevel.NONE
    if level is HabilitationLevel.NONE:
        return Decision(False, "habilitation.none")
    if action in _WRITES and level is not HabilitationLevel.READ_WRITE:
        return Decision(False, "habilitation.read-only")
    return Decision(True, rule)


def _entries(settings: SettingsFacts, grants: Grants, now: datetime) -> list[str]:
    """Return the grounds on which a professional enters the record, the strongest first."""
    roles = {member.role for member in grants.memberships if member.ended_at is None}
    grounds = [rule for role, rule in _ROLES.items() if role in roles]
    bases = {
        consent.basis
        for consent in grants.consents
        if consent.revoked_at is None and consent.expires_at > now
    }
    if ConsentBasis.GIVEN in bases:
        grounds.append("consent.given")
    if ConsentBasis.ATTESTED in bases and settings.allows_attested_consent:
        grounds.append("consent.attested")
    kinds = {
        access.kind
        for access in grants.emergencies
        if access.closed_at is None and access.ends_at > now
    }
    if EmergencyKind.REGULATION_CENTRE in kinds and settings.allows_regulation_centre:
        grounds.append("emergency.regulation-centre")
    if EmergencyKind.BREAK_GLASS in kinds and settings.allows_break_glass:
        grounds.append("emergency.break-glass")
    return grounds
