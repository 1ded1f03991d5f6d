"""Key files: made once, read strictly, kept to oneself."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from carnet.errors import ContentCorrupted, ContentUnavailable, UserMistake
from carnet.store.keys import FileKeyProvider

OLD = bytes(range(32))
NEW = bytes(range(32, 64))
KEY = b"k" * 32


def line(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "kek"
    path.write_text(text)
    path.chmod(mode)
    return path


def opened(path: Path) -> FileKeyProvider:
    return FileKeyProvider.open(path, path.parent, may_create=False)


async def test_what_is_wrapped_unwraps_in_its_context_only() -> None:
    keys = FileKeyProvider([OLD])
    kek_id, wrapped = await keys.wrap(KEY, b"blob 1")
    assert await keys.unwrap(kek_id, wrapped, b"blob 1") == KEY
    assert KEY not in wrapped
    for damaged, context in (
        (wrapped, b"blob 2"),
        (wrapped[:-1], b"blob 1"),
        (wrapped[:20], b"blob 1"),
        (b"", b"blob 1"),
        (b"\x02" + wrapped[1:], b"blob 1"),
        (wrapped[:20] + bytes([wrapped[20] ^ 1]) + wrapped[21:], b"blob 1"),
    ):
        with pytest.raises(ContentCorrupted):
            await keys.unwrap(kek_id, damaged, context)


async def test_wrapping_twice_gives_different_bytes() -> None:
    keys = FileKeyProvider([OLD])
    assert await keys.wrap(KEY, b"c") != await keys.wrap(KEY, b"c")


async def test_rotation_wraps_with_the_first_and_unwraps_with_all(tmp_path: Path) -> None:
    old_id, wrapped = await opened(written(tmp_path, line(OLD))).wrap(KEY, b"c")
    text = f"# rotated in May\n\n{line(NEW)}\n  {line(OLD)}=  \n"
    rotated = opened(written(tmp_path, text))
    assert await rotated.unwrap(old_id, wrapped, b"c") == KEY
    new_id, wrapped_anew = await rotated.wrap(KEY, b"c")
    assert new_id != old_id
    alone = opened(written(tmp_path, line(NEW)))
    assert await alone.unwrap(new_id, wrapped_anew, b"c") == KEY
    with pytest.raises(ContentUnavailable):
        await alone.unwrap(old_id, wrapped, b"c")


def test_secrets_stay_out_of_the_repr_and_the_id() -> None:
    shown = repr(FileKeyProvider([OLD, NEW]))
    for key in (OLD, NEW):
        assert line(key)[:8] not in shown
        assert key.hex()[:8] not in shown


async def test_development_makes_a_key_file_once(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"

    def open_(_: int) -> FileKeyProvider:
        return FileKeyProvider.open(None, data_dir, may_create=True)

    with ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(open_, range(16))
    kek_id, wrapped = await first.wrap(KEY, b"c")
    for other in others:
        assert await other.unwrap(kek_id, wrapped, b"c") == KEY
    path = data_dir / "keys" / "kek"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["kek"]


def test_production_makes_none(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="set CARNET_KEK_FILE"):
        FileKeyProvider.open(None, tmp_path, may_create=False)
    for may_create in (False, True):
        with pytest.raises(UserMistake, match="cannot be read: No such file"):
            FileKeyProvider.open(tmp_path / "kek", tmp_path, may_create=may_create)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "password",
        line(OLD)[:-1],
        line(OLD) + "A",
        line(OLD)[:-1] + "9",  # the same 32 bytes, spelt another way
        base64.b64encode(b"\xfb" * 32).decode(),
        f"{line(OLD)}\n{line(NEW)} {line(OLD)}",
        "\n".join([line(OLD)] * 101),
        "\udcff\udcfe",
    ],
)
def test_an_ill_formed_file_is_a_mistake_that_tells_no_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kek"
    path.write_bytes(text.encode(errors="surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(UserMistake, match=r"^(A line of the|The) key file [^\n]+$") as caught:
        opened(path)
    assert line(OLD)[:10] not in caught.value.message


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UserMistake, match="chmod 600"):
        opened(written(tmp_path, line(OLD), mode))


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="cannot be read"):
        opened(tmp_path)
