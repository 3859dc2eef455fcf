"""The tests in `project` run inside the project of the installation page, in a process of their own."""

from __future__ import annotations

import pytest

from tests.wheel.staging import Staging

collect_ignore = ["project"]


@pytest.fixture(scope="session")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Staging:
    """Install the wheel into a folder that contains nothing else."""
    return Staging(tmp_path_factory.mktemp("wheel"))
