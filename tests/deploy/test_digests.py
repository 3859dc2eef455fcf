"""Images of others are named by their digest, and `make digests` renews it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.context import DOCKERFILES, ROOT

FILES = ("Dockerfile", "deploy/pgbouncer/Dockerfile", "compose.yaml")
PINNED = re.compile(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}")
NEW = "sha256:" + 32 * "4f"
# Answers as a registry does, for each kind of client.
CLIENT = f"""#!/bin/sh
echo "$@" >>"$0.log"
echo {NEW}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a clone of the files, with a PATH of a few programs and no client of a registry."""
    for name in (*FILES, ".ci/digests"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "dirname", "grep", "sed", "sort"):
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def renew(machine: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [".ci/digests"],
        cwd=machine,
        env={"PATH": str(machine / "bin")},
        check=False,
        capture_output=True,
        text=True,
    )


def add_client(machine: Path, name: str, *, text: str = CLIENT) -> Path:
    """Add a client of registries to the PATH; return the file with the arguments of its calls."""
    program = machine / "bin" / name
    program.write_text(text)
    program.chmod(0o755)
    return program.with_name(f"{name}.log")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=["product", "pgbouncer"])
def test_each_base_image_has_a_digest(dockerfile: Path) -> None:
    text = dockerfile.read_text()
    (base,) = re.findall(r"^ARG BASE=(.+)$", text, re.MULTILINE)

    assert PINNED.fullmatch(base)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}


def test_each_image_of_compose_that_is_not_built_has_a_digest() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    images = [service["image"] for service in services.values() if "build" not in service]

    assert len(images) == 2
    assert [image for image in images if not PINNED.fullmatch(image)] == []


@pytest.mark.parametrize("client", ["docker", "skopeo"])
def test_the_newest_digest_is_written_and_nothing_else(machine: Path, client: str) -> None:
    before = {name: (machine / name).read_text() for name in FILES}
    log = add_client(machine, client)

    done = renew(machine)

    assert done.returncode == 0, done.stderr
    asked = re.findall(r"(?<!\S)(?:docker://)?([a-z]+:[\w.-]+)$", log.read_text(), re.MULTILINE)
    assert asked == ["caddy:2", "debian:trixie-slim", "postgres:17", "python:3.13-slim-trixie"]
    for name in FILES:
        expected = re.sub(r"@sha256:[0-9a-f]{64}", f"@{NEW}", before[name])
        assert (machine / name).read_text() == expected != before[name]


def test_without_a_client_of_registries_the_next_step_is_named(machine: Path) -> None:
    before = (machine / "Dockerfile").read_text()

    done = renew(machine)

    assert done.returncode == 1
    assert (
        done.stderr
        == "Neither docker with buildx nor skopeo is installed: install one of them, then try again.\n"
    )
    assert (machine / "Dockerfile").read_text() == before


def test_an_answer_that_is_no_digest_changes_nothing(machine: Path) -> None:
    before = (machine / "compose.yaml").read_text()
    add_client(machine, "skopeo", text="#!/bin/sh\necho none\n")

    done = renew(machine)

    assert done.returncode == 1
    assert "caddy:2: the answer of the registry is no digest: none" in done.stderr
    assert (machine / "compose.yaml").read_text() == before
