"""examples/nextjs, built and driven in Chromium with Clerk's own packages, on the API and the emulator."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, Response, Route, expect

from tests.browser.conftest import TIMEOUT_MS
from tests.browser.site import ROOT, Site, running_site
from tests.browser.watch import Watch
from tests.node import require_node
from tests.ports import free_port

EXAMPLE = ROOT / "examples" / "nextjs"
BUILD_SECONDS = 600
START_SECONDS = 60
LEEWAY_SECONDS = 5  # of the API, for clocks that differ
# The build takes half a minute, so one worker builds it and runs all of these tests.
pytestmark = pytest.mark.xdist_group("example")


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


@pytest.fixture(scope="module")
def example(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Build the example and start it. Skip with a reason without Node or packages; fail with REQUIRE_NODE."""
    require_node(
        EXAMPLE / "node_modules" / ".installed", name="examples/nextjs", command=".ci/example install"
    )
    with (
        only_one(),
        running_site(
            tmp_path_factory.mktemp("example"),
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


@pytest.fixture
def watch(example: Example) -> Watch:
    """Record errors of the pages, and requests to other machines."""
    return Watch(example.site.api, example.url)


@pytest.fixture
def app(browser: Browser, example: Example, watch: Watch) -> Iterator[App]:
    """Open a browser without cookies."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(TIMEOUT_MS)
    yield App(watch.open_page(context), example)
    context.close()
    assert watch.problems == []


def take_problems(watch: Watch) -> set[str]:
    """Return the first line of each problem so far, without queries, and forget them."""
    lines = {problem.partition("\n")[0].partition("?")[0] for problem in watch.problems}
    watch.problems.clear()
    return lines


def test_a_visitor_signs_in_and_gets_a_row(app: App, example: Example) -> None:
    assert requests.get(f"{example.url}/api/export", timeout=20).status_code == 401
    app.sign_in("visitor")
    assert app.page.url == f"{example.url}/notes"
    expect(app.page.get_by_text("You have no notes yet.")).to_be_visible()
    assert app.answers == ["GET 200"]


def test_a_note_is_created_and_listed(app: App, example: Example) -> None:
    app.sign_in("creator")
    app.add("Milk")
    expect(app.note("Milk")).to_be_visible()
    expect(app.page.get_by_label("Title", exact=True)).to_have_value("")
    assert example.titles("creator") == ["Milk"]
    assert app.page.request.get(f"{example.url}/api/export").text() == "Milk\n"


def test_the_serializer_names_the_field_of_an_error(app: App, example: Example) -> None:
    app.sign_in("mistaken")
    for title, problem in (
        ("", "This field may not be blank."),
        ("x" * 81, "Ensure this field has no more than 80 characters."),
    ):
        app.add(title)
        expect(app.page.locator("#problem")).to_have_text(problem)
    assert example.titles("mistaken") == []


def test_a_deleted_note_leaves_the_list_before_the_answer(app: App, example: Example) -> None:
    app.sign_in("deleter")
    app.add("Bread")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    app.page.route("**/api/v1/notes/*", hold)
    app.page.get_by_role("button", name="Delete Bread").click()
    expect(app.note("Bread")).to_be_hidden()
    assert example.titles("deleter") == ["Bread"]
    held[-1].continue_()
    expect(app.page.get_by_text("You have no notes yet.")).to_be_visible()
    assert example.titles("deleter") == []


def test_a_deletion_that_failed_is_undone(app: App) -> None:
    app.sign_in("offline")
    app.add("Salt")
    app.page.route("**/api/v1/notes/*", lambda route: route.abort())
    app.page.get_by_role("button", name="Delete Salt").click()
    expect(app.page.get_by_text("The note was not deleted: The service is not available.")).to_be_visible()
    expect(app.note("Salt")).to_be_visible()


def test_the_list_has_pages(app: App, example: Example) -> None:
    example.site.create_user("writer")
    for number in range(25):
        assert example.call("POST", "notes", handle="writer", title=f"Note {number}").status_code == 201
    app.page.goto(f"{example.url}/notes")
    app.choose("writer")
    more = app.page.get_by_role("button", name="More")
    for count in (10, 20):
        expect(app.page.get_by_role("listitem")).to_have_count(count)
        more.click()
    expect(app.page.get_by_role("listitem")).to_have_count(25)
    expect(more).to_be_hidden()


def test_a_token_that_expires_during_use_is_renewed(app: App, example: Example) -> None:
    example.site.control("frontend", lifetime=5)
    try:
        app.sign_in("expiring")
        app.page.goto("about:blank")  # where clerk-js renews nothing
        time.sleep(5 + LEEWAY_SECONDS + 1)
    finally:
        example.site.control("frontend", lifetime=60)
    app.answers.clear()
    app.page.goto(f"{example.url}/notes")
    app.expect_owner("expiring")
    app.add("Late")
    expect(app.note("Late")).to_be_visible()
    assert app.answers == ["GET 200", "POST 201", "GET 200"]


def test_a_refused_token_is_renewed_once(app: App, example: Example) -> None:
    app.sign_in("renewing")
    example.site.control("frontend", fault="wrong_azp")
    app.page.evaluate("Clerk.session.getToken({skipCache: true})")
    app.answers.clear()
    app.add("Once")
    expect(app.note("Once")).to_be_visible()
    assert app.answers == ["POST 401", "POST 201", "GET 200"]


def test_a_key_outage_signs_no_user_out(app: App, example: Example, watch: Watch) -> None:
    app.sign_in("patient")
    app.add("Kept")
    expect(app.note("Kept")).to_be_visible()
    # The frontend's server has fetched the new key when the outage begins; the API has not.
    example.site.control("rotate")
    app.page.evaluate("Clerk.session.getToken({skipCache: true})")
    assert app.page.request.get(example.url).ok
    example.site.control("keys", state="down")
    try:
        app.add("Lost")
        expect(app.page.locator("#problem")).to_have_text("The service is not available")
        expect(app.note("Kept")).to_be_visible()
        app.page.reload()
        expect(app.page.get_by_role("heading", name="The service is not available")).to_be_visible()
        expect(app.page.get_by_role("button", name="patient@example.test")).to_be_visible()
    finally:
        example.site.control("keys", state="up")
    assert take_problems(watch) == {
        f"503 {example.site.api}/api/v1/notes",
        "ApiError: The service cannot answer at the moment. Nothing is lost; try again shortly.",
    }
    app.page.get_by_role("button", name="Try again").click()
    expect(app.note("Kept")).to_be_visible()
    # The API fetches the keys once in ten seconds, so an attempt may come too early.
    assert take_problems(watch) <= {f"503 {example.site.api}/api/v1/notes"}


def test_after_a_switch_nothing_of_the_other_user_is_visible(app: App) -> None:
    app.sign_in("first")
    app.add("Secret of the first")
    expect(app.note("Secret of the first")).to_be_visible()
    app.page.get_by_role("button", name="Add account").click()
    app.example.site.create_user("second")
    app.choose("second")
    expect(app.page.get_by_text("You have no notes yet.")).to_be_visible()
    app.page.get_by_role("button", name="first@example.test").click()
    expect(app.note("Secret of the first")).to_be_visible()
    app.expect_owner("first")
    app.add("Half a title")
    expect(app.note("Half a title")).to_be_visible()
    app.page.get_by_label("Title", exact=True).fill("A draft of the first")

    # Records each change of the page that shows the second account and anything of the first.
    app.page.evaluate(
        """() => {
          window.leaks = [];
          new MutationObserver(() => {
            const active = document.querySelector('[aria-pressed=true]')?.textContent ?? '';
            const main = document.querySelector('main');
            const text = main.innerText + [...main.querySelectorAll('input')].map(({ value }) => value);
            if (active.startsWith('second') && text.includes('first')) window.leaks.push(text);
          }).observe(document.body, {
            subtree: true, childList: true, attributes: true, characterData: true,
          });
        }"""
    )
    app.page.get_by_role("button", name="second@example.test").click()
    app.expect_owner("second")
    expect(app.page.get_by_text("You have no notes yet.")).to_be_visible()
    assert app.page.evaluate("leaks") == []
    expect(app.page.get_by_label("Title", exact=True)).to_have_value("")


def test_a_banned_user_has_no_access(app: App, example: Example, watch: Watch) -> None:
    app.sign_in("banned")
    answer = example.site.control("people/banned/update", banned=True)
    await_delivery(example.site, str(answer["svix_id"]))
    app.reopen()
    expect(app.page.get_by_role("heading", name="You have no access")).to_be_visible()
    assert take_problems(watch) == {
        "ApiError: This account is banned or deactivated. Contact the support team."
    }
    app.page.get_by_role("button", name="Use another account").click()
    expect(app.page.get_by_role("button", name="Sign in")).to_be_visible()
    app.page.goto(f"{example.url}/notes")
    app.page.get_by_label("Another user").fill("banned")
    app.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(app.page.get_by_role("alert")).to_have_text("This user is banned and cannot sign in.")


def await_delivery(site: Site, svix_id: str) -> None:
    """Wait until the API has taken the webhook."""
    for _ in range(100):
        attempts = requests.get(f"{site.clerk}/_dev/deliveries/{svix_id}", timeout=20).json()["attempts"]
        if any(attempt["status"] == 200 for attempt in attempts):
            return
        time.sleep(0.1)
    pytest.fail("the webhook was not delivered")


def test_a_session_that_the_api_refuses_leads_to_the_sign_in(
    app: App, example: Example, watch: Watch
) -> None:
    app.sign_in("refused")
    example.site.control("frontend", fault="wrong_azp", times=2)
    app.page.evaluate("Clerk.session.getToken({skipCache: true})")
    app.reopen()
    expect(app.page.get_by_role("heading", name="Your session has ended")).to_be_visible()
    (problem,) = take_problems(watch)
    assert "The session token was refused: token_invalid_authorized_party." in problem
    app.page.get_by_role("button", name="Sign in again").click()
    app.choose("refused")


def test_a_sign_out_ends_the_access(app: App, example: Example) -> None:
    app.sign_in("leaving")
    app.page.get_by_role("button", name="Sign out").click()
    expect(app.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert not [one for one in app.page.context.cookies() if str(one["name"]).startswith("__session")]
    app.page.goto(f"{example.url}/notes")
    expect(app.page.get_by_label("Another user")).to_be_visible()
    assert re.search("/__clerk/sign-in", app.page.url)


def test_its_own_test_passes(example: Example, chromium: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["node", "node_modules/@playwright/test/cli.js", "test", "--output", str(tmp_path)],  # noqa: S607 - any node
        cwd=EXAMPLE,
        env={**os.environ, "BASE_URL": example.url, "CHROMIUM": chromium},
        check=False,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
