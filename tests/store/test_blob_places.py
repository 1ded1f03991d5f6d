"""Where contents are kept: URLs that can be used, stores that do not answer, long listings."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest
from storing import KEYS, files, objects, receive, rows

from carnet.errors import ContentUnavailable, UserMistake
from carnet.store import blobs as module
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.store.objects import PAGE, path_of, prefix_of
from carnet.store.sweeping import Sweeper


async def test_a_store_that_does_not_answer_is_a_typed_error(
    tmp_path: Path, database: Database, unused_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-bucket")
    monkeypatch.setenv("AWS_ENDPOINT_URL", unused_endpoint)
    monkeypatch.setitem(module.Objects.open.__func__.__globals__, "RETRY", {"max_retries": 0})
    blobs = BlobStore.open("s3://bucket", tmp_path, KEYS)
    with pytest.raises(ContentUnavailable) as caught:
        await receive(blobs, database, b"x")
    assert caught.value.message == "The content cannot be read or written now."
    assert await rows(database) == 1  # left to the sweeper, which fails as long as the store does
    with pytest.raises(ContentUnavailable):
        await Sweeper(blobs).sweep(database)


@pytest.fixture
def unused_endpoint() -> str:
    """An address at which nobody listens."""
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    "url",
    [
        "blobs",
        "/var/blobs",
        "file://blobs",
        "http://example.org/x",
        "s3:///prefix",
        "s3://",
        "memory:///",
        "s3://user:secret@bucket",
        "s3://bucket?secret=1",
        "az://container",
    ],
)
def test_a_bad_url_is_a_mistake_told_in_one_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    with pytest.raises(UserMistake, match=r"^CARNET_BLOB_URL [^\n]+$") as caught:
        BlobStore.open(url, tmp_path, KEYS)
    assert "secret" not in caught.value.message


def test_a_folder_that_cannot_be_made_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserMistake, match="cannot be used"):
        BlobStore.open((tmp_path / "file" / "blobs").as_uri(), tmp_path, KEYS)


def test_the_url_of_a_folder_with_spaces_and_accents(tmp_path: Path) -> None:
    folder = tmp_path / "à la main #1 100%"
    blobs = BlobStore.open(folder.as_uri(), tmp_path, KEYS)
    blobs.objects.put(path_of(uuid4(), 0), bytearray(b"x"))
    assert len(files(blobs)) == 1
    assert files(blobs)[0].is_relative_to(folder)


def test_pages_of_a_listing_hold_every_object(local: BlobStore) -> None:
    folder = local.objects.folder
    assert folder is not None
    blob_id = uuid4()
    (folder / prefix_of(blob_id)).mkdir(parents=True)
    for number in range(PAGE + 5):
        (folder / path_of(blob_id, number)).touch()
    assert len(objects(local)) == PAGE + 5
    assert local.objects.delete_all(prefix_of(blob_id)) == PAGE + 5
    assert list(folder.iterdir()) == []
