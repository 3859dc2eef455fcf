"""A throwaway PgBouncer in transaction mode, before a throwaway PostgreSQL; it is gone with its process."""

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
# Each transaction goes to another one of several connections, so that whatever a session keeps (a SET, an
# advisory lock, a prepared statement) is missed by the next one.
STRICTNESS = {"min_pool_size": "4", "server_round_robin": "1"}
# At end-of-file of its standard input the tests are gone (kill -9 included).
KEEPER = """
exec 3<&0
"$1" "$2/pgbouncer.ini" 3<&- </dev/null >"$2/pgbouncer.log" 2>&1 &
read -r _ <&3
kill -TERM $!
wait
rm -rf "$2"
"""


def find_pgbouncer() -> str | None:
    """Give the program's path, or None where it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class ThrowawayPgBouncer:
    """The shipped configuration, listening on a socket alone. `remove` and the end of the process end it."""

    def __init__(self, postgres: ThrowawayPostgres, *, program: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir="/tmp"))
        self._configure(postgres)
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, "keeper", program, str(self._folder)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is for the tests
            **unprivileged_account(self._folder),
        )
        self._wait_until_it_answers()

    @property
    def url(self) -> str:
        """Address of the database behind it, for DATABASE_URL."""
        return f"{self._address}&disable_server_side_cursors=true"

    def remove(self) -> None:
        """Stop it, cutting its clients off."""
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
