"""Two people with the real client and a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from talking import Talk, talk, until, words

from carnet.clock import MovableClock
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_client.events import Connected, ThreadChanged


@pytest.fixture
async def meeting(
    database: Database, blobs: BlobStore, clock: MovableClock, tmp_path: Path
) -> AsyncIterator[Talk]:
    async with talk(database, blobs, clock, tmp_path) as found:
        yield found


async def test_a_doctor_writes_and_the_patient_answers(meeting: Talk) -> None:
    doctor, patient, theirs, mine = await meeting.talking()
    assert await theirs.send("Bonjour, comment allez-vous ?") == 1
    assert [m.text for m in await mine.read()] == ["Bonjour, comment allez-vous ?"]
    assert mine.messages[0].author == doctor.account
    await mine.send("Mieux, merci.")
    await theirs.read()
    assert words(theirs) == words(mine) == ["Bonjour, comment allez-vous ?", "Mieux, merci."]
    assert doctor.alarms == patient.alarms == ()
    assert mine.title == "Lou FAURE"


async def test_what_is_sent_is_told_to_who_follows(meeting: Talk) -> None:
    doctor, patient, theirs, mine = await meeting.talking()
    following = asyncio.create_task(until(patient, lambda event: event == ThreadChanged(mine.id)))
    connected = asyncio.create_task(until(doctor, lambda event: event == Connected()))
    await connected
    await theirs.send("words")
    await following
    assert words(mine) == ["words"]
    assert doctor.alarms == patient.alarms == ()
