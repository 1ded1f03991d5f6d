"""Whole objects by path, in a local folder or an object store: what `obstore` does, made typed.

Paths are ``shard/blob/segment``: the shard is the last byte of the blob's id, which is random, so
that blobs spread over 256 folders. Nothing here knows what the bytes mean.

Every method blocks: call it in a thread. The asynchronous half of obstore 0.12 is left alone: its
runtime's threads call back into Python, and abort a process that ends at that moment (seen in 5 of
12 short runs; probably the race of PyO3/pyo3-async-runtimes#40).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import UUID

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, S3Store

from carnet.errors import ContentCorrupted, ContentUnavailable, StorageFull, UserMistake

if TYPE_CHECKING:  # obstore has these names for type checkers only
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

SCHEMES = "file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
PAGE = 1000  # objects listed at once: what S3 gives per request
RETRY: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}
CLIENT: ClientConfig = {"connect_timeout": "5s", "timeout": "60s"}

_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# obstore tells a local errno only in its text; MinIO and other stores answer 507.
_FULL = re.compile(
    rf"os error (?:{'|'.join(map(str, sorted(_FULL_ERRNOS)))})\b"
    r"|StorageFull|507 Insufficient Storage"
)
_SHORT = re.compile(r"Requested range was invalid|StartTooLarge|\b416 |InvalidRange")
# obstore writes a local object under such a name first, and never lists it.
_STAGED = re.compile(r".+#\d+")
_SHARD = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Found:
    """An object seen in a listing."""

    path: str
    blob_id: UUID
    modified_at: datetime


class Objects:
    """One folder or bucket. ``folder`` is where a local store keeps its files, else None."""

    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        self._store = store
        self.folder = folder

    @classmethod
    def open(cls, url: str | None, data_dir: Path, env: Mapping[str, str] = os.environ) -> Objects:
        """Prepare the store; a remote one is not dialled before first use.

        Args:
            url: where; None for the folder ``blobs`` in the data folder. Credentials, region and
                endpoint of a remote store come from its usual variables (``AWS_…``,
                ``GOOGLE_…``, ``AZURE_STORAGE_…``).
            data_dir: the data folder.
            env: where those variables are looked up.

        Raises:
            UserMistake: the URL cannot be used, or the folder cannot be made.
        """
        if url is None:
            return cls._local(data_dir / "blobs")
        parts = urlsplit(url)
        if parts.query or parts.fragment or parts.password or parts.username:
            raise UserMistake("CARNET_BLOB_URL takes no user, password or query; set AWS_….")
        if parts.scheme == "file":
            if parts.netloc or not parts.path.startswith("/"):
                raise UserMistake("CARNET_BLOB_URL needs three slashes: file:///folder.")
            return cls._local(Path(unquote(parts.path)))
        if parts.scheme not in {"s3", "gs", "az"} or not parts.netloc:
            raise UserMistake(f"CARNET_BLOB_URL is not of a known form: use {SCHEMES}.")
        bucket, prefix = parts.netloc, parts.path.strip("/") or None
        try:
            if parts.scheme == "gs":
                return cls(
                    GCSStore(bucket, prefix=prefix, client_options=CLIENT, retry_config=RETRY)
                )
            if parts.scheme == "az":
                return cls(
                    AzureStore(bucket, prefix=prefix, client_options=CLIENT, retry_config=RETRY)
                )
            endpoints = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
            is_plain = any(env.get(name, "").startswith("http://") for name in endpoints)
            options: ClientConfig = {**CLIENT, "allow_http": is_plain}
            return cls(S3Store(bucket, prefix=prefix, client_options=options, retry_config=RETRY))
        except (BaseError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserMistake(f"CARNET_BLOB_URL cannot be used: {reason}") from None

    @classmethod
    def _local(cls, folder: Path) -> Objects:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(LocalStore(folder, automatic_cleanup=True), folder)
        except (OSError, BaseError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UserMistake(f"The blob folder {folder} cannot be used: {reason}.") from None

    def put(self, path: str, data: bytearray | memoryview) -> None:
        """Write a whole object. A local one is on the disk afterwards, its folder by `settle`.

        Raises:
            StorageFull: there is no room.
            ContentUnavailable: the store does not take it.
        """
        with _faults():
            self._store.put(path, data, use_multipart=False)
            if self.folder is not None:
                _sync(self.folder / path)

    def settle(self, prefix: str) -> None:
        """Make a local folder's new names outlast a power cut.

        Raises:
            ContentUnavailable: the disk fails.
        """
        if self.folder is not None:
            folder = self.folder / prefix
            with _faults():
                _sync(folder, folder.parent, self.folder)

    def get(self, path: str, start: int, end: int) -> memoryview:
        """Return a part of an object; less of it where the object is shorter.

        Raises:
            ContentCorrupted: there is no such object, or it ends before ``start``.
            ContentUnavailable: the store does not answer.
        """
        try:
            with _faults():
                return memoryview(self._store.get_range(path, start=start, end=end))
        except ContentUnavailable as error:
            cause = error.__cause__
            if isinstance(cause, FileNotFoundError) or _SHORT.search(str(cause)):
                raise ContentCorrupted() from cause
            raise

    def delete_all(self, prefix: str) -> int:
        """Delete every object under the prefix; return how many there were.

        Raises:
            ContentUnavailable: the store does not answer.
        """
        deleted = 0
        for page in self._pages(prefix):
            deleted += self._delete([found.path for found in page])
        if self.folder is not None:
            deleted += _remove_staged(self.folder / prefix, None)
        return deleted

    def shards(self) -> list[str]:
        """Return the prefixes that hold objects, in order.

        Raises:
            ContentUnavailable: the store does not answer.
        """
        with _faults():
            listed = self._store.list_with_delimiter()
        names = (prefix.rsplit("/", 1)[-1] for prefix in listed["common_prefixes"])
        return sorted(name for name in names if _SHARD.fullmatch(name))

    def find(self, shard: str, before: datetime) -> Iterator[list[Found]]:
        """Yield pages of the shard's objects that were last written before that moment.

        Raises:
            ContentUnavailable: the store does not answer.
        """
        for page in self._pages(shard):
            yield [found for found in page if found.modified_at < before]

    def paths(self) -> set[str]:
        """Return the paths of all objects: for an installation that should have few or none.

        Raises:
            ContentUnavailable: the store does not answer.
        """
        return {found.path for page in self._pages(None) for found in page}

    def remove_staged(self, shard: str, before: datetime) -> int:
        """Delete what local writers that were killed left half written; return how many files."""
        if self.folder is None:
            return 0
        with _faults():
            return _remove_staged(self.folder / shard, before)

    def _pages(self, prefix: str | None) -> Iterator[list[Found]]:
        with _faults():
            pages = iter(self._store.list(prefix, chunk_size=PAGE))
        while True:
            with _faults():
                page = next(pages, None)
            if page is None:
                return
            yield [
                Found(meta["path"], blob_id, meta["last_modified"])
                for meta in page
                if (blob_id := _blob_id(meta["path"])) is not None
            ]

    def _delete(self, paths: list[str]) -> int:
        if not paths:
            return 0
        with _faults():
            try:
                self._store.delete(paths)
            except FileNotFoundError:  # another process deletes the same: go on one by one
                for path in paths:
                    with suppress(FileNotFoundError):
                        self._store.delete(path)
        return len(paths)


def prefix_of(blob_id: UUID) -> str:
    """Return the prefix of a blob's objects."""
    name = blob_id.hex
    return f"{name[-2:]}/{name}"


def path_of(blob_id: UUID, segment: int) -> str:
    """Return the path of one segment."""
    return f"{prefix_of(blob_id)}/{segment:06}"


def _blob_id(path: str) -> UUID | None:
    """Return whose object it is, or None for one that Carnet did not write."""
    parts = path.split("/")
    try:
        blob_id = UUID(parts[-2])
    except (ValueError, IndexError):
        return None
    return blob_id if path.startswith(prefix_of(blob_id) + "/") else None


@contextmanager
def _faults() -> Iterator[None]:
    """Turn the store's errors into ours. What it said stays the cause: it names no person."""
    try:
        yield
    except (BaseError, OSError) as error:
        said = str(error)
        if _FULL.search(said) or getattr(error, "errno", None) in _FULL_ERRNOS:
            raise StorageFull() from error
        raise ContentUnavailable() from error


def _sync(*paths: Path) -> None:
    """Bring files and folders to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_staged(folder: Path, before: datetime | None) -> int:
    """Delete obstore's unfinished files under the folder, and folders that are left empty."""
    removed = 0
    for name, _folders, files in os.walk(folder, topdown=False):
        place = Path(name)
        for file in files:
            if _STAGED.fullmatch(file) and _is_older(place / file, before):
                (place / file).unlink(missing_ok=True)
                removed += 1
        if place != folder or before is None:
            with suppress(OSError):  # not empty, or already gone
                place.rmdir()
    return removed


def _is_older(path: Path, before: datetime | None) -> bool:
    if before is None:
        return True
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC) < before
    except FileNotFoundError:
        return False
