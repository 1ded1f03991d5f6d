"""A device of an account, and its word that it is at work."""

from __future__ import annotations

from dataclasses import dataclass

from carnet_crypto import sodium
from carnet_crypto.kinds import DeviceFlag
from carnet_crypto.labels import Label
from carnet_crypto.values import BoxPublic, DeviceId, Signature, SignPublic


@dataclass(frozen=True, slots=True)
class Device:
    """A device of an account, as its chain says."""

    id: DeviceId
    sign: SignPublic
    box: BoxPublic
    flag: DeviceFlag
    not_after: int  # milliseconds since 1970, or 0 for no end
    added_in: int  # number of the entry
    wrap: bytes  # of the AEK it was added with
    revoked_in: int | None = None  # number of the entry
    revoked_at_size: int | None = None  # of the log, as its revoker had seen it

    def may_act(self, at: int) -> bool:
        """Whether it is neither revoked nor over at this time (milliseconds since 1970)."""
        return self.revoked_in is None and (self.not_after == 0 or at <= self.not_after)


def verify_login(public: SignPublic, challenge: bytes, signature: Signature) -> None:
    """Check what a device signed to show that it is at work; under a label of its own.

    Raises:
        SignatureFailed: it does not hold.
    """
    sodium.verify(public, Label.SIGN_LOGIN, challenge, signature)
