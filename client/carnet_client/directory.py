"""Other people's accounts, as their own chains and the directory's log prove them.

Everything is read with its proof, compared with what was seen before, and kept. Word that does not
hold becomes an alarm, and nothing is sealed on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from carnet_client import news
from carnet_client.answers import AccountInfo, Chain, Leaf
from carnet_client.core import Core
from carnet_client.errors import NotFound, RateLimited, ServerRefusal, UserMistake
from carnet_client.events import (
    Alarm,
    ChangedSafetyNumber,
    GhostDevice,
    SplitView,
    StaleCheckpoint,
    UnprovenDirectory,
)
from carnet_client.state import Verified
from carnet_crypto.account import MOST_ENTRIES, Account
from carnet_crypto.checkpoint import Checkpoint, NoteKey, read_checkpoint
from carnet_crypto.contacts import (
    Contacts,
    Trust,
    own_surprises,
)
from carnet_crypto.directory import HandleClass, professional_label, read_binding
from carnet_crypto.errors import Malformed, ProofFailed, ProtocolError, Reason, Refused
from carnet_crypto.kinds import AccountKind
from carnet_crypto.values import AccountId, DeviceId, Digest

KEEP_UP = 10 * 60 * 1000  # milliseconds after which a chain is read again by who only reads
_HANDLES = {
    AccountKind.PERSON: HandleClass.PROFESSIONAL,
    AccountKind.ORGANIZATION: HandleClass.ORGANIZATION,
}
"""What somebody in a public register is found by there."""


class Directory:
    """See the module."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._contacts: Contacts | None = None
        self._cursors: dict[AccountId, str] = {}
        self._bindings: dict[AccountId, list[Leaf]] = {}
        self._read_at: dict[AccountId, int] = {}  # milliseconds since 1970
        self._heard: dict[tuple[int, Digest], None] = {}  # of others, and not compared yet
        self._agreed: dict[int, Digest] = {}  # roots that ours holds, by size

    # --- the log

    @property
    def accounts(self) -> Mapping[AccountId, Account]:
        """All accounts whose chains were read and hold."""
        return {} if self._contacts is None else self._contacts.accounts

    @property
    def checkpoint(self) -> tuple[int, Digest]:
        """The newest checkpoint's size and root."""
        found = None if self._contacts is None else self._contacts.checkpoint
        return (0, Digest.zero()) if found is None else (found.size, found.root)

    async def refresh(self) -> Checkpoint:
        """Go on to the newest checkpoint.

        The log's key is pinned: by configuration, or else the first that is ever shown.

        Raises:
            Unsafe: the checkpoint does not hold, or does not hold all of the one before.
        """
        text, key = await self._core.relay.directory()
        contacts = self._open(key)
        known = contacts.checkpoint
        try:
            size = read_checkpoint(text).size
            proof: tuple[bytes, ...] = ()
            if known is not None and 0 < known.size < size:
                proof = await self._core.relay.consistency(known.size, size)
            if known is not None and text == known.text:
                return known
            found = contacts.take_checkpoint(text, proof)
        except RateLimited:
            raise
        except ServerRefusal:
            raise self._core.unsafe(UnprovenDirectory()) from None
        except Refused as error:
            is_split = error.reason is Reason.SPLIT_VIEW
            ours = None if known is None else known.text
            alarm = SplitView(ours, text) if is_split else news.of_log(error)
            raise self._core.unsafe(alarm) from None
        except ProofFailed:
            ours = None if known is None else known.text
            raise self._core.unsafe(SplitView(ours, text)) from None
        except ProtocolError:
            raise self._core.unsafe(UnprovenDirectory()) from None
        self._core.state.checkpoint = found.text
        return found

    def _open(self, shown_key: str) -> Contacts:
        if self._contacts is not None:
            return self._contacts
        state = self._core.state
        try:
            trust = Trust(NoteKey.read(state.log_key or shown_key))
            checkpoint = None if state.checkpoint is None else read_checkpoint(state.checkpoint)
        except ProtocolError:
            raise self._core.unsafe(UnprovenDirectory()) from None
        state.log_key = trust.log.text
        self._contacts = Contacts(trust, checkpoint, state.pins, state.labels)
        return self._contacts

    def check_fresh(self) -> None:
        """Refuse to add anybody, or to begin an epoch, on what may be long out of date.

        Raises:
            Unsafe: the newest checkpoint is older than a day.
        """
        try:
            if self._contacts is None:
                raise Refused(Reason.STALE_CHECKPOINT)
            self._contacts.check_fresh(self._core.clock())
        except Refused:
            raise self._core.unsafe(StaleCheckpoint()) from None

    async def check_gossip(self, size: int, root: Digest) -> None:
        """Compare a checkpoint that a member had seen with ours; what differs is an alarm.

        Raises:
            Unsafe, Unreachable: it could not be compared; the next call does.
        """
        if self._agreed.get(size) != root and (size or not root.is_zero):
            self._heard[size, root] = None
        await self.compare_heard()

    async def compare_heard(self) -> None:
        """Compare what was heard of members and could not be compared yet.

        Raises:
            As `check_gossip`.
        """
        while self._heard and self._contacts is not None:
            size, root = next(iter(self._heard))
            await self._compare(self._contacts, size, root)
            self._heard.pop((size, root), None)

    async def _compare(self, contacts: Contacts, size: int, root: Digest) -> None:
        ours = contacts.checkpoint
        if ours is None or size > ours.size:
            ours = await self.refresh()
        proof: tuple[bytes, ...] | None = None
        try:
            if 0 < size < ours.size:
                proof = await self._core.relay.consistency(size, ours.size)
            contacts.check_gossip(size, root, proof)
        except RateLimited:
            raise
        except (Refused, ServerRefusal):
            self._core.tell(SplitView(ours.text, (size, root)))
        else:
            self._agreed[size] = root

    # --- chains

    async def look(self, ids: Iterable[AccountId], *, known: bool = False) -> None:
        """Read chains to their ends, with our own, at the newest checkpoint.

        Args:
            ids: whose.
            known: also of everybody whose chain was read before, and is still to be seen.

        Raises:
            NotFound: there is no such account, or it is not ours to see.
            Unsafe: something does not hold.
        """
        asked = {*ids}
        asked |= {own.id for own in self._core.all_own().values() if own.pending is None}
        checkpoint = await self.refresh()
        for id_ in sorted({*asked, *(self.accounts if known else ())}):
            try:
                await self._read(id_, checkpoint)
            except NotFound:
                if id_ in asked:
                    raise
        self._keep()

    async def keep_up(self, ids: Iterable[AccountId]) -> None:
        """Read again chains that were last read a while ago: a device may have been revoked since.

        Raises:
            Unsafe: something does not hold.
        """
        at = self._core.clock()
        old = [id_ for id_ in ids if at - self._read_at.get(id_, 0) >= KEEP_UP]
        if not old:
            return
        checkpoint = await self.refresh()
        for id_ in old:
            self._read_at[id_] = at
            with suppress(NotFound):  # whoever is not to be seen any more stays as we know them
                await self._read(id_, checkpoint)
        self._keep()

    async def _read(self, id_: AccountId, checkpoint: Checkpoint) -> None:
        contacts = self._contacts
        if contacts is None:
            return
        known = contacts.accounts.get(id_)
        leaves, chain = await self._rest_of_chain(id_, -1 if known is None else known.number)
        newest = max((leaf.index for leaf in [*leaves, *chain.bindings]), default=-1)
        if newest >= checkpoint.size:
            checkpoint = await self.refresh()
        proofs = await self._proofs(leaves, checkpoint.size)
        try:
            told = contacts.take_chain(id_, [leaf.logged(proofs) for leaf in leaves])
        except ProtocolError as error:
            raise self._core.unsafe(news.of_chain(id_, error)) from None
        if chain.cursor is not None:
            self._cursors[id_] = chain.cursor
        self._bindings[id_] = chain.bindings
        self._read_at[id_] = self._core.clock()
        if chain.info.name:
            self._core.state.names[id_] = chain.info.name
        for event in told:
            self._core.tell(news.of_contact(event))
        account = contacts.accounts[id_]
        self._check_own(id_, account)
        self._check_verified(id_, account)

    async def _rest_of_chain(self, id_: AccountId, known: int) -> tuple[list[Leaf], Chain]:
        """Return all of a chain that follows an entry, and its last page."""
        cursor, leaves = self._cursors.get(id_), list[Leaf]()
        while True:
            chain = await self._core.relay.chain(id_, cursor)
            leaves += [leaf for leaf in chain.entries if leaf.number > known]
            is_over = not chain.has_more or not chain.entries
            if is_over or len(leaves) > MOST_ENTRIES:
                return leaves, chain
            cursor = chain.cursor

    async def _proofs(self, leaves: list[Leaf], size: int) -> dict[int, tuple[bytes, ...]]:
        if not leaves or size == 0:
            return {}
        indexes = sorted(leaf.index for leaf in leaves if 0 <= leaf.index < size)
        try:
            return await self._core.relay.inclusion(indexes, size) if indexes else {}
        except RateLimited:
            raise
        except ServerRefusal:
            return {}  # what has no proof is refused where it is used

    def _check_own(self, id_: AccountId, account: Account) -> None:
        own = self._core.all_own().get(id_)
        if own is None:
            return
        for device in own_surprises(account, {own.device.id, *own.known}, None):
            if device.revoked_in is None:
                self._core.tell(GhostDevice(device.id))

    def _check_verified(self, id_: AccountId, account: Account) -> None:
        verified = self._core.state.verified.get(id_)
        if verified is not None and verified.root != account.root:
            self._core.tell(ChangedSafetyNumber(id_))

    def _keep(self) -> None:
        if self._contacts is not None:
            self._core.state.pins = dict(self._contacts.pins)
            self._core.state.labels = dict(self._contacts.labels)

    async def account(self, id_: AccountId, number: int = 0) -> Account:
        """Return an account that is known at least up to an entry, if the log has it.

        Raises:
            NotFound, Unsafe: as `look`.
        """
        known = self.accounts.get(id_)
        if known is None or known.number < number:
            await self.look([id_])
        return self.accounts[id_]

    def made(self, account: Account) -> None:
        """Take note of an account that we have just made or extended."""
        if self._contacts is not None:
            self._contacts.made(account)
            self._cursors.pop(account.id, None)
            self._keep()

    # --- who is who

    async def check_binding(self, info: AccountInfo) -> bool:
        """Check whose account the directory says it is; True where a register's number proves it.

        For professionals and organizations the label is their number in the public register, so
        that nobody can be put in their place unseen. People's labels are random: what the service
        says of them is compared by safety number, or not at all.

        Raises:
            Unsafe: the directory says otherwise.
        """
        if info.register_id is None:
            return False
        await self.look([info.id])
        label = professional_label(info.register_id)
        contacts = self._contacts
        leaves = [leaf for leaf in self._bindings.get(info.id, []) if _label(leaf) == label]
        if contacts is None or not leaves:
            raise self._core.unsafe(UnprovenDirectory(info.id))
        newest = max(leaves, key=lambda leaf: read_binding(leaf.data).version)  # that one holds
        proofs = await self._proofs([newest], self.checkpoint[0])
        key, said = contacts.trust.log, read_binding(newest.data)
        try:
            if said.account != info.id or said.handle is not _HANDLES.get(
                contacts.account(info.id).kind
            ):
                raise Refused(Reason.WRONG_BINDING)
            _, told = contacts.take_binding(
                label, newest.logged(proofs), key.name, key.public, self._core.clock()
            )
        except ProtocolError:
            raise self._core.unsafe(UnprovenDirectory(info.id)) from None
        for event in told:
            self._core.tell(news.of_contact(event))
        self._keep()
        return True

    # --- safety numbers and devices

    async def safety_number(self, one: AccountId, other: AccountId) -> str:
        """Return what the people of two accounts compare: sixty digits."""
        await self.look([one, other])
        if self._contacts is None:
            raise NotFound("NOT_FOUND", "There is no such account.")
        return self._contacts.safety_number(one, other)

    def verify(self, id_: AccountId) -> None:
        """Keep that the safety number of somebody was compared and is right."""
        account = self.accounts.get(id_)
        if account is None:
            raise UserMistake("Look at the safety number first.")
        self._core.state.verified[id_] = Verified(account.root, self._core.clock())
        self._drop(ChangedSafetyNumber(id_))

    def is_verified(self, id_: AccountId) -> bool | None:
        """Return whether somebody was verified; None where their root is another one since."""
        verified, account = self._core.state.verified.get(id_), self.accounts.get(id_)
        if verified is None or account is None:
            return False
        return True if verified.root == account.root else None

    def check_members(self, ids: Iterable[AccountId]) -> None:
        """Refuse to write to whom we verified and who has another root since.

        Raises:
            Unsafe: there is one.
        """
        for id_ in ids:
            if self.is_verified(id_) is None:
                raise self._core.unsafe(ChangedSafetyNumber(id_))

    def check_devices(self, id_: AccountId) -> None:
        """Refuse to write while our account has a device that nobody here knows.

        Raises:
            Unsafe: it has one: revoke it, or say that it is ours.
        """
        account, own = self.accounts.get(id_), self._core.all_own().get(id_)
        if account is None or own is None:
            return
        for device in own_surprises(account, {own.device.id, *own.known}, None):
            if device.revoked_in is None:
                raise self._core.unsafe(GhostDevice(device.id))

    def accept_device(self, account: AccountId, device: DeviceId) -> None:
        """Take the user's word that a device is theirs."""
        self._core.acting(account).known.add(device)
        self._drop(GhostDevice(device))

    def _drop(self, alarm: Alarm) -> None:
        self._core.alarms = [each for each in self._core.alarms if each != alarm]


def _label(leaf: Leaf) -> bytes:
    try:
        return read_binding(leaf.data).label
    except Malformed:
        return b""
