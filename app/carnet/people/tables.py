"""Tables of persons, professionals, organizations, publishers, accounts and sessions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, INET, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base, Id, enum_column, partial_date_check
from carnet.values import PartialDate


class Sex(StrEnum):
    """Administrative sex (FHIR administrative-gender)."""

    FEMALE = "FEMALE"
    MALE = "MALE"
    OTHER = "OTHER"
    UNKNOWN = "UNKNOWN"


class AccountKind(StrEnum):
    """What an account's owner is to Carnet."""

    PATIENT = "PATIENT"
    PROFESSIONAL = "PROFESSIONAL"
    OPERATOR = "OPERATOR"


class Person(Base):
    """A human being who has, or may have, a record."""

    __tablename__ = "persons"
    __table_args__ = (partial_date_check("birth_date"), partial_date_check("deceased_on"))

    id: Mapped[Id]
    birth_family_name: Mapped[str]
    used_family_name: Mapped[str | None]
    given_names: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    birth_date: Mapped[PartialDate | None]
    sex: Mapped[Sex] = mapped_column(enum_column(Sex))
    birth_place_code: Mapped[str | None]
    deceased_on: Mapped[PartialDate | None]
    is_deceased: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]


class PersonIdentifier(Base):
    """A number a person is known by. Only national numbers are unique across persons.

    ``is_key_valid`` is None where the system has no check key.
    """

    __tablename__ = "person_identifiers"
    __table_args__ = (
        UniqueConstraint("person_id", "system", "value"),
        Index("ix_person_identifiers_system_value", "system", "value"),
        Index(
            "uq_person_identifiers_national",
            "system",
            "value",
            unique=True,
            postgresql_where=text("is_national"),
        ),
    )

    id: Mapped[Id]
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id", ondelete="CASCADE"))
    system: Mapped[str]
    value: Mapped[str]
    is_national: Mapped[bool]
    is_key_valid: Mapped[bool | None]


class Organization(Base):
    """A hospital, practice, laboratory or other establishment."""

    __tablename__ = "organizations"
    __table_args__ = (
        Index(
            "uq_organizations_identifier",
            "identifier_system",
            "identifier_value",
            unique=True,
            postgresql_where=text("identifier_value IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    name: Mapped[str]
    facility_type_code: Mapped[str | None]
    identifier_system: Mapped[str | None]
    identifier_value: Mapped[str | None]
    is_regulation_centre: Mapped[bool] = mapped_column(server_default=text("false"))  # Samu
    created_at: Mapped[datetime]


class Professional(Base):
    """A health professional from the national register (RPPS: 11 digits, Luhn key)."""

    __tablename__ = "professionals"
    __table_args__ = (
        UniqueConstraint("rpps"),
        CheckConstraint(r"rpps ~ '^\d{11}$'", name="rpps_form"),
    )

    id: Mapped[Id]
    rpps: Mapped[str]
    family_name: Mapped[str]
    given_name: Mapped[str]
    profession_code: Mapped[str]
    speciality_code: Mapped[str | None]
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"), index=True)
    created_at: Mapped[datetime]


class Publisher(Base):
    """Software with a machine credential; one for each source system."""

    __tablename__ = "publishers"
    __table_args__ = (UniqueConstraint("name"), UniqueConstraint("secret_hash"))

    id: Mapped[Id]
    name: Mapped[str]
    organization_id: Mapped[UUID | None] = mapped_column(ForeignKey("organizations.id"), index=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    may_register_persons: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Account(Base):
    """A way to sign in, bound to exactly one person, one professional, or an operator."""

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("login"),
        UniqueConstraint("issuer", "subject"),
        CheckConstraint("login = lower(login)", name="login_lower"),
        CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="issuer_with_subject"),
        CheckConstraint(
            "(kind = 'PATIENT') = (person_id IS NOT NULL)"
            " AND (kind = 'PROFESSIONAL') = (professional_id IS NOT NULL)",
            name="one_owner",
        ),
    )

    id: Mapped[Id]
    kind: Mapped[AccountKind] = mapped_column(enum_column(AccountKind))
    person_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("persons.id", ondelete="CASCADE"), index=True
    )
    professional_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("professionals.id", ondelete="CASCADE"), index=True
    )
    login: Mapped[str | None]
    password_hash: Mapped[str | None]
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class Session(Base):
    """A signed-in browser or phone. The token itself is never stored, only its SHA-256."""

    __tablename__ = "sessions"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        CheckConstraint("octet_length(token_hash) = 32", name="token_hash_length"),
    )

    id: Mapped[Id]
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    assurance: Mapped[str]
    device_name: Mapped[str | None]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class SignInAttempt(Base):
    """One attempt, written before what was said is looked at, so that parallel tries count too.

    ``login_hash`` is keyed, so the table tells nobody which logins or numbers exist. Who has signed
    in is counted by the account, anybody else by the address.
    """

    __tablename__ = "sign_in_attempts"
    __table_args__ = (
        Index("ix_sign_in_attempts_login_hash_attempted_at", "login_hash", "attempted_at"),
        Index("ix_sign_in_attempts_address_attempted_at", "address", "attempted_at"),
        Index("ix_sign_in_attempts_account_id_attempted_at", "account_id", "attempted_at"),
        CheckConstraint("(address IS NULL) <> (account_id IS NULL)", name="one_source"),
    )

    id: Mapped[Id]
    login_hash: Mapped[bytes] = mapped_column(LargeBinary)
    address: Mapped[str | None] = mapped_column(INET)
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    attempted_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
