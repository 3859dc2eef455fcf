"""docs/your-own-clone.md: with the app that it shows, and without what it lets delete, all stays green."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.clones import commit, copy_project, git, run
from tests.docs.documents import ROOT, blocks
from tests.docs.own_app import PAGE, add_lines, write_app

PROJECT = "django-clerk-sync"
CHECKS = (
    "ruff check .",
    "ruff format --check .",
    "lint-imports",
    "deptry .",
    "mypy memos tests/memos config/urls.py",
)
# What depends on the packages and endpoints, as far as it is quick.
TESTS = (
    "tests/memos",
    "tests/api/test_schema.py",
    "tests/deploy/test_image.py::test_the_image_has_each_package_and_two_files",
    "tests/deploy/test_image.py::test_the_packages_start_without_the_rest",
    "tests/docs/test_architecture.py::test_each_package_may_import_what_its_contract_allows",
)


# Files with the name, and what `make rename` needs.
NAMED = (
    *(".ci/rename", ".ci/python", ".ci/venv", "Makefile", "README.md", "pyproject.toml", "uv.lock"),
    *("requirements.txt", "config/settings.py", "config/urls.py"),
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone with the app of the page, its migration and its part of the schema."""
    folder = copy_project(tmp_path_factory.mktemp("clone"))
    write_app(folder)
    add_lines(folder)
    run(folder, "make", "migrations")
    run(folder, "make", "schema")
    git(folder, "add", "--all")
    return folder


def test_the_checks_pass_with_the_app(clone: Path) -> None:
    for check in CHECKS:
        program, *arguments = check.split()
        run(clone, f".venv/bin/{program}", *arguments)
    changed = git(clone, "diff", "--cached", "--name-only").splitlines()
    run(clone, ".venv/bin/python", ".ci/words", *changed)
    assert "memos/migrations/0001_initial.py" in changed
    assert "api/openapi.yaml" in changed


def test_the_tests_pass_with_the_app(clone: Path) -> None:
    there = [test for test in TESTS if (clone / test.partition("::")[0]).exists()]

    done = run(clone, ".venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *there)

    assert re.search(r"^\d+ passed", done.stdout, re.MULTILINE), done.stdout


def test_nothing_that_stays_imports_what_may_be_deleted(tmp_path: Path) -> None:
    folder = copy_project(tmp_path)
    lines = re.findall(r"^git rm -r (.*?) *(?:#.*)?$", PAGE.read_text(), re.MULTILINE)
    deleted = [name for line in lines for name in line.split() if (ROOT / name).exists()]
    modules = [name.removesuffix(".py").replace("/", ".") for name in deleted if "." not in Path(name).stem]

    git(folder, "rm", "-r", *deleted)

    assert {"tests.docs", "tests.proof", "benchmarks"} & set(modules)
    names = "|".join(map(re.escape, modules))
    sources = git(folder, "ls-files", "*.py").splitlines()
    imports = re.compile(rf"^\s*(?:from|import) (?:{names})\b", re.MULTILINE)
    assert [name for name in sources if imports.search((folder / name).read_text())] == []


def test_a_later_fix_does_not_conflict_with_the_name_and_the_app(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project", names=NAMED)
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    if metadata["name"] != PROJECT:
        pytest.skip(f"this clone is named {metadata['name']}")
    rename, _, _, remotes, update, merge = (block.text for block in blocks(PAGE, language="sh"))
    shop = tmp_path / "shop"
    git(tmp_path, "clone", "--quiet", str(project), str(shop))
    for name in ("user.name", "user.email"):
        git(shop, "config", name, "n")
    run(shop, "sh", "-euc", rename)
    add_lines(shop)
    commit(shop, "own app")
    # All but the last are beside a line with the name.
    version = f'version = "{metadata["version"]}"'
    for file, old, new in (
        ("pyproject.toml", version, 'version = "9.9.9"'),
        ("uv.lock", f'name = "{PROJECT}"\n{version}', f'name = "{PROJECT}"\nversion = "9.9.9"'),
        ("requirements.txt", f"# via {PROJECT}\n", f"# via {PROJECT}\nnew==1.0\n    # via {PROJECT}\n"),
        ("README.md", f"# {PROJECT}\n", f"# The new {PROJECT}\n"),
        ("config/urls.py", '    path("", include("health.urls")),\n', '    path("", include("new.urls")),\n'),
    ):
        text = (project / file).read_text()
        assert old in text
        (project / file).write_text(text.replace(old, new, 1))
    commit(project, "later fix")

    for block in (remotes, update, merge):
        run(shop, "sh", "-euc", block)

    assert git(shop, "log", "-1", "--format=%s", "main") == "Merge branch 'base'\n"
    own = git(shop, "diff", "--unified=0", "base", "main")
    lines = ['+    "memos",', '+    path("", include("memos.urls")),']
    assert re.findall(r"^[+-] .*$", own, re.MULTILINE) == lines
    assert 'name = "my-shop"\nversion = "9.9.9"' in (shop / "pyproject.toml").read_text()
    assert "new==1.0\n    # via my-shop\n" in (shop / "requirements.txt").read_text()
