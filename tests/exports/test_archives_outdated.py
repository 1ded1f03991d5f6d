"""An archive of a delegate goes with what its publisher or its holder takes from their sight."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import exporting
import pytest
import world
from feeding import Feed, document

from carnet.access.settings import SettingsChange, change_settings
from carnet.documents.actions import hide_from_representatives
from carnet.errors import NotFound
from carnet.exports import actions
from carnet.intake.model import WithdrawalItem
from carnet.people.actor import Patient
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.values import Coding

LABORATORY = Coding("http://loinc.org", "11502-2")


Lose = Callable[[Feed, Patient, UUID], Awaitable[object]]


async def hidden(feed: Feed, holder: Patient, record_id: UUID) -> None:
    await feed.send(replace(document("a"), is_hidden_from_representatives=True))


async def joined(feed: Feed, holder: Patient, record_id: UUID) -> None:
    """What came between two documents makes them one; the holder hid the later one."""
    await feed.send(replace(document("b"), replaces_unique_id="a"))


async def withdrawn(feed: Feed, holder: Patient, record_id: UUID) -> None:
    await feed.send(WithdrawalItem("w", "p", "a"))


async def delayed(feed: Feed, holder: Patient, record_id: UUID) -> None:
    async with feed.database.write() as work:
        change = SettingsChange(hide_results_days=20)
        await change_settings(holder, work, record_id, change, 0)


@pytest.mark.parametrize("lose", [hidden, joined, withdrawn, delayed])
async def test_what_a_delegate_loses_outdates_their_archive(
    database: Database, blobs: BlobStore, lose: Lose
) -> None:
    number = world.national_number()
    holder = await world.holder(database, ins=number)
    record_id = await world.record_of(database, holder)
    caregiver = await world.holder(database)
    await world.delegation(database, holder, caregiver)
    feed = Feed(database, blobs, await world.publisher(database), number)
    later = replace(document("c"), replaces_unique_id="b")
    result = replace(document("r"), type=LABORATORY)
    _, later_id, _ = await feed.send(document("a"), later, result)
    assert later_id is not None
    async with database.write() as work:
        await hide_from_representatives(holder, work, later_id, True)
    theirs, own = [await exporting.ask(database, actor, record_id) for actor in (caregiver, holder)]
    await exporting.work_off(database, blobs)
    await feed.send(replace(document("a"), title="Autre"), WithdrawalItem("w", "p", "x"))
    async with database.read() as work:
        await actions.find_archive(caregiver, work, theirs)
    await lose(feed, holder, record_id)
    async with database.read() as work:
        with pytest.raises(NotFound):
            await actions.find_archive(caregiver, work, theirs)
        await actions.find_archive(holder, work, own)
    again = await exporting.ask(database, caregiver, record_id)
    await exporting.work_off(database, blobs)
    async with database.read() as work:
        await actions.find_archive(caregiver, work, again)
