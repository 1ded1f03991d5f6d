"""Commands of the operator: what they print, and that a mistake is one line and changes nothing."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from carnet.store.embedded import EmbeddedPostgres
from carnet.store.migrate import revisions

RPPS = "10101234564"
SECRET = re.compile(r"carnet_pub_[A-Za-z0-9_-]{43}\n")


def test_a_publisher_is_added_listed_renewed_and_revoked(carnet) -> None:
    name = f"LIS é {uuid4()}"
    added = carnet("publisher", "add", name, "--may-register-persons")
    assert (added.code, added.err) == (0, "")
    assert SECRET.fullmatch(added.out)
    assert name in carnet("publisher", "list").out
    renewed = carnet("publisher", "renew", name)
    assert SECRET.fullmatch(renewed.out) and renewed.out != added.out
    assert carnet("publisher", "revoke", name).out == "Revoked.\n"
    (line,) = [each for each in carnet("publisher", "list").out.splitlines() if name in each]
    assert " revoked 20" in line
    assert carnet("publisher", "revoke", name).code == 1


def test_a_data_folder_that_a_command_makes_is_told_once(
    carnet, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data_dir)
    here = {"CARNET_DATA_DIR": "wrong/.carnet"}
    added = carnet("publisher", "add", "LIS", **here)
    assert (added.code, SECRET.fullmatch(added.out) is not None) == (0, True)
    assert added.err == (
        f"carnet: A new data folder: {data_dir}/wrong/.carnet; set CARNET_DATA_DIR to use another.\n"
    )
    assert carnet("publisher", "list", **here).err == ""


@pytest.mark.parametrize("args", [("migrate",), ("check",), ("schema",)])
def test_a_command_that_is_to_make_a_data_folder_or_makes_none_tells_of_none(
    carnet, data_dir: Path, args: tuple[str, ...]
) -> None:
    assert "data folder:" not in carnet(*args, CARNET_DATA_DIR=str(data_dir)).err


def test_two_publishers_do_not_share_a_name(carnet) -> None:
    name = f"LIS {uuid4()}"
    assert carnet("publisher", "add", name).code == 0
    again = carnet("publisher", "add", name)
    assert (again.code, again.line) == (1, "A publisher of this name exists.")
    assert carnet("publisher", "list").out.count(name) == 1


def test_an_organization_is_registered_once_for_its_number(carnet) -> None:
    number = ("--identifier", "urn:oid:1.2.250.1.71.4.2.2", str(uuid4()))
    first = carnet("organization", "add", "Hôpital", *number)
    again = carnet("organization", "add", "Hôpital des Tilleuls", *number)
    assert first.out == again.out
    assert (
        f"{UUID(first.out.strip())}  Hôpital des Tilleuls\n" in carnet("organization", "list").out
    )


def test_an_organization_of_no_known_type_is_refused(carnet) -> None:
    name = f"Cabinet {uuid4()}"
    refused = carnet("organization", "add", name, "--facility-type", "NONSENSE")
    assert (refused.code, refused.out) == (1, "")
    assert refused.line.startswith("NONSENSE is no type of establishment; ")
    assert "JDV_J02" in refused.line
    assert name not in carnet("organization", "list").out
    for code in ("SA07", "SNR"):
        assert carnet("organization", "add", name, "--facility-type", code).code == 0


def test_a_professional_with_a_wrong_number_is_refused(carnet) -> None:
    refused = carnet("professional", "add", "10101234565", "X", "Y", "--profession", "10")
    assert (refused.code, refused.line) == (1, "An RPPS number is 11 digits with a Luhn key.")


def test_an_account_is_made_for_a_professional_and_closed(carnet) -> None:
    carnet("professional", "add", RPPS, "BERNARD", "Sophie", "--profession", "10")
    login = f"s.{uuid4()}"
    account = ("account", "add", login, "--professional", RPPS)
    made = carnet(*account, stdin="correct horse battery\n")
    assert (made.code, made.err) == (0, "")
    UUID(made.out.strip())
    taken = carnet(*account, stdin="correct horse battery\n")
    assert (taken.code, taken.line) == (1, "The login is taken.")
    changed = carnet("account", "password", login, stdin="another long password\n")
    assert changed.out == "Changed.\n"
    assert carnet("account", "disable", login.upper()).out == "Disabled.\n"
    assert carnet("account", "disable", login).code == 1


@pytest.mark.parametrize(
    ("args", "stdin", "code", "says"),
    [
        ((), "x" * 20, 2, "Say whose it is: --person, --professional or --operator."),
        (("--operator", "--person", "1"), "x" * 20, 2, "Say whose it is"),
        (("--operator",), "short\n", 1, "A password has at least 12 characters."),
        (("--person", "299999999999999"), "x" * 20, 1, "No person is registered"),
        (("--professional", "1"), "x" * 20, 1, "No professional is registered"),
    ],
)
def test_an_account_that_cannot_be_is_said_in_a_line(
    carnet, args: tuple[str, ...], stdin: str, code: int, says: str
) -> None:
    login = f"x.{uuid4()}"
    refused = carnet("account", "add", login, *args, stdin=stdin)
    assert refused.code == code
    assert refused.line.startswith(says)
    assert carnet("account", "disable", login).line == "No account has this login."


def test_the_clock_of_the_sandbox_moves_forward(carnet) -> None:
    before = carnet("sandbox", "clock")
    assert re.fullmatch(r"In the sandbox it is \w+ \d{4}-\d\d-\d\d \d\d:\d\d UTC\.\n", before.out)
    moved = carnet("sandbox", "clock", "--advance", "5w7d")
    assert moved.code == 0
    assert moved.out != before.out
    assert carnet("sandbox", "clock").out.split()[6:7] == moved.out.split()[6:7]


@pytest.mark.parametrize("span", ["6", "w", "-1d", "1y", "6 w", "99999999999w", ""])
def test_a_span_that_is_none_is_refused(carnet, span: str) -> None:
    refused = carnet("sandbox", "clock", "--advance", span)
    assert refused.code == 2
    assert "write 6w, 10d, 3h or 1d12h" in refused.line


def test_the_clock_is_not_moved_in_production(carnet) -> None:
    refused = carnet("sandbox", "clock", "--advance", "1d", CARNET_MODE="production")
    assert refused.code == 1
    assert refused.line.startswith("This is for the sandbox only")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"CARNET_PORT": "0"}, "CARNET_PORT is '0'; use a number from 1 to 65535."),
        ({"CARNET_MODE": "test"}, "CARNET_MODE is 'test'; use development or production."),
        ({"CARNET_DATABASE_URL": "mysql://x"}, "CARNET_DATABASE_URL must start with postgresql://"),
        ({"CARNET_DATABASE_URL": "no url"}, "CARNET_DATABASE_URL is not a database URL."),
        ({"CARNET_DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "The database cannot be reached"),
        ({"CARNET_DATA_DIR": "/proc/carnet"}, "The data folder /proc/carnet cannot be used"),
    ],
)
def test_a_wrong_setting_is_said_in_a_line(carnet, settings: dict[str, str], says: str) -> None:
    refused = carnet("publisher", "list", **settings)
    assert refused.code == 1
    assert refused.line.startswith(says)


@pytest.fixture
def bare_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of an empty database of one's own."""
    name = f"bare_{uuid4().hex}"

    async def execute(statement: str) -> None:
        url = postgres.owner_url
        there = await asyncpg.connect(
            host=url.query["host"], user=url.username, database="postgres"
        )
        await there.execute(statement)
        await there.close()

    asyncio.run(execute(f"CREATE DATABASE {name}"))
    yield postgres.owner_url.set(database=name).render_as_string(hide_password=False)
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


def test_a_database_of_ones_own_is_never_migrated_unasked(carnet, bare_url: str) -> None:
    own = {"CARNET_DATABASE_URL": bare_url}
    refused = carnet("publisher", "list", **own)
    assert refused.code == 1
    assert "run `carnet migrate`" in refused.line
    assert carnet("migrate", "--check", **own).code == 1
    done = carnet("migrate", **own).out.splitlines()
    steps = [f"Migration {revision} is run." for revision in revisions()]
    assert done == [*steps, "The database is up to date."]
    assert carnet("migrate", "--check", **own).code == 0
    listed = carnet("publisher", "list", **own)
    assert (listed.code, listed.out) == (0, "")


def test_migrating_twice_changes_nothing(carnet) -> None:
    assert carnet("migrate").code == 0  # whichever test comes first
    assert carnet("migrate").out == "The database is up to date.\n"
    assert carnet("migrate", "--check").code == 0


def test_the_whole_schema_is_printed_checked_and_written(carnet, tmp_path) -> None:
    printed = carnet("schema")
    file = tmp_path / "schema.graphql"
    assert carnet("schema", "--check", str(file)).line.endswith("run `carnet schema --write`.")
    assert carnet("schema", "--write", str(file)).code == 0
    assert file.read_text(encoding="utf-8") == printed.out
    assert carnet("schema", "--check", str(file)).code == 0
    file.write_text(printed.out + "#")
    assert carnet("schema", "--check", str(file)).code == 1
    assert carnet("schema", "--check", "--write", str(file)).code == 2
