"""The jobs of the queue: which there are, what does them, and which repeat.

A further job is one line in `handlers`, and one in `RECURRING` where nobody asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import carnet.documents.deletion
import carnet.exports.deletion
import carnet.intake.deletion
import carnet.messaging.deletion
import carnet.prevention.deletion
import carnet.records.deletion
from carnet.access import delays as delayed
from carnet.access import sealing, technical, volume
from carnet.cli.workspace import Workspace
from carnet.documents import announcements, delays
from carnet.exports import jobs as exports
from carnet.messaging import message_actions, pairing
from carnet.notifications import delivering
from carnet.prevention import reminders
from carnet.records import transitions
from carnet.records.transitions import Eraser
from carnet.statistics import folding
from carnet.store import events
from carnet.store.database import Database
from carnet.store.jobs import Handler, ensure

ERASERS: tuple[Eraser, ...] = (
    carnet.messaging.deletion.erase,
    carnet.intake.deletion.erase,
    carnet.exports.deletion.erase,
    carnet.prevention.deletion.erase,
    carnet.records.deletion.erase,  # before documents, which its rows refer to
    carnet.documents.deletion.erase,
)
"""What deletes a record, area by area."""

RECURRING = (
    sealing.JOB,
    transitions.JOB,
    announcements.JOB,
    folding.JOB,
    volume.PRUNE_JOB,
    technical.FORGET_JOB,
    events.PRUNE_JOB,
    delivering.FORGET_JOB,
    message_actions.EXPIRE_JOB,
    pairing.FORGET_JOB,
    reminders.JOB,
)
"""Jobs that are always in the queue; see `recurring` for those that some servers have."""


def handlers(opened: Workspace) -> dict[str, Handler]:
    """Return what does each kind of job."""

    async def seal(database: Database, arguments: Mapping[str, Any]) -> datetime:
        return await sealing.run(database, opened.signer, arguments)

    return {
        sealing.JOB: seal,
        folding.JOB: folding.run,
        volume.PRUNE_JOB: volume.prune,
        technical.FORGET_JOB: technical.forget,
        events.PRUNE_JOB: events.prune,
        message_actions.EXPIRE_JOB: message_actions.expire,
        pairing.FORGET_JOB: pairing.forget,
        reminders.JOB: reminders.run,
        **exports.handlers(opened.blobs, opened.signer.public_key),
        transitions.JOB: _transitions,
        announcements.JOB: _announcements,
        delayed.JOB: delays.tell,
        **delivering.handlers(opened.channels, opened.server_key),
    }


def recurring(opened: Workspace) -> tuple[str, ...]:
    """Return the repeating jobs of this server: a channel is worked off where it is set up."""
    channels = [delivering.JOBS[sender.channel] for sender in opened.channels.senders]
    return (*RECURRING, *channels)


async def ensure_recurring(opened: Workspace) -> None:
    """Put the repeating jobs into the queue; those that are there keep their time."""
    async with opened.database.write() as work:
        for kind in recurring(opened):
            await ensure(work, kind)


async def _transitions(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    return await transitions.run(database, ERASERS)


async def _announcements(database: Database, _arguments: Mapping[str, Any]) -> datetime:
    return await announcements.run(database)
