"""What people are told of what the protocol refuses: one sentence each."""

from __future__ import annotations

from carnet_client.errors import ClientError, UserMistake
from carnet_crypto.errors import ProtocolError, Reason, Refused

_REFUSED = {
    Reason.SPLIT_VIEW: "This conversation is frozen: its members do not see the same.",
    Reason.CLOSED: "Somebody in it has closed their account: remove them first.",
    Reason.NOT_AUTHORIZED: "You do not write in this conversation.",
    Reason.UNKNOWN_MEMBER: "You are not in this conversation.",
    Reason.REVOKED_DEVICE: "Its last change was made by a device that was revoked since: look at "
    "who is in it, and say that it is right.",
    Reason.WRONG_GENERATION: "Somebody in it has no key to write to.",
    Reason.ROTATION_DUE: "Somebody in it has to renew their key first.",
    Reason.DELEGATION_FORBIDDEN: "Somebody in it lets others read, which it does not allow.",
    Reason.WRONG_EPOCH: "You have no key of what was written before.",
}


def refused(error: ProtocolError) -> ClientError:
    """Return what to raise in place of what the protocol refuses."""
    if isinstance(error, Refused):
        return UserMistake(_REFUSED.get(error.reason, f"That cannot be done: {error}."))
    return UserMistake(f"That cannot be done: {error}.")
