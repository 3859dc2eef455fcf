"""Chromium, driven by Playwright, and the running project.

Playwright keeps an event loop running in the main thread, in which Django refuses its ORM: so these tests
speak to the project over HTTP alone, and the browser ends before another folder's tests begin.
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

from tests.browser.site import ROOT, Site, running_site
from tests.browser.watch import Watch

SCREENSHOTS = ROOT / "test-output" / "screenshots"
# As root there is no sandbox; the rest keeps the browser from looking for its maker's servers.
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Milliseconds; a machine may do much else beside.
PATIENCE = 30_000
Open = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Give the path of Debian's Chromium. Without one the tests are skipped, or fail if it is required."""
    found = shutil.which("chromium")
    if found:
        return found
    reason = "no chromium on PATH (Debian: apt-get install chromium)"
    if os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(f"REQUIRE_BROWSER is set, but there is {reason}.")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def site(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the project once for all; every test signs up people of its own."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser, site: Site) -> Iterator[Open]:
    """Open pages of fresh browsers (options as of Browser.new_context), under watch."""
    watch, contexts = Watch(site.api, site.clerk), []

    def new_page(**options: Any) -> Page:
        contexts.append(browser.new_context(locale="en-GB", timezone_id="UTC", **options))
        contexts[-1].set_default_timeout(PATIENCE)
        return watch.over(contexts[-1])

    yield new_page
    for context in contexts:
        context.close()
    assert watch.trouble == []


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Keep a picture of a page in test-output/screenshots."""

    def shoot(page: Page, name: str) -> Path:
        path = SCREENSHOTS / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return shoot
