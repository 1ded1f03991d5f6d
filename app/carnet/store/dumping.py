"""The whole database as one sealed file, and back: ``pg_dump`` and ``pg_restore`` at work.

A dump holds everything in the clear, so it never touches a disk: what pg_dump writes is sealed as
blobs are (`carnet.store.sealing`), under a key of its own. Passwords reach the programs through
their environment, which only the same system user can read, and never through their arguments.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from sqlalchemy import URL

from carnet.errors import UserMistake
from carnet.store.programs import Programs
from carnet.store.sealing import (
    SEALED_SEGMENT_BYTES,
    Opener,
    Sealer,
    reads,
)
from carnet.store.shelves import Member, Source

BATCH_BYTES = 2**20  # of the dump, sealed at a time: whole chunks
STDERR_BYTES = 64 * 1024  # kept of what a program complains of
LOCK_WAIT = "60s"  # for a migration that holds a table

_FROM_QUERY = {
    "host": "PGHOST",
    "port": "PGPORT",
    "ssl": "PGSSLMODE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "passfile": "PGPASSFILE",
}
_INHERITED = (
    *("PATH", "TMPDIR", "HOME", "PGPASSWORD", "PGPASSFILE"),
    *("PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"),
)  # what the server's own connections go by too

Told = Callable[[int], None]
"""Hears how many bytes of the dump are done."""


async def dump(
    programs: Programs,
    url: URL,
    snapshot: str,
    key: bytes,
    dump_id: UUID,
    member: Member,
    told: Told,
) -> int:
    """Write the database, sealed.

    Args:
        programs: of the server's version or newer.
        url: the owner's.
        snapshot: the exported snapshot to dump; its transaction is open meanwhile.
        key: seals this dump only.
        dump_id: binds the sealed bytes, as a blob's id does.
        member: is written to.
        told: hears the progress.

    Returns:
        The size of the dump in bytes, unsealed.

    Raises:
        UserMistake: pg_dump failed; the message is its own.
    """
    arguments = (
        *("--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}"),
        *("--no-password", f"--lock-wait-timeout={LOCK_WAIT}"),
    )
    sealer = Sealer(key, dump_id)
    segment = bytearray(SEALED_SEGMENT_BYTES)
    waiting = b""
    async with _running(programs, "pg_dump", arguments, url) as process:
        output = process.stdout
        assert output is not None  # noqa: S101 — it is a pipe
        while batch := await _batch(output):
            if waiting:
                await asyncio.to_thread(_seal, sealer, waiting, segment, member, is_last=False)
                told(sealer.size_bytes)
            waiting = batch
    await asyncio.to_thread(_seal, sealer, waiting, segment, member, is_last=True)
    return sealer.size_bytes


async def load(
    programs: Programs,
    url: URL,
    key: bytes,
    dump_id: UUID,
    size_bytes: int,
    source: Source,
    told: Told,
) -> None:
    """Fill an empty database from what `dump` wrote, in one transaction: all of it or nothing.

    Raises:
        UserMistake: pg_restore failed; the message is its own.
        ContentCorrupted: it is not what was sealed; nothing was filled.
    """
    arguments = (
        *("--format=custom", "--no-owner", "--no-privileges", "--single-transaction"),
        *("--exit-on-error", "--no-password", f"--dbname={url.database}"),
    )
    opener = Opener(key, dump_id, size_bytes)
    done = 0
    async with _running(programs, "pg_restore", arguments, url) as process:
        sink = process.stdin
        assert sink is not None  # noqa: S101 — it is a pipe
        try:
            for read in reads(size_bytes, 0, size_bytes):
                sealed = await asyncio.to_thread(source.read, read.end - read.start)
                for piece in await asyncio.to_thread(opener.open, read, memoryview(sealed)):
                    sink.write(piece)
                    done += len(piece)
                await sink.drain()
                told(done)
            sink.close()
        except (BrokenPipeError, ConnectionResetError):
            return  # it has ended, and says why on stderr


async def _batch(output: asyncio.StreamReader) -> bytes:
    """Return the next `BATCH_BYTES`; less only at the end."""
    try:
        return await output.readexactly(BATCH_BYTES)
    except asyncio.IncompleteReadError as error:
        return error.partial


def _seal(
    sealer: Sealer, plain: bytes, segment: bytearray, member: Member, *, is_last: bool
) -> None:
    with memoryview(plain) as view:
        length = sealer.seal(view, segment, is_last=is_last)
    if is_last or sealer.is_segment_full:
        with memoryview(segment) as whole:
            member.write(whole[:length])


@asynccontextmanager
async def _running(
    programs: Programs, name: str, arguments: Sequence[str], url: URL
) -> AsyncIterator[Process]:
    """Run a program while the block talks to it; what fails or breaks off is ended at once.

    Raises:
        UserMistake: it failed.
    """
    process = await asyncio.create_subprocess_exec(
        programs.folder / name,
        *arguments,
        stdin=PIPE if name == "pg_restore" else DEVNULL,
        stdout=DEVNULL if name == "pg_restore" else PIPE,
        stderr=PIPE,
        limit=BATCH_BYTES,
        env=_environment(url),
        start_new_session=True,  # out of reach of the terminal's Ctrl-C: we end it ourselves
    )
    complaints = asyncio.create_task(_complaints(process))
    try:
        yield process
        code = await process.wait()
        said = await complaints
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        complaints.cancel()
    if code:
        raise UserMistake(f"PostgreSQL's {name} failed: {_reason(said)}")


async def _complaints(process: Process) -> str:
    kept = bytearray()
    assert process.stderr is not None  # noqa: S101 — it is a pipe
    while said := await process.stderr.read(4096):
        kept += said[: STDERR_BYTES - len(kept)]
    return kept.decode(errors="replace")


def _reason(said: str) -> str:
    """Return the first error in one line: what follows it quotes rows, and they name people."""
    lines = said.strip().splitlines()
    errors = [line for line in lines if "error:" in line or "FATAL:" in line]
    return (errors or lines or ["no reason given"])[0]


def _environment(url: URL) -> dict[str, str]:
    """Return what tells PostgreSQL's programs where to connect."""
    found = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    found |= {"LC_ALL": "C", "PGAPPNAME": "carnet backup", "PGCONNECT_TIMEOUT": "30"}
    given = {
        "PGHOST": url.host,
        "PGPORT": str(url.port) if url.port else None,
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
    }
    for name, value in url.query.items():
        if name in _FROM_QUERY and isinstance(value, str):
            given[_FROM_QUERY[name]] = value
    return found | {name: str(value) for name, value in given.items() if value}
