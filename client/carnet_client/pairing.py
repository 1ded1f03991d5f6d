"""Adding a device: by a QR code that one shows and the other scans, or by digits to compare.

The two devices are of one person, and talk through a mailbox that the server keeps for ten
minutes. It may read and change what it carries: what both people see on both screens is what
counts, and three failures end it (`carnet_crypto.secret.pairing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from carnet_client.accounts import Accounts
from carnet_client.core import Core
from carnet_client.directory import Directory
from carnet_client.errors import NotReadable, UserMistake
from carnet_client.state import OwnAccount
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.errors import DecodeError, Malformed, ProtocolError, Reason, Refused
from carnet_crypto.kinds import DeviceFlag
from carnet_crypto.secret import pairing
from carnet_crypto.secret.keys import DeviceKeys
from carnet_crypto.values import AccountId

POLL = 0.5  # seconds between two looks into the mailbox
PATIENCE = 600.0  # seconds; what lies in the mailbox is gone by then

AskMatch = Callable[[str], Awaitable[bool]]
"""Shows twelve digits, and returns whether the other device shows the same."""


class Mailbox:
    """What the devices of one person leave for each other."""

    def __init__(self, core: Core, patience: float) -> None:
        self._core, self._patience = core, patience
        self._after = 0

    async def begin(self) -> None:
        """Leave aside what was there before."""
        self._after = max([0, *(number for number, _ in await self._core.relay.pairing())])

    async def post(self, message: bytes) -> None:
        """Leave a message."""
        await self._core.relay.post_pairing(message)

    async def wait_for(self, magic: bytes, *, newest: bool = False) -> bytes:
        """Return the next message of a kind.

        Raises:
            NotReadable: none came in time.
        """
        for _ in range(int(self._patience / POLL) + 1):
            found = await self._core.relay.pairing(self._after)
            right = [(number, data) for number, data in found if data.startswith(magic)]
            if right:
                number, data = right[-1] if newest else right[0]
                self._after = number
                return data
            await asyncio.sleep(POLL)
        raise NotReadable("The other device did not answer in time.")


class Joining:
    """The side of the device that is to be added."""

    def __init__(
        self, core: Core, directory: Directory, patience: float = PATIENCE, *, primary: bool = False
    ) -> None:
        self._core, self._directory = core, directory
        self._keys = DeviceKeys.generate(core.entropy)
        flag = DeviceFlag.PRIMARY if primary else DeviceFlag.SECONDARY
        self._side = pairing.NewDevice(self._keys, flag, core.entropy)
        self._mailbox = Mailbox(core, patience)
        self._patience = patience

    @property
    def qr(self) -> str:
        """What this device shows as a QR code, to be scanned or typed on the other."""
        return to_base64url(self._side.show())

    async def by_digits(self, ask: AskMatch) -> AccountId:
        """Be added by comparing digits.

        Raises:
            UserMistake: they differ, or what came was no such thing.
            NotReadable: the other device did not answer in time.
        """
        if self._core.state.own is not None:
            raise UserMistake("This device is enrolled already.")
        await self._mailbox.begin()
        await self._mailbox.post(self._side.commit())
        reply = await self._mailbox.wait_for(pairing.MAGIC_REPLY)
        try:
            revealed, answer, digits = self._side.reveal(reply)
        except ProtocolError:
            raise _mismatch() from None
        await self._mailbox.post(revealed)
        if not await ask(digits):
            raise _mismatch()
        return await self._prove(answer)

    async def by_answer(self, scanned: str) -> AccountId:
        """Be added once the other device scanned ours, and this one its answer.

        Raises:
            UserMistake: the answer is another device's.
            NotReadable: the other device did not add this one in time.
        """
        try:
            answer = self._side.scan(_read(scanned))
        except ProtocolError:
            raise _mismatch() from None
        return await self._prove(answer)

    async def _prove(self, answer: pairing.Answer) -> AccountId:
        await self._mailbox.post(self._side.prove(answer))
        core = self._core
        for _ in range(int(self._patience / POLL) + 1):
            await self._directory.look([answer.account])
            account = self._directory.accounts[answer.account]
            if account.root != answer.root:
                raise _mismatch()
            if self._keys.id in account.devices:
                core.state.own = OwnAccount(answer.account, self._keys, None, set(account.devices))
                await core.save()
                return answer.account
            await asyncio.sleep(POLL)
        raise NotReadable("The other device did not add this one in time.")


class Admitting:
    """The side of a device that holds the root."""

    def __init__(
        self, core: Core, directory: Directory, accounts: Accounts, patience: float = PATIENCE
    ) -> None:
        self._core, self._directory, self._accounts = core, directory, accounts
        self._mailbox = Mailbox(core, patience)
        self._side: pairing.OldDevice | None = None

    async def by_digits(self, ask: AskMatch) -> None:
        """Add the device that is being paired, by comparing digits.

        Raises:
            UserMistake: they differ, or this device does not hold the root.
            NotReadable: the other device did not answer in time.
        """
        side = await self._begin()
        committed = await self._mailbox.wait_for(pairing.MAGIC_COMMIT, newest=True)
        try:
            reply = side.reply(committed)
            await self._mailbox.post(reply)
            digits = side.compare(await self._mailbox.wait_for(pairing.MAGIC_REVEAL))
        except ProtocolError as error:
            raise _failed(error) from None
        if not await ask(digits):
            side.refuse()
            raise _mismatch()
        await self._accept(side)

    async def scan(self, shown: str) -> str:
        """Take what the new device shows as QR code; return what to show in return.

        Raises:
            UserMistake: it is no such code, or this device does not hold the root.
        """
        self._side = await self._begin()
        await self._mailbox.begin()
        try:
            return to_base64url(self._side.scan(_read(shown)))
        except Malformed:
            raise UserMistake("That is no code of a new device.") from None
        except ProtocolError as error:
            raise _failed(error) from None

    async def finish(self) -> None:
        """Add the device whose code was scanned, once it has answered.

        Raises:
            UserMistake: another device answered.
            NotReadable: none did in time.
        """
        if self._side is None:
            raise UserMistake("Scan the new device's code first.")
        await self._accept(self._side)

    async def _begin(self) -> pairing.OldDevice:
        own = self._core.own()
        if own.root is None:
            raise UserMistake("Only a device that holds the root can add one: your first one.")
        await self._directory.look([own.id])
        return self._accounts.admitting(self._directory.accounts[own.id])

    async def _accept(self, side: pairing.OldDevice) -> None:
        proved = await self._mailbox.wait_for(pairing.MAGIC_POSSESSION)
        try:
            offered = side.accept(proved)
        except ProtocolError as error:
            raise _failed(error) from None
        await self._accounts.add_device(self._core.own(), offered)


def _failed(error: ProtocolError) -> UserMistake:
    if isinstance(error, Refused) and error.reason is Reason.LOCKED:
        return UserMistake("Three tries have failed: no device is added until this one restarts.")
    return _mismatch()


def _mismatch() -> UserMistake:
    return UserMistake("The two devices do not see the same: nothing was added. Begin again.")


def _read(text: str) -> bytes:
    try:
        return from_base64url("".join(text.split()))
    except DecodeError:
        raise UserMistake("That is no code of a device.") from None
