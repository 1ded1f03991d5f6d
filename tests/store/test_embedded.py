from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from carnet.errors import UserMistake
from carnet.store import embedded, migrate, programs
from carnet.store.database import Database
from carnet.store.embedded import EmbeddedPostgres, hold
from carnet.store.programs import Programs

FAST = {"fsync": "off"}


@contextmanager
def process(code: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run Python code in a process group of its own, as a shell does; ``folder`` is known to it."""
    start = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background
        "from pathlib import Path\nfrom carnet.store.embedded import EmbeddedPostgres, hold\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", f"{start}folder = Path({str(folder)!r})\n{code}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # so that a line that was not expected says what went wrong
        text=True,
        start_new_session=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return listed.returncode == 0 and not listed.stdout.startswith("Z")


async def ask(server: EmbeddedPostgres, *statements: str) -> object:
    connection = await asyncpg.connect(
        host=str(server.socket_dir), user=server.owner_url.username, database="postgres"
    )
    try:
        for statement in statements:
            answer = await connection.fetchval(statement)
        return answer
    finally:
        await connection.close()


async def test_it_starts_answers_stops_and_keeps_the_data(data_dir: Path) -> None:
    with EmbeddedPostgres.start(data_dir) as server:
        assert await ask(server, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (7)") is None
        assert is_alive(server.pid)
    assert not is_alive(server.pid)
    assert EmbeddedPostgres.attach(data_dir) is None
    with EmbeddedPostgres.start(data_dir) as again:
        assert again.pid != server.pid
        assert await ask(again, "SELECT a FROM t") == 7


async def test_nobody_else_can_reach_it(data_dir: Path) -> None:
    with EmbeddedPostgres.start(data_dir, FAST) as server:
        assert await ask(server, "SHOW listen_addresses") == ""
        assert await ask(server, "SHOW fsync") == "off"
        assert await ask(server, "SHOW data_checksums") == "on"
        sockets = server.socket_dir / ".s.PGSQL.5432"
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert stat.S_IMODE(sockets.parent.stat().st_mode) == 0o700
        assert await ask(server, "SELECT 'É' < 'a'") is False  # by code point
        assert await ask(server, "SELECT lower('ÉLÉONORE')") == "éléonore"


async def test_its_log_names_nobody(data_dir: Path) -> None:
    with EmbeddedPostgres.start(data_dir, FAST) as server:
        insert = "INSERT INTO t VALUES ('Dominique')"
        with pytest.raises(asyncpg.UniqueViolationError, match="Dominique"):
            await ask(server, "CREATE TABLE t (name text UNIQUE)", insert, insert)
    log = (data_dir / "postgres" / "server.log").read_text()
    assert "duplicate key" in log
    assert "Dominique" not in log


def test_users_share_it_and_the_last_to_leave_stops_it(data_dir: Path) -> None:
    first = EmbeddedPostgres.start(data_dir, FAST)
    code = "p = EmbeddedPostgres.start(folder)\nprint(p.pid, flush=True)\ninput()\np.stop()"
    with process(code.replace("input()", "import time; time.sleep(60)"), data_dir) as other:
        assert int(line(other)) == first.pid
        first.stop()
        first.stop()  # leaving twice is leaving once
        assert is_alive(first.pid)
        other.kill()
        other.wait()
    last = EmbeddedPostgres.attach(data_dir)
    assert last is not None and last.pid == first.pid
    last.stop()
    assert not is_alive(first.pid)


def test_many_that_start_at_once_share_one(data_dir: Path) -> None:
    code = (
        "p = EmbeddedPostgres.start(folder)\nprint(p.pid, flush=True)\nimport time; time.sleep(60)"
    )
    with process(code, data_dir) as one, process(code, data_dir) as two:
        pids = {line(one), line(two)}
        assert len(pids) == 1
        with EmbeddedPostgres.start(data_dir) as mine:
            assert {str(mine.pid)} == pids


def test_a_killed_owner_does_not_prevent_the_next_start(data_dir: Path) -> None:
    code = (
        "p = EmbeddedPostgres.start(folder)\nprint(p.pid, flush=True)\nimport time; time.sleep(60)"
    )
    with process(code, data_dir) as owner:
        pid = int(line(owner))
        owner.kill()
        owner.wait()
    with EmbeddedPostgres.start(data_dir) as server:
        assert server.pid == pid
    assert not is_alive(pid)


@pytest.mark.parametrize("reused", [False, True])
async def test_a_killed_postgres_is_recovered(data_dir: Path, reused: bool) -> None:
    killed = EmbeddedPostgres.start(data_dir)
    await ask(killed, "CREATE TABLE t (a int)", "INSERT INTO t VALUES (7)")
    os.kill(killed.pid, signal.SIGKILL)
    while embedded._Server(data_dir / "postgres").running():
        pass  # the kernel closes the socket as the process dies
    killed.stop()  # there is nothing to stop, and that is no error
    pid_file = data_dir / "postgres" / "postmaster.pid"
    with process("import time; time.sleep(60)", data_dir) as bystander:
        # The bystander belongs to the user who runs PostgreSQL, as in a container.
        if reused:
            rest = pid_file.read_text().split("\n", 1)[1]
            pid_file.write_text(f"{bystander.pid}\n{rest}")
        with EmbeddedPostgres.start(data_dir) as server:
            assert server.pid not in {killed.pid, bystander.pid}
            assert await ask(server, "SELECT a FROM t") == 7
        assert bystander.poll() is None  # it was not taken for the server


def test_control_c_reaches_the_owner_only_and_the_owner_stops_it(data_dir: Path) -> None:
    code = """
import asyncio, asyncpg, time
server = EmbeddedPostgres.start(folder)
async def ask():
    c = await asyncpg.connect(host=str(server.socket_dir), user="postgres", database="postgres")
    print(await c.fetchval("SELECT 'still here'"), flush=True)
    await c.close()
try:
    print(server.pid, flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    asyncio.run(ask())
    server.stop()
    print("stopped", flush=True)
"""
    with process(code, data_dir) as owner:
        pid = int(line(owner))
        assert os.getsid(pid) not in {os.getsid(owner.pid), os.getsid(0)}
        os.killpg(owner.pid, signal.SIGINT)  # what the terminal does
        assert line(owner) == "still here"
        assert line(owner) == "stopped"
    assert not is_alive(pid)


async def test_a_path_too_long_for_a_socket_works(data_dir: Path) -> None:
    deep = data_dir / ("é" * 40) / ("d e'e\"p" * 10)
    with EmbeddedPostgres.start(deep, FAST) as server:
        assert server.socket_dir.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        assert await ask(server, "SELECT 1") == 1
        with EmbeddedPostgres.start(deep) as joined:
            assert joined.socket_dir == server.socket_dir
    assert not server.socket_dir.exists()


async def test_a_path_with_odd_characters_works(data_dir: Path) -> None:
    with EmbeddedPostgres.start(data_dir / 'l\'été, à "Sète" $HOME', FAST) as server:
        assert server.socket_dir.is_relative_to(data_dir)
        assert await ask(server, "SELECT 1") == 1


def test_a_socket_folder_of_somebody_else_is_not_used(data_dir: Path) -> None:
    deep = data_dir / ("d" * 90)
    with EmbeddedPostgres.start(deep, FAST) as server:
        taken = server.socket_dir
    taken.mkdir(mode=0o755)
    try:
        with pytest.raises(UserMistake, match="belongs to somebody else; remove it"):
            EmbeddedPostgres.start(deep, FAST)
    finally:
        taken.rmdir()


def test_no_short_path_is_one_clear_line(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(data_dir / ("x" * 90)))
    with pytest.raises(UserMistake, match="too long for a socket") as mistake:
        EmbeddedPostgres.start(data_dir / ("d" * 90), FAST)
    assert "\n" not in mistake.value.message


def test_a_postgres_that_does_not_start_is_one_clear_line(data_dir: Path) -> None:
    with pytest.raises(UserMistake, match=r"^PostgreSQL does not start \(.*shared_buffers") as one:
        EmbeddedPostgres.start(data_dir, {"fsync": "off", "shared_buffers": "plenty"})
    assert "\n" not in one.value.message
    with EmbeddedPostgres.start(data_dir, FAST) as server:  # nothing is left of the failure
        assert is_alive(server.pid)


def test_a_data_folder_that_is_a_file_is_one_clear_line(data_dir: Path) -> None:
    data_dir.write_text("")
    for use in (EmbeddedPostgres.start, hold(data_dir).__enter__):
        with pytest.raises(
            UserMistake, match=r"^The data folder .* cannot be used: File exists\.$"
        ):
            use(data_dir) if use == EmbeddedPostgres.start else use()


def test_attach_makes_nothing(data_dir: Path) -> None:
    assert EmbeddedPostgres.attach(data_dir) is None
    assert not data_dir.exists()


# The data folder's lock


def test_two_servers_do_not_share_a_data_folder(data_dir: Path) -> None:
    refused = (
        rf"^Another Carnet already runs on this data folder \({data_dir}\), process {os.getpid()}:"
        r" stop it, or set CARNET_DATA_DIR and CARNET_PORT to others\.$"
    )
    with hold(data_dir), pytest.raises(UserMistake, match=refused), hold(data_dir):
        pytest.fail("held twice")
    with hold(data_dir):  # it is free again
        pass


def test_a_killed_server_frees_its_data_folder(data_dir: Path) -> None:
    code = "import time\nwith hold(folder):\n    print('held', flush=True)\n    time.sleep(60)"
    with process(code, data_dir) as other:
        assert line(other) == "held"
        with pytest.raises(UserMistake, match=rf"process {other.pid}:"), hold(data_dir):
            pytest.fail("held twice")
        other.kill()
        other.wait()
        with hold(data_dir):
            pass


def test_short_commands_run_beside_a_server(data_dir: Path) -> None:
    with hold(data_dir), EmbeddedPostgres.start(data_dir, FAST) as server:
        code = "p = EmbeddedPostgres.start(folder)\nprint(p.pid, flush=True)\np.stop()"
        with process(code, data_dir) as command:
            assert int(line(command)) == server.pid
            assert command.wait(30) == 0
        assert is_alive(server.pid)


# Where the programs come from


def pretend(folder: Path, says: str) -> Path:
    """Make a folder with programs of a version that is not installed here."""
    folder.mkdir(parents=True)
    for name in ("initdb", "pg_ctl", "postgres"):
        (folder / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the wheel and without PostgreSQL; returns the only folder of its PATH."""
    monkeypatch.setattr(programs, "WHEEL", "no_such_wheel")
    monkeypatch.setattr(programs, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.mark.usefixtures("bare_machine")
def test_a_machine_without_postgres_is_told_what_to_do() -> None:
    with pytest.raises(UserMistake) as mistake:
        Programs.find()
    assert mistake.value.message == (
        "No PostgreSQL for this platform: install PostgreSQL 16 or newer,"
        " or set CARNET_DATABASE_URL."
    )


def test_an_old_postgres_is_refused(bare_machine: Path) -> None:
    pretend(bare_machine, "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)")
    with pytest.raises(UserMistake, match=r"^PostgreSQL 15 is too old: install PostgreSQL 16 or"):
        Programs.find()


def test_programs_that_do_not_run_are_no_postgres(bare_machine: Path) -> None:
    pretend(bare_machine, "cannot execute binary file")
    with pytest.raises(UserMistake, match=r"^No PostgreSQL for this platform"):
        Programs.find()


def test_the_newest_is_taken_and_data_keeps_its_version(bare_machine: Path, tmp_path: Path) -> None:
    pretend(bare_machine, "postgres (PostgreSQL) 15.14")
    for version in (16, 18, 17):
        pretend(tmp_path / "debian" / str(version) / "bin", f"postgres (PostgreSQL) {version}.2")
    assert Programs.find() == Programs(tmp_path / "debian" / "18" / "bin", 18)
    assert Programs.find(16) == Programs(tmp_path / "debian" / "16" / "bin", 16)
    with pytest.raises(UserMistake, match=r"^The data folder was written by PostgreSQL 14, which"):
        Programs.find(14)


async def test_a_postgres_on_path_serves_where_the_wheel_has_no_build(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The oldest that is here and will do; the wheel brings 16 beside 18.
    real = min(
        (each for each in programs.candidates() if each.version >= programs.OLDEST),
        key=lambda each: each.version,
    )
    monkeypatch.setattr(programs, "WHEEL", "no_such_wheel")
    monkeypatch.setattr(programs, "DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", f"{real.folder}{os.pathsep}{os.environ['PATH']}")
    assert Programs.find() == real
    with EmbeddedPostgres.start(data_dir, FAST) as server:
        version = await ask(server, "SHOW server_version")
        assert str(version).startswith(f"{real.version}.")
        await migrate.upgrade(server.owner_url, create=True)
        assert await migrate.pending(server.owner_url) is False
        database = Database.connect(server.owner_url)
        async with database.write() as work:
            await work.session.execute(text("INSERT INTO clock_offset VALUES (1, '1 day')"))
        await database.close()
    assert not is_alive(server.pid)


def test_an_interrupted_first_start_is_none(data_dir: Path) -> None:
    # What a kill in the middle of initdb leaves.
    half = data_dir / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres.start(data_dir, FAST) as server:
        assert is_alive(server.pid)
    assert not half.exists()
