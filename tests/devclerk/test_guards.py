"""The emulator stays out of production; tests/devclerk/test_server.py tests who may call it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import Settings

from devclerk.fixtures import LocalClerk

ROOT = Path(__file__).parent.parent.parent
PRIVATE_KEY = re.compile(rb"-----BEGIN (RSA |EC |ENCRYPTED )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{20}")
SKIPPED = {".git", ".venv", ".mypy_cache", ".ruff_cache", "node_modules", "test-output", "staticfiles"}


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py in a production environment."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"DJANGO_DEBUG": "false"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["up"],
        ["token", "ada"],
        ["update", "ada"],
        ["people"],
        ["frontend", "--lifetime", "20"],
        ["sign-out", "ada"],
    ],
)
def test_every_action_needs_debug(settings: Settings, arguments: list[str]) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="for development alone and DEBUG is off") as caught:
        call_command("devclerk", *arguments)
    assert caught.value.returncode == 1


@pytest.mark.parametrize("arguments", [["serve", "--port", "8001"], ["up"], ["token", "ada"]])
def test_every_action_exits_1_in_production(arguments: list[str]) -> None:
    done = manage("devclerk", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "DJANGO_DEBUG=true" in done.stderr


def test_production_settings_refuse_the_emulator_as_issuer() -> None:
    clerk = "http://127.0.0.1:8001"
    done = manage("check", CLERK_ISSUER=clerk, CLERK_JWKS_URL=f"{clerk}/.well-known/jwks.json")
    assert done.returncode == 1
    assert "CLERK_ISSUER is plain http or on this machine" in done.stderr


@pytest.mark.django_db
def test_production_settings_refuse_its_tokens_even_with_its_key(
    clerk: LocalClerk, settings: Settings, client: Client
) -> None:
    settings.CLERK_JWT_KEY = clerk.pem
    authorization = {"Authorization": f"Bearer {clerk.mint('ada')}"}
    response = client.get("/api/v1/me", headers=authorization)
    assert response.status_code == 401
    assert response.json()["errors"][0]["code"] == "token_invalid_issuer"


def test_the_repository_holds_no_private_key() -> None:
    files = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = set(folders) - SKIPPED
        files += [Path(folder) / name for name in names]
    assert ROOT / "manage.py" in files
    assert [path for path in files if PRIVATE_KEY.search(path.read_bytes())] == []
