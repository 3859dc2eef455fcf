"""The wheel, installed into a folder of its own, and a copy of tests that imports `clerk_sync`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from shutil import copy
from typing import Any

from tests.packages import ROOT

KEPT_VARIABLES = ("PATH", "HOME", "LANG")
# The project around our packages, and their tests with what these import.
COPIED = (
    *("api", "config", "manage.py", "pyproject.toml"),
    *(f"tests/{name}" for name in ("accounts", "webhooks", "health", "foreign", "routers")),
)
SETTINGS = ("config/settings.py", "tests/foreign/base.py")
# The settings of each project that adopts the wheel, and the folder of its tests.
PROJECTS = {"plain": "cases", "mail": "cases", "own": "own_cases", "old_driver": "cases"}
MIGRATED = ("clerk_accounts", "clerk_webhooks", "clerk_health")


class Staging:
    """A folder with the installed wheel, from which nothing of this checkout can be imported."""

    def __init__(self, folder: Path) -> None:
        """Build the wheel as `make wheel` does, install it, and copy the tests."""
        self.installed = folder / "installed"
        self.copy = folder / "copy"
        dist = folder / "dist"
        build = ("hatchling", "build", "--target", "wheel", "--directory", str(dist))
        run(sys.executable, "-m", *build, cwd=ROOT)
        (self.wheel,) = dist.iterdir()
        # A virtual environment that uv created has no pip.
        pip = [sys.executable, "-m", "pip"] if find_spec("pip") else ["uv", "pip"]
        target = ("--quiet", "--no-deps", "--target", str(self.installed))
        run(*pip, "install", *target, str(self.wheel), cwd=folder)
        copy_tests(self.copy)

    def run(self, *arguments: str, cwd: Path, **variables: str) -> str:
        """Run a Python module in a folder, with the packages of the wheel, and return what it prints."""
        path = os.pathsep.join(map(str, (cwd, self.installed)))
        return run(sys.executable, "-m", *arguments, cwd=cwd, PYTHONPATH=path, **variables)

    def adopt(self, project: str, *options: str, database: str) -> str:
        """Run the tests of a project of `tests/foreign` with options; look for missing migrations."""
        variables = {"DJANGO_SETTINGS_MODULE": f"tests.foreign.{project}", "FOREIGN_DATABASE_URL": database}
        tests = ("pytest", f"tests/foreign/{PROJECTS[project]}", "-q", "-o", "addopts=", *options)
        migrations = ("django", "makemigrations", "--check", "--dry-run", *MIGRATED)
        return "".join(self.run(*command, cwd=self.copy, **variables) for command in (tests, migrations))


def run(*command: str, cwd: Path, **variables: str) -> str:
    """Run a program without the variables of this project and return what it prints; it must succeed."""
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | variables
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-4000:]
    return done.stdout


def copy_tests(folder: Path) -> None:
    """Copy the tests and the project around our packages, rewritten for the packages of the wheel."""
    step = load_build_step()
    for source in find_files():
        name = str(source.relative_to(ROOT))
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".py":
            text = step.rewrite_names(source.read_bytes(), name=name).decode()
            target.write_text(rewrite_texts(text, packages=step.PACKAGES, is_settings=name in SETTINGS))
        else:
            copy(source, target)


def find_files() -> Iterator[Path]:
    """Yield the files to copy, without compiled ones."""
    yield from (ROOT / "tests").glob("*.py")
    for name in COPIED:
        files = (ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name]
        yield from (file for file in files if file.is_file() and file.suffix != ".pyc")


def load_build_step() -> Any:
    """Return the module of the build step, which is in no package."""
    spec = spec_from_file_location("build_step", ROOT / ".ci/wheel.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rewrite_texts(text: str, *, packages: Sequence[str], is_settings: bool) -> str:
    """Replace the labels, tables and dotted paths of our packages, which tests and settings hold as text."""
    ours = "|".join(packages)
    children = [path.stem for package in packages for path in (ROOT / package).glob("[a-z]*")]
    rules = (
        (rf"(?<![\w/.-])(?:{ours})\.(?=(?:{'|'.join(children)})\b)", "clerk_sync."),
        (rf"(?<![\w/.-])(?:{ours})\.(?=[EW]\d|User\b)", "clerk_"),
        (rf"\b(?:{ours})_(?=user|clerkaccount|webhookevent|syncfailure|syncrun)", "clerk_"),
        (rf"(?<=/admin/)(?:{ours})/", "clerk_"),
        # Elsewhere "webhooks" is a key of the report, and "devclerk" a command.
        (rf"(?<=[\"'])(?:{ours})(?=[\"'])", "clerk_sync.")
        if is_settings
        else (r"(?<=[\"'])(?:accounts|health)(?=[\"'])", "clerk_"),
    )
    for pattern, prefix in rules:
        text = re.sub(pattern, rf"{prefix}\g<0>", text)
    return text
