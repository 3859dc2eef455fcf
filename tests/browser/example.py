"""examples/nextjs, built and running on the API and the emulator, and its page in a browser."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page, Response, expect

from tests.browser.site import ROOT, Site, running_site
from tests.ports import free_port

EXAMPLE = ROOT / "examples" / "nextjs"
BUILD_SECONDS = 600
START_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The running example: the address of the frontend, and what is behind it."""

    url: str
    site: Site

    def call(self, method: str, path: str, *, handle: str, **body: Any) -> Any:
        """Call the API without the frontend."""
        headers = {"Authorization": f"Bearer {self.site.token(handle)}"}
        return requests.request(
            method, f"{self.site.api}/api/v1/{path}", json=body or None, headers=headers, timeout=20
        )

    def titles(self, handle: str) -> list[str]:
        """Return the titles of the notes that the API has."""
        return [note["title"] for note in self.call("GET", "notes", handle=handle).json()["results"]]


@contextmanager
def running_example(folder: Path) -> Iterator[Example]:
    """Build the example and run it on its own API and emulator, whose files go to the folder."""
    with (
        only_one(),
        running_site(
            folder,
            node_modules=EXAMPLE / "node_modules",
            PYTHONPATH=str(EXAMPLE),
            DJANGO_SETTINGS_MODULE="backend.settings",
        ) as site,
    ):
        lines = [line for line in site.frontend_file.read_text().splitlines() if not line.startswith("#")]
        variables = dict(line.split("=", 1) for line in lines)
        build(variables)
        with started(variables) as url:
            yield Example(url=url, site=site)


@contextmanager
def only_one() -> Iterator[None]:
    """Let one process at a time build and serve the folder of the example."""
    with (EXAMPLE / "node_modules" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(variables: dict[str, str]) -> None:
    """Build the example for these addresses, with the check of its types."""
    done = subprocess.run(
        ["node", "node_modules/next/dist/bin/next", "build"],  # noqa: S607 - any node
        cwd=EXAMPLE,
        env={**os.environ, **variables, "NEXT_TELEMETRY_DISABLED": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def started(variables: dict[str, str]) -> Iterator[str]:
    """Start the built example. Return its address."""
    port = free_port()
    url = f"http://localhost:{port}"
    child = subprocess.Popen(
        ["node", "node_modules/next/dist/bin/next", "start", "-H", "localhost", "-p", str(port)],  # noqa: S607
        cwd=EXAMPLE,
        env={**os.environ, **variables, "NEXT_TELEMETRY_DISABLED": "1"},
        stdout=subprocess.DEVNULL,
    )
    try:
        give_up_at = time.monotonic() + START_SECONDS
        while True:
            try:
                assert requests.get(url, timeout=5).ok
                break
            except requests.ConnectionError:
                assert child.poll() is None
                assert time.monotonic() < give_up_at, "the example did not start"
                time.sleep(0.1)
        yield url
    finally:
        child.terminate()
        child.wait(timeout=20)


class App:
    """The example in one tab. `answers` are method, status and path of the calls to the API."""

    def __init__(self, page: Page, example: Example) -> None:
        self.page, self.example = page, example
        self.answers: list[str] = []
        page.on("response", self._record)

    def sign_in(self, handle: str) -> None:
        """Create a user and sign in, on the way to the notes."""
        self.example.site.create_user(handle, first_name=handle.title())
        self.page.goto(f"{self.example.url}/notes")
        self.choose(handle)

    def choose(self, handle: str) -> None:
        """Choose a user on the sign-in page, and wait for the notes."""
        self.page.get_by_label("Another user").fill(handle)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.expect_owner(handle)
        expect(self.page.get_by_label("Title", exact=True)).to_be_visible()

    def expect_owner(self, handle: str) -> None:
        """Wait for what the server rendered for this user."""
        expect(self.page.locator("#owner")).to_contain_text(f"{handle}@example.test")

    def add(self, title: str) -> None:
        """Send the form for a new note."""
        self.page.get_by_label("Title", exact=True).fill(title)
        self.page.get_by_role("button", name="Add", exact=True).click()

    def note(self, title: str) -> Any:
        """Return the note in the list."""
        return self.page.get_by_role("listitem").filter(has_text=title)

    def reopen(self) -> None:
        """Leave the page of the notes and return, without a reload: the list is fetched again."""
        self.page.get_by_role("link", name="Home").click()
        expect(self.page.get_by_text("Every note has one owner")).to_be_visible()
        self.page.get_by_role("link", name="Notes", exact=True).click()

    def _record(self, response: Response) -> None:
        if "/api/v1/notes" in response.url and response.request.method != "OPTIONS":
            self.answers.append(f"{response.request.method} {response.status}")
