"""Projects that have users of their own, and other drivers, adopt the wheel."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.pgbouncer import ThrowawayPgBouncer, find_pgbouncer
from tests.proof.site import database
from tests.wheel.staging import PROJECTS, Staging


def each_project_adopts_the_wheel(*, seed: int) -> Mapping[str, object]:
    """The cases of `tests/foreign` hold in each project, with psycopg2 too, and on three databases.

    These are PostgreSQL, SQLite and PostgreSQL behind a PgBouncer. `make test` runs one project on the first.
    """
    passed: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        staging = Staging(Path(folder))
        for project in PROJECTS:
            with database() as server:
                passed[project] = count_passed(staging.adopt(project, database=server.url))
            # psycopg2 has no part in the others.
            if project == "old_driver":
                continue
            lite = staging.adopt(project, "-m", "not postgresql", database=f"sqlite:///{folder}/{project}")
            passed[f"{project}, SQLite"] = count_passed(lite)
            if program := find_pgbouncer():
                pooled = adopt_behind(program, staging, project)
                passed[f"{project}, PgBouncer"] = count_passed(pooled)
    return passed


def adopt_behind(pgbouncer: str, staging: Staging, project: str) -> str:
    """Run the tests of a project behind a PgBouncer in transaction mode and return what they print."""
    with database() as server:
        pooler = ThrowawayPgBouncer(server, program=pgbouncer)
        try:
            # Its idle connections would prevent DROP DATABASE; the server is deleted anyway.
            return staging.adopt(project, "--reuse-db", database=pooler.url)
        finally:
            pooler.remove()


def count_passed(printed: str) -> int:
    """Return how many tests passed. Raises AssertionError for none."""
    found = re.search(r"(\d+) passed", printed)
    assert found, printed
    return int(found[1])
