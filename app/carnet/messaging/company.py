"""Who is in a thread, who writes in it for whom, and whether the rules let them be there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import literal, or_, select

from carnet.errors import NotAllowedToOpen, NotFound
from carnet.messaging import facts
from carnet.messaging.accounts import visible_to
from carnet.messaging.chains import states
from carnet.messaging.rules import Party, joining, opening
from carnet.messaging.tables import (
    MessagingAccount,
    MessagingMandate,
    Thread,
    ThreadMember,
    ThreadRole,
)
from carnet.messaging.taking_part import holds
from carnet.people.actor import Actor
from carnet.store.database import Work
from carnet_crypto.account import Account
from carnet_crypto.control import ControlEntry as SignedEntry
from carnet_crypto.control_bodies import Leave, Policy
from carnet_crypto.kinds import Role
from carnet_crypto.thread import Thread as ThreadLog
from carnet_crypto.values import AccountId


async def check_opening(
    actor: Actor,
    work: Work,
    thread: ThreadLog,
    rows: Mapping[AccountId, MessagingAccount],
    acting: AccountId,
) -> UUID | None:
    """Decide on the members of a new thread; return the patient it is about.

    Raises:
        NotAllowedToOpen: the rules refuse such a thread.
    """
    parties = _parties(thread, rows)
    patient = _patient(parties, rows.values())
    person_id = patient.person_id if patient else None
    known = await facts.about(actor, work, person_id, [rows[id_] for id_ in thread.members])
    opener = next(party for party in parties if party.account == rows[acting].id)
    is_allowed, rule = opening(parties, opener, known)
    if not is_allowed:
        raise NotAllowedToOpen(rule)
    return person_id


async def check_joining(
    actor: Actor,
    work: Work,
    row: Thread,
    before: ThreadLog,
    thread: ThreadLog,
    rows: Mapping[AccountId, MessagingAccount],
    acting: AccountId,
    entry: SignedEntry,
) -> UUID | None:
    """Decide on the members that an entry makes; return the patient of the thread from then on.

    Raises:
        NotAllowedToOpen: the rules refuse a thread with these members.
    """
    if set(thread.members) == set(before.members) or isinstance(entry.body, Leave):
        return row.person_id
    members = {id_: rows[id_] for id_ in thread.members}
    parties = _parties(thread, rows)
    patient = _patient(parties, members.values())
    person_id = row.person_id
    if patient is not None:
        if person_id not in (None, patient.person_id):
            raise NotAllowedToOpen("messaging.one-patient")
        person_id = patient.person_id
    known = await facts.about(actor, work, person_id, list(members.values()))
    new = {rows[id_].id for id_ in set(thread.members) - set(before.members)}
    role = ThreadRole[before.members[acting].role.name]
    author = Party(rows[acting].id, rows[acting].kind, role)
    opener = rows[before.creator].id if before.creator in rows else row.id
    is_allowed, rule = joining(parties, new, author, opener, known)
    if not is_allowed:
        raise NotAllowedToOpen(rule)
    return person_id


async def represented(
    work: Work,
    author: AccountId,
    members: Collection[AccountId],
    rows: Mapping[AccountId, MessagingAccount],
    policy: Policy,
) -> dict[AccountId, Account]:
    """Return the members that an author who is none may write for, as their chains say."""
    if author in members:
        return {}
    named = select(MessagingMandate.account_id).where(
        MessagingMandate.who == bytes(author),
        MessagingMandate.may_write,
        MessagingMandate.account_id.in_([rows[id_].id for id_ in members]),
        or_(~MessagingMandate.is_delegation, literal(policy.is_delegation_allowed)),
        holds(MessagingMandate, work.now),
    )
    ids = set(await work.session.scalars(named))
    return await accounts_of(work, [row for row in rows.values() if row.id in ids])


def acting_for(
    author: AccountId, roles: Mapping[AccountId, Role], named: Collection[AccountId]
) -> AccountId:
    """Return the member that an author is, or writes for with the most rights."""
    return author if author in roles else min(named, key=lambda id_: (roles[id_], id_))


def _parties(thread: ThreadLog, rows: Mapping[AccountId, MessagingAccount]) -> list[Party]:
    return [
        Party(rows[id_].id, rows[id_].kind, ThreadRole[m.role.name])
        for id_, m in thread.members.items()
    ]


def _patient(
    parties: Collection[Party], rows: Collection[MessagingAccount]
) -> MessagingAccount | None:
    """Return the account of the one patient; where there are several, one of them."""
    patients = {
        party.account
        for party in parties
        if not party.is_professional and party.role is not ThreadRole.GUARDIAN
    }
    return next((row for row in rows if row.id in patients), None)


async def require_all(
    actor: Actor, work: Work, ids: Collection[AccountId], thread: UUID | None = None
) -> dict[AccountId, MessagingAccount]:
    """Return the accounts by the protocol's ids; those of a thread are known to its members.

    Raises:
        NotFound: one is not there, or not theirs to see.
    """
    seen = visible_to(actor, work.now)
    if thread is not None:
        within = select(ThreadMember.account_id).where(ThreadMember.thread_id == thread)
        seen = seen | MessagingAccount.id.in_(within)
    statement = select(MessagingAccount).where(
        MessagingAccount.account_id.in_([bytes(id_) for id_ in ids]), seen
    )
    rows = {AccountId(row.account_id): row for row in await work.session.scalars(statement)}
    if len(rows) != len(set(ids)):
        raise NotFound()
    return rows


async def accounts_of(work: Work, rows: Collection[MessagingAccount]) -> dict[AccountId, Account]:
    """Return the accounts of the rows as their chains say."""
    found = await states(work, [row.id for row in rows])
    return {id_: account for id_, (_, account) in found.items()}
