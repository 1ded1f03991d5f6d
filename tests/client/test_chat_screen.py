"""The screen, driven by keys, next to another real client, over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from talking import SOON, Talk, talk, words
from textual.pilot import Pilot
from textual.widgets import Input, Static

from carnet.clock import MovableClock
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_client.events import GhostDevice
from carnet_client.tui.app import ChatApp
from carnet_client.tui.screens import AlarmsScreen, AskScreen, PickScreen, SafetyScreen
from carnet_crypto.values import DeviceId


@pytest.fixture
async def meeting(
    database: Database, blobs: BlobStore, clock: MovableClock, tmp_path: Path
) -> AsyncIterator[Talk]:
    async with talk(database, blobs, clock, tmp_path) as found:
        yield found


async def until(pilot: Pilot[None], is_it: Callable[[], bool]) -> None:
    """Let the screen work until something is so."""
    app = pilot.app
    try:
        async with asyncio.timeout(SOON):
            while not is_it():
                await pilot.pause(0.02)
    except TimeoutError:
        told = [notice.message for notice in app._notifications]
        raise AssertionError(f"{app.screen} shows it not; it says {told}") from None


def shown(app: ChatApp) -> str:
    return "\n".join(str(each.render()) for each in app.query(".message").results(Static))


async def test_a_conversation_is_begun_and_written_in(meeting: Talk, tmp_path: Path) -> None:
    doctor, patient = await meeting.both()
    app = ChatApp(doctor)
    async with app.run_test(size=(110, 32)) as pilot:
        await until(pilot, lambda: app.state_text.startswith("Connected"))
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("enter")
        await until(pilot, lambda: app.conversation is not None and not app.screen.is_modal)
        app.query_one("#composer", Input).focus()
        await pilot.press(*"Bonjour", "enter")
        await until(pilot, lambda: "Bonjour" in shown(app))
        assert app.conversation is not None
        mine = await patient.thread(app.conversation.id)
        assert words(mine) == ["Bonjour"]
        await mine.send("[b]Merci[/b] \x1b[31m")
        await until(pilot, lambda: "Merci" in shown(app))
        assert "[b]Merci[/b]" in shown(app) and "\x1b" not in shown(app)
        scan = tmp_path / "scan.txt"
        scan.write_text("pixels")
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        app.screen.query_one(Input).value = str(scan)
        await pilot.press("enter")
        await until(pilot, lambda: "scan.txt" in shown(app))
        (tmp_path / "saved").mkdir()
        path = await mine.save((await mine.read())[-1], tmp_path / "saved")
        assert path.read_text() == "pixels"


async def test_safety_numbers_and_alarms_are_seen(meeting: Talk) -> None:
    doctor, patient, _, mine = await meeting.talking()
    app = ChatApp(patient)
    async with app.run_test(size=(110, 32)) as pilot:
        await until(pilot, lambda: app.conversation is not None)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, SafetyScreen))
        digits = str(app.screen.query_one("#digits", Static).render()).split()
        assert digits == (await doctor.safety_number(patient.account)).split()
        await pilot.click("#same")
        await until(pilot, lambda: patient.is_verified(doctor.account) is True)
        patient._core.tell(GhostDevice(DeviceId(b"\x01" * 16)))
        await until(pilot, lambda: app.query_one("#alarms").has_class("shown"))
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(app.screen, AlarmsScreen))
        assert "did not add" in str(app.screen.query_one("#texts", Static).render())
        await pilot.click("#seen")
        await until(pilot, lambda: not app.query_one("#alarms").has_class("shown"))
        assert patient.alarms == ()
        assert mine.is_open


async def test_the_line_to_write_in_has_the_keys_from_the_start(meeting: Talk) -> None:
    doctor, patient = await meeting.both()
    app = ChatApp(patient)
    async with app.run_test(size=(110, 32)) as pilot:
        await until(pilot, lambda: app.state_text.startswith("Connected"))
        await pilot.press(*"Hello", "enter")
        await until(pilot, lambda: any("Ctrl+N" in n.message for n in app._notifications))
        assert app.query_one("#composer", Input).value == "Hello"  # nothing typed is lost
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, PickScreen))
        await pilot.press("enter")
        await until(
            pilot, lambda: any("professionals begin one" in n.message for n in app._notifications)
        )
        (info,) = [info for info in await doctor.people() if info.id == patient.account]
        theirs = await doctor.open_thread([info])
        await theirs.send("Bonjour")
        await until(
            pilot,
            lambda: any(
                "(1)" in str(each.render()) for each in app.query("#threads Label").results(Static)
            ),
        )
        app.query_one("#threads").focus()
        await pilot.pause()
        await pilot.press("down", "enter")
        await until(pilot, lambda: "Bonjour" in shown(app))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        app.screen.query_one(Input).value = "/nowhere/scan.pdf"
        await pilot.press("enter")
        await until(
            pilot,
            lambda: any(
                n.message == "No such file or directory (/nowhere/scan.pdf)."
                for n in app._notifications
            ),
        )
        await pilot.press("enter")
        await until(pilot, lambda: "Hello" in shown(app))
