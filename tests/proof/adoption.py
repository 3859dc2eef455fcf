"""Projects that have users of their own, and other drivers, adopt the wheel."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.proof.site import database
from tests.wheel.staging import PROJECTS, Staging


def each_project_adopts_the_wheel(*, seed: int) -> Mapping[str, object]:
    """The cases of `tests/foreign` hold in each project, with psycopg2 too. `make test` runs one of them."""
    with tempfile.TemporaryDirectory() as folder, database() as server:
        staging = Staging(Path(folder))
        return {project: count_passed(staging.adopt(project, database=server.url)) for project in PROJECTS}


def count_passed(printed: str) -> int:
    """Return how many tests passed. Raises AssertionError for none."""
    found = re.search(r"(\d+) passed", printed)
    assert found, printed
    return int(found[1])
