"""The keys of a thread that were sealed for us, and the entries that gave us none.

Whoever begins an epoch owes each member its key. Where one is missing, or does not open, it is told
once, and the members have to be told.
"""

from __future__ import annotations

from collections.abc import Sequence

from carnet_client.core import Core
from carnet_client.directory import Directory
from carnet_client.events import MissingKey
from carnet_crypto.errors import OpenFailed, ProtocolError
from carnet_crypto.secret.conversation import open_wrap
from carnet_crypto.secret.generations import open_generations
from carnet_crypto.secret.keys import AekKeys
from carnet_crypto.secret.transcript import Transcript
from carnet_crypto.values import AccountId, Digest, ThreadId


class Wraps:
    """See the module."""

    def __init__(self, core: Core, directory: Directory, thread: ThreadId) -> None:
        self._core, self._directory, self._thread = core, directory, thread
        self._noted: set[Digest] = set()  # entries that gave us no key
        self._bad: set[Digest] = set()  # and of which nobody was told
        self._begun_in: dict[int, Digest] = {}  # entries, by the epoch that they began

    @property
    def bad(self) -> list[Digest]:
        """Entries that gave us no key that opens, and that nobody was told of."""
        return sorted(self._bad)

    def complained(self, entry: Digest) -> None:
        """Take note that the members were told of such an entry."""
        self._bad.discard(entry)

    def begun(self, epoch: int, entry: Digest) -> None:
        """Take note of the entry that began an epoch."""
        self._begun_in[epoch] = entry

    async def open(self, view: Transcript, wraps: Sequence[tuple[AccountId, int, bytes]]) -> None:
        """Give a transcript the secrets of the epochs that we have a key of.

        Args:
            view: the transcript, its log read as far as the wraps go.
            wraps: as the relay has them: account, epoch, sealed box.
        """
        keys = None
        for account, epoch, wrap in wraps:
            is_known = epoch in view.secrets or not 1 <= epoch <= len(view.thread.epochs)
            if account != view.own or is_known:
                continue
            keys = await self._keys_of(view.own) if keys is None else keys
            try:
                view.secrets[epoch] = open_wrap(wrap, view.thread, epoch, view.own, keys)
            except OpenFailed:
                self._note_bad(epoch)
        member = view.thread.members.get(view.own)
        newest = view.thread.epoch.number
        if member is not None and newest not in view.secrets:
            self._note_bad(newest)

    async def _keys_of(self, account_id: AccountId) -> dict[int, AekKeys]:
        """Return the encryption keys of an account of ours, as its chain is now."""
        await self._directory.look([account_id])
        own = self._core.acting(account_id)
        account = await self._directory.account(own.id)
        try:
            return open_generations(account, own.device)
        except ProtocolError:
            return {}

    def _note_bad(self, epoch: int) -> None:
        """Tell that an epoch's author gave us no key, once."""
        entry = self._begun_in[epoch]
        if entry not in self._noted:
            self._noted.add(entry)
            self._bad.add(entry)
            self._core.tell(MissingKey(self._thread, entry))
