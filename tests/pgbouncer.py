"""A throwaway PgBouncer in transaction mode, in front of a throwaway PostgreSQL; it ends with its process."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests.postgres import ThrowawayPostgres, unprivileged_account

SHIPPED = Path(__file__).parent.parent / "deploy" / "pgbouncer" / "pgbouncer.ini"
READY_SECONDS = 10.0
# Each transaction uses another one of several connections, so that the next one lacks what a session keeps: a
# SET, an advisory lock, a prepared statement.
STRICTNESS = {"min_pool_size": "4", "server_round_robin": "1"}
# End-of-file on its standard input means that the tests have ended (kill -9 included).
KEEPER = """
exec 3<&0
"$1" "$2/pgbouncer.ini" 3<&- </dev/null >"$2/pgbouncer.log" 2>&1 &
read -r _ <&3
kill -TERM $!
wait
rm -rf "$2"
"""


def find_pgbouncer() -> str | None:
    """Return the path of the program, or None if it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class ThrowawayPgBouncer:
    """The shipped configuration, on a socket alone. `remove` and the end of the process stop it."""

    def __init__(self, postgres: ThrowawayPostgres, *, program: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir="/tmp"))
        self._configure(postgres)
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", program, str(self._folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal must not reach it
            **unprivileged_account(self._folder),
        )
        self._wait_until_it_answers()

    @property
    def url(self) -> str:
        """Return the address of the database behind it, for DATABASE_URL."""
        return f"{self._address}&disable_server_side_cursors=true"

    def remove(self) -> None:
        """Stop it and disconnect its clients."""
        self._keeper.communicate(timeout=READY_SECONDS)

    @property
    def _address(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}&port=6432"

    def _configure(self, postgres: ThrowawayPostgres) -> None:
        """Write the shipped configuration, with other addresses and without passwords."""
        users = self._folder / "users.txt"
        users.write_text('"postgres" ""\n')
        shipped = configparser.ConfigParser(interpolation=None)
        shipped.read_string(SHIPPED.read_text())
        shipped["databases"]["*"] = f"host={postgres.directory} port={postgres.port or 5432}"
        shipped["pgbouncer"].update(
            STRICTNESS
            | {
                "listen_addr": "",
                "unix_socket_dir": str(self._folder),
                "auth_type": "trust",
                "auth_file": str(users),
            }
        )
        with (self._folder / "pgbouncer.ini").open("w") as file:
            shipped.write(file)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                with psycopg.connect(self._address, connect_timeout=2):
                    return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    log = (self._folder / "pgbouncer.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(
                        f"The throwaway PgBouncer did not start. Its log ends:\n{log}"
                    ) from error
                time.sleep(0.02)
