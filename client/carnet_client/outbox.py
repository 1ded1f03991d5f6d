"""What was sealed and may not have arrived: it is sent again as it is, and never something else.

A device that signs two messages under one number has forked itself, and its thread is frozen. So
nothing is sealed in a message's place unless the relay refused it, and what the relay gives as the
reason is there to be read.
"""

from __future__ import annotations

from contextlib import suppress

from carnet_client.core import Core
from carnet_client.errors import ServerRefusal, StaleSequence, UserMistake
from carnet_client.events import RolledBack
from carnet_client.room import Room
from carnet_client.state import Unsent


class Outbox:
    """See the module. What it holds is in `ThreadMemory.unsent`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def flush(self, room: Room) -> None:
        """Send what was sealed and may not have arrived, as it was sealed.

        Raises:
            Unsafe: the relay says that it has it, and does not show it.
        """
        unsent = room.memory.unsent
        if unsent is None:
            return
        if unsent.id in room.view.shown:
            self._note_arrived(room, unsent)
        else:
            with suppress(ServerRefusal):  # it never arrived, and what follows says why it cannot
                await self.hand_in(room)
        await self._core.save()

    async def hand_in(self, room: Room) -> int:
        """Send what was sealed; return the relay's number of it.

        Raises:
            StaleSequence: a copy of this profile wrote under its number; it is to be sealed anew.
            ServerRefusal: it was not taken.
            Unsafe: what we wrote is not there any more, or is there and not shown.
            Unreachable: it may have arrived or not.
        """
        unsent, own = room.memory.unsent, room.own
        if unsent is None:
            raise UserMistake("There is nothing to send.")
        try:
            number = await self._core.relay.send(
                unsent.envelope,
                own.id,
                own.device.id,
                unsent.sequence,
                unsent.blobs,
                unsent.expires_at,
                unsent.key,
            )
        except StaleSequence as stale:
            return await self._after_stale(room, unsent, stale)
        except ServerRefusal:
            room.memory.unsent = None  # it was not taken
            raise
        self._note_arrived(room, unsent)
        return number

    async def _after_stale(self, room: Room, unsent: Unsent, stale: StaleSequence) -> int:
        """Find out why another number is next, before anything else is signed under this one.

        Raises:
            StaleSequence: a copy of this profile wrote under it; ours is to be sealed anew.
            Unsafe: what we wrote is not there any more, or is there and not shown.
        """
        await room.read()
        own = room.own.device.id
        taken = room.view.shown.get(unsent.id)
        if taken is not None:  # it came, and the answer was lost
            self._note_arrived(room, unsent)
            return taken.number
        headers = [shown.header for shown in room.view.shown.values()]
        if not any(h.device == own and h.sequence == unsent.sequence for h in headers):
            raise self._core.unsafe(RolledBack(room.id)) from None
        room.memory.unsent = None
        raise stale

    def _note_arrived(self, room: Room, unsent: Unsent) -> None:
        room.view.wrote(room.own.device.id, unsent.sequence, unsent.id)
        room.memory.written = (unsent.sequence, unsent.id)
        room.memory.device = room.own.device.id
        room.memory.unsent = None
