"""deploy/kubernetes: valid against the schemas; its addresses, commands and settings exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from health.middleware import PROBES
from tests.deploy.context import ROOT, gunicorn_setting, image_health_port, known_settings, program

FOLDER = ROOT / "deploy" / "kubernetes"
NAME = "django-clerk-sync"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
RESOURCES: list[dict[str, Any]] = [
    resource
    for name in KUSTOMIZATION["resources"]
    for resource in yaml.safe_load_all((FOLDER / name).read_text())
]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each pod with the name of its resource."""
    for resource in RESOURCES:
        job = resource.get("spec", {}).get("jobTemplate", resource)
        if "template" in job.get("spec", {}):
            yield resource["metadata"]["name"], job["spec"]["template"]["spec"]


PODS = dict(pods())
WEB = PODS[NAME]["containers"][0]
COMMANDS = {name: pod["containers"][0]["command"] for name, pod in PODS.items() if name != NAME}


@pytest.mark.parametrize("name", KUSTOMIZATION["resources"])
def test_each_file_is_valid_against_the_schemas(name: str) -> None:
    command = [program("kubernetes-validate"), "--strict", "--quiet", str(FOLDER / name)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_each_file_is_listed() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")}
    assert files == {*KUSTOMIZATION["resources"], "kustomization.yaml"}


@pytest.mark.parametrize(
    ("probe", "path"),
    [
        ("startupProbe", "/health/live"),
        ("livenessProbe", "/health/live"),
        ("readinessProbe", "/health/ready"),
    ],
)
def test_each_probe_has_its_address(probe: str, path: str) -> None:
    assert path in PROBES
    assert WEB[probe]["httpGet"] == {"path": path, "port": "health"}
    assert WEB["ports"] == [
        {"name": "http", "containerPort": 8000},
        {"name": "health", "containerPort": image_health_port()},
    ]


def test_a_pod_stops_later_than_gunicorn() -> None:
    pause = WEB["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert PODS[NAME]["terminationGracePeriodSeconds"] > pause + gunicorn_setting("graceful_timeout")


def test_there_are_jobs_for_the_migration_and_the_periodic_commands() -> None:
    assert {name: command[2] for name, command in COMMANDS.items()} == {
        f"{NAME}-migrate": "migrate",
        f"{NAME}-reconcile": "reconcile_users",
        f"{NAME}-scrub": "scrub_deleted_users",
        f"{NAME}-prune": "prune_history",
        f"{NAME}-sessions": "clearsessions",
    }


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_each_job_runs_a_command_with_known_options(command: list[str]) -> None:
    program, script, name, *options = command
    assert (program, script) == ("python", "manage.py")
    app = get_commands()[name]
    assert isinstance(app, str)
    load_command_class(app, name).create_parser("manage.py", name).parse_args(options)


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS.keys())
def test_each_pod_has_few_rights(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", PODS)
def test_each_pod_has_only_the_secrets_that_it_needs(name: str) -> None:
    own = {NAME: [f"{NAME}-web"], f"{NAME}-reconcile": [f"{NAME}-backend"]}
    (container,) = PODS[name]["containers"]
    secrets = [{"secretRef": {"name": each}} for each in (NAME, *own.get(name, []))]
    assert container["envFrom"] == [{"configMapRef": {"name": NAME}}, *secrets]


def test_the_secrets_are_described_and_known() -> None:
    text = (FOLDER / "kustomization.yaml").read_text()
    described = {
        name: set(re.findall(r"[A-Z_]+", keys))
        for name, keys in re.findall(rf"^#     ({NAME}\S*) +([A-Z_, ]+):", text, re.MULTILINE)
    }
    assert described == {
        NAME: {"DATABASE_URL", "DJANGO_SECRET_KEY"},
        f"{NAME}-web": {"CLERK_WEBHOOK_SIGNING_SECRET", "HEALTH_TOKEN"},
        f"{NAME}-backend": {"CLERK_SECRET_KEY"},
    }
    assert set().union(*described.values()) <= known_settings(secret=True)


def test_the_settings_are_known_and_not_secret() -> None:
    (settings,) = [resource["data"] for resource in RESOURCES if resource["kind"] == "ConfigMap"]
    assert set(settings) <= known_settings()
    assert not set(settings) & known_settings(secret=True)
    assert [resource for resource in RESOURCES if resource["kind"] == "Secret"] == []
