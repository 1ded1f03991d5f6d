"""Who may act for an account, and what they write for it: now, and as it was once."""

from __future__ import annotations

from dataclasses import dataclass

from carnet_crypto.kinds import Scope
from carnet_crypto.seeds import AccountWrap
from carnet_crypto.values import AccountId


@dataclass(frozen=True, slots=True)
class Mandate:
    """Somebody writes for an account, or did: until it ended, what they wrote holds."""

    who: AccountId
    not_before: int  # milliseconds since 1970
    not_after: int  # milliseconds since 1970
    is_delegation: bool  # else of the roster


@dataclass(frozen=True, slots=True)
class Delegation:
    """Who may act for an account, and until when."""

    delegate: AccountId
    scope: Scope
    not_before: int
    not_after: int
    wrap: AccountWrap
    given_in: int  # number of the entry

    def is_active(self, at: int) -> bool:
        """Whether it holds at this time (milliseconds since 1970)."""
        return self.not_before <= at <= self.not_after


def mandates(delegation: Delegation, until: int) -> list[Mandate]:
    """Return what a delegation lets somebody write, until it ends."""
    if not delegation.scope & Scope.WRITE:
        return []
    return [Mandate(delegation.delegate, delegation.not_before, until, True)]
