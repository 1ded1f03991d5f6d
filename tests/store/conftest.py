"""Fixtures of the store's tests: blob stores on a folder and on S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from moto.server import ThreadedMotoServer
from storing import KEYS

from carnet.store.blobs import BlobStore


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A server that speaks S3, on a free port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def either(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> BlobStore:
    """An empty store, once of each kind."""
    if request.param == "folder":
        return BlobStore.open(None, tmp_path, KEYS)
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3_endpoint"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    bucket = f"bucket-{uuid4()}"
    make_bucket(bucket)
    return BlobStore.open(f"s3://{bucket}/some/prefix", tmp_path, KEYS)


def make_bucket(name: str) -> None:
    import boto3

    boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"}
    )


@pytest.fixture
def local(tmp_path: Path) -> BlobStore:
    """An empty store in a folder."""
    return BlobStore.open(None, tmp_path, KEYS)
