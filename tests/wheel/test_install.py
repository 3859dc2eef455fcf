"""docs/install.md: its lines and commands, in a fresh project whose apps have the names of our packages."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.docs.documents import ROOT, Block, blocks
from tests.ports import free_port
from tests.wheel.staging import KEPT_VARIABLES, MIGRATED, Staging

PAGE = ROOT / "docs/install.md"
SETTINGS = """
INSTALLED_APPS += ["accounts", "api", "drf_spectacular"]
REST_FRAMEWORK["DEFAULT_SCHEMA_CLASS"] = "drf_spectacular.openapi.AutoSchema"
"""
USER = "from django.contrib.auth.models import User; User.objects.create_user('old', email='{}@example.test')"
START_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The project of the page and the ports of its two servers."""

    folder: Path
    installed: Path
    port: int
    clerk_port: int

    def run(self, script: str) -> str:
        """Run lines of a shell with the ports of this site; all must succeed. Return what they print."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.with_ports(script)],  # noqa: S607 - any bash will do
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def with_ports(self, text: str) -> str:
        """Return a text of the page with the ports of this site."""
        return text.replace(":8000", f":{self.port}").replace(":8001", f":{self.clerk_port}")

    def environment(self) -> dict[str, str]:
        """Return the environment of a terminal in which the package is installed."""
        known = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        return known | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{known['PATH']}",
            "PYTHONPATH": str(self.installed),
            "CLERK_PORT": str(self.clerk_port),
        }

    @contextmanager
    def serve(self, *arguments: str, address: str) -> Iterator[None]:
        """Run a server of the project until the block ends."""
        command = [sys.executable, "manage.py", *arguments]
        with subprocess.Popen(command, cwd=self.folder, env=self.environment()) as server:
            try:
                wait_until_it_answers(address)
                yield
            finally:
                server.terminate()  # SIGINT is ignored by children of a shell's background job


def wait_until_it_answers(address: str) -> None:
    """Wait for a server. Raises requests.ConnectionError after a minute."""
    give_up_at = time.monotonic() + START_SECONDS
    while True:
        try:
            requests.get(address, timeout=5)
        except requests.ConnectionError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="module")
def site(staging: Staging, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Create a project with Django's own command and add what the page shows."""
    folder = tmp_path_factory.mktemp("site")
    site = Site(folder=folder, installed=staging.installed, port=free_port(), clerk_port=free_port())
    site.run("django-admin startproject mysite . && mkdir accounts api && touch {accounts,api}/__init__.py")
    for block in blocks(PAGE, language="python"):
        if block.excuse is not None:
            continue
        name, _, text = block.text.partition("\n")
        file = find_file(site, name.removeprefix("# "))
        with file.open("a") as stream:
            stream.write(site.with_ports(text))
    with (folder / "mysite/settings.py").open("a") as stream:
        stream.write(SETTINGS)
    shutil.copy(Path(__file__).parent / "project/test_project.py", folder)
    return site


def find_file(site: Site, name: str) -> Path:
    """Return the file that a block of the page belongs to."""
    return site.folder / ("" if "test" in name else "mysite") / name


def shown(start: str) -> Block:
    """Return the block of commands that begins with these words."""
    (block,) = [block for block in blocks(PAGE, language="sh") if block.text.startswith(start)]
    return block


def emulator(site: Site, *, webhooks: bool) -> AbstractContextManager[None]:
    """Run the emulator as the page shows it, with or without webhooks."""
    commands = [block.text for block in blocks(PAGE, language="sh") if "devclerk serve" in block.text]
    (command,) = [command for command in commands if ("--webhook-url" in command) is webhooks]
    arguments = shlex.split(site.with_ports(command))[2:]
    address = f"http://127.0.0.1:{site.clerk_port}/_dev/people"
    return site.serve(*arguments, "--port", str(site.clerk_port), address=address)


def undo(site: Site, name: str) -> None:
    """Delete the row of a user of the emulator, as the page shows it."""
    (block,) = [block for block in blocks(PAGE, language="python") if block.excuse is not None]
    users = requests.get(f"http://127.0.0.1:{site.clerk_port}/_dev/people", timeout=5).json()["people"]
    (clerk_id,) = [user["id"] for user in users if user["handle"] == name]
    lines = block.text.replace("user_...", clerk_id)
    site.run(f"python manage.py shell -c {shlex.quote(lines)}")


def test_the_commands_of_the_page_work_in_a_fresh_project(site: Site) -> None:
    migrated = site.run(shown("python manage.py check").text)
    site.run(f'python manage.py shell -c "{USER.format("ada")}"')
    runserver = ("runserver", "--noreload", f"127.0.0.1:{site.port}")
    with emulator(site, webhooks=False):
        linked = site.run(shown("python manage.py link_users").text)
        site.run(f'python manage.py shell -c "{USER.format("yuki").replace("old", "late")}"')
        undo(site, "yuki")
        late = site.run("python manage.py link_users --apply")
    with ExitStack() as servers:
        servers.enter_context(emulator(site, webhooks=True))
        api = f"http://127.0.0.1:{site.port}/health/live"
        servers.enter_context(site.serve(*runserver, address=api))
        answer = site.run(shown("token=").text)
        webhook = site.run(shown("python manage.py devclerk update").text)
        doctor = site.run(shown("python manage.py clerk_doctor").text)
    tests = site.run(shown("python -m pytest").text)
    django_tests = site.run(f"{shown('python manage.py test').text.strip()} 2>&1")

    assert all(f"Applying {label}.0001_initial... OK" in migrated for label in MIGRATED)
    assert linked.count("by_verified_email") >= 2
    assert "  linked by_verified_email" in late
    assert '"clerk_id":"user_' in answer
    assert '200 {"outcome": "updated"}' in webhook
    assert "errors: read them" in doctor or "CLERK_" in doctor
    assert " passed" in tests
    assert "System check identified no issues" in django_tests


def test_no_migration_is_missing_and_the_schema_has_the_token(site: Site) -> None:
    labels = " ".join(MIGRATED)
    missing = site.run(f"python manage.py makemigrations --check --dry-run {labels}")
    schema = site.run("python manage.py spectacular")

    assert "No changes detected" in missing
    assert "ClerkSession:" in schema
