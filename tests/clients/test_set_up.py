"""`.ci/client` without Node or packages: it prints what is missing, and fails only with REQUIRE_NODE=1."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TOOLS = ("sh", "cat", "cksum", "dirname")
NO_NODE = "not done: clients/typescript, check build (Node 20 or newer with npm is not installed)\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Create a machine with the script, an empty client, and only a shell on its PATH."""
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    shutil.copytree(PROJECT / ".ci", tmp_path / ".ci")
    client = tmp_path / "clients" / "typescript"
    (client / "node_modules").mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        (client / name).write_text("{}")
    return tmp_path


def install_program(machine: Path, name: str, *, text: str) -> None:
    """Install a program on the machine's PATH."""
    path = machine / "bin" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(machine: Path, **variables: str) -> tuple[int, str]:
    """Run two scripts, and return the exit status and the output."""
    done = subprocess.run(
        [".ci/client", "check", "build"],
        cwd=machine,
        env={"PATH": str(machine / "bin"), **variables},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def test_no_node(machine: Path) -> None:
    assert run(machine) == (0, NO_NODE)


def test_no_node_where_it_is_required(machine: Path) -> None:
    assert run(machine, REQUIRE_NODE="1") == (1, NO_NODE)


def test_a_node_that_is_too_old(machine: Path) -> None:
    install_program(machine, "node", text="exit 1")
    install_program(machine, "npm", text="exit 1")

    assert run(machine) == (0, NO_NODE)


def test_packages_that_failed_to_install_are_not_recorded_as_installed(machine: Path) -> None:
    install_program(machine, "node", text="exit 0")
    install_program(machine, "npm", text="echo no way; exit 1")

    for required, status in (("0", 0), ("1", 1)):
        got, output = run(machine, REQUIRE_NODE=required)
        assert got == status
        assert "no way\nnot done:" in output
        assert "its packages could not be installed" in output


def test_packages_are_installed_once_and_again_when_the_lock_changes(machine: Path) -> None:
    install_program(machine, "node", text="exit 0")
    install_program(machine, "npm", text='echo "npm $1 ${3:-}"')

    first, second = run(machine), run(machine)
    (machine / "clients" / "typescript" / "package-lock.json").write_text('{"another": true}')
    third = run(machine)

    assert second == (0, "npm run check\nnpm run build\n")
    assert first == third
    assert "npm ci" in first[1]
    assert first[1].endswith(second[1])


def test_a_failing_script_stops_the_run(machine: Path) -> None:
    install_program(machine, "node", text="exit 0")
    install_program(machine, "npm", text='echo "npm $1"; test "$1" != run')

    assert run(machine)[0] == 1
