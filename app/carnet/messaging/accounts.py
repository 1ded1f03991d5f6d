"""Accounts: who owns which, who may act with them, and who sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    and_,
    any_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from carnet.access.facts import RECORDS
from carnet.access.filters import delegated, record_visible
from carnet.access.tables import Delegation, DelegationScope
from carnet.errors import NotFound
from carnet.messaging.tables import (
    AccountEntry,
    DirectoryBinding,
    MessagingAccount,
    MessagingAccountKind,
    Thread,
    ThreadMember,
)
from carnet.messaging.taking_part import visible_to as thread_visible
from carnet.notifications.queries import recipient_of
from carnet.people.actor import Actor, Anonymous, Patient, Professional
from carnet.people.tables import Organization
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work
from carnet.store.keyset import Order, Page, PageRequest, count_many, paginate_many

MOST_LEAVES = 2**63  # more than its column holds
OLDEST_ENTRY = Order("messaging-entries.oldest", AccountEntry.number.asc())


def acts_with(
    actor: Actor, now: datetime | SQLColumnExpression[datetime], account: type[MessagingAccount]
) -> ColumnElement[bool]:
    """Return whether an account is the actor's to act with: their own, that of somebody whose
    delegation covers messages, or one of the organization they work at."""
    match actor:
        case Patient(person_id=own):
            held = delegated(own, now, cast(Any, account.person_id), DelegationScope.MESSAGES)
            return or_(account.person_id == own, held)
        case Professional(professional_id=own):
            works_at = select(ProfessionalRow.organization_id).where(ProfessionalRow.id == own)
            return or_(
                account.professional_id == own,
                account.organization_id == works_at.scalar_subquery(),
            )
    return false()


def visible_to(
    actor: Actor, now: datetime, account: type[MessagingAccount] = MessagingAccount
) -> ColumnElement[bool]:
    """Return the one filter on accounts.

    Professionals, organizations and teams are in public registers: whoever has signed in sees
    theirs. A person's is seen by who acts with it and whom they act for, by professionals who may
    see the record, or that of somebody they act for, and by the members of a thread that it is in.
    """
    if isinstance(actor, Anonymous):
        return false()
    public = account.kind != MessagingAccountKind.PERSON
    grounds = [public, acts_with(actor, now, account), _shares_thread(actor, now, account)]
    if isinstance(actor, Patient):  # who lets somebody write for them seals their key for them
        acts = _acts_for(now, account.person_id, literal(actor.person_id))
        grounds.append(acts)
    if isinstance(actor, Professional):
        record = RECORDS.alias()
        sees = record_visible(actor, now, record.c)
        theirs = or_(
            record.c.person_id == account.person_id,
            _acts_for(now, account.person_id, record.c.person_id),
        )
        grounds.append(exists().where(theirs, sees))
    return or_(*grounds)


def _acts_for(
    now: datetime,
    delegate_id: SQLColumnExpression[UUID | None],
    holder_id: SQLColumnExpression[UUID],
) -> ColumnElement[bool]:
    """Return whether one person acts for another in messages."""
    return (
        select(literal(1))
        .select_from(Delegation)
        .where(
            Delegation.delegate_person_id == delegate_id,
            Delegation.holder_person_id == holder_id,
            Delegation.revoked_at.is_(None),
            or_(Delegation.expires_at.is_(None), Delegation.expires_at > now),
            literal(DelegationScope.MESSAGES.value) == any_(Delegation.scopes),
        )
        .correlate_except(Delegation)
        .exists()
    )


def _shares_thread(
    actor: Actor, now: datetime, account: type[MessagingAccount]
) -> ColumnElement[bool]:
    """Return whether the account is, or was, in a thread that the actor takes part in."""
    member, thread = aliased(ThreadMember), aliased(Thread)
    return (
        select(literal(1))
        .select_from(member)
        .join(thread, thread.id == member.thread_id)
        .where(member.account_id == account.id, thread_visible(actor, now, thread))
        .correlate_except(member, thread)
        .exists()
    )


async def by_ids(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, MessagingAccount]:
    """Return those of the accounts that the actor sees."""
    statement = select(MessagingAccount).where(
        MessagingAccount.id.in_(ids), visible_to(actor, work.now)
    )
    return {row.id: row for row in await work.session.scalars(statement)}


async def by_account_ids(
    actor: Actor, work: Work, account_ids: Collection[bytes]
) -> dict[bytes, MessagingAccount]:
    """Return those of the accounts that the actor sees, by the protocol's ids."""
    statement = select(MessagingAccount).where(
        MessagingAccount.account_id.in_(account_ids), visible_to(actor, work.now)
    )
    return {row.account_id: row for row in await work.session.scalars(statement)}


async def own(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, list[MessagingAccount]]:
    """Return the accounts that the viewer acts with, their own first; nobody else's."""
    statement = (
        select(MessagingAccount)
        .where(acts_with(actor, work.now, MessagingAccount), MessagingAccount.ended_at.is_(None))
        .order_by(MessagingAccount.created_at, MessagingAccount.id)
        .limit(200)
    )
    viewer = recipient_of(actor)
    if viewer is None or viewer not in ids:
        return {}
    rows = list(await work.session.scalars(statement))
    rows.sort(key=lambda row: viewer not in (row.person_id, row.professional_id))
    return {viewer: rows}


async def names(actor: Actor, work: Work, ids: Collection[UUID]) -> dict[UUID, str]:
    """Return what the registers call the owners of accounts; nobody's who is in none."""
    statement = (
        select(
            MessagingAccount.id,
            func.coalesce(
                MessagingAccount.name,
                Organization.name,
                ProfessionalRow.given_name + " " + ProfessionalRow.family_name,
            ),
        )
        .outerjoin(ProfessionalRow, ProfessionalRow.id == MessagingAccount.professional_id)
        .outerjoin(Organization, Organization.id == MessagingAccount.organization_id)
        .where(
            MessagingAccount.id.in_(ids),
            MessagingAccount.kind != MessagingAccountKind.PERSON,
            visible_to(actor, work.now),
        )
    )
    return {id_: name for id_, name in await work.session.execute(statement)}


async def of_owners(
    actor: Actor, work: Work, owner_ids: Collection[UUID]
) -> dict[UUID, MessagingAccount]:
    """Return the accounts of persons, professionals and organizations that the actor sees."""
    statement = select(MessagingAccount).where(
        or_(
            MessagingAccount.person_id.in_(owner_ids),
            MessagingAccount.professional_id.in_(owner_ids),
            and_(
                MessagingAccount.organization_id.in_(owner_ids),
                MessagingAccount.kind == MessagingAccountKind.ORGANIZATION,
            ),
        ),
        MessagingAccount.ended_at.is_(None),
        visible_to(actor, work.now),
    )
    found: dict[UUID, MessagingAccount] = {}
    for row in await work.session.scalars(statement):
        owner = row.person_id or row.professional_id or row.organization_id
        if owner is not None:
            found[owner] = row
    return found


async def require_own(actor: Actor, work: Work, account_id: bytes) -> MessagingAccount:
    """Return an account that the actor acts with.

    Raises:
        NotFound: there is none, or it is not theirs.
    """
    statement = select(MessagingAccount).where(
        MessagingAccount.account_id == account_id,
        MessagingAccount.ended_at.is_(None),
        acts_with(actor, work.now, MessagingAccount),
    )
    row = await work.session.scalar(statement)
    if row is None:
        raise NotFound()
    return row


async def entry_pages(
    actor: Actor, work: Work, ids: Sequence[UUID], request: PageRequest, order: Order
) -> dict[UUID, Page[AccountEntry]]:
    """Return a page of each account's chain."""
    return await paginate_many(
        work, _entries(actor, work), order, request, parent=AccountEntry.account_id, parents=ids
    )


async def entry_counts(actor: Actor, work: Work, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how long each account's chain is."""
    return await count_many(
        work, _entries(actor, work), parent=AccountEntry.account_id, parents=ids
    )


def entry_key(leaf_index: int) -> UUID:
    """Return what names an entry to clients: no two entries have the same place in the log."""
    return UUID(int=leaf_index)


async def entries_by_keys(
    actor: Actor, work: Work, keys: Collection[UUID]
) -> dict[UUID, AccountEntry]:
    """Return those of the entries, by `entry_key`, whose account the actor sees."""
    places = [key.int for key in keys if key.int < MOST_LEAVES]
    statement = _entries(actor, work).where(AccountEntry.leaf_index.in_(places))
    return {entry_key(row.leaf_index): row for row in await work.session.scalars(statement)}


def _entries(actor: Actor, work: Work) -> Select[AccountEntry]:
    account = aliased(MessagingAccount)
    seen = (
        select(literal(1))
        .select_from(account)
        .where(account.id == AccountEntry.account_id, visible_to(actor, work.now, account))
        .correlate_except(account)
        .exists()
    )
    return select(AccountEntry).where(seen)


async def bindings_of(
    actor: Actor, work: Work, ids: Collection[UUID]
) -> dict[UUID, list[DirectoryBinding]]:
    """Return the bindings of each account that the actor sees."""
    statement = (
        select(DirectoryBinding)
        .join(MessagingAccount, MessagingAccount.id == DirectoryBinding.account_id)
        .where(DirectoryBinding.account_id.in_(ids), visible_to(actor, work.now))
        .order_by(DirectoryBinding.version)
    )
    found: dict[UUID, list[DirectoryBinding]] = defaultdict(list)
    for row in await work.session.scalars(statement):
        found[row.account_id].append(row)
    return found
