"""DJANGO_ADMIN=false: the process has no admin, and everything else works."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.config.test_settings import PRODUCTION, run

# The first two answer like the third.
ADDRESSES = (
    *("/admin/", "/admin/login/", "/nothing/", "/api/docs", "/api/docs?script=", "/api/schema"),
    *("/api/v1/me", "/health/live", "/health/sync", "/metrics"),
)
TOKEN = "monitoring-4f7b9e21c8"
PROGRAM = f"""
import json, django
django.setup()
from django.core.management import call_command
from django.test import Client

call_command("migrate", verbosity=0)
call_command("check", deploy=True, fail_level="WARNING")
answers = {{}}
for path in {ADDRESSES!r}:
    headers = {{"Authorization": "Bearer {TOKEN}"}} if path in ("/health/sync", "/metrics") else {{}}
    response = Client(raise_request_exception=False, headers=headers).get(path, secure=True)
    answers[path] = [response.status_code, response.content.decode()]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return status and body of each address in a process without the admin."""
    variables = PRODUCTION | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DJANGO_ADMIN": "false",
        "DJANGO_ALLOWED_HOSTS": "testserver",
        "DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('database')}/db.sqlite3",
        "ALLOW_SQLITE": "true",
        "HEALTH_TOKEN": TOKEN,
    }
    done = run("-c", PROGRAM, variables=variables)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return loaded


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/"])
def test_addresses_of_the_admin_are_unknown(answers: dict[str, Any], path: str) -> None:
    assert answers[path][0] == 404
    assert answers[path] == answers["/nothing/"]


@pytest.mark.parametrize("path", ["/api/docs", "/api/docs?script=", "/api/schema"])
def test_pages_for_admin_sessions_are_403(answers: dict[str, Any], path: str) -> None:
    status, body = answers[path]

    assert status == 403
    assert json.loads(body)["errors"][0]["code"] == "permission_denied"


def test_api_and_monitoring_work(answers: dict[str, Any]) -> None:
    assert answers["/api/v1/me"][0] == 401
    assert answers["/health/live"][0] == 200
    assert "failures" in json.loads(answers["/health/sync"][1])
    assert "clerk_authentications_total" in answers["/metrics"][1]
