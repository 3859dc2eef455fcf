"""The sandbox: the client in a real browser, on another origin than the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.reading import accessibility_faults, fits_width, low_contrast_texts
from tests.browser.site import Site

Shoot = Callable[[Page, str], Path]
Open = Callable[..., Page]


@pytest.fixture
def sandbox(new_page: Open, site: Site) -> Page:
    page = new_page(viewport={"width": 1200, "height": 1000})
    page.goto(f"{site.clerk}/sandbox")
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()
    return page


def press(page: Page, name: str, *, until: str = "") -> None:
    """Press a button and wait until the last line of the log contains `until`."""
    page.get_by_role("button", name=name, exact=True).click()
    if until:
        expect(log(page).last).to_contain_text(until)


def sign_in(page: Page, site: Site, handle: str, **fields: Any) -> str:
    """Create a user in Clerk and sign in to the page. Return the Clerk id."""
    clerk_id = site.create_user(handle, **fields)
    page.reload()
    page.get_by_label("User").select_option(label=handle)
    press(page, "Sign in")
    expect(row(page)).to_contain_text(clerk_id)
    return clerk_id


def row(page: Page) -> Locator:
    return page.locator("#row")


def log(page: Page) -> Locator:
    return page.locator("#log li")


def log_lines(page: Page) -> list[str]:
    """Return the lines of the log without their times."""
    return [re.sub(r"^\S+\s+", "", line) for line in log(page).all_inner_texts()]


def test_a_sign_in_creates_a_row_and_shows_the_session(sandbox: Page, site: Site, shoot: Shoot) -> None:
    clerk_id = sign_in(sandbox, site, "sandy", first_name="Sandy", last_name="Shore")
    expect(row(sandbox)).to_contain_text("Sandy")
    assert log_lines(sandbox) == ["signed in as sandy", "getToken: a first token", "GET /api/v1/me: 200"]
    press(sandbox, "GET /session")
    expect(sandbox.locator("#claims")).to_contain_text(clerk_id)
    expect(sandbox.locator("#claims")).to_contain_text(site.clerk)
    shoot(sandbox, "sandbox-signed-in")


def test_a_changed_name_arrives_by_webhook(sandbox: Page, site: Site, shoot: Shoot) -> None:
    sign_in(sandbox, site, "renamed", first_name="Before")
    sandbox.get_by_label("First name").fill("<b>After</b>")
    press(sandbox, "Save")
    expect(row(sandbox)).to_contain_text("<b>After</b>")
    expect(log(sandbox).filter(has_text="webhook user.updated: 200")).to_contain_text("updated")
    shoot(sandbox, "sandbox-renamed")


def test_an_expired_token_is_renewed_automatically(sandbox: Page, site: Site, shoot: Shoot) -> None:
    sign_in(sandbox, site, "expired")
    press(sandbox, "Expire the token", until="ended an hour ago")
    press(sandbox, "Clear")
    press(sandbox, "GET /me")
    expect(log(sandbox).last).to_contain_text("200")
    assert log_lines(sandbox) == [
        "getToken: the stored token",
        "GET /api/v1/me: 401 token_expired",
        "getToken: the stored token",
        "getToken, skipCache: a fresh token",
        "GET /api/v1/me: 200",
    ]
    shoot(sandbox, "sandbox-expired")


def test_five_calls_with_an_expired_token_renew_it_once(sandbox: Page, site: Site) -> None:
    sign_in(sandbox, site, "five")
    press(sandbox, "Expire the token", until="ended an hour ago")
    press(sandbox, "Clear")
    press(sandbox, "Five at once")
    expect(log(sandbox).filter(has_text=": 200")).to_have_count(5)
    assert log_lines(sandbox).count("getToken, skipCache: a fresh token") == 1


def test_a_key_rotation_causes_no_error(sandbox: Page, site: Site) -> None:
    sign_in(sandbox, site, "rotated")
    press(sandbox, "Rotate the keys", until="a new signing key")
    press(sandbox, "Clear")
    press(sandbox, "GET /me")
    expect(log(sandbox).last).to_contain_text("200")
    assert log_lines(sandbox) == ["getToken: a first token", "GET /api/v1/me: 200"]


def test_known_keys_verify_while_the_jwks_endpoint_is_down(sandbox: Page, site: Site, shoot: Shoot) -> None:
    sign_in(sandbox, site, "outage")
    press(sandbox, "JWKS endpoint down", until="answers 503")
    try:
        press(sandbox, "GET /me", until="GET /api/v1/me: 200")
        shoot(sandbox, "sandbox-keys-down")
    finally:
        press(sandbox, "JWKS endpoint up", until="answers again")


def test_a_user_deleted_in_clerk_is_refused_without_a_retry(sandbox: Page, site: Site, shoot: Shoot) -> None:
    sign_in(sandbox, site, "deleted")
    press(sandbox, "Clear")
    press(sandbox, "Delete the user")
    expect(row(sandbox)).to_contain_text("ApiError 401 user_deleted")
    assert log_lines(sandbox)[2:4] == ["getToken: the stored token", "GET /api/v1/me: 401 user_deleted"]
    shoot(sandbox, "sandbox-deleted")
    press(sandbox, "Expire the token")
    expect(sandbox.locator("#notice")).to_contain_text("No user is called")


def test_after_a_sign_out_the_page_asks_to_sign_in(sandbox: Page, site: Site) -> None:
    sign_in(sandbox, site, "leaving")
    press(sandbox, "Sign out")
    press(sandbox, "GET /me")
    expect(log(sandbox).filter(has_text="onSignedOut")).to_be_visible()
    expect(log(sandbox).last).to_contain_text("401 not_authenticated")
    press(sandbox, "Save")
    expect(sandbox.locator("#notice")).to_have_text("Sign in first.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_readable_on_a_phone(new_page: Open, site: Site, shoot: Shoot, scheme: str) -> None:
    phone = new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    phone.goto(f"{site.clerk}/sandbox")
    sign_in(phone, site, f"phone-{scheme}", first_name="Wolfeschlegel" * 19)
    shoot(phone, f"sandbox-phone-{scheme}")
    assert fits_width(phone)
    assert low_contrast_texts(phone, "body *") == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_the_pages_of_the_emulator_have_no_accessibility_fault(
    axe: str, new_page: Open, site: Site, scheme: str, width: int
) -> None:
    page = new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(site.clerk)
    assert accessibility_faults(page, axe=axe) == []
    page.get_by_role("link", name="The sandbox").click()
    expect(page.get_by_label("User")).to_be_visible()
    assert accessibility_faults(page, axe=axe) == []
    sign_in(page, site, f"axe-{scheme}", first_name="Axe")
    for _ in range(25):
        press(page, "Expire the token")
    press(page, "GET /session")
    expect(page.locator("#claims")).to_contain_text("session_id")
    assert page.evaluate("document.getElementById('log-view').scrollTop") > 0
    assert accessibility_faults(page, axe=axe) == []
    press(page, "Delete the user")
    expect(row(page)).to_contain_text("user_deleted")
    press(page, "Expire the token")
    expect(page.get_by_role("alert")).to_be_visible()
    assert accessibility_faults(page, axe=axe) == []
