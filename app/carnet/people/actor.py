"""Who acts: the typed subject that is the first argument of every query and action."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from carnet.errors import AccessDenied, Unauthenticated


class Assurance(StrEnum):
    """How the actor proved who they are."""

    PASSWORD = "PASSWORD"  # noqa: S105 — a kind of proof, not a secret
    IDENTITY_PROVIDER = "IDENTITY_PROVIDER"
    MACHINE_CREDENTIAL = "MACHINE_CREDENTIAL"
    SANDBOX = "SANDBOX"
    CONSOLE = "CONSOLE"  # commands on the server's own machine; never comes over the network


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
    expires_at: datetime | None = None  # of an access token; a session knows its own end


@dataclass(frozen=True, slots=True)
class Professional:
    """A registered health professional."""

    kind: ClassVar[str] = "PROFESSIONAL"
    professional_id: UUID
    account_id: UUID
    assurance: Assurance
    session_id: UUID | None = None
    expires_at: datetime | None = None  # of an access token; a session knows its own end


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
    expires_at: datetime | None = None  # of an access token; a session knows its own end


Actor = Anonymous | Patient | Professional | Publisher | Operator


# Whoever runs commands where the server's keys lie holds the database anyway.
CONSOLE = Operator(UUID(int=0), Assurance.CONSOLE)


def actor_key(actor: Actor) -> str:
    """Return the stable text that owns an actor's uploads and idempotency keys.

    Raises:
        Unauthenticated: nobody has signed in.
    """
    match actor:
        case Patient(account_id=id_) | Professional(account_id=id_) | Operator(account_id=id_):
            return f"account:{id_}"
        case Publisher(publisher_id=id_):
            return f"publisher:{id_}"
        case Anonymous():
            raise Unauthenticated()


def require_operator(actor: Actor) -> None:
    """Let operators pass.

    Raises:
        AccessDenied: the actor is somebody else.
        Unauthenticated: nobody has signed in.
    """
    if isinstance(actor, Anonymous):
        raise Unauthenticated()
    if not isinstance(actor, Operator):
        raise AccessDenied("people.only-operators")


def require_console(actor: Actor) -> None:
    """Let only the console pass, not an operator who signed in over the network.

    Raises:
        AccessDenied: the actor is somebody else.
        Unauthenticated: nobody has signed in.
    """
    require_operator(actor)
    if not isinstance(actor, Operator) or actor.assurance is not Assurance.CONSOLE:
        raise AccessDenied("people.only-at-the-console")
