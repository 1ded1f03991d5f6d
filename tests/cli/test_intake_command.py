"""``carnet intake``: files and folders in any order, what became of each, and honest exit codes."""

import json
import shutil
import signal
from pathlib import Path
from secrets import randbelow

import pytest
from servers import free_port, running

from carnet.cli.printing import printable

NUMBERS = "urn:oid:1.2.250.1.213.1.4.10"  # national, its own range for tests


def write(path: Path, shape: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(shape), encoding="utf-8")
    return path


def patient(number: str) -> dict[str, object]:
    return {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"system": NUMBERS, "value": number}],
        "name": [{"family": f"INTAKE{number[:6]}", "given": ["Ada"]}],
        "birthDate": "1980-01-02",
        "gender": "female",
    }


def condition(number: str, text: str = "Asthme") -> dict[str, object]:
    return {
        "resourceType": "Condition",
        "id": f"c-{number}",
        "subject": {"reference": f"Patient?identifier={NUMBERS}|{number}"},
        "code": {"text": text},
    }


@pytest.fixture
def number() -> str:
    return f"2{randbelow(10**14):014}"


def test_a_folder_is_taken_in_whatever_the_order_of_its_files(
    loaded, number: str, tmp_path: Path
) -> None:
    write(tmp_path / "condition é.json", condition(number))
    write(tmp_path / "folder" / "patient.json", patient(number))
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / ".hidden.json").write_text(json.dumps(patient("1" * 15)))
    first = loaded("intake", str(tmp_path))
    assert (first.code, first.err) == (0, "")
    assert first.out.splitlines() == [
        f"{tmp_path}/photo.png: skipped: not a health record file",
        f"{tmp_path}/folder/patient.json: 1 created",
        f"{tmp_path}/condition é.json: 1 created",
        "2 files: 2 created; 1 other file skipped",
    ]
    again = loaded("intake", str(tmp_path))
    assert again.out.splitlines()[-1] == "2 files: 2 duplicates; 1 other file skipped"


def test_what_waits_for_somebody_who_never_comes_is_refused(
    loaded, number: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "condition.json", condition(number))
    done = loaded("intake", "--verbose", str(path))
    assert done.code == 0
    line, item, total = done.out.splitlines()
    assert line == f"{path}: 1 refused (UNKNOWN_PATIENT 1)"
    assert item.startswith("  refused: ") and "UNKNOWN_PATIENT" in item
    assert total == "1 file: 1 refused"


def test_a_server_that_runs_here_is_used(
    loaded, number: str, tmp_path: Path, serve_command, command_env, shared_data_dir: Path
) -> None:
    file = write(tmp_path / "p.json", patient(number))
    port = free_port()
    env = command_env(shared_data_dir)
    with running(serve_command, env, port, "Carnet serves") as server:
        for args in ((), ("--server", server.address)):
            done = loaded("intake", *args, str(file), CARNET_PORT=str(port))
            assert (done.code, done.err) == (0, "")
        assert server.stop(signal.SIGINT) == 0
        assert server.errors().count('"path": "/intake"') == 2
    assert done.out == f"{file}: 1 duplicate\n1 file: 1 duplicate\n"


def test_a_file_that_is_none_fails_when_it_is_named(loaded, number: str, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\n")
    good = write(tmp_path / "patient.json", patient(number))
    done = loaded("intake", str(photo), str(good))
    assert done.code == 1
    assert done.out.splitlines()[0].startswith(f"{photo}: failed: ")
    assert done.out.splitlines()[1:] == [f"{good}: 1 created", "2 files: 1 created; 1 file failed"]
    assert loaded("intake", str(photo)).out.splitlines()[1:] == ["1 file: 1 file failed"]


def test_programs_read_json(loaded, number: str, tmp_path: Path) -> None:
    good = write(tmp_path / "a.json", patient(number))
    bad = tmp_path / "b.json"
    bad.write_text('{"resourceType": "Patient", ')
    (tmp_path / "c.txt").write_text("hello")
    done = loaded("intake", "--json", str(tmp_path))
    assert done.code == 1
    taken, failed, skipped, total = map(json.loads, done.out.splitlines())
    assert taken["file"] == str(good)
    assert taken["counts"] == {
        "CREATED": 1,
        "UPDATED": 0,
        "DUPLICATE": 0,
        "REFUSED": 0,
        "NOT_INTERPRETED": 0,
    }
    assert [item["outcome"] for item in taken["items"]] == ["CREATED"]
    assert failed["error"]["code"] == "VALIDATION_FAILED"
    assert skipped["skipped"] == "not a health record file"
    assert total["total"]["files"] == 2 and total["total"]["failed"] == 1


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("intake", "no/such/file"), 2, "Invalid value for 'PATH…': Path 'no/such/file' does not"),
        (("intake",), 2, "Missing argument 'PATH…'."),
        (("intake", "--server", "ftp://x", "{file}"), 1, "The server's address is not an http://"),
        (("intake", "--credential", "wrong", "{file}"), 1, "The server does not take this cred"),
        (("intake", "{empty}"), 1, "There is no health record file in "),
    ],
)
def test_a_mistake_is_one_line(
    loaded, number: str, tmp_path: Path, args: tuple[str, ...], code: int, says: str
) -> None:
    file = write(tmp_path / "p.json", patient(number))
    (tmp_path / "empty").mkdir()
    done = loaded(*(word.format(file=file, empty=tmp_path / "empty") for word in args))
    assert done.code == code
    assert done.line.startswith(says)


def test_without_a_sandbox_the_credential_must_be_said(
    carnet, number: str, tmp_path: Path, data_dir: Path
) -> None:
    file = write(tmp_path / "p.json", patient(number))
    done = carnet("intake", str(file), CARNET_DATA_DIR=str(data_dir))
    assert done.code == 1
    assert done.line.startswith("Say who sends: --credential or CARNET_PUBLISHER_SECRET")


def test_a_name_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\r\nc\udcff é") == "a�[2Jb��c? é"


def test_real_files_in_their_folders(loaded, samples: Path, tmp_path: Path) -> None:
    """A second intake of everything changes nothing, whatever came first."""
    for name in ("fr-cda", "fr-hl7v2"):
        shutil.copytree(samples / name, tmp_path / name)
    first = loaded("intake", str(tmp_path))
    assert first.code == 0, first.out
    again = loaded("intake", str(tmp_path))
    assert again.code == 0
    total = again.out.splitlines()[-1]
    assert total.startswith("25 files: ")
    assert " created" not in total and " updated" not in total
