"""Run every test: `python -m tests` makes four passes and prints which tests were skipped, with the reasons.

All tests run on a throwaway PostgreSQL (or TEST_DATABASE_URL). Tests that use the database run again on an
SQLite file, and once more through PgBouncer if it is installed. Those of the packages also run on the wheel,
where modules, labels and tables have other names.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.pgbouncer import ThrowawayPgBouncer, find_pgbouncer
from tests.postgres import ThrowawayPostgres
from tests.wheel.staging import Staging

OUTPUT = Path("test-output").resolve()
# Without what needs no names but those of imports: the formats of Clerk, and permissions of the token.
ON_WHEEL = (
    *("-m", "django_db and not own_session", "tests/accounts", "tests/webhooks", "tests/health"),
    *("--ignore=tests/accounts/clerk", "--ignore=tests/accounts/test_permissions.py"),
)


def main() -> int:
    """Make the passes, print the last line and return the exit status."""
    OUTPUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        address = f"sqlite:///{folder}/tests.sqlite3"
        passes = [
            _run("PostgreSQL", arguments=[], environment={}),
            _run(
                "SQLite",
                arguments=["-m", "django_db and not postgresql"],
                environment={"TEST_DATABASE_URL": address},
            ),
            _run_on_wheel(Path(folder)),
        ]
    skips = Counter(reason for name in ("PostgreSQL", "SQLite", "wheel") for reason in _skips(_report(name)))
    if program := find_pgbouncer():
        passes.append(_run_through(program))
        skips.update(_skips(_report("PgBouncer")))
    else:
        skips[
            "the pass through PgBouncer: it is not installed (Debian, Ubuntu: apt-get install pgbouncer)"
        ] = 1
    print("skipped:", "; ".join(f"{count} x {reason}" for reason, count in skips.items()) or "nothing")
    return max(passes)


def _run_on_wheel(folder: Path) -> int:
    """Run the tests of the packages on the installed wheel."""
    print("\n=== building the wheel ===", flush=True)
    staging = Staging(folder)
    environment = {"PYTHONPATH": str(staging.installed)}
    return _run("wheel", arguments=[*ON_WHEEL], environment=environment, folder=staging.copy)


def _run_through(pgbouncer: str) -> int:
    """Run the tests that use the database, behind a PgBouncer in transaction mode."""
    server = ThrowawayPostgres()
    server.start()
    pooler = ThrowawayPgBouncer(server, program=pgbouncer)
    try:
        return _run(
            "PgBouncer",
            # Its idle connections would prevent DROP DATABASE; the whole server is deleted anyway.
            arguments=["-m", "django_db and not own_session", "--reuse-db", "--ignore=tests/browser"],
            environment={"TEST_DATABASE_URL": pooler.url},
        )
    finally:
        pooler.remove()
        server.remove()


def _run(name: str, *, arguments: list[str], environment: dict[str, str], folder: Path | None = None) -> int:
    print(f"\n=== {name} ===", flush=True)
    # The tests that share one slow build run in one process (tests/conftest.py).
    workers = ["-n", "auto", "--dist", "loadgroup"]
    command = [sys.executable, "-m", "pytest", "-q", *workers, f"--junitxml={_report(name)}", *arguments]
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=False).returncode


def _report(name: str) -> Path:
    return OUTPUT / f"{name.lower()}.xml"


def _skips(report: Path) -> list[str]:
    if not report.exists():
        return [f"everything, since {report} was not written"]
    return [skip.get("message", "no reason") for skip in ET.parse(report).iter("skipped")]  # noqa: S314 - pytest's own


if __name__ == "__main__":
    sys.exit(main())
