"""docs/licences.md lists each locked package, and what is passed on has a licence that permits it."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

from tests.clones import git, run
from tests.docs.documents import ROOT, rows_of_table, section

PAGE = ROOT / "docs" / "licences.md"
ADVICE = "run make licences and commit docs/licences.md"
# Those that let a closed product contain the package, if its own source stays available.
PERMITTED = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"),
    *("LGPL-3.0-only", "MPL-2.0"),
}


def listed(title: str, *, page: Path = PAGE) -> dict[str, str]:
    """Return the licence by package in one table of the page; a package must not be listed twice."""
    pairs = [
        (name, licence)
        for licence, names in rows_of_table(section(page, title))[1:]
        for name in names.split(", ")
    ]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def python_packages() -> set[str]:
    """Return the names in uv.lock, without the project itself."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {package["name"] for package in packages if "registry" in package["source"]}


def image_packages() -> set[str]:
    """Return the names in requirements.txt, which the image installs."""
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))


def npm_packages() -> set[str]:
    """Return the names in each package-lock.json."""
    locks = git(ROOT, "ls-files", "*package-lock.json").splitlines()
    paths = [path for lock in locks for path in json.loads((ROOT / lock).read_text())["packages"]]
    return {path.rpartition("node_modules/")[2] for path in paths if path}


def test_each_python_package_is_listed() -> None:
    assert set(listed("The image")) == image_packages(), ADVICE
    assert set(listed("Development: Python")) == python_packages() - image_packages(), ADVICE


def test_each_npm_package_is_listed() -> None:
    client, tools = listed("The TypeScript client"), listed("Development: npm")
    dependencies = json.loads((ROOT / "clients/typescript/package.json").read_text())["dependencies"]

    assert {*client, *tools} == npm_packages(), ADVICE
    assert set(dependencies) <= set(client)
    assert not set(client) & set(tools)


def test_each_licence_is_known() -> None:
    assert "unknown" not in PAGE.read_text(), ADVICE


def test_what_is_passed_on_has_a_permitted_licence() -> None:
    for title in ("The image", "The TypeScript client"):
        for name, licence in listed(title).items():
            choices = [set(choice.split(" AND ")) for choice in licence.split(" OR ")]
            assert any(choice <= PERMITTED for choice in choices), f"{name}: {licence}"


def test_the_command_adds_a_package_and_keeps_what_is_not_installed(tmp_path: Path) -> None:
    for name in (
        "uv.lock",
        "requirements.txt",
        ".ci/licences",
        *git(ROOT, "ls-files", "*package-lock.json").split(),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    page = tmp_path / "docs" / "licences.md"
    page.parent.mkdir()
    page.write_text(re.sub(r"(, )?whitenoise(, )?", "", PAGE.read_text()))
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")

    run(tmp_path, sys.executable, ".ci/licences")

    assert listed("The image", page=page)["whitenoise"] == "MIT"
    assert set(listed("Development: Python", page=page)) == set(listed("Development: Python"))
