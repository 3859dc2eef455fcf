"""compose.yaml: its variables are known, the product starts with them, and its services fit together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.urls import reverse

from accounts.login_limit import MAX_CONCURRENT_HASHES
from config.env import read_dotenv
from tests.deploy.conftest import run_in
from tests.deploy.context import ROOT, gunicorn_setting, image_health_port, known_settings

TEXT = (ROOT / "compose.yaml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
PRODUCT = ("migrate", "web")
# ${NAME}, ${NAME:-default}, ${NAME:?what to do}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
DOTENV, _ = read_dotenv(ROOT / ".env.example")
OWN = {"POSTGRES_PASSWORD": "correct-horse"}
FILLED = (
    DOTENV
    | OWN
    | {
        "DJANGO_SECRET_KEY": "kV7-pQ2x" * 8,
        "CLERK_PUBLISHABLE_KEY": "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
    }
)


def environment_of(service: str, *, variables: dict[str, str]) -> dict[str, str]:
    """Return the variables of a service as an engine resolves them."""
    declared: dict[str, str] = SERVICES[service]["environment"]
    return {
        name: VARIABLE.sub(lambda found: _value(found, variables), text) for name, text in declared.items()
    }


def _value(found: re.Match[str], variables: dict[str, str]) -> str:
    name, kind, text = found.groups()
    if variables.get(name):
        return variables[name]
    assert kind == "-", f"{name} is required"
    return str(text)


@pytest.mark.parametrize("service", PRODUCT)
def test_each_variable_is_known_to_the_settings(service: str) -> None:
    assert set(SERVICES[service]["environment"]) <= known_settings()
    assert set(DOTENV) <= known_settings()


def test_each_required_variable_has_a_message() -> None:
    required = {name for name, kind, message in VARIABLE.findall(TEXT) if kind == "?" and message}
    assert required == {"DJANGO_ALLOWED_HOSTS", "DJANGO_SECRET_KEY", *OWN}
    assert {name for name, kind, _ in VARIABLE.findall(TEXT) if kind == "-"} == {"DATABASE_HOST"}


@pytest.mark.parametrize("service", PRODUCT)
def test_the_product_starts_with_its_variables(app: Path, service: str) -> None:
    variables = DOTENV | environment_of(service, variables=FILLED)
    variables["CLERK_PUBLISHABLE_KEY"] = FILLED["CLERK_PUBLISHABLE_KEY"]
    run_in(app, "manage.py", "check", "--deploy", "--fail-level=WARNING", **variables)


def test_a_pooler_gets_no_server_side_cursors_and_no_migrations() -> None:
    pooled = FILLED | {"DATABASE_HOST": "pgbouncer:6432"}
    web = environment_of("web", variables=pooled)["DATABASE_URL"]
    assert "@pgbouncer:6432/" in web
    assert web.endswith("?disable_server_side_cursors=true")
    assert "@postgres:5432/" in environment_of("migrate", variables=pooled)["DATABASE_URL"]


def test_two_replicas_start_after_the_migration_behind_the_proxy() -> None:
    assert SERVICES["web"]["deploy"]["replicas"] == 2
    assert SERVICES["web"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert SERVICES["proxy"]["depends_on"] == {"web": {"condition": "service_healthy"}}
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]


def test_the_probe_of_a_replica_uses_the_port_of_its_own() -> None:
    port = SERVICES["web"]["environment"]["HEALTH_PORT"]
    assert int(port) == image_health_port()
    assert f"http://127.0.0.1:{port}/health/ready" in SERVICES["web"]["healthcheck"]["test"][-1]


def test_the_container_stops_later_than_gunicorn() -> None:
    assert int(SERVICES["web"]["stop_grace_period"].removesuffix("s")) > gunicorn_setting("graceful_timeout")


def test_the_proxy_closes_an_idle_connection_before_gunicorn_does() -> None:
    (seconds,) = re.findall(r"keepalive (\d+)s", (ROOT / "deploy" / "Caddyfile").read_text())
    assert int(seconds) < gunicorn_setting("keepalive")


def test_the_proxy_forwards_only_complete_bodies() -> None:
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    (largest,) = re.findall(r"^\s*max_size (\d+)MB$", text, re.MULTILINE)
    (buffered,) = re.findall(r"^\s*request_buffers (\d+)MB$", text, re.MULTILINE)

    assert int(largest) <= int(buffered)


def test_the_proxy_limits_the_pages_that_check_a_password() -> None:
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    (paths,) = re.findall(r"^\t@passwords path (.+)$", text, re.MULTILINE)
    (connections,) = re.findall(r"^\t\t\tmax_conns_per_host (\d+)$", text, re.MULTILINE)

    assert paths.split() == [f"{reverse(name)}*" for name in ("admin:login", "admin:password_change")]
    assert "reverse_proxy @passwords {" in text
    assert int(connections) == MAX_CONCURRENT_HASHES


def test_the_files_that_it_names_exist() -> None:
    assert (ROOT / SERVICES["pgbouncer"]["build"] / "Dockerfile").exists()
    mounted = [volume.partition(":")[0] for volume in SERVICES["proxy"]["volumes"] if volume.startswith(".")]
    assert mounted
    assert all((ROOT / path).exists() for path in mounted)
