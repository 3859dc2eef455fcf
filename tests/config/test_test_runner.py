"""Django's own test runner with the development settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.test_settings import run

CASES = """
from django.test import TestCase

class MeTest(TestCase):
    def test_me_needs_a_token(self):
        self.assertEqual(self.client.get("/api/v1/me").status_code, 401)
"""


@pytest.mark.parametrize(("options", "code"), [(["--debug-mode"], 0), ([], 1)])
def test_test_runner_needs_one_option(tmp_path: Path, options: list[str], code: int) -> None:
    (tmp_path / "test_me.py").write_text(CASES)
    variables = {
        "DJANGO_DEBUG": "true",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "CLERK_ISSUER": "http://127.0.0.1:8001",
        "CLERK_JWKS_URL": "http://127.0.0.1:8001/.well-known/jwks.json",
        "CLERK_AUTHORIZED_PARTIES": "http://127.0.0.1:8001",
    }
    done = run("manage.py", "test", *options, str(tmp_path), variables=variables)
    assert done.returncode == code, done.stderr
    # Without it, debug is off in the checks.
    assert ("Ran 1 test" in done.stderr) is (code == 0)
    assert ("accounts.E007" in done.stderr) is (code == 1)
