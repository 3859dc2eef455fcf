"""docs/upgrading.md: what the last release promised is still there, and a clone of it takes this version."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from config.env import read_dotenv
from tests.clones import commit, git, run
from tests.config.test_version import read_project
from tests.deploy.context import known_settings
from tests.docs.documents import ROOT, blocks
from tests.docs.names import error_codes
from tests.docs.own_app import PAGE, PLACES, add_lines, write_app
from tests.releases import last_release, unpack_last_release

UPGRADING = ROOT / "docs" / "upgrading.md"
PROJECT = "django-clerk-sync"
# What the commands of Django need to start.
VARIABLES = (
    "DJANGO_DEBUG=true",
    "DATABASE_URL=sqlite:///.check.sqlite3",
    "CLERK_ISSUER=https://clerk.example.test",
    "CLERK_JWKS_URL=https://clerk.example.test/jwks",
    "CLERK_AUTHORIZED_PARTIES=https://app.example.test",
)
pytestmark = pytest.mark.skipif(
    last_release() is None, reason="the commit of LAST_RELEASE is not in this clone"
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the code of the last release."""
    folder = tmp_path_factory.mktemp("release")
    unpack_last_release(folder)
    return folder


def read_operations(schema: Path) -> dict[str, dict[str, Any]]:
    """Return each operation by method and path."""
    paths = yaml.load(schema.read_text(), Loader=yaml.CSafeLoader)["paths"]
    return {f"{method} {path}": found for path, methods in paths.items() for method, found in methods.items()}


def test_each_endpoint_of_the_last_release_is_there(release: Path) -> None:
    old, new = (read_operations(root / "api" / "openapi.yaml") for root in (release, ROOT))

    assert old.keys() <= new.keys()
    for name, operation in old.items():
        assert operation["operationId"] == new[name]["operationId"]
        assert operation["responses"].keys() <= new[name]["responses"].keys(), name
        names = {each["name"] for each in operation.get("parameters", ())}
        assert names <= {each["name"] for each in new[name].get("parameters", ())}, name


def test_each_error_code_of_the_last_release_is_there(release: Path) -> None:
    texts = [(root / "api" / "openapi.yaml").read_text() for root in (release, ROOT)]
    shown, still_shown = (set(re.findall(r"- code: (\w+)", text)) for text in texts)
    sources = [path.read_text() for path in (release / "accounts" / "clerk").glob("*.py")]
    raised = {code for text in sources for code in re.findall(r'InvalidToken\(\s*"(\w+)"', text)}

    assert shown
    assert shown <= still_shown
    assert raised
    assert raised <= error_codes()


def test_each_setting_of_the_last_release_is_there(release: Path) -> None:
    variables, _ = read_dotenv(release / ".env.example")

    assert variables
    assert set(variables) <= known_settings()


def test_each_command_of_the_last_release_is_there(release: Path) -> None:
    commands = {path.stem for path in release.glob("[a-z]*/management/commands/[a-z]*.py")}

    assert commands
    assert commands <= set(get_commands())


def test_a_clone_of_the_last_release_with_an_app_takes_this_version(tmp_path: Path) -> None:
    """The commit that is checked out counts, not what is changed in the work tree."""
    if read_project(ROOT)["name"] != PROJECT:
        pytest.skip("this is a clone with another name")
    shop = clone_last_release(tmp_path)
    (first,) = blocks(UPGRADING, language="sh")
    _, _, _, remotes, update, merge = (block.text for block in blocks(PAGE, language="sh"))
    write_app(shop)
    add_lines(shop)
    commit(shop, "own app")

    run(shop, "sh", "-euc", remotes)
    run(shop, "sh", "-euc", first.text.replace("v0.1.0", last_commit()))
    run(shop, "sh", "-euc", update)
    conflicts = merge_base_into_main(shop, merge)

    assert set(conflicts) <= PLACES.keys()
    for file in conflicts:
        git(shop, "checkout", "--theirs", file)
    if conflicts:
        add_lines(shop)
        commit(shop, "merged")
    own = git(shop, "diff", "--unified=0", "base", "main", "--", *PLACES)
    assert re.findall(r"^[+-] .*$", own, re.MULTILINE) == [
        '+    "memos",',
        '+    path("", include("memos.urls")),',
    ]
    changed = set(git(shop, "diff", "--name-only", "base", "main").splitlines()) - PLACES.keys()
    assert {name.removeprefix("tests/").partition("/")[0] for name in changed} == {"memos"}
    assert_base_is_this_version(shop)
    run_the_app(shop)


def last_commit() -> str:
    """Return the commit in LAST_RELEASE."""
    return (ROOT / "LAST_RELEASE").read_text().strip()


def clone_last_release(folder: Path) -> Path:
    """Return a clone with `main` at the last release, of a repository that has this version."""
    project, shop = folder / "project.git", folder / "shop"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(project))
    git(project, "fetch", "--quiet", "--no-tags", str(ROOT), "HEAD:refs/heads/main")
    git(folder, "clone", "--quiet", str(project), str(shop))
    for name in ("user.name", "user.email"):
        git(shop, "config", name, "n")
    git(shop, "reset", "--quiet", "--hard", last_commit())
    return shop


def merge_base_into_main(shop: Path, lines: str) -> list[str]:
    """Run the last lines of the page, and return the files that conflict."""
    subprocess.run(["sh", "-uc", lines], cwd=shop, check=False, capture_output=True)  # noqa: S607 - any sh
    return git(shop, "diff", "--name-only", "--diff-filter=U").splitlines()


def assert_base_is_this_version(shop: Path) -> None:
    """Assert that nothing of the last release is left on `base`: it is this version with another name."""
    difference = git(shop, "diff", "--unified=0", "upstream/main", "base")
    removed = re.findall(r"^-(?!--)(.*)$", difference, re.MULTILINE)
    added = re.findall(r"^\+(?!\+\+)(.*)$", difference, re.MULTILINE)
    assert removed
    assert sorted(line.replace(PROJECT, "my-shop") for line in removed) == sorted(added)


def run_the_app(shop: Path) -> None:
    """Write the migration of the app and run its tests on the merged code."""
    (shop / ".venv").symlink_to(sys.prefix)
    run(shop, "env", *VARIABLES, ".venv/bin/python", "manage.py", "makemigrations", "memos")
    done = run(shop, ".venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/memos")
    assert "1 passed" in done.stdout
