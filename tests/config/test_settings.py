"""The settings as a whole: their values in production, and that `.env.example` names every variable."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accounts.clerk.origins import LOOPBACK_ORIGIN
from config.env import Environment, read_dotenv

PROJECT = Path(__file__).parent.parent.parent
# "happy-cat-1.clerk.accounts.dev$" and "clerk.example.com$", as a publishable key carries them
TEST_KEY = "pk_test_aGFwcHktY2F0LTEuY2xlcmsuYWNjb3VudHMuZGV2JA"
LIVE_KEY = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
REQUIREMENTS = [f"requirements{name}.txt" for name in ("", "-dev", "-bench", "-proof")]
PINNED = re.compile(r"[a-z0-9._\[\],-]+==\S+ .*--hash=sha256:", re.IGNORECASE)
PRODUCTION = {
    "DJANGO_SECRET_KEY": "kV7-pQ2x" * 8,
    "DJANGO_ALLOWED_HOSTS": "api.example.com",
    "DATABASE_URL": "postgres://user:password@db.example.com/users",
    "CLERK_PUBLISHABLE_KEY": LIVE_KEY,
    "CLERK_AUTHORIZED_PARTIES": "https://app.example.com, https://www.example.com",
}


def run(*command: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python in an environment of `variables` alone."""
    developer, _ = read_dotenv(PROJECT / ".env")
    return subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT,
        env=dict.fromkeys(developer, "") | variables,
        check=False,
        capture_output=True,
        text=True,
    )


def settings_of(variables: dict[str, str]) -> dict[str, Any]:
    """Return the settings with these variables."""
    program = (
        "import json; from config import settings as s;"
        "print(json.dumps({k: getattr(s, k) for k in dir(s) if k.isupper()}, default=str))"
    )
    loaded: dict[str, Any] = json.loads(run("-c", program, variables=variables).stdout)
    return loaded


def test_issuer_and_jwks_url_follow_from_the_publishable_key() -> None:
    settings = settings_of({"CLERK_PUBLISHABLE_KEY": TEST_KEY})

    assert settings["CLERK_ISSUER"] == "https://happy-cat-1.clerk.accounts.dev"
    assert settings["CLERK_JWKS_URL"] == "https://happy-cat-1.clerk.accounts.dev/.well-known/jwks.json"


def test_issuer_and_jwks_url_can_be_overridden_separately() -> None:
    settings = settings_of(
        {"CLERK_PUBLISHABLE_KEY": LIVE_KEY, "CLERK_ISSUER": "https://proxy.example.com/clerk/"}
    )

    assert settings["CLERK_ISSUER"] == "https://proxy.example.com/clerk"
    assert settings["CLERK_JWKS_URL"] == "https://clerk.example.com/.well-known/jwks.json"


def test_several_issuers_are_comma_separated() -> None:
    settings = settings_of({"CLERK_ISSUER": "https://clerk.example.com/, https://clerk.satellite.example"})

    assert settings["CLERK_ISSUER"] == "https://clerk.example.com,https://clerk.satellite.example"


@pytest.mark.parametrize(
    ("variables", "parties"),
    [
        ({}, None),
        ({"CLERK_AUTHORIZED_PARTIES": ""}, []),
        (
            {"CLERK_AUTHORIZED_PARTIES": " https://a.example , https://b.example"},
            ["https://a.example", "https://b.example"],
        ),
    ],
)
def test_authorized_parties_unset_and_empty_are_different(variables: dict[str, str], parties: object) -> None:
    assert settings_of(variables)["CLERK_AUTHORIZED_PARTIES"] == parties


def test_loopback_origins_are_allowed_in_debug_alone() -> None:
    assert settings_of(PRODUCTION)["CORS_ALLOWED_ORIGIN_REGEXES"] == []
    assert settings_of(PRODUCTION | {"DJANGO_DEBUG": "false"})["CORS_ALLOWED_ORIGIN_REGEXES"] == []
    assert settings_of({"DJANGO_DEBUG": "true"})["CORS_ALLOWED_ORIGIN_REGEXES"] == [LOOPBACK_ORIGIN]


def test_several_webhook_secrets_are_comma_separated() -> None:
    assert settings_of({"CLERK_WEBHOOK_SIGNING_SECRET": "whsec_YQ==, whsec_Yg=="})[
        "CLERK_WEBHOOK_SIGNING_SECRET"
    ] == [
        "whsec_YQ==",
        "whsec_Yg==",
    ]


def test_https_is_on_outside_debug_and_off_in_debug() -> None:
    assert settings_of({})["SECURE_SSL_REDIRECT"] is True
    assert settings_of({"DJANGO_DEBUG": "true"})["SECURE_SSL_REDIRECT"] is False


def test_a_proxy_is_trusted_only_with_https() -> None:
    assert settings_of({"DJANGO_HTTPS": "false"})["SECURE_PROXY_SSL_HEADER"] is None
    assert settings_of({"DJANGO_HTTPS": "true"})["SECURE_PROXY_SSL_HEADER"] == [
        "HTTP_X_FORWARDED_PROTO",
        "https",
    ]


def test_hsts_preload_is_set_only_when_asked_for() -> None:
    assert settings_of({})["SECURE_HSTS_PRELOAD"] is False
    assert settings_of({"DJANGO_HSTS_PRELOAD": "true"})["SECURE_HSTS_PRELOAD"] is True
    assert (
        settings_of({"DJANGO_HSTS_PRELOAD": "true", "DJANGO_HTTPS": "false"})["SECURE_HSTS_PRELOAD"] is False
    )


def test_production_settings_pass_the_deployment_checks() -> None:
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", variables=PRODUCTION)

    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_names_every_malformed_value_at_once() -> None:
    done = run(
        "manage.py", "check", variables=PRODUCTION | {"DJANGO_DEBUG": "maybe", "CLERK_ISSUER": "clerk"}
    )

    assert done.returncode == 1
    assert "DJANGO_DEBUG must be true or false." in done.stderr
    assert "CLERK_ISSUER must be an address" in done.stderr


def test_the_example_names_every_variable_that_the_settings_read() -> None:
    source = (PROJECT / "config" / "settings.py").read_text()
    read = set(re.findall(r'env\.[a-z_]+\(\s*"([A-Z_]+)"', source))
    lines, problems = read_dotenv(PROJECT / ".env.example")

    assert problems == []
    assert lines.keys() == read | {"PROMETHEUS_MULTIPROC_DIR"}


def test_the_example_is_well_formed() -> None:
    lines, _ = read_dotenv(PROJECT / ".env.example")

    assert (
        "DJANGO_SECRET_KEY"
        in run("manage.py", "check", variables=lines | {"PATH": os.environ["PATH"]}).stderr
    )
    assert Environment(lines).flag("DJANGO_DEBUG") is False
    assert not list(PROJECT.glob("*.db"))  # an empty PROMETHEUS_MULTIPROC_DIR creates no files


@pytest.mark.parametrize("name", [*REQUIREMENTS, "uv.lock"])
def test_the_lock_names_only_the_public_index(name: str) -> None:
    addresses = re.findall(r"https?://([^/\s\"']+)", (PROJECT / name).read_text())

    assert set(addresses) <= {"pypi.org", "files.pythonhosted.org"}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_is_pinned_with_a_hash(name: str) -> None:
    text = (PROJECT / name).read_text().replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]

    assert requirements
    assert [line for line in requirements if not PINNED.match(line)] == []
