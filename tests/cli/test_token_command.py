"""``carnet token``: everybody in the sandbox, nobody outside it."""

import re
from pathlib import Path

import pytest

from carnet.sandbox.personas import HANDLES, SOFTWARE


@pytest.mark.parametrize("handle", HANDLES)
def test_every_persona_has_a_token(loaded, handle: str) -> None:
    done = loaded("token", "--as", handle)
    kind = "pub" if handle in {each.handle for each in SOFTWARE} else "ses"
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(rf"carnet_{kind}_[A-Za-z0-9_-]{{43}}\n", done.out)


def test_the_people_are_listed(loaded) -> None:
    listed = loaded("token", "--list").out.splitlines()
    assert [line.split()[0] for line in listed] == list(HANDLES)


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("--as", "nobody"), 1, "Nobody in the sandbox is called so"),
        (("--as", "MOREAU"), 1, "3 people are called so"),
        ((), 2, "Say who: --as PERSONA, or --list."),
    ],
)
def test_a_mistake_is_one_line(loaded, args: tuple[str, ...], code: int, says: str) -> None:
    done = loaded("token", *args)
    assert done.code == code
    assert done.line.startswith(says)


def test_production_gives_no_token(loaded) -> None:
    done = loaded("token", "--as", "camille", CARNET_MODE="production")
    assert done.code == 1
    assert done.line.startswith("This is for the sandbox only")


def test_a_database_without_a_sandbox_gives_no_token(carnet, data_dir: Path) -> None:
    done = carnet("token", "--as", "DUPONT", CARNET_DATA_DIR=str(data_dir))
    assert (done.code, done.out) == (1, "")
    made, refused = done.err.splitlines()
    assert made.startswith(f"carnet: A new data folder: {data_dir};")
    assert refused == f"carnet: There is no sandbox in {data_dir}; `carnet demo` makes one."
    again = carnet("token", "--as", "DUPONT", CARNET_DATA_DIR=str(data_dir))
    assert again.line == refused.removeprefix("carnet: ")


def test_loading_again_keeps_the_people_and_renews_the_secrets(loaded) -> None:
    before = loaded("token", "--as", "boreal").out
    publishers = len(loaded("publisher", "list").out.splitlines())
    assert loaded("sandbox", "load").out == "The sandbox is loaded.\n"
    assert loaded("token", "--as", "boreal").out != before
    assert len(loaded("publisher", "list").out.splitlines()) == publishers


def test_a_damaged_file_of_secrets_is_said(loaded, shared_data_dir: Path) -> None:
    file = shared_data_dir / "sandbox.json"
    whole = file.read_bytes()
    file.write_text("{}")
    done = loaded("token", "--as", "boreal")
    file.write_bytes(whole)
    assert done.code == 1
    assert done.line == f"{file} is damaged; `carnet sandbox load` writes it again."


def test_sweeping_says_what_it_deleted(loaded) -> None:
    done = loaded("sweep")
    assert done.out == "Deleted: 0 expired, 0 without an owner, 0 half written.\n"
