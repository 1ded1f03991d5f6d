"""What contacts, chains and transcripts tell, as events and alarms for people."""

from __future__ import annotations

from carnet_client.events import (
    Alarm,
    ChainNews,
    ChangedSafetyNumber,
    Complaint,
    DeviceAdded,
    DeviceGone,
    Equivocation,
    Event,
    Fork,
    RolledBack,
    StaleAuthor,
    UnauthorizedEntry,
    UnprovenDirectory,
    WithheldMessage,
)
from carnet_crypto.contacts import (
    ChainChanged,
    ContactEvent,
    DeviceRevoked,
    NewDevice,
    Rebound,
    RootChanged,
)
from carnet_crypto.errors import ProofFailed, ProtocolError, Reason, Refused
from carnet_crypto.secret import happenings
from carnet_crypto.values import AccountId, ThreadId

_BACK = (Reason.OUT_OF_ORDER, Reason.BROKEN_LINK)


def of_contact(event: ContactEvent) -> Event:
    """Return what an account, or the directory, says anew."""
    match event:
        case NewDevice(account=account, device=device):
            return DeviceAdded(account, device)
        case DeviceRevoked(account=account, device=device):
            return DeviceGone(account, device)
        case RootChanged(account=account) | Rebound(account=account):
            return ChangedSafetyNumber(account)
        case ChainChanged(account=account):
            return ChainNews(account)


def of_log(error: Refused) -> Alarm:
    """Return what a checkpoint that does not hold means."""
    return RolledBack() if error.reason is Reason.SHRUNK_LOG else UnprovenDirectory()


def of_chain(id_: AccountId, error: ProtocolError) -> Alarm:
    """Return what an account's chain that does not hold means."""
    if isinstance(error, ProofFailed):
        return UnprovenDirectory(id_)
    reason = error.reason if isinstance(error, Refused) else None
    if reason in _BACK:
        return RolledBack(account=id_)
    return UnauthorizedEntry(None, id_, reason)


def of_happening(thread: ThreadId, happening: happenings.Happening) -> Alarm | None:
    """Return what is wrong in a thread; None where nothing is."""
    match happening:
        case happenings.Withheld(device=device):
            return WithheldMessage(thread, device)
        case happenings.Equivocation(device=device, sequence=sequence):
            return Equivocation(thread, device, sequence)
        case happenings.Fork():
            return Fork(thread)
        case happenings.StaleAuthor(account=account):
            return StaleAuthor(thread, account)
        case happenings.Complained(account=account):
            return Complaint(thread, account)
        case _:
            return None
