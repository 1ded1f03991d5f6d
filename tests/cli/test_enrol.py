"""``carnet enrol``: real files, a real process that is killed, and what a person reads."""

import csv
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from carnet.people.identifiers import INS_NIR, key_valid
from carnet.values import Identifier

# The database is shared with tests that want the sandbox, which wants to be there first.
pytestmark = pytest.mark.usefixtures("loaded")

HEADER = "ins,birth_family_name,given_names,birth_date,sex,birth_place"


def number(index: int) -> str:
    digits = f"18505{10000000 + index:08d}"
    return next(
        whole
        for key in range(1, 98)
        if key_valid(Identifier(INS_NIR, whole := f"{digits}{key:02d}"))
    )


def population(path: Path, rows: int, start: int = 0) -> Path:
    lines = [
        f"{number(start + index)},DUPONT{index},Alix Marie,1985-05-04,F,75101"
        for index in range(rows)
    ]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", errors="replace") as file:
        return list(csv.reader(file))


def test_a_population_is_enrolled_once(carnet, tmp_path: Path) -> None:
    file = population(tmp_path / "population.csv", 30)
    codes = tmp_path / "codes.csv"
    done = carnet("enrol", str(file), "--codes", str(codes))
    assert (done.code, done.out) == (0, "Enrolled 30; 0 had a record already.\n")
    first = rows_of(codes)
    assert first[0] == ["ins", "code", "opens_on"]
    assert [row[0] for row in first[1:]] == [number(index) for index in range(30)]
    assert len({row[1] for row in first[1:]}) == 30
    assert stat.S_IMODE(codes.stat().st_mode) == 0o600
    again = carnet("enrol", str(file), "--codes", str(codes))
    assert (again.code, again.out) == (0, "Enrolled 0; 30 had a record already.\n")
    assert rows_of(codes) == first


def test_rejects_are_told_by_line_and_reason_and_no_data_is_shown(carnet, tmp_path: Path) -> None:
    file = tmp_path / "population.csv"
    good = number(1000)
    other = number(1001)
    file.write_bytes(
        b"\xef\xbb\xbfins;birth_family_name;given_names;birth_date;sex;representative_1\r\n"
        + f"{good};DUPONT;Alix;1985-05-04;F;\r\n".encode()
        + f"{good};DUPONT;Alix;1999-01-01;F;\r\n".encode()  # somebody else's number
        + b"123;DUPONT;Alix;1985-05-04;F;\r\n"
        + f"{other};;Alix;1985-05-04;F;\r\n".encode()
        + f"{other};DUPONT;Alix;1985-13-04;F;\r\n".encode()
        + f"{other};DUPONT;Alix;2985-05-04;F;\r\n".encode()
        + f"{other};DUPONT;Alix;1985-05-04;X;\r\n".encode()
        + f"{other};DUPONT;Alix;1985-05-04;F\r\n".encode()
        + f"{other};DUPON\xe9;Alix;1985-05-04;F;\r\n".encode("latin-1")
        + f"{other};DUPONT;Alix;1985-05-04;F;{other}\r\n".encode()
        + b"\r\n"
        + f'{other};"DU\r\nPONT";Alix;1985-05-04;F;{good}\r\n'.encode()
        + f"{good[:-2]}99;DUPONT;Alix;1985-05-04;F;\r\n".encode()
    )
    rejects = tmp_path / "rejects.csv"
    done = carnet("enrol", str(file), "--rejects", str(rejects))
    assert done.code == 1
    lines = [row[:2] for row in rows_of(rejects)[1:]]
    assert lines == [
        ["3", "CONFLICT"],
        ["4", "NUMBER"],
        ["5", "NAME"],
        ["6", "BIRTH_DATE"],
        ["7", "BIRTH_DATE"],
        ["8", "SEX"],
        ["9", "COLUMNS"],
        ["10", "ENCODING"],
        ["11", "REPRESENTATIVE"],
        ["13", "NOT_A_MINOR"],
    ]
    assert rows_of(rejects)[2][2:] == ["123", "DUPONT", "Alix", "1985-05-04", "F", ""]
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    bare = carnet("enrol", str(file))
    assert "  line 4: NUMBER\n" in bare.err
    for shown in (done.out, done.err, bare.out, bare.err):
        assert "DUPONT" not in shown and good[:7] not in shown


def test_a_dry_run_changes_nothing(carnet, tmp_path: Path) -> None:
    file = population(tmp_path / "population.csv", 10, start=2000)
    for _ in range(2):
        done = carnet("enrol", str(file), "--dry-run")
        assert (done.code, done.out) == (0, "Would enrol 10; 0 had a record already.\n")
    refused = carnet("enrol", str(file), "--dry-run", "--codes", str(tmp_path / "codes.csv"))
    assert refused.code == 2
    assert not (tmp_path / "codes.csv").exists()


def test_parents_who_come_later_in_the_file_are_linked(carnet, tmp_path: Path) -> None:
    file = tmp_path / "population.csv"
    child, parent, other = number(3000), number(3001), number(3002)
    file.write_text(
        "ins,birth_family_name,given_names,birth_date,representative_1,representative_2\n"
        f"{child},DUPONT,Alix,2020-05-04,{parent},{other}\n"
        f"{parent},DUPONT,Claude,1985-05-04,,\n"
    )
    done = carnet("enrol", str(file))
    assert "Enrolled 2" in done.out and "Linked 1 parents" in done.out
    assert "line 2: UNKNOWN_REPRESENTATIVE" in done.err
    again = carnet("enrol", str(file))
    assert "Enrolled 0; 2 had" in again.out and "Linked" not in again.out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it lacks ins, birth_family_name, given_names, birth_date"),
        (b"ins,birth_family_name,given_names\n", "it lacks birth_date"),
        (HEADER.encode() + b",shoe_size\n", "see carnet enrol --help"),
        (HEADER.encode() + b",ins\n", "see carnet enrol --help"),
        (b"\xff\xfe" + HEADER.encode("utf-16-le"), "is not UTF-8"),
        (HEADER.encode() + b'\n1,"DUPONT,Alix,1985-05-04,F,75101\n', "line 2: "),
        (HEADER.encode() + b"\n" + b"x" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_a_file_that_is_none_is_one_line(carnet, tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "population.csv"
    file.write_bytes(content)
    done = carnet("enrol", str(file))
    assert done.code == 1
    assert says in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("is_second_pass", [False, True])
def test_a_killed_command_goes_on_where_it_stopped(
    is_second_pass: bool,
    carnet,
    shared_data_dir: Path,
    command_env: Callable[..., dict[str, str]],
    serve_command: tuple[str, ...],
    tmp_path: Path,
) -> None:
    start = 20_000 if is_second_pass else 10_000
    file = population(tmp_path / "population.csv", 6000, start=start)
    lines = file.read_text().splitlines()  # all have a parent whom nobody knows
    with_parents = [
        f"{lines[0]},representative_1",
        *(f"{row},{number(90_000)}" for row in lines[1:]),
    ]
    file.write_text("\n".join(with_parents) + "\n")
    reached = f'"is_second_pass": {"true" if is_second_pass else "false"}'
    codes, rejects = tmp_path / "codes.csv", tmp_path / "rejects.csv"
    arguments = ("enrol", str(file), "--codes", str(codes), "--rejects", str(rejects))
    states = shared_data_dir / "enrolment"
    with subprocess.Popen(
        (*serve_command[:-1], *arguments),
        env=command_env(shared_data_dir),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        ends = time.monotonic() + 60
        while not any(reached in state.read_text() for state in states.glob("*.json")):
            assert process.poll() is None and time.monotonic() < ends
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    with codes.open("a") as file_:
        file_.write("half a line of a batch that was not noted")
    done = carnet(*arguments)
    assert done.code == 1
    assert "Going on after row" in done.err
    assert "Rejected 6000: 6000 UNKNOWN_REPRESENTATIVE." in done.err
    numbers = [row[0] for row in rows_of(codes)[1:]]
    assert numbers == [number(start + index) for index in range(6000)]
    assert [row[0] for row in rows_of(rejects)[1:]] == [str(line) for line in range(2, 6002)]
    assert list(states.iterdir()) == []
    again = carnet(*arguments)
    assert again.out == "Enrolled 0; 6000 had a record already.\n"
    assert [row[0] for row in rows_of(codes)[1:]] == numbers


def test_an_operator_suspends_a_record_by_its_holders_number(carnet, tmp_path: Path) -> None:
    carnet("enrol", str(population(tmp_path / "population.csv", 1, start=5000)))
    shown = carnet("record", "state", "-", stdin=number(5000) + "\n")
    record_id, state = shown.out.split()[:2]
    assert (shown.code, state) == (0, "NOTIFIED")
    assert carnet("record", "suspend", record_id).out == f"{record_id}  SUSPENDED\n"
    assert carnet("record", "suspend", number(5000)).out == f"{record_id}  SUSPENDED\n"
    assert carnet("record", "resume", record_id).out == shown.out
    for unknown in ("nobody", "0192f0c1-5b7e-7c3a-9d0e-2f4b6a8c1e35", ""):
        done = carnet("record", "suspend", unknown)
        assert (done.code, done.line) == (1, "No record is known by this id or number.")
