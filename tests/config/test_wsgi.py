"""`config.wsgi:application` under a real gunicorn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.config.test_settings import PRODUCTION, PROJECT


def gunicorn(variables: dict[str, str], *, seconds: float) -> subprocess.CompletedProcess[str]:
    """Let gunicorn try to serve, on a port that the system chooses."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "--no-control-socket",
            "-b",
            "127.0.0.1:0",
            # One worker: two that end at the same moment make gunicorn itself stumble, with a traceback.
            "--workers=1",
            "config.wsgi",
        ],
        cwd=PROJECT,
        env=variables,
        timeout=seconds,
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_bad_setting_ends_the_server_with_every_mistake_named(tmp_path: Path) -> None:
    wrong = {"DJANGO_HTTPS": "perhaps", "CLERK_AUTHORIZED_PARTIES": "", "HOME": str(tmp_path)}

    done = gunicorn(PRODUCTION | wrong, seconds=60)

    assert done.returncode not in {0, None}
    assert "DJANGO_HTTPS must be true or false." in done.stderr
    assert "CLERK_AUTHORIZED_PARTIES is set and empty" in done.stderr
    assert "Traceback" not in done.stderr
