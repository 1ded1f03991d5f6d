"""What a control log says a thread is, verified entry by entry.

`Thread.begin` takes CREATE, `Thread.extend` one more entry. Both ask for the author's account as
its own verified chain says it is, and check that the device was theirs and the act was theirs to
do at that point. A list of members from anywhere else is never believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from carnet_crypto import sodium
from carnet_crypto.account import Account
from carnet_crypto.control import ControlEntry, read_control, thread_context, thread_id
from carnet_crypto.control_bodies import (
    NO_HISTORY,
    Add,
    CloseThread,
    Create,
    ForkResolve,
    Leave,
    Policy,
    Remove,
    Rotate,
    SetPolicy,
)
from carnet_crypto.errors import Malformed, Reason, Refused
from carnet_crypto.kinds import History, Role, Roles
from carnet_crypto.labels import Label
from carnet_crypto.rotation import Rotation, WrapFor, digest_of_wraps
from carnet_crypto.values import AccountId, Digest, ThreadId

SUITE = 1
MOST_EPOCH_AGE = 7 * 24 * 3600 * 1000  # milliseconds after which whoever writes next rotates
MOST_ENTRIES = 10_000  # of a control log: what replaying it may cost has an end
MOST_EPOCH_MESSAGES = 200  # after which whoever writes next rotates


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a thread."""

    account: AccountId
    role: Role
    joined_in: int  # number of the entry
    history_from: int  # first epoch they may read; their own where they got no history


@dataclass(frozen=True, slots=True)
class Epoch:
    """A time in a thread with one secret."""

    number: int
    rotation: Rotation
    entry: int  # number of the entry that began it
    at: int  # time of that entry


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread at one moment of its control log."""

    id: ThreadId
    creator: AccountId
    context: Digest  # what its epochs' commitments and wraps are bound to
    policy: Policy
    members: Mapping[AccountId, Member]
    epochs: tuple[Epoch, ...]
    number: int  # of its newest entry
    head: Digest  # what the next entry links to
    at: int
    has_left: bool = False  # somebody left; whoever writes next rotates
    is_closed: bool = False

    @property
    def epoch(self) -> Epoch:
        """The newest epoch."""
        return self.epochs[-1]

    def member(self, account: AccountId) -> Member:
        """Return a member.

        Raises:
            Refused: they are none (`UNKNOWN_MEMBER`).
        """
        member = self.members.get(account)
        if member is None:
            raise Refused(Reason.UNKNOWN_MEMBER)
        return member

    def may_write(self, account: AccountId) -> bool:
        """Whether an account is a member who writes, and the thread is open."""
        member = self.members.get(account)
        return member is not None and member.role is not Role.READER and not self.is_closed

    def rotation_due(self, accounts: Mapping[AccountId, Account], at: int, messages: int) -> bool:
        """Whether whoever writes next begins an epoch first.

        Args:
            accounts: the newest verified account of every member.
            at: now, in milliseconds since 1970.
            messages: how many the newest epoch has.

        Raises:
            Refused: an account is older than the one the epoch was made for (`WRONG_GENERATION`):
                somebody shows us the past; or it is not among the accounts (`UNKNOWN_MEMBER`).
        """
        if self.has_left or messages >= MOST_EPOCH_MESSAGES or at - self.epoch.at > MOST_EPOCH_AGE:
            return True
        for member in self.epoch.rotation.members:
            account = known(accounts, member.account)
            newest = account.generation
            if newest is None or newest.number < member.generation:
                raise Refused(Reason.WRONG_GENERATION)
            if newest.number > member.generation or account.is_stale(at):
                return True
        return False

    @staticmethod
    def begin(
        data: bytes,
        author: Account,
        *,
        is_history: bool = False,
        represented: Iterable[Account] = (),
    ) -> Thread:
        """Return the thread that a CREATE entry makes; the arguments are those of `extend`.

        Raises:
            Malformed: it is none.
            Refused: the author may not, or the epoch is not of the members.
            SignatureFailed: the author's device did not sign it.
        """
        entry = read_control(data)
        body = entry.body
        if not isinstance(body, Create):
            raise Malformed("a thread begins with CREATE")
        if entry.number or not entry.thread.is_zero or not entry.link.is_zero:
            raise Malformed("CREATE has no thread, number or link")
        check_author(entry, author, is_history=is_history)
        members = {
            joined.account: Member(joined.account, joined.role, 0, 1) for joined in body.members
        }
        _check_policy(body.policy)
        creator = _standing(entry, members, body.policy, represented)
        if creator is None or creator.role is not Role.MANAGER:
            raise Refused(Reason.NOT_AUTHORIZED)
        _check_rotation(body.rotation, 1, members)
        return Thread(
            id=thread_id(data),
            creator=entry.author,
            context=thread_context(entry.author, body.nonce),
            policy=body.policy,
            members=MappingProxyType(members),
            epochs=(Epoch(1, body.rotation, 0, entry.at),),
            number=0,
            head=entry.digest,
            at=entry.at,
        )

    def extend(
        self,
        data: bytes,
        author: Account,
        *,
        is_history: bool = False,
        represented: Iterable[Account] = (),
    ) -> Thread:
        """Return the thread after one more entry.

        Args:
            data: the entry.
            author: the author's account as known now; it must hold at least what the author knew.
            is_history: it was in the log before we first saw it, so that its device may have been
                revoked since. Such an entry is vouched for only by a later one of a device that is
                not revoked.
            represented: accounts that the author may write for: an author who is no member may do
                what such a member may, as a delegate or as one of a team.

        Raises:
            Malformed: it is none.
            Refused: it does not follow, or says what its author may not.
            SignatureFailed: the author's device did not sign it.
        """
        entry = read_control(data)
        if entry.thread != self.id:
            raise Refused(Reason.WRONG_THREAD)
        if entry.number != self.number + 1:
            raise Refused(Reason.OUT_OF_ORDER)
        if entry.number >= MOST_ENTRIES:
            raise Refused(Reason.TOO_MANY)
        if entry.link != self.head:
            raise Refused(Reason.BROKEN_LINK)
        if entry.at < self.at:
            raise Refused(Reason.TIME_REGRESSED)
        if self.is_closed:
            raise Refused(Reason.CLOSED)
        member = _standing(entry, self.members, self.policy, represented)
        if member is None:
            raise Refused(Reason.UNKNOWN_MEMBER)
        check_author(entry, author, is_history=is_history)
        changed = self._apply(entry, member)
        return replace(changed, number=entry.number, head=entry.digest, at=entry.at)

    def _apply(self, entry: ControlEntry, author: Member) -> Thread:
        match entry.body:
            case Add() as body:
                return self._add(body, entry, author)
            case Remove() as body:
                return self._remove(body, entry, author)
            case Rotate() as body:
                if author.role is Role.READER:
                    raise Refused(Reason.NOT_AUTHORIZED)
                return self._begin_epoch(body.rotation, self.members, entry)
            case SetPolicy() as body:
                _only(author, Roles.MANAGER)
                _check_policy(body.policy)
                if body.policy.least_suite < self.policy.least_suite:
                    raise Refused(Reason.SUITE_TOO_LOW)
                return replace(self, policy=body.policy)
            case CloseThread():
                _only(author, Roles.MANAGER)
                return replace(self, is_closed=True)
            case ForkResolve():
                _only(author, Roles.MANAGER)
                return self
            case Leave():
                left = {key: m for key, m in self.members.items() if key != author.account}
                return replace(self, members=MappingProxyType(left), has_left=True)
            case _:
                raise Malformed("CREATE stands first only")

    def _add(self, body: Add, entry: ControlEntry, author: Member) -> Thread:
        _only(author, self.policy.may_add)
        members = dict(self.members)
        for added in body.added:
            if added.account in members:
                raise Refused(Reason.DUPLICATE)
            if added.role is Role.MANAGER and author.role is not Role.MANAGER:
                raise Refused(Reason.NOT_AUTHORIZED)
            members[added.account] = Member(
                added.account, added.role, entry.number, self._history_from(added.history_from)
            )
        return self._begin_epoch(body.rotation, members, entry)

    def _history_from(self, asked: int) -> int:
        """Return the first epoch a new member may read: the next, or one the policy lets them."""
        following = self.epoch.number + 1
        if asked == NO_HISTORY:
            return following
        is_allowed = self.policy.history is History.ALL or (
            self.policy.history is History.FROM_EPOCH and asked > 1
        )
        if not is_allowed or not 1 <= asked <= following:
            raise Refused(Reason.NOT_AUTHORIZED)
        return asked

    def _remove(self, body: Remove, entry: ControlEntry, author: Member) -> Thread:
        _only(author, self.policy.may_remove)
        gone = self.member(body.account)
        if gone.account == author.account or (
            gone.role is Role.MANAGER and author.role is not Role.MANAGER
        ):
            raise Refused(Reason.NOT_AUTHORIZED)
        left = {key: member for key, member in self.members.items() if key != gone.account}
        return self._begin_epoch(body.rotation, left, entry)

    def _begin_epoch(
        self, rotation: Rotation, members: Mapping[AccountId, Member], entry: ControlEntry
    ) -> Thread:
        _check_rotation(rotation, self.epoch.number + 1, members)
        before = {member.account: member.generation for member in self.epoch.rotation.members}
        if any(m.generation < before.get(m.account, 0) for m in rotation.members):
            raise Refused(Reason.WRONG_GENERATION)
        begun = Epoch(rotation.epoch, rotation, entry.number, entry.at)
        return replace(
            self,
            members=MappingProxyType(dict(members)),
            epochs=(*self.epochs, begun),
            has_left=False,
        )


def check_author(entry: ControlEntry, author: Account, *, is_history: bool = False) -> None:
    """Check that a device of its author signed an entry, and could (`Thread.extend`).

    Raises:
        Refused: it is another account, one that we know less of than the author did, or the device
            was not one of theirs, or no longer, or the account is closed.
        SignatureFailed: the device did not sign it.
    """
    if author.id != entry.author:
        raise Refused(Reason.WRONG_ACCOUNT)
    if author.number < entry.chain_number:
        raise Refused(Reason.OUT_OF_ORDER)
    device = author.devices.get(entry.device)
    if device is None or device.added_in > entry.chain_number:
        raise Refused(Reason.UNKNOWN_DEVICE)
    if device.revoked_in is not None:
        knew = device.revoked_in <= entry.chain_number
        came_after = entry.checkpoint_size > (device.revoked_at_size or 0)
        if not is_history or knew or came_after:
            raise Refused(Reason.REVOKED_DEVICE)
    if device.not_after and entry.at > device.not_after:
        raise Refused(Reason.EXPIRED_DEVICE)
    if author.is_closed and (not is_history or entry.chain_number == author.number):
        raise Refused(Reason.CLOSED)
    sodium.verify(device.sign, Label.SIGN_CONTROL, entry.signed, entry.signature)


def known(accounts: Mapping[AccountId, Account], id_: AccountId) -> Account:
    """Return one of some accounts.

    Raises:
        Refused: it is not among them (`UNKNOWN_MEMBER`).
    """
    account = accounts.get(id_)
    if account is None:
        raise Refused(Reason.UNKNOWN_MEMBER)
    return account


def check_keys(rotation: Rotation, accounts: Mapping[AccountId, Account]) -> None:
    """Check that an epoch was sealed for keys that its members' own chains hold.

    Raises:
        Refused: a key is of no generation of its member (`WRONG_GENERATION`), or a member is not
            among the accounts (`UNKNOWN_MEMBER`).
    """
    for member in rotation.members:
        account = known(accounts, member.account)
        if not 1 <= member.generation <= len(account.generations):
            raise Refused(Reason.WRONG_GENERATION)
        if account.generations[member.generation - 1].aek != member.aek:
            raise Refused(Reason.WRONG_GENERATION)


def check_wraps(rotation: Rotation, wraps: Iterable[WrapFor]) -> None:
    """Check that these are the wraps that an epoch was made with, one for each member.

    Raises:
        Refused: they are not (`INCOMPLETE_WRAPS`).
    """
    given = sorted(wraps, key=lambda wrap: wrap.account)
    if [wrap.account for wrap in given] != [member.account for member in rotation.members]:
        raise Refused(Reason.INCOMPLETE_WRAPS)
    if digest_of_wraps(given) != rotation.wraps:
        raise Refused(Reason.INCOMPLETE_WRAPS)


def _standing(
    entry: ControlEntry,
    members: Mapping[AccountId, Member],
    policy: Policy,
    represented: Iterable[Account],
) -> Member | None:
    """Return the member that an entry's author is, or writes for with the most rights."""
    if entry.author in members:
        return members[entry.author]
    found = []
    for account in represented:
        mandate = account.mandate(entry.author, entry.at)
        if mandate is None or account.id not in members:
            continue
        if policy.is_delegation_allowed or not mandate.is_delegation:
            found.append(members[account.id])
    return min(found, key=lambda member: (member.role, member.account), default=None)


def _check_rotation(rotation: Rotation, number: int, members: Mapping[AccountId, Member]) -> None:
    if rotation.epoch != number:
        raise Refused(Reason.WRONG_EPOCH)
    if [member.account for member in rotation.members] != sorted(members):
        raise Refused(Reason.INCOMPLETE_WRAPS)


def _check_policy(policy: Policy) -> None:
    if policy.least_suite > SUITE:
        raise Refused(Reason.SUITE_TOO_LOW)


def _only(author: Member, roles: Roles) -> None:
    if not Roles.of(author.role) & roles:
        raise Refused(Reason.NOT_AUTHORIZED)
