"""What people do with accounts: begin one, and add to its chain.

The server verifies every entry with what anybody can verify, and refuses what does not hold; it
could not make one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.access.journal import JournalAction, behalf
from carnet.errors import (
    Conflict,
    NotFound,
    QuotaExceeded,
    StaleChain,
    ValidationFailed,
)
from carnet.messaging import directory, owners
from carnet.messaging.account_index import index
from carnet.messaging.accounts import require_own
from carnet.messaging.chains import state
from carnet.messaging.device_clocks import check_clock
from carnet.messaging.owners import Owned, Owner
from carnet.messaging.recounting import note, tell_owner
from carnet.messaging.rules import denied
from carnet.messaging.tables import (
    AccountEntry,
    DirectoryBinding,
    MessagingAccount,
    MessagingAccountKind,
)
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet.store.signing import Signer
from carnet_crypto.account import Account
from carnet_crypto.chain import read_entry
from carnet_crypto.errors import ProtocolError
from carnet_crypto.kinds import AccountKind
from carnet_crypto.values import AccountId, Label32

MOST_ENTRIES = 1000  # of one chain
MOST_AT_ONCE = 20  # entries in one call
MOST_BEGUN = 5  # accounts of one owner in BEGUN_WINDOW: the log keeps a leaf of each entry for ever
BEGUN_WINDOW = timedelta(days=1)
_KINDS = {
    MessagingAccountKind.PERSON: AccountKind.PERSON,
    MessagingAccountKind.PROFESSIONAL: AccountKind.PERSON,
    MessagingAccountKind.ORGANIZATION: AccountKind.ORGANIZATION,
    MessagingAccountKind.TEAM: AccountKind.TEAM,
}


async def create(
    actor: Actor, work: Work, signer: Signer, origin: str, owner: Owner, entries: Sequence[bytes]
) -> UUID:
    """Begin an account with the first entries of its chain; a former one of the owner's ends.

    Raises:
        NotFound: the owner is not the actor's to act for.
        AccessDenied: they have an account, which only they and their parents replace.
        ValidationFailed: an entry does not hold.
        Conflict: the account is there already.
        QuotaExceeded: the owner has begun too many.
    """
    owned = await owners.find(actor, work, owner)
    account, chain = _replay(None, entries, work.now)
    if account.kind is not _KINDS[owned.kind]:
        raise ValidationFailed("The account is of another kind.", path=("entries",))
    label = await owners.label_of(work, owned)
    is_replacing = await _end_former(work, owned)
    row = await _insert(work, owned, account, label)
    await note(actor, work, row, JournalAction.BEGIN_MESSAGING)
    if is_replacing:
        await tell_owner(work, row, NotificationKind.ACCOUNT_REPLACED)
    elif row.person_id is not None and behalf(actor, row.person_id):
        await tell_owner(work, row, NotificationKind.DEVICE_ADDED)
    await index(work, row.id, account)
    newest = select(func.max(DirectoryBinding.version)).where(DirectoryBinding.label == row.label)
    version = (await work.session.scalar(newest) or 0) + 1
    bound = directory.bind(signer, origin, owned.kind, label, version, account.id, work.now)
    first = await _log(work, signer, row, chain, bound)
    work.session.add(
        DirectoryBinding(
            id=work.new_id(),
            account_id=row.id,
            label=row.label,
            version=version,
            data=bound.data,
            blind=bytes(bound.blind),
            leaf_index=first + len(chain),
        )
    )
    await work.session.flush()
    return row.id


async def append(
    actor: Actor, work: Work, signer: Signer, account_id: bytes, entries: Sequence[bytes]
) -> UUID:
    """Add entries to a chain: all of them, or none.

    Raises:
        NotFound: the account is not the actor's to act with.
        StaleChain: the chain has grown; ``number`` is its newest entry's.
        ValidationFailed: an entry does not hold.
        QuotaExceeded: the chain is full.
    """
    row = await require_own(actor, work, account_id)
    in_use = MessagingAccount.id == row.id, MessagingAccount.ended_at.is_(None)
    locked = select(MessagingAccount.number).where(*in_use).with_for_update()
    number = await work.session.scalar(locked)
    if number is None:  # another has taken its place in this moment
        raise NotFound()
    if number + 1 + len(entries) > MOST_ENTRIES:
        raise QuotaExceeded(f"A chain has at most {MOST_ENTRIES} entries.")
    before = await state(work, row.id)
    _check_follows(before, entries)
    account, added = _replay(before, entries, work.now)
    ended = {"ended_at": work.now} if account.is_closed else {}
    await work.session.execute(
        update(MessagingAccount)
        .where(MessagingAccount.id == row.id)
        .values(number=account.number, **ended)
    )
    await note(actor, work, row, JournalAction.CHANGE_MESSAGING_KEYS)
    for kind in _news(before, account):
        await tell_owner(work, row, kind)
    await index(work, row.id, account)
    await _log(work, signer, row, added)
    return row.id


async def _end_former(work: Work, owned: Owned) -> bool:
    """End the account that the owner has, and return whether there was one."""
    since = MessagingAccount.created_at > work.now - BEGUN_WINDOW
    begun = select(func.count()).where(*owned.theirs, since)
    if (await work.session.scalar(begun) or 0) >= MOST_BEGUN:
        raise QuotaExceeded("Too many accounts were begun today.")
    former = await work.session.scalars(
        update(MessagingAccount)
        .where(*owned.theirs, MessagingAccount.ended_at.is_(None))
        .values(ended_at=work.now)
        .returning(MessagingAccount.id)
        .execution_options(synchronize_session=False)
    )
    is_replacing = bool(former.all())
    if is_replacing and not owned.may_replace:
        raise denied("messaging.not-yours-to-replace")
    return is_replacing


async def _insert(work: Work, owned: Owned, account: Account, label: Label32) -> MessagingAccount:
    statement = (
        upsert(MessagingAccount)
        .values(
            id=work.new_id(),
            account_id=bytes(account.id),
            kind=owned.kind,
            label=bytes(label),
            number=account.number,
            created_at=work.now,
            **owned.columns,
        )
        .on_conflict_do_nothing(index_elements=[MessagingAccount.account_id])
    )
    row: MessagingAccount | None = await work.session.scalar(statement.returning(MessagingAccount))
    if row is None:
        raise Conflict("The account is there already.")
    return row


def _news(before: Account, after: Account) -> list[NotificationKind]:
    """Return what of a change its owner is told."""
    told = []
    if after.devices.keys() - before.devices.keys():
        told.append(NotificationKind.DEVICE_ADDED)
    revoked = {id_ for id_, device in after.devices.items() if device.revoked_in is not None}
    if any(before.devices[id_].revoked_in is None for id_ in revoked & before.devices.keys()):
        told.append(NotificationKind.DEVICE_REVOKED)
    is_pending = after.pending_root not in (None, before.pending_root)
    if is_pending or after.root != before.root:
        told.append(NotificationKind.ROOT_CHANGED)
    return told


def _replay(
    before: Account | None, entries: Sequence[bytes], now: datetime
) -> tuple[Account, list[tuple[int, bytes]]]:
    """Return the account after these entries, each with its number."""
    if not 1 <= len(entries) <= MOST_AT_ONCE:
        raise ValidationFailed(f"1 to {MOST_AT_ONCE} entries.", path=("entries",))
    account, numbered = before, []
    try:
        for entry in entries:
            account = Account.begin(entry) if account is None else account.extend(entry)
            numbered.append((account.number, entry))
            check_clock(account.at, now, "entries")
    except ProtocolError as error:
        raise ValidationFailed(f"An entry does not hold: {error}.", path=("entries",)) from None
    if account is None:
        raise ValidationFailed("A chain begins with GENESIS.", path=("entries",))
    return account, numbered


def _check_follows(before: Account, entries: Sequence[bytes]) -> None:
    """Tell whoever has an older chain so, and not that their entry is wrong."""
    try:
        first = read_entry(entries[0]) if entries else None
    except ProtocolError:
        return  # `_replay` says what is wrong with it
    if first is not None and (first.number != before.number + 1 or first.link != before.head):
        raise StaleChain(number=before.number)


async def _log(
    work: Work,
    signer: Signer,
    row: MessagingAccount,
    chain: Sequence[tuple[int, bytes]],
    *more: directory.Logged,
) -> int:
    logged = [
        directory.chain_entry(AccountId(row.account_id), number, entry) for number, entry in chain
    ]
    first = await directory.append(work, signer, [*logged, *more])
    rows = [
        {
            "account_id": row.id,
            "number": number,
            "data": each.data,
            "blind": bytes(each.blind),
            "leaf_index": first + place,
            "at": work.now,
        }
        for place, ((number, _), each) in enumerate(zip(chain, logged, strict=True))
    ]
    await work.session.execute(insert(AccountEntry), rows)
    return first
