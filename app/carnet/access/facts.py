"""What a decision is made from: facts of the record and document, and what the actor was granted.

Records, documents and threads are tables of areas above this one; `RECORDS`, `DOCUMENTS` and
`THREADS` name the columns that the filters read of them. A test holds them to the real tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, DateTime, Integer, Text, Uuid, column, table
from sqlalchemy.dialects.postgresql import ARRAY

from carnet.access.tables import (
    CareTeamRole,
    ConsentBasis,
    DelegationKind,
    DelegationScope,
    EmergencyKind,
    HabilitationLevel,
)

READABLE_STATES = ("OPEN", "ACTIVATED")
"""States in which a record is read at all; a closed one is an archive (R1111-36)."""

RESULT_CATEGORIES = ("LABORATORY", "IMAGING")
"""Folders of results, which a holder may wish to see some days later."""

HOLDER_SIDE = ("HOLDER", "DELEGATE")
"""Depositors whose documents are the holder's own: a delegate acts for the holder."""

ANY_TYPE = "*"
PROFILE_TYPE = "PROFILE"  # the row of the habilitation matrix for the medical profile

RECORDS = table(
    "records", column("id", Uuid()), column("person_id", Uuid()), column("state", Text())
)
THREADS = table("messaging_threads", column("id", Uuid()), column("person_id", Uuid()))
DOCUMENTS = table(
    "documents",
    column("id", Uuid()),
    column("record_id", Uuid()),
    column("lineage_id", Uuid()),
    column("version", Integer()),
    column("status", Text()),
    column("category", Text()),
    column("type_code", Text()),
    column("is_masked", Boolean()),
    column("hidden_from_holder_until", DateTime(timezone=True)),
    column("is_hidden_from_representatives", Boolean()),
    column("author_rpps", ARRAY(Text())),
    column("depositor", Text()),
    column("depositor_account_id", Uuid()),
    column("deposited_at", DateTime(timezone=True)),
)


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    """What the holder decided for the whole record; the defaults are those of a new record."""

    is_masked_by_default: bool = False
    hide_results_days: int = 0
    allows_regulation_centre: bool = True
    allows_break_glass: bool = True
    shows_masked_in_emergency: bool = False
    allows_attested_consent: bool = True


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What of a record decides."""

    id: UUID
    person_id: UUID
    state: str
    settings: SettingsFacts = SettingsFacts()


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What of a document decides."""

    id: UUID
    status: str
    category: str
    type_code: str | None
    is_masked: bool
    hidden_from_holder_until: datetime | None
    is_hidden_from_representatives: bool
    author_rpps: tuple[str, ...]
    depositor: str
    depositor_account_id: UUID | None
    deposited_at: datetime


@dataclass(frozen=True, slots=True)
class DelegationGrant:
    """A delegation from the holder to the actor."""

    kind: DelegationKind
    scopes: frozenset[DelegationScope]
    accepted_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Membership:
    """The actor, or their organization, in the care team."""

    role: CareTeamRole
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentGrant:
    """A consent to the actor, or to their organization."""

    basis: ConsentBasis
    expires_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BlockGrant:
    """The holder shut the actor, or their organization, out."""

    lifted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EmergencyGrant:
    """An access in an emergency by the actor."""

    kind: EmergencyKind
    ends_at: datetime
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Practice:
    """What the register and the matrix say of a professional."""

    rpps: str | None
    levels: Mapping[str, HabilitationLevel] = field(default_factory=dict)

    def level(self, type_code: str | None) -> HabilitationLevel:
        """Return what the profession may do with a type of document."""
        if type_code is not None and type_code in self.levels:
            return self.levels[type_code]
        return self.levels.get(ANY_TYPE, HabilitationLevel.NONE)


@dataclass(frozen=True, slots=True)
class Grants:
    """Everything that an actor was ever granted or refused on one record; time decides in rules."""

    delegations: tuple[DelegationGrant, ...] = ()
    memberships: tuple[Membership, ...] = ()
    consents: tuple[ConsentGrant, ...] = ()
    blocks: tuple[BlockGrant, ...] = ()
    emergencies: tuple[EmergencyGrant, ...] = ()
    practice: Practice | None = None
