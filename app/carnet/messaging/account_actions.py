"""What people do with accounts: begin one, add to its chain, keep a backup, pair a device.

The server verifies every entry with what anybody can verify, and refuses what does not hold; it
could not make one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from carnet.access.facts import RECORDS
from carnet.access.filters import delegated, speaks_for
from carnet.access.tables import DelegationScope
from carnet.errors import (
    AccessDenied,
    Conflict,
    NotFound,
    QuotaExceeded,
    StaleChain,
    ValidationFailed,
)
from carnet.messaging import directory
from carnet.messaging.accounts import require_own
from carnet.messaging.tables import (
    AccountEntry,
    DirectoryBinding,
    MessagingAccount,
    MessagingAccountKind,
    MessagingDevice,
    MessagingMandate,
    PairingMessage,
    RecoveryBackup,
)
from carnet.notifications.actions import notify
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor, Patient, Professional, actor_key
from carnet.people.tables import Organization, Person
from carnet.people.tables import Professional as ProfessionalRow
from carnet.store.database import Work
from carnet.store.signing import Signer
from carnet_crypto.account import Account
from carnet_crypto.chain import AccountKind, Scope, read_entry
from carnet_crypto.directory import professional_label
from carnet_crypto.errors import ProtocolError
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.values import AccountId, Label32

CLOCK_SKEW = timedelta(minutes=5)  # that a device's clock may be wrong by
MOST_ENTRIES = 1000  # of one chain
MOST_AT_ONCE = 20  # entries in one call
MOST_TEAMS = 50  # of one organization
MOST_BACKUP_BYTES = 8192
PAIRING_LIFE = timedelta(minutes=10)
MOST_PAIRING = 8  # messages of one pairing
MOST_PAIRING_BYTES = 4096
_KINDS = {
    MessagingAccountKind.PERSON: AccountKind.PERSON,
    MessagingAccountKind.PROFESSIONAL: AccountKind.PERSON,
    MessagingAccountKind.ORGANIZATION: AccountKind.ORGANIZATION,
    MessagingAccountKind.TEAM: AccountKind.TEAM,
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an account will be: the actor's own where nothing is said."""

    person_id: UUID | None = None  # somebody the actor acts for
    organization_id: UUID | None = None  # where the actor works
    team: str | None = None  # a team of that organization


async def create(
    actor: Actor, work: Work, signer: Signer, origin: str, owner: Owner, entries: Sequence[bytes]
) -> UUID:
    """Begin an account with the first entries of its chain; a former one of the owner's ends.

    Raises:
        NotFound: the owner is not the actor's to act for.
        ValidationFailed: an entry does not hold.
        Conflict: the account is there already.
    """
    kind, columns = await _owner(actor, work, owner)
    account, chain = _replay(None, entries, work.now)
    if account.kind is not _KINDS[kind]:
        raise ValidationFailed("The account is of another kind.", path=("entries",))
    known = select(MessagingAccount.id).where(MessagingAccount.account_id == bytes(account.id))
    if await work.session.scalar(known) is not None:
        raise Conflict("The account is there already.")
    label = await _label(work, kind, columns)
    row = MessagingAccount(
        id=work.new_id(),
        account_id=bytes(account.id),
        kind=kind,
        label=bytes(label),
        number=account.number,
        created_at=work.now,
        **columns,
    )
    former = [getattr(MessagingAccount, name) == value for name, value in columns.items()]
    await work.session.execute(
        update(MessagingAccount)
        .where(MessagingAccount.kind == kind, *former, MessagingAccount.ended_at.is_(None))
        .values(ended_at=work.now)
    )
    work.session.add(row)
    await work.session.flush()
    newest = select(func.max(DirectoryBinding.version)).where(DirectoryBinding.label == row.label)
    version = (await work.session.scalar(newest) or 0) + 1
    bound = directory.bind(signer, origin, kind, label, version, account.id, work.now)
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
    await _index(work, row.id, account)
    return row.id


async def person_of(actor: Actor, work: Work, record_id: UUID) -> UUID:
    """Return whose record it is, where the actor is they or acts for them in messages.

    Raises:
        NotFound: it is not theirs to act for.
    """
    record = RECORDS.alias()
    speaks = speaks_for(actor, work.now, record.c.person_id, DelegationScope.MESSAGES)
    found = select(record.c.person_id).where(record.c.id == record_id, speaks)
    person_id: UUID | None = await work.session.scalar(found)
    if person_id is None:
        raise NotFound()
    return person_id


async def append(
    actor: Actor,
    work: Work,
    signer: Signer,
    account_id: bytes,
    entries: Sequence[bytes],
) -> UUID:
    """Add entries to a chain: all of them, or none.

    Raises:
        NotFound: the account is not the actor's to act with.
        StaleChain: the chain has grown; ``number`` is its newest entry's.
        ValidationFailed: an entry does not hold.
        QuotaExceeded: the chain is full.
    """
    row = await require_own(actor, work, account_id)
    locked = select(MessagingAccount.number).where(MessagingAccount.id == row.id)
    number = (await work.session.scalars(locked.with_for_update())).one()
    known = select(AccountEntry.data).where(AccountEntry.account_id == row.id)
    chain = list(await work.session.scalars(known.order_by(AccountEntry.number)))
    if len(chain) + len(entries) > MOST_ENTRIES:
        raise QuotaExceeded(f"A chain has at most {MOST_ENTRIES} entries.")
    before = Account.replay(chain)
    _check_follows(before, entries, number)
    account, added = _replay(before, entries, work.now)
    await _log(work, signer, row, added)
    ended = {"ended_at": work.now} if account.is_closed else {}
    await work.session.execute(
        update(MessagingAccount)
        .where(MessagingAccount.id == row.id)
        .values(number=account.number, **ended)
    )
    await _index(work, row.id, account)
    if set(account.devices) - set(before.devices) and row.organization_id is None:
        await notify(
            work,
            NotificationKind.DEVICE_ADDED,
            work.new_id(),
            person_id=row.person_id,
            professional_id=row.professional_id,
        )
    return row.id


async def put_backup(actor: Actor, work: Work, account_id: bytes, data: bytes) -> UUID:
    """Keep what only the recovery code opens.

    Raises:
        NotFound: the account is not the actor's to act with.
        ValidationFailed: it is not what the account's chain says.
    """
    row = await require_own(actor, work, account_id)
    if not 1 <= len(data) <= MOST_BACKUP_BYTES:
        raise ValidationFailed("A backup has 1 to 8192 bytes.", path=("backup",))
    chain = select(AccountEntry.data).where(AccountEntry.account_id == row.id)
    account = Account.replay(await work.session.scalars(chain.order_by(AccountEntry.number)))
    if account.recovery is None or digest(Label.BACKUP, data) != account.recovery.backup:
        raise ValidationFailed("The chain names another backup.", path=("backup",))
    statement = upsert(RecoveryBackup).values(account_id=row.id, data=data, stored_at=work.now)
    await work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[RecoveryBackup.account_id],
            set_={"data": statement.excluded.data, "stored_at": statement.excluded.stored_at},
        )
    )
    return row.id


async def backup(actor: Actor, work: Work, account_id: bytes) -> bytes:
    """Return the backup of an account of the actor's.

    Raises:
        NotFound: there is none, or the account is not theirs.
    """
    row = await require_own(actor, work, account_id)
    found = await work.session.get(RecoveryBackup, row.id)
    if found is None:
        raise NotFound()
    return found.data


async def post_pairing(actor: Actor, work: Work, data: bytes) -> int:
    """Leave a message for another device of the same person; return its number.

    Raises:
        ValidationFailed: it is too long.
        QuotaExceeded: too many are left; they go after ten minutes.
    """
    if not 1 <= len(data) <= MOST_PAIRING_BYTES:
        raise ValidationFailed("A pairing message has 1 to 4096 bytes.", path=("message",))
    owner = actor_key(actor)
    await work.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(owner, 7))))
    await work.session.execute(
        delete(PairingMessage).where(PairingMessage.at < work.now - PAIRING_LIFE)
    )
    standing = select(func.count(), func.max(PairingMessage.number)).where(
        PairingMessage.owner == owner
    )
    count, last = (await work.session.execute(standing)).one()
    if count >= MOST_PAIRING:
        raise QuotaExceeded("Too many messages of a pairing; begin again in ten minutes.")
    number = (last or 0) + 1
    work.session.add(PairingMessage(owner=owner, number=number, data=data, at=work.now))
    return int(number)


async def pairing(actor: Actor, work: Work, after: int) -> list[PairingMessage]:
    """Return what the devices of the actor have left for each other."""
    statement = (
        select(PairingMessage)
        .where(
            PairingMessage.owner == actor_key(actor),
            PairingMessage.number > after,
            PairingMessage.at >= work.now - PAIRING_LIFE,
        )
        .order_by(PairingMessage.number)
        .limit(MOST_PAIRING)
    )
    return list(await work.session.scalars(statement))


async def _owner(
    actor: Actor, work: Work, owner: Owner
) -> tuple[MessagingAccountKind, dict[str, Any]]:
    """Return whose the account will be, as kind and columns."""
    match actor:
        case Patient(person_id=own) if owner.organization_id is None and owner.team is None:
            person_id = owner.person_id or own
            if person_id != own:
                acts = delegated(own, work.now, Person.id, DelegationScope.MESSAGES)
                statement = select(exists().where(Person.id == person_id, acts))
                if not await work.session.scalar(statement):
                    raise NotFound()
            return MessagingAccountKind.PERSON, {"person_id": person_id}
        case Professional(professional_id=own) if owner.person_id is None:
            if owner.organization_id is None and owner.team is None:
                return MessagingAccountKind.PROFESSIONAL, {"professional_id": own}
            return await _organization(work, own, owner)
    raise AccessDenied("access.no-role")


async def _organization(
    work: Work, professional_id: UUID, owner: Owner
) -> tuple[MessagingAccountKind, dict[str, Any]]:
    works_at = select(ProfessionalRow.organization_id).where(ProfessionalRow.id == professional_id)
    organization_id = await work.session.scalar(works_at)
    if organization_id is None or owner.organization_id not in (None, organization_id):
        raise NotFound()
    if owner.team is None:
        return MessagingAccountKind.ORGANIZATION, {"organization_id": organization_id}
    name = owner.team.strip()
    if not 1 <= len(name) <= 100 or "\x00" in name:
        raise ValidationFailed("A team's name has 1 to 100 characters.", path=("team",))
    teams = select(func.count()).where(
        MessagingAccount.organization_id == organization_id,
        MessagingAccount.kind == MessagingAccountKind.TEAM,
        MessagingAccount.ended_at.is_(None),
    )
    if (await work.session.scalar(teams) or 0) >= MOST_TEAMS:
        raise QuotaExceeded(f"An organization has at most {MOST_TEAMS} teams.")
    return MessagingAccountKind.TEAM, {"organization_id": organization_id, "name": name}


async def _label(work: Work, kind: MessagingAccountKind, columns: dict[str, Any]) -> Label32:
    """Return what the owner's bindings are found by: public for who is in a public register."""
    register_id: str | None = None
    if kind is MessagingAccountKind.PROFESSIONAL:
        found = await work.session.get_one(ProfessionalRow, columns["professional_id"])
        register_id = found.rpps
    elif kind is MessagingAccountKind.ORGANIZATION:
        organization = await work.session.get_one(Organization, columns["organization_id"])
        register_id = organization.identifier_value
    if register_id is not None:
        return professional_label(register_id)
    owned = [getattr(MessagingAccount, name) == value for name, value in columns.items()]
    former = select(MessagingAccount.label).where(MessagingAccount.kind == kind, *owned)
    label = await work.session.scalar(former.limit(1))
    return Label32(label or token_bytes(Label32.SIZE))


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
            said = datetime.fromtimestamp(account.at / 1000, UTC)
            if abs(said - now) > CLOCK_SKEW:
                raise ValidationFailed("The device's clock is wrong.", path=("entries",))
    except ProtocolError as error:
        raise ValidationFailed(f"An entry does not hold: {error}.", path=("entries",)) from None
    except (OverflowError, OSError, ValueError):
        raise ValidationFailed("The device's clock is wrong.", path=("entries",)) from None
    if account is None:
        raise ValidationFailed("A chain begins with GENESIS.", path=("entries",))
    return account, numbered


def _check_follows(before: Account, entries: Sequence[bytes], number: int) -> None:
    """Tell whoever has an older chain so, and not that their entry is wrong."""
    try:
        first = read_entry(entries[0]) if entries else None
    except ProtocolError:
        return  # `_replay` says what is wrong with it
    if first is not None and (first.number != before.number + 1 or first.link != before.head):
        raise StaleChain(number=number)


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


async def _index(work: Work, row_id: UUID, account: Account) -> None:
    """Keep what a send is checked against: the account's devices, and who writes for it."""
    await _index_devices(work, row_id, account)
    await work.session.execute(
        delete(MessagingMandate).where(MessagingMandate.account_id == row_id)
    )
    mandates = [
        {
            "account_id": row_id,
            "who": bytes(given.delegate),
            "is_delegation": True,
            "may_write": bool(given.scope & Scope.WRITE),
            "not_before": _moment(given.not_before),
            "not_after": _moment(given.not_after),
        }
        for given in account.delegations.values()
    ]
    mandates += [
        {
            "account_id": row_id,
            "who": bytes(who),
            "is_delegation": False,
            "may_write": True,
            "not_before": None,
            "not_after": None,
        }
        for who in account.roster
    ]
    if mandates:
        statement = insert(MessagingMandate).execution_options(render_nulls=True)
        await work.session.execute(statement, mandates)


def _moment(milliseconds: int) -> datetime:
    """Return a time of the protocol's; one that no calendar has is its last."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.max.replace(tzinfo=UTC)


async def _index_devices(work: Work, row_id: UUID, account: Account) -> None:
    rows = [
        {
            "account_id": row_id,
            "device_id": bytes(device.id),
            "not_after": (
                datetime.fromtimestamp(device.not_after / 1000, UTC) if device.not_after else None
            ),
            "revoked_at": work.now if device.revoked_in is not None else None,
        }
        for device in account.devices.values()
    ]
    if not rows:
        return
    statement = upsert(MessagingDevice)
    kept = func.coalesce(MessagingDevice.revoked_at, statement.excluded.revoked_at)
    await work.session.execute(
        statement.on_conflict_do_update(
            index_elements=[MessagingDevice.account_id, MessagingDevice.device_id],
            set_={"revoked_at": kept},
        ),
        rows,
    )
