"""Where a backup lies: a folder, or one tar file.

A new one is written beside its place, under a hidden name that ends in ``.partial``, and takes its
place as a whole at the end. So what was interrupted, by a power cut too, never looks complete; the
next attempt under the same name clears it away.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Protocol

from carnet.errors import UserMistake

if sys.platform != "win32":
    import fcntl

SUFFIX = ".tar"  # of a place that is one file
BLOCK = 512  # bytes; tar pads to it


@dataclass(frozen=True, slots=True)
class Kept:
    """What was written under a name."""

    name: str
    size_bytes: int
    sha256: str  # in hexadecimal


class Member:
    """A file of a new backup while it is written; counts and hashes what goes through it."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        self.name = name
        self._file = file
        self._size = 0
        self._hash = sha256()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write on."""
        self._file.write(data)
        self._size += len(data)
        self._hash.update(data)

    @property
    def kept(self) -> Kept:
        """What was written so far."""
        return Kept(self.name, self._size, self._hash.hexdigest())


class NewShelf(Protocol):
    """A backup that is being written."""

    def add(self, name: str) -> AbstractContextManager[Member]:
        """Open a file of it; one at a time."""
        ...


class Source(Protocol):
    """A file of a backup, to be read once from its beginning."""

    def read(self, count: int = -1, /) -> bytes:
        """Return up to so many bytes, all of the rest without a number; none at the end."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...


@contextmanager
def new_shelf(place: Path) -> Iterator[NewShelf]:
    """Yield a backup to write; it is at its place when the block ends, and nowhere if it raises.

    Args:
        place: a tar file where the name ends in ``.tar``, else a folder.

    Raises:
        UserMistake: something is there already, another process writes the same backup, or the
            place cannot be written.
    """
    if sys.platform == "win32":
        raise UserMistake("Backups need Linux or another Unix.")
    place = place.absolute()
    is_file = place.suffix == SUFFIX
    if os.path.lexists(place) and (is_file or not _is_empty_folder(place)):
        raise UserMistake(f"{place} is there already; give each backup a name of its own.")
    partial = place.with_name(f".{place.name}.partial")
    try:
        descriptor = _claim(partial, place, is_file=is_file)
    except OSError as error:
        raise UserMistake(f"{place.parent} cannot be written: {error.strerror}.") from None
    try:
        try:
            if is_file:
                with os.fdopen(os.dup(descriptor), "wb") as file:
                    yield _NewTar(file)
                    file.write(bytes(2 * BLOCK))
                    file.flush()
                    os.fsync(file.fileno())
            else:
                shelf = _NewFolder(partial)
                yield shelf
                shelf.settle()
            partial.rename(place)
            _sync(place.parent)
        except BaseException:
            _clear(partial)
            raise
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UserMistake("There is no room for the backup; nothing was kept of it.") from None
        raise
    finally:
        os.close(descriptor)


class _NewFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def add(self, name: str) -> Iterator[Member]:
        path = self._folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield Member(name, file)
            file.flush()
            os.fsync(file.fileno())

    def settle(self) -> None:
        for folder, _folders, _files in os.walk(self._folder):
            _sync(Path(folder))


class _NewTar:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    @contextmanager
    def add(self, name: str) -> Iterator[Member]:
        start = self._file.tell()
        self._file.write(bytes(BLOCK))
        member = Member(name, self._file)
        yield member
        size = member.kept.size_bytes
        self._file.write(bytes(-size % BLOCK))
        end = self._file.tell()
        header = tarfile.TarInfo(name)
        header.size, header.mode = size, 0o600
        self._file.seek(start)
        self._file.write(header.tobuf(tarfile.GNU_FORMAT))
        self._file.seek(end)


class Shelf:
    """A backup that is there."""

    def __init__(self, place: Path) -> None:
        """Open it.

        Raises:
            UserMistake: there is nothing, or no backup.
        """
        self.place = place
        self._spots: dict[str, tuple[int, int]] | None = None
        if not place.exists():
            raise UserMistake(f"There is no backup at {place}.")
        if not place.is_dir():
            self._spots = _spots(place)

    @contextmanager
    def open(self, name: str) -> Iterator[Source]:
        """Open a file of it.

        Raises:
            UserMistake: there is none of this name: the backup is not whole.
        """
        path, start, size = self.place, 0, None
        if self._spots is None:
            path = self.place / name
        elif name in self._spots:
            start, size = self._spots[name]
        else:
            raise self._lacks(name)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise self._lacks(name) from None
        except OSError as error:
            raise UserMistake(f"{path} cannot be read: {error.strerror}.") from None
        with file:
            file.seek(start)
            yield file if size is None else _Part(file, size)

    def _lacks(self, name: str) -> UserMistake:
        return UserMistake(f"{self.place} is no whole backup of Carnet: it has no {name}.")


class _Part:
    """The next bytes of a file, as a file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, count: int = -1, /) -> bytes:
        wanted = self._left if count < 0 else min(count, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        while data := self.read(2**16):
            *lines, rest = (rest + data).split(b"\n")
            yield from (line + b"\n" for line in lines)
        if rest:
            yield rest


def _spots(place: Path) -> dict[str, tuple[int, int]]:
    """Return where in the tar file each member begins, and how long it is."""
    spots: dict[str, tuple[int, int]] = {}
    try:
        with place.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            while (block := file.read(BLOCK)) and block != bytes(BLOCK):
                info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
                at = file.tell()
                if not info.isfile() or not 0 <= info.size <= end - at:
                    raise UserMistake(f"{place} is no whole backup of Carnet.")
                spots[info.name] = (at, info.size)
                file.seek(at + info.size + -info.size % BLOCK)
    except tarfile.TarError:
        raise UserMistake(f"{place} is no backup of Carnet.") from None
    except OSError as error:
        raise UserMistake(f"{place} cannot be read: {error.strerror}.") from None
    return spots


def _claim(partial: Path, place: Path, *, is_file: bool) -> int:
    """Return a locked descriptor of an empty ``.partial``; whatever a killed process left goes."""
    if not is_file:
        partial.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT if is_file else os.O_RDONLY | os.O_DIRECTORY
    descriptor = os.open(partial, flags | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino != os.lstat(partial).st_ino:
            raise BlockingIOError
        if is_file:
            os.ftruncate(descriptor, 0)
        else:
            for child in partial.iterdir():
                _clear(child)
    except (BlockingIOError, FileNotFoundError):
        os.close(descriptor)
        raise UserMistake(f"Another process is writing {place}.") from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def _is_empty_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink() and not any(place.iterdir())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
