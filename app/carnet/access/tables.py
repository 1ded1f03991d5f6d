"""Tables of access: settings of a record, grants, delegation and the habilitation matrix."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base, Id, enum_column


class CareTeamRole(StrEnum):
    """What a professional is to a holder. The last two are named by the holder."""

    MEMBER = "MEMBER"
    ATTENDING_DOCTOR = "ATTENDING_DOCTOR"
    ADMINISTRATOR = "ADMINISTRATOR"  # sees masked documents too (R1111-49)


class CareTeamBasis(StrEnum):
    """How a member came into the care team."""

    NAMED = "NAMED"  # by the holder
    DECLARED = "DECLARED"  # by a professional, who states that the holder was informed


class ConsentBasis(StrEnum):
    """How the consent to one consultation was given."""

    GIVEN = "GIVEN"  # by the holder, in Carnet
    ATTESTED = "ATTESTED"  # to the professional, who attests it


class EmergencyKind(StrEnum):
    """On what ground a record is reached in an emergency (R1111-48)."""

    REGULATION_CENTRE = "REGULATION_CENTRE"
    BREAK_GLASS = "BREAK_GLASS"


class DelegationKind(StrEnum):
    """Why somebody acts for somebody else."""

    PARENT = "PARENT"  # legal representative of a minor
    CAREGIVER = "CAREGIVER"  # chosen by an adult


class DelegationScope(StrEnum):
    """What a delegate may do for the holder."""

    PROFILE = "PROFILE"
    DOCUMENTS = "DOCUMENTS"
    CALENDAR = "CALENDAR"
    MESSAGES = "MESSAGES"
    JOURNAL = "JOURNAL"
    ACCESS = "ACCESS"  # who else sees the record


class HabilitationLevel(StrEnum):
    """What a profession may do with a type of document."""

    NONE = "NONE"
    READ = "READ"
    READ_WRITE = "READ_WRITE"


class AccessSettings(Base):
    """What the holder decided for the whole record. A record without a row has the defaults."""

    __tablename__ = "access_settings"
    __table_args__ = (
        CheckConstraint("hide_results_days BETWEEN 0 AND 60", name="hide_results_days_bounds"),
    )

    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True
    )
    is_masked_by_default: Mapped[bool] = mapped_column(server_default=text("false"))
    hide_results_days: Mapped[int] = mapped_column(server_default=text("0"))
    allows_regulation_centre: Mapped[bool] = mapped_column(server_default=text("true"))
    allows_break_glass: Mapped[bool] = mapped_column(server_default=text("true"))
    shows_masked_in_emergency: Mapped[bool] = mapped_column(server_default=text("false"))
    allows_attested_consent: Mapped[bool] = mapped_column(server_default=text("true"))
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    updated_at: Mapped[datetime]


class CareTeamMember(Base):
    """A professional, or all of an organization, who cares for the holder until ``ended_at``.

    Deemed authorized once the holder was informed and did not object (R1111-46, L1111-17).
    """

    __tablename__ = "care_team_members"
    __table_args__ = (
        CheckConstraint("num_nonnulls(professional_id, organization_id) = 1", name="one_grantee"),
        CheckConstraint("role = 'MEMBER' OR professional_id IS NOT NULL", name="role_is_personal"),
        Index(
            "uq_care_team_members_professional",
            "record_id",
            "professional_id",
            "role",
            unique=True,
            postgresql_where=text("ended_at IS NULL AND professional_id IS NOT NULL"),
        ),
        Index(
            "uq_care_team_members_organization",
            "record_id",
            "organization_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL AND organization_id IS NOT NULL"),
        ),
        Index(
            "uq_care_team_members_attending",
            "record_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL AND role = 'ATTENDING_DOCTOR'"),
        ),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), index=True
    )
    professional_id: Mapped[UUID | None] = mapped_column(ForeignKey("professionals.id"), index=True)
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"), index=True)
    role: Mapped[CareTeamRole] = mapped_column(enum_column(CareTeamRole))
    basis: Mapped[CareTeamBasis] = mapped_column(enum_column(CareTeamBasis))
    informed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Consent(Base):
    """The holder's consent to one consultation: time-boxed (L1111-17)."""

    __tablename__ = "consents"
    __table_args__ = (
        CheckConstraint("num_nonnulls(professional_id, organization_id) = 1", name="one_grantee"),
        CheckConstraint("expires_at > given_at", name="ends_after_start"),
        Index("ix_consents_record_id_expires_at", "record_id", "expires_at"),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    professional_id: Mapped[UUID | None] = mapped_column(ForeignKey("professionals.id"), index=True)
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"), index=True)
    basis: Mapped[ConsentBasis] = mapped_column(enum_column(ConsentBasis))
    given_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Block(Base):
    """A professional or organization that the holder shuts out until ``lifted_at``.

    Blocking ends what they were granted, so lifting it grants nothing.
    """

    __tablename__ = "blocks"
    __table_args__ = (
        CheckConstraint("num_nonnulls(professional_id, organization_id) = 1", name="one_grantee"),
        Index(
            "uq_blocks_professional",
            "record_id",
            "professional_id",
            unique=True,
            postgresql_where=text("lifted_at IS NULL AND professional_id IS NOT NULL"),
        ),
        Index(
            "uq_blocks_organization",
            "record_id",
            "organization_id",
            unique=True,
            postgresql_where=text("lifted_at IS NULL AND organization_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), index=True
    )
    professional_id: Mapped[UUID | None] = mapped_column(ForeignKey("professionals.id"), index=True)
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"), index=True)
    blocked_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]


class EmergencyAccess(Base):
    """One time-boxed access in an emergency, with the reason that the professional gave.

    ``reason_salt`` makes the journal's digest of the reason say nothing about it.
    """

    __tablename__ = "emergency_accesses"
    __table_args__ = (
        CheckConstraint("ends_at > started_at", name="ends_after_start"),
        Index("ix_emergency_accesses_record_id_ends_at", "record_id", "ends_at"),
    )

    id: Mapped[Id]
    record_id: Mapped[UUID] = mapped_column(ForeignKey("records.id", ondelete="CASCADE"))
    professional_id: Mapped[UUID] = mapped_column(ForeignKey("professionals.id"), index=True)
    kind: Mapped[EmergencyKind] = mapped_column(enum_column(EmergencyKind))
    reason: Mapped[str]
    reason_salt: Mapped[bytes] = mapped_column(LargeBinary)
    started_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]  # by the professional or the holder, before its time


class Delegation(Base):
    """Somebody acts for the holder; an invitation until ``accepted_at``.

    The invitation's code is handed over by the holder and stored as its SHA-256 only.
    """

    __tablename__ = "delegations"
    __table_args__ = (
        UniqueConstraint("code_hash"),
        CheckConstraint(
            "(accepted_at IS NULL) = (delegate_person_id IS NULL)", name="accepted_by_somebody"
        ),
        CheckConstraint("delegate_person_id <> holder_person_id", name="not_oneself"),
        Index("ix_delegations_holder_person_id", "holder_person_id"),
        Index(
            "uq_delegations_pair",
            "holder_person_id",
            "delegate_person_id",
            unique=True,
            postgresql_where=text("revoked_at IS NULL AND accepted_at IS NOT NULL"),
        ),
        Index("ix_delegations_delegate_person_id", "delegate_person_id"),
    )

    id: Mapped[Id]
    holder_person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    delegate_person_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("persons.id", ondelete="CASCADE")
    )
    kind: Mapped[DelegationKind] = mapped_column(enum_column(DelegationKind))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))  # of DelegationScope
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    invited_at: Mapped[datetime]
    invitation_expires_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]  # a parent's: the child's majority
    revoked_at: Mapped[datetime | None]


class Habilitation(Base):
    """One cell of the matrix: what a profession may do with a type of document.

    ``type_code`` ``*`` stands for every type that has no row of its own for the profession; a
    profession without either may do nothing.
    """

    __tablename__ = "habilitations"

    profession_code: Mapped[str] = mapped_column(primary_key=True)  # TRE_G15
    type_code: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[HabilitationLevel] = mapped_column(enum_column(HabilitationLevel))
    source: Mapped[str]  # where the matrix comes from; SAMPLE for the one that ships


class Reach(Base):
    """When an account last reached a record: the volume alarm counts them."""

    __tablename__ = "reaches"
    __table_args__ = (Index("ix_reaches_account_id_last_at", "account_id", "last_at"),)

    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True
    )
    record_id: Mapped[UUID] = mapped_column(
        ForeignKey("records.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    last_at: Mapped[datetime]
