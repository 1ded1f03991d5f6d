"""The PostgreSQL that Carnet starts by itself, and the lock on the data folder.

PostgreSQL lives in ``<data folder>/postgres`` and listens on a unix socket that only its own
system user can reach, never on the network. Processes on one data folder share it: the first to
come starts it and the last to leave stops it. Each holds a shared lock on a file meanwhile, which
the kernel takes back from a killed process, so nobody is counted who is no longer there.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from sqlalchemy import URL

from carnet.errors import UserMistake
from carnet.store.programs import Programs

if sys.platform != "win32":
    import fcntl
    import pwd

DATABASE = "carnet"
SUPERUSER = "postgres"  # the database's, not the system's
SYSTEM_USER = "carnet"  # runs PostgreSQL when Carnet itself runs as root
START_TIMEOUT = 120  # seconds; recovery after a power cut can take a while
STOP_TIMEOUT = 60  # seconds
SOCKET = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 100  # bytes; the kernels allow 104 to 108

_OPTIONS = {
    "listen_addresses": "",
    "port": "5432",  # whatever PGPORT says: it only names the socket
    "unix_socket_permissions": "0700",
    # Failing statements and their details name people, and logs must not.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_log = logging.getLogger(__name__)


@contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for as long as a server runs on it.

    Short commands do not hold it: they may run beside a server.

    Raises:
        UserMistake: another server holds it, or the folder cannot be written.
    """
    folder = _folder(data_dir)
    with _open(folder / "lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserMistake(
                f"Another Carnet already runs on this data folder ({data_dir}),"
                f" process {file.read(20).strip() or 'unknown'}: stop it, or set CARNET_DATA_DIR"
                " and CARNET_PORT to others."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)


@dataclass(frozen=True, slots=True)
class _Running:
    """What ``postmaster.pid`` says of a server that answers on its socket."""

    pid: int
    socket_dir: Path


class EmbeddedPostgres:
    """One process's share in the PostgreSQL of a data folder."""

    def __init__(self, server: _Server, running: _Running, share: ExitStack) -> None:
        self._server = server
        self._share: ExitStack | None = share
        self.pid = running.pid
        self.socket_dir = running.socket_dir

    @classmethod
    def start(cls, data_dir: Path, options: Mapping[str, str] | None = None) -> Self:
        """Start PostgreSQL, or join it where it runs already. Takes about a second.

        Args:
            data_dir: Carnet's data folder; created when missing.
            options: settings of ``postgresql.conf`` for a server that this call starts.

        Raises:
            UserMistake: there is no PostgreSQL to run, or it does not start.
        """
        server = _Server(_folder(data_dir) / "postgres")
        with _turn(server.pgdata):
            running = server.running()
            if running is None:
                try:
                    running = server.start({**_OPTIONS, **(options or {})})
                except BaseException:  # Ctrl-C, too, leaves nothing behind
                    server.stop()
                    raise
            return cls(server, running, _join(server.pgdata))

    @classmethod
    def attach(cls, data_dir: Path) -> Self | None:
        """Join the PostgreSQL of the data folder if it runs; otherwise return None."""
        server = _Server(data_dir.absolute() / "postgres")
        if not server.pgdata.is_dir():
            return None
        with _turn(server.pgdata):
            running = server.running()
            return cls(server, running, _join(server.pgdata)) if running else None

    @property
    def owner_url(self) -> URL:
        """The superuser's URL, over the socket. It holds no secret: the socket is the guard."""
        return URL.create(
            "postgresql",
            username=SUPERUSER,
            database=DATABASE,
            query={"host": str(self.socket_dir)},
        )

    def stop(self) -> None:
        """Leave; the last to leave stops PostgreSQL and returns when it is gone.

        Raises:
            UserMistake: it does not stop.
        """
        if self._share is None:
            return
        with _turn(self._server.pgdata):
            self._share.close()
            self._share = None
            with _open(_users(self._server.pgdata)) as users:
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Server:
    """The PostgreSQL of one data folder, seen from outside: files, programs, signals."""

    def __init__(self, pgdata: Path) -> None:
        self.pgdata = pgdata
        self.log = pgdata / "server.log"

    def running(self) -> _Running | None:
        """Return the server if it answers. A process id alone proves nothing: it may be reused."""
        try:
            lines = (self.pgdata / "postmaster.pid").read_text().splitlines()
            found = _Running(int(lines[0]), Path(lines[4]))
        except (OSError, IndexError, ValueError):
            return None
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(found.socket_dir / SOCKET))
            except OSError:
                return None
        return found

    def start(self, options: Mapping[str, str]) -> _Running:
        """Create the cluster when there is none, and start it."""
        programs = Programs.find(self._version())
        user = self._user()
        if user is not None:
            _let_through(programs.folder)
            _let_through(self.pgdata)
        if not self.pgdata.exists():
            self._initialize(programs, user, is_durable=options.get("fsync") != "off")
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.old"))
        sockets = self._socket_dir(user)
        options = {**options, "unix_socket_directories": _quoted(sockets)}
        words = " ".join(shlex.quote(f"--{name}={value}") for name, value in options.items())
        _disown_if_stale(self.pgdata / "postmaster.pid")
        _disown_if_stale(sockets / f"{SOCKET}.lock")
        # Relative paths: pg_ctl hands them to a shell, which would read a dollar or a quote.
        arguments = ("-D", ".", "-l", self.log.name, "-w", "-t", str(START_TIMEOUT), "-s")
        try:
            programs.run("pg_ctl", *arguments, "-o", words, "start", folder=self.pgdata, user=user)
        except UserMistake as mistake:
            said = self.log.read_text(errors="replace") if self.log.exists() else ""
            fatal = [line for line in said.splitlines() if "FATAL:" in line] or [mistake.message]
            raise UserMistake(f"PostgreSQL does not start ({self.log}): {fatal[-1]}") from None
        running = self.running()
        if running is None:
            raise UserMistake(f"PostgreSQL started and does not answer; see {self.log}.")
        return running

    def stop(self) -> None:
        """Stop the server, ending its connections, and wait until it is gone."""
        running = self.running()
        if running is None:
            return
        os.kill(running.pid, signal.SIGINT)  # «fast shutdown»
        end = time.monotonic() + STOP_TIMEOUT
        # Its file is the last thing that it removes; the process may take a moment more.
        while (self.pgdata / "postmaster.pid").exists() or _is_postgres(running.pid):
            if time.monotonic() > end:
                raise UserMistake(f"PostgreSQL does not stop; see {self.log}.")
            time.sleep(0.01)
        if running.socket_dir != self.pgdata:
            running.socket_dir.rmdir()

    def _version(self) -> int | None:
        try:
            return int((self.pgdata / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None

    def _initialize(self, programs: Programs, user: str | None, *, is_durable: bool) -> None:
        """Create the cluster beside its place, so that an interrupted attempt is none."""
        new = self.pgdata.with_name("postgres.new")
        if new.exists():
            shutil.rmtree(new)
        new.mkdir(mode=0o700)
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(new, entry.pw_uid, entry.pw_gid)
        # Text sorts by code point on every machine; PostgreSQL 17 brought a C.UTF-8 of its own.
        locale = ["--locale=C.UTF-8"]
        if programs.version >= 17:
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        programs.run(
            "initdb",
            *("-D", str(new), "-U", SUPERUSER, "--encoding=UTF8", "--data-checksums"),
            *("--auth-local=trust", "--auth-host=reject", *locale),
            *(() if is_durable else ("--no-sync",)),
            folder=new,
            user=user,
        )
        new.rename(self.pgdata)

    def _user(self) -> str | None:
        """Return the system user to become: PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        if self.pgdata.exists():
            uid = self.pgdata.stat().st_uid
            try:
                return pwd.getpwuid(uid).pw_name
            except KeyError:
                raise UserMistake(
                    f"{self.pgdata} belongs to user {uid}, who is not known here."
                ) from None
        try:
            pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            _create_system_user()
        return SYSTEM_USER

    def _socket_dir(self, user: str | None) -> Path:
        """Return the data folder, or a folder with a shorter path that nobody else can enter."""
        if len(os.fsencode(self.pgdata / f"{SOCKET}.lock")) <= SOCKET_PATH_LIMIT:
            return self.pgdata
        digest = sha256(os.fsencode(self.pgdata.resolve())).hexdigest()[:16]
        short = Path(tempfile.gettempdir()) / f"carnet-{digest}"
        if len(os.fsencode(short / f"{SOCKET}.lock")) > SOCKET_PATH_LIMIT:
            raise UserMistake(f"The paths {self.pgdata} and {short} are too long for a socket.")
        owner = os.geteuid() if user is None else pwd.getpwnam(user).pw_uid
        try:
            short.mkdir(mode=0o700)
            os.chown(short, owner, -1)
        except FileExistsError:
            found = short.lstat()
            if short.is_symlink() or found.st_uid != owner or found.st_mode & 0o077:
                raise UserMistake(f"{short} belongs to somebody else; remove it.") from None
        return short


def _folder(data_dir: Path) -> Path:
    """Return the data folder's absolute path; it exists afterwards."""
    if sys.platform == "win32":
        raise UserMistake(
            "No PostgreSQL for this platform: install PostgreSQL 16 or newer,"
            " or set CARNET_DATABASE_URL."
        )
    folder = data_dir.absolute()
    try:
        # Under root, PostgreSQL's user must pass through it.
        folder.mkdir(mode=0o700 if os.geteuid() else 0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise UserMistake(f"The data folder {data_dir} cannot be used: {error.strerror}.") from None
    return folder


def _open(path: Path) -> IO[str]:
    """Open a lock file, which is never deleted: a deleted one would lock nobody out."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UserMistake(f"{path} cannot be written: {error.strerror}.") from None
    return os.fdopen(descriptor, "r+")


def _users(pgdata: Path) -> Path:
    return pgdata.with_name("postgres.users")


@contextmanager
def _turn(pgdata: Path) -> Iterator[None]:
    """Let one process at a time start, join or stop the server."""
    with _open(pgdata.with_name("postgres.turn")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _join(pgdata: Path) -> ExitStack:
    """Be counted among the server's users until the stack closes."""
    share = ExitStack()
    fcntl.flock(share.enter_context(_open(_users(pgdata))), fcntl.LOCK_SH)
    return share


def _disown_if_stale(file: Path) -> None:
    """Put our own process id where a killed server's is left and now means something else.

    In a container, small ids soon are somebody else's, and a dead process may stay in the list
    for want of an init that reaps it: PostgreSQL would refuse to start. It takes its starter's id
    for stale, and still looks for survivors that use the data, which deleting the file would
    forgo.
    """
    try:
        pid, rest = file.read_text().split("\n", 1)
        is_postgres = _is_postgres(int(pid))
    except (OSError, ValueError):
        return  # there is no such file, or nothing in it: PostgreSQL knows what to do
    if is_postgres is False:
        file.write_text(f"{os.getpid()}\n{rest}")


def _is_postgres(pid: int) -> bool | None:
    """Tell whether a process is a PostgreSQL that runs; None where there is no such process."""
    try:
        name, state = Path(f"/proc/{pid}/stat").read_text().split("(", 1)[1].rsplit(")", 1)
    except OSError:
        return None
    return name == "postgres" and state.split()[0] != "Z"


def _quoted(path: Path) -> str:
    return '"' + str(path).replace('"', '""') + '"'  # the setting is a list


def _create_system_user() -> None:
    try:
        subprocess.run(  # noqa: S603 — a fixed command
            ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER],  # noqa: S607 — root's own PATH
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        raise UserMistake(
            "PostgreSQL refuses to run as root, and no system user could be made for it:"
            " run Carnet as an ordinary user, or set CARNET_DATABASE_URL."
        ) from None


def _let_through(path: Path) -> None:
    """Let PostgreSQL's user pass to the path (not list it): root's own folders are often closed."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            _log.warning("others may now pass through %s: PostgreSQL does not run as root", folder)
            folder.chmod(mode | 0o001)
