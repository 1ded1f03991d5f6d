"""What people do wrong at the command line: one line says what to do, and nothing is a dead end."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import click
import graph
import pytest
from following import serving
from talking import SOON, Talk, talk

from carnet.clock import MovableClock
from carnet.people.actor import Assurance, Operator
from carnet.people.passwords import Passwords
from carnet.sandbox.population import PASSWORD, populate
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_client.cli.root import client
from carnet_client.cli.showing import marks_of
from carnet_client.connection import Connection
from carnet_client.errors import NotSignedIn, UserMistake, ValidationFailed
from carnet_client.relay import Relay
from carnet_crypto.secret.content import Verdict

CLIENT = [sys.executable, "-c", "from carnet_client.cli import main; main()"]
NOWHERE = "http://127.0.0.1:9"


def environment(profile: Path) -> dict[str, str]:
    return os.environ | {
        "CARNET_CLIENT_HOME": str(profile),
        "CARNET_CLIENT_PASSPHRASE": "essai essai essai",
        "CARNET_CLIENT_PASSWORD": PASSWORD,
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "TERM": "xterm-256color",
    }


async def run(profile: Path, *words: str) -> tuple[int | None, str]:
    """Run a command without a terminal; return its code and its last line."""
    process = await asyncio.create_subprocess_exec(
        *CLIENT,
        *words,
        env=environment(profile),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, (output.decode().splitlines() or [""])[-1]


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, profile: Path, *words: str) -> None:
        self.text = ""
        self._heard = asyncio.Event()
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            os.execvpe(CLIENT[0], [*CLIENT, *words], environment(profile))  # noqa: S606
        asyncio.get_running_loop().add_reader(self._end, self._hear)

    def _hear(self) -> None:
        try:
            said = os.read(self._end, 65536)
        except OSError:  # the command has ended
            said = b""
        if not said:
            asyncio.get_running_loop().remove_reader(self._end)
        self.text += said.decode(errors="replace")
        self._heard.set()

    async def shows(self, what: str) -> str:
        """Wait until it shows something, and return that."""
        async with asyncio.timeout(SOON):
            while (found := re.search(what, self.text)) is None:
                self._heard.clear()
                await self._heard.wait()
        return found[0]

    def type(self, keys: str) -> None:
        os.write(self._end, keys.encode())

    async def ends(self) -> int:
        """Wait for its end, and return its code."""
        code = os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, self.pid, 0))[1])
        with suppress(OSError):
            asyncio.get_running_loop().remove_reader(self._end)
            os.close(self._end)
        return code


async def sandbox(database: Database, blobs: BlobStore) -> None:
    console = Operator(UUID(int=0), Assurance.CONSOLE)
    await populate(console, database, blobs, Passwords(graph.CHEAP))


async def test_a_mistyped_address_does_not_spoil_the_profile(
    database: Database, blobs: BlobStore, tmp_path: Path
) -> None:
    await sandbox(database, blobs)
    login = ("--login", "camille@sandbox.carnet")
    async with serving(database, blobs) as served:
        address = served.url.removesuffix("/graphql")
        profile = tmp_path / "profile"
        code, said = await run(profile, "login", "127.0.0.1:8000", *login)
        assert (code, said) == (1, "Error: A server's address begins with https:// or http://.")
        assert not profile.exists()
        code, said = await run(profile, "login", NOWHERE, *login)
        assert (code, said) == (1, f"Error: {NOWHERE} does not answer (ConnectError).")
        assert await run(profile, "login", address, *login) == (
            0,
            "Next: carnet-client enrol, or pair or recover if you have another device.",
        )
        code, said = await run(profile, "login", NOWHERE, *login)
        assert (code, said) == (
            1,
            f"Error: This profile is of {address}: use another one (--profile FOLDER).",
        )
        code, said = await run(profile, "threads")
        assert code == 1 and "not enrolled" in said


async def test_who_has_not_signed_in_is_told_so(
    database: Database, blobs: BlobStore, tmp_path: Path
) -> None:
    async with serving(database, blobs) as served:
        address = served.url.removesuffix("/graphql")
        async with Connection(address) as connection:
            with pytest.raises(NotSignedIn):
                await Relay(connection).viewer()
        code, said = await run(tmp_path / "profile", "login", address, "--login", "nobody")
        assert (code, said) == (1, "Error: The login or the password is wrong.")
        code, said = await run(tmp_path / "profile", "threads")
        assert code == 1 and said.endswith("sign in again. Use: carnet-client login")


async def test_the_screen_begins_in_a_new_profile(
    database: Database, blobs: BlobStore, tmp_path: Path
) -> None:
    await sandbox(database, blobs)
    async with serving(database, blobs) as served:
        address = served.url.removesuffix("/graphql")
        words = ("chat", "--server", address, "--login", "camille@sandbox.carnet")
        code, said = await run(tmp_path / "profile", *words)
        assert code == 1 and "needs a terminal" in said and not (tmp_path / "profile").exists()
        terminal = Terminal(tmp_path / "profile", *words)
        recovery = await terminal.shows(r"(\w{4}-){8}\w{2}\b")
        await terminal.shows("Type it from your paper")
        terminal.type(f"{recovery}\n")
        await terminal.shows(r"Connected\.")
        terminal.type("\x11")  # Ctrl+Q
        assert await terminal.ends() == 0


@pytest.fixture
async def meeting(
    database: Database, blobs: BlobStore, clock: MovableClock, tmp_path: Path
) -> AsyncIterator[Talk]:
    async with talk(database, blobs, clock, tmp_path) as found:
        yield found


async def test_what_was_taken_back_is_not_edited_and_no_message_is_emptied(meeting: Talk) -> None:
    _, _, theirs, _ = await meeting.talking()
    number = await theirs.send("Bonjour")
    with pytest.raises(UserMistake, match="take it back instead"):
        await theirs.edit(theirs.message(str(number)), " ")
    await theirs.retract(theirs.message(str(number)))
    with pytest.raises(UserMistake, match="send a new message"):
        await theirs.edit(theirs.message(str(number)), "Bonsoir")
    (kept,) = await theirs.read()
    assert kept.is_retracted and not kept.is_edited


async def test_an_own_acknowledgement_is_said_to_be_ones_own(meeting: Talk) -> None:
    doctor, patient, theirs, mine = await meeting.talking()
    number = await mine.send("Bonjour")
    await theirs.read()
    await theirs.acknowledge(theirs.message(str(number)), Verdict.TAKEN_NOTE)
    await mine.read()
    assert marks_of(doctor, theirs, theirs.message(str(number))) == ["you noted it"]
    (read,) = [m for m in marks_of(patient, mine, mine.message(str(number))) if "noted" in m]
    assert read.endswith(" noted it") and not read.startswith("you")


async def test_what_only_a_manager_may_is_refused_in_words(meeting: Talk) -> None:
    _, _, _, mine = await meeting.talking()
    with pytest.raises(ValidationFailed, match="not yours to do"):
        await mine.close()
    assert mine.is_open


def test_the_help_of_the_client_is_whole() -> None:
    context = click.Context(client, info_name="carnet-client")
    shown = client.get_help(context)
    assert "..." not in shown.replace("COMMAND [ARGS]...", ""), "a summary is cut short"
    for name in client.list_commands(context):
        command = client.get_command(context, name)
        assert command is not None
        if any(isinstance(each, click.Argument) for each in command.params):
            assert "Example" in (command.epilog or ""), name
