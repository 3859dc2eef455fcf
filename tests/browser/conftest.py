"""Chromium, driven by Playwright, and the running project.

Playwright keeps an event loop running in the main thread, and Django refuses its ORM there. So these tests
use the project over HTTP alone, and the browser ends before the tests of another folder start.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.example import EXAMPLE, App, Example, running_example
from tests.browser.site import ROOT, Site, running_site
from tests.browser.watch import Watch
from tests.node import require_node

AXE = ROOT / "clients" / "typescript" / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = ROOT / "test-output" / "screenshots"
# Chromium has no sandbox as root. The rest prevents requests to the servers of its vendor.
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page that a test answers itself counts as one of another network, which may not call this machine.
    "--disable-features=LocalNetworkAccessChecks",
)
# Long, because the machine may be busy.
TIMEOUT_MS = 30_000
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Chromium. Without it the tests are skipped, or fail with REQUIRE_BROWSER."""
    found = shutil.which("chromium")
    if found:
        return found
    reason = "no chromium on PATH (Debian: apt-get install chromium)"
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(f"REQUIRE_BROWSER is set, but there is {reason}.")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the project once for all tests; each creates its own users."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=TIMEOUT_MS)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the script of axe. Without it the tests are skipped, or fail with REQUIRE_NODE."""
    if AXE.exists():
        return AXE.read_text()
    reason = "the packages of the TypeScript client are not installed (make client)"
    if os.environ.get("REQUIRE_NODE") == "1":
        pytest.fail(f"REQUIRE_NODE is set, but {reason}.")
    pytest.skip(reason)


@pytest.fixture
def new_page(browser: Browser, site: Site) -> Iterator[Open]:
    """Return a function that opens a page in a new, watched context, with options of Browser.new_context."""
    watch, contexts = Watch(site.api, site.clerk), []

    def new_page(**options: Any) -> Page:
        contexts.append(browser.new_context(locale="en-GB", timezone_id="UTC", **options))
        contexts[-1].set_default_timeout(TIMEOUT_MS)
        return watch.open_page(contexts[-1])

    yield new_page
    for context in contexts:
        context.close()
    assert watch.problems == []


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Return a function that saves a screenshot of a page in test-output/screenshots."""

    def shoot(page: Page, name: str) -> Path:
        path = SCREENSHOTS / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return shoot


# It ends with the last test of the folder, because another process may wait for its lock.
@pytest.fixture(scope="package")
def example(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Build the example and start it. Skip with a reason without Node or packages; fail with REQUIRE_NODE."""
    require_node(
        EXAMPLE / "node_modules" / ".installed", name="examples/nextjs", command=".ci/example install"
    )
    with running_example(tmp_path_factory.mktemp("example")) as example:
        yield example


@pytest.fixture
def watch(example: Example) -> Watch:
    """Record errors of the example's pages, and requests to other machines."""
    return Watch(example.site.api, example.url)


@pytest.fixture
def app(browser: Browser, example: Example, watch: Watch) -> Iterator[App]:
    """Open the example in a browser without cookies."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(TIMEOUT_MS)
    yield App(watch.open_page(context), example)
    context.close()
    assert watch.problems == []
