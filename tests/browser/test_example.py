"""Notes in examples/nextjs, built and driven in Chromium with Clerk's own packages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import requests
from playwright.sync_api import Route, expect

from tests.browser.example import BUILD_SECONDS, EXAMPLE, App, Example


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
