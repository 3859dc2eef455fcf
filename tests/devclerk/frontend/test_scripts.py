"""Clerk's scripts from the installed packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from devclerk.emulator import Emulator
from devclerk.server import Server

SCRIPT = "/npm/@clerk/clerk-js@6/dist/clerk.browser.js"


@pytest.fixture
def node_modules(tmp_path: Path) -> Path:
    """Return a folder with the files of one package."""
    folder = tmp_path / "node_modules"
    dist = folder / "@clerk" / "clerk-js" / "dist"
    (dist / "types").mkdir(parents=True)
    (dist / "clerk.browser.js").write_text("the script")
    (dist / "types" / "index.js").write_text("another script")
    (dist / "secret.env").write_text("CLERK_SECRET_KEY=sk_test_x")
    (folder / "outside.js").write_text("outside")
    return folder


@pytest.fixture
def server(node_modules: Path) -> Iterator[Server]:
    with Server(Emulator(), node_modules=node_modules) as server:
        yield server


def get(server: Server, path: str) -> requests.Response:
    """Ask for exactly this path, which `requests` would normalize."""
    session = requests.Session()
    session.trust_env = False
    prepared = requests.Request("GET", server.origin, headers={"Origin": "http://localhost:3000"}).prepare()
    prepared.url = server.origin + path
    return session.send(prepared, timeout=10)


@pytest.mark.parametrize("version", ["6", "6.40.0", "canary", "latest"])
def test_the_installed_version_is_served_for_every_version(server: Server, version: str) -> None:
    response = get(server, f"/npm/@clerk/clerk-js@{version}/dist/clerk.browser.js")
    assert (response.status_code, response.text) == (200, "the script")
    assert response.headers["Content-Type"].startswith("text/javascript")
    assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def test_a_file_in_a_folder_is_served(server: Server) -> None:
    assert get(server, "/npm/@clerk/clerk-js@6/dist/types/index.js").text == "another script"


@pytest.mark.parametrize(
    "name",
    [
        "../../../outside.js",
        "..%2f..%2f..%2foutside.js",
        "types/../../../../outside.js",
        "secret.env",
        "none.js",
    ],
)
def test_nothing_else_is_served(server: Server, name: str) -> None:
    response = get(server, f"/npm/@clerk/clerk-js@6/dist/{name}")
    assert response.status_code == 404
    assert "outside" not in response.text.replace(name, "")
    assert "sk_test" not in response.text


def test_other_packages_are_not_served(server: Server) -> None:
    assert get(server, "/npm/@clerk/backend@3/dist/index.js").status_code == 404
    assert get(server, "/npm/next@16/dist/index.js").status_code == 404


def test_a_package_that_is_not_installed_is_named_with_the_command(server: Server) -> None:
    response = get(server, "/npm/@clerk/ui@1/dist/ui.browser.js")
    assert response.status_code == 404
    assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert "npm install @clerk/ui" in response.json()["detail"]
    assert "--node-modules or CLERK_NODE_MODULES" in response.json()["detail"]
    assert "prefetchUI={false}" in response.json()["detail"]


def test_without_a_folder_the_option_is_named() -> None:
    with Server(Emulator()) as server:
        response = get(server, SCRIPT)
    assert response.status_code == 404
    assert "no node_modules folder is named" in response.json()["detail"]
    assert "--node-modules" in response.json()["detail"]
