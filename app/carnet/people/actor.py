"""Who acts: the typed subject that is the first argument of every query and action."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar
from uuid import UUID


class Assurance(StrEnum):
    """How the actor proved who they are."""

    PASSWORD = "PASSWORD"  # noqa: S105 — a kind of proof, not a secret
    IDENTITY_PROVIDER = "IDENTITY_PROVIDER"
    MACHINE_CREDENTIAL = "MACHINE_CREDENTIAL"
    SANDBOX = "SANDBOX"


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Nobody has signed in."""

    kind: ClassVar[str] = "ANONYMOUS"


@dataclass(frozen=True, slots=True)
class Patient:
    """A person acting on their own record."""

    kind: ClassVar[str] = "PATIENT"
    person_id: UUID
    account_id: UUID
    assurance: Assurance
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Professional:
    """A registered health professional."""

    kind: ClassVar[str] = "PROFESSIONAL"
    professional_id: UUID
    account_id: UUID
    assurance: Assurance
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Publisher:
    """Software that feeds records with a machine credential."""

    kind: ClassVar[str] = "PUBLISHER"
    publisher_id: UUID
    assurance: Assurance = Assurance.MACHINE_CREDENTIAL


@dataclass(frozen=True, slots=True)
class Operator:
    """Staff who run the service; sees no health data."""

    kind: ClassVar[str] = "OPERATOR"
    account_id: UUID
    assurance: Assurance
    session_id: UUID | None = None


Actor = Anonymous | Patient | Professional | Publisher | Operator
