"""The scripts of `make run` on a machine where something is missing: one sentence with the next step."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_port

PROJECT = Path(__file__).parent.parent.parent
TOOLS = ("sh", "cat", "cksum", "dirname", "find")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return a folder with a copy of the scripts, and a PATH with a shell and nothing else."""
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    shutil.copytree(PROJECT / ".ci", tmp_path / ".ci")
    (tmp_path / "requirements.txt").write_text("")
    return tmp_path


def run(machine: Path, *command: str, **variables: str) -> tuple[int, str]:
    """Run a command. Return the exit status and the output."""
    done = subprocess.run(
        command,
        cwd=machine,
        env={"PATH": str(machine / "bin"), **variables},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def add_program(machine: Path, name: str, *, text: str) -> None:
    """Add a program to the PATH."""
    path = machine / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def add_python(machine: Path) -> None:
    """Add the Python of the tests to the PATH."""
    add_program(machine, "python3", text=f'#!/bin/sh\nexec {sys.executable} "$@"\n')


def test_a_missing_python_is_named(machine: Path) -> None:
    status, output = run(machine, ".ci/venv", "requirements.txt")

    assert status == 1
    assert output.startswith("Python 3.11 or newer is needed and python3 is not: install one")
    assert output.count("\n") == 1


def test_a_python_that_is_too_old_is_named(machine: Path) -> None:
    add_program(machine, "python3.9", text="#!/bin/sh\nexit 1\n")

    status, output = run(machine, ".ci/venv", "requirements.txt", PY="python3.9")

    assert status == 1
    assert "python3.9 is not" in output


def test_a_newer_python_is_found_beside_an_old_one(machine: Path) -> None:
    add_program(machine, "python3", text="#!/bin/sh\nexit 1\n")
    add_program(machine, "python3.12", text="#!/bin/sh\nexit 0\n")

    assert run(machine, ".ci/python") == (0, "python3.12\n")


def test_a_python_without_venv_is_named(machine: Path) -> None:
    add_program(machine, "python3", text='#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n')

    status, output = run(machine, ".ci/venv", "requirements.txt")

    assert status == 1
    assert "apt-get install python3-venv" in output
    assert "Traceback" not in output


def test_a_port_in_use_is_named(machine: Path) -> None:
    add_python(machine)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        status, output = run(machine, ".ci/ports", f"CLERK_PORT={port}")

    assert status == 1
    assert output.startswith(f"Port {port} cannot be used (Address already in use)")
    assert "e.g. make run CLERK_PORT=" in output
    assert output.count("\n") == 1


@pytest.mark.parametrize("text", ["", "http", "0", "65536", "-1", "80.5"])
def test_an_invalid_port_is_named(machine: Path, text: str) -> None:
    add_python(machine)

    status, output = run(machine, ".ci/ports", f"PORT={text}")

    assert (status, output) == (1, "PORT must be a port number from 1 to 65535, e.g. make run PORT=8010\n")


def test_free_ports_are_accepted(machine: Path) -> None:
    add_python(machine)
    assert run(machine, ".ci/ports", f"PORT={free_port()}") == (0, "")


def test_an_existing_environment_is_kept(machine: Path) -> None:
    (machine / ".venv" / "bin").mkdir(parents=True)
    (machine / ".venv" / "bin" / "python").symlink_to(sys.executable)
    stamp = subprocess.run(
        [machine / "bin" / "cksum"], input=b"", check=True, capture_output=True
    ).stdout.decode()
    (machine / ".venv" / ".installed-requirements.txt").write_text(stamp)

    assert run(machine, ".ci/venv", "requirements.txt") == (0, "")


INTO_BENCH = (".ci/venv", "--folder", ".venv-bench", "requirements.txt", "requirements-bench.txt")


@pytest.fixture
def bench_machine(machine: Path) -> Path:
    """Make a machine with a `.venv-bench` whose Python prints the arguments of pip."""
    add_python(machine)
    (machine / "requirements-bench.txt").write_text("")
    (machine / ".venv-bench" / "bin").mkdir(parents=True)
    add_program(machine, "../.venv-bench/bin/python", text='#!/bin/sh\n[ "$1" = -c ] || echo "$@"\n')
    return machine


def test_several_files_are_installed_together_into_the_named_folder(bench_machine: Path) -> None:
    status, output = run(bench_machine, *INTO_BENCH)

    assert status == 0
    assert "-m pip install" in output
    assert "--require-hashes -r requirements.txt -r requirements-bench.txt" in output
    assert not (bench_machine / ".venv").exists()


def test_nothing_is_installed_again_until_one_of_the_files_changes(bench_machine: Path) -> None:
    run(bench_machine, *INTO_BENCH)

    assert run(bench_machine, *INTO_BENCH) == (0, "")

    (bench_machine / "requirements-bench.txt").write_text("# changed\n")
    assert "-m pip install" in run(bench_machine, *INTO_BENCH)[1]


def test_make_run_checks_the_ports_first(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / ".ci", tmp_path / ".ci")
    shutil.copy(PROJECT / "Makefile", tmp_path)
    make = shutil.which("make")
    assert make

    done = subprocess.run(
        [make, "run", "PORT=none"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert "PORT must be a port number" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("folder", [".venv", ".venv-latest"])
def test_the_example_uses_the_environment_that_is_named(machine: Path, folder: str) -> None:
    for package in ("examples/nextjs", "clients/typescript"):
        (machine / package / "node_modules").mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            (machine / package / name).write_text("{}")
    (machine / "examples/nextjs/api").mkdir()
    (machine / folder / "bin").mkdir(parents=True)
    add_program(machine, "node", text="#!/bin/sh\n")
    add_program(machine, "npm", text="#!/bin/sh\n")
    add_program(machine, f"../{folder}/bin/python", text='#!/bin/sh\necho "$@"\n')
    variables = {} if folder == ".venv" else {"VENV": folder}

    status, output = run(machine, ".ci/example", "install", **variables)

    assert status == 0, output
    assert "manage.py spectacular" in output


def test_the_newest_versions_are_tested_without_those_of_the_lock() -> None:
    make = shutil.which("make")
    assert make

    lines = subprocess.run(
        [make, "--dry-run", "test-latest"], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout

    assert "VENV=.venv-latest .ci/example install" in lines
    assert ".venv/" not in lines
