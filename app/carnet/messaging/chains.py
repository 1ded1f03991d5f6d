"""Verified states of accounts, kept so that a chain is replayed once and then only continued.

A chain only grows, and what was verified stays so: a process keeps the states of the accounts it
used last, and reads of each what follows. A state is kept only of what is committed: whoever adds
entries keeps what was there before.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import UUID as SQL_UUID
from sqlalchemy import Integer, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import column

from carnet.messaging.tables import AccountEntry, MessagingAccount
from carnet.store.database import Work
from carnet_crypto.account import Account
from carnet_crypto.values import AccountId

MOST_KEPT = 2000  # accounts in one process; a state has a few kilobytes
MOST_INLINE = 64  # entries verified on the event loop: 6 ms; more go to a thread

_kept: OrderedDict[UUID, Account] = OrderedDict()


async def states(work: Work, ids: Collection[UUID]) -> dict[AccountId, tuple[UUID, Account]]:
    """Return what the chains of these accounts say, by the protocol's ids.

    Only opening a thread and changing its members ask for it; sending looks at the index of
    devices.
    """
    heads = select(MessagingAccount.id, MessagingAccount.number).where(MessagingAccount.id.in_(ids))
    numbers = {id_: number for id_, number in await work.session.execute(heads)}
    known = {id_: _kept.get(id_) for id_ in numbers}
    for id_, account in known.items():
        if account is not None and account.number > numbers[id_]:
            known[id_] = None  # the database went back: a restored one
    since = {
        id_: -1 if account is None else account.number
        for id_, account in known.items()
        if account is None or account.number < numbers[id_]
    }
    more = await _entries(work, since)
    found = {}
    for id_ in numbers:
        account = await extended(known[id_], more.get(id_, ()))
        _keep(id_, account)
        found[account.id] = (id_, account)
    return found


async def state(work: Work, id_: UUID) -> Account:
    """Return what one account's chain says; the account is there."""
    ((_, account),) = (await states(work, [id_])).values()
    return account


async def extended(account: Account | None, entries: Sequence[bytes]) -> Account:
    """Return the account after these entries, which the database holds.

    Raises:
        ProtocolError: they do not hold; the database is not what was written.
    """
    if len(entries) > MOST_INLINE:
        return await asyncio.to_thread(_extended, account, entries)
    return _extended(account, entries)


def _extended(account: Account | None, entries: Sequence[bytes]) -> Account:
    for entry in entries:
        account = Account.begin(entry) if account is None else account.extend(entry)
    if account is None:
        raise LookupError("an account without a chain")
    return account


async def _entries(work: Work, since: dict[UUID, int]) -> dict[UUID, list[bytes]]:
    if not since:
        return {}
    wanted = (
        func.unnest(
            literal(list(since), ARRAY(SQL_UUID)), literal(list(since.values()), ARRAY(Integer))
        )
        .table_valued(column("id", SQL_UUID), column("number", Integer), name="wanted")
        .render_derived()
    )
    statement = (
        select(AccountEntry.account_id, AccountEntry.data)
        .join(wanted, wanted.c.id == AccountEntry.account_id)
        .where(AccountEntry.number > wanted.c.number)
        .order_by(AccountEntry.account_id, AccountEntry.number)
    )
    found: dict[UUID, list[bytes]] = defaultdict(list)
    for id_, data in await work.session.execute(statement):
        found[id_].append(data)
    return found


def _keep(id_: UUID, account: Account) -> None:
    _kept[id_] = account
    _kept.move_to_end(id_)
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)
