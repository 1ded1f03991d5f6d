"""Whether somebody could write what they signed, where they say they stood.

An author is a member, or writes for one: as a delegate, or as one of a team. What they say of it in
the body is believed only as far as the other account's own chain says so too.
"""

from __future__ import annotations

from collections.abc import Mapping

from carnet_crypto.account import Account
from carnet_crypto.device import Device
from carnet_crypto.errors import Reason, Refused
from carnet_crypto.kinds import Role
from carnet_crypto.secret.content import Attachments, Content, Text
from carnet_crypto.secret.header import Header
from carnet_crypto.thread import Thread
from carnet_crypto.values import AccountId


def check_author(
    header: Header,
    content: Content | None,
    epoch: int,
    state: Thread,
    accounts: Mapping[AccountId, Account],
) -> None:
    """Check that a message's author could write it, in the thread as they knew it.

    Args:
        header: who, when and knowing what.
        content: what they say; None once it is erased.
        epoch: that it was sealed in.
        state: the thread at the entry that the header names.
        accounts: the verified accounts of all members, and of those who write for them.

    Raises:
        Refused: they could not, or the one they say they write for does not know of it
            (`UNKNOWN_MEMBER`, `NOT_AUTHORIZED`, `DELEGATION_FORBIDDEN`), or not then
            (`WRONG_EPOCH`, `ROTATION_DUE`, `CLOSED`).
    """
    _check_member(header, content, state, accounts)
    if epoch != state.epoch.number:
        raise Refused(Reason.WRONG_EPOCH)
    if state.has_left:
        raise Refused(Reason.ROTATION_DUE)
    if state.is_closed:
        raise Refused(Reason.CLOSED)


def check_device(header: Header, device: Device, state: Thread) -> bool:
    """Tell whether nothing has to vouch for a message: its device is not revoked.

    Raises:
        Refused: its device was over by then (`EXPIRED_DEVICE`), or had been revoked by what its
            author knew (`REVOKED_DEVICE`).
    """
    if device.not_after and max(header.sent_at, state.at) > device.not_after:
        raise Refused(Reason.EXPIRED_DEVICE)
    if device.revoked_at_size is None:
        return True
    if header.checkpoint_size > device.revoked_at_size:
        raise Refused(Reason.REVOKED_DEVICE)
    return False


def _check_member(
    header: Header,
    content: Content | None,
    state: Thread,
    accounts: Mapping[AccountId, Account],
) -> None:
    author = header.account
    claimed = content.on_behalf_of if isinstance(content, Text | Attachments) else None
    if claimed is not None and not claimed.is_zero and claimed != author:
        if claimed not in state.members:
            raise Refused(Reason.UNKNOWN_MEMBER)
        _check_represents(header, claimed, state, accounts)
        return
    member = state.members.get(author)
    if member is not None:
        if member.role is Role.READER:
            raise Refused(Reason.NOT_AUTHORIZED)
        return
    if claimed is not None:
        raise Refused(Reason.UNKNOWN_MEMBER)  # words of somebody who is in the thread for nobody
    for represented in state.members:
        try:
            _check_represents(header, represented, state, accounts)
        except Refused:
            continue
        return
    raise Refused(Reason.UNKNOWN_MEMBER)


def _check_represents(
    header: Header, represented: AccountId, state: Thread, accounts: Mapping[AccountId, Account]
) -> None:
    account = accounts.get(represented)
    # The author's own time can be set back, but not behind what they knew.
    at = max(header.sent_at, state.at)
    mandate = None if account is None else account.mandate(header.account, at)
    if mandate is None or state.members[represented].role is Role.READER:
        raise Refused(Reason.NOT_AUTHORIZED)
    if mandate.is_delegation and not state.policy.is_delegation_allowed:
        raise Refused(Reason.DELEGATION_FORBIDDEN)
