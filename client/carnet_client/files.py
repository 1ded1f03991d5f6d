"""Files: read piece by piece beside other work, and written so that they are either what they were
or what they become, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner reads, with those above it."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


@contextmanager
def replacing(path: Path, *, may_replace: bool = True) -> Iterator[BinaryIO]:
    """Yield a new file beside a path, which takes its place once all of it is on the disk.

    Where the block raises, nothing is left and the path is as it was. What a killed process leaves
    behind is a file whose name begins with a dot, and never part of a file under its own name.

    Args:
        path: the name that the file gets.
        may_replace: whether a file of that name is replaced.

    Raises:
        FileExistsError: there is one, and it may not be.
        OSError: the disk is full, or the folder not ours to write to.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if may_replace:
            temporary.replace(path)
        else:
            _claim(temporary, path)
        _sync_folder(path.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


def write_whole(path: Path, data: bytes, *, may_replace: bool = True) -> None:
    """Write a file in one step, readable by its owner only (see `replacing`)."""
    with replacing(path, may_replace=may_replace) as file:
        file.write(data)


async def pieces_of(path: Path, size: int) -> AsyncGenerator[bytes, None]:
    """Yield a file in pieces of this many bytes; each is read in a thread, when it is asked for.

    Raises:
        OSError: it cannot be read.
    """
    handle = await asyncio.to_thread(path.open, "rb")
    try:
        while piece := await asyncio.to_thread(handle.read, size):
            yield piece
    finally:
        await asyncio.to_thread(handle.close)


def _claim(temporary: Path, path: Path) -> None:
    """Rename a file to a name that nothing may have yet."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the best there is
        if path.exists():
            raise FileExistsError(f"{path.name} exists already") from None
        temporary.rename(path)
    else:
        temporary.unlink()


def sweep(path: Path) -> None:
    """Delete what killed processes left of writing a file; whoever calls it is the only writer."""
    for left in path.parent.glob(f".{path.name[:40]}.*.part"):
        left.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":  # folders cannot be opened there, and renames are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
