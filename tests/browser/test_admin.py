"""The work of a support team in the admin, in a real browser with the running project."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Literal

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.browser.reading import fits_width, low_contrast_texts
from tests.browser.site import Site

USERS = "/admin/accounts/user/"
Shoot = Callable[[Page, str], Any]
Open = Callable[..., Page]


def sign_in(page: Page, site: Site, *, name: str, password: str) -> None:
    """Sign in to the admin by its form."""
    page.goto(f"{site.api}/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Site administration")).to_be_visible()


@pytest.fixture(scope="package")
def signed_in(browser: Browser, site: Site) -> Any:
    """Sign the superuser in once and return the state of the browser."""
    with browser.new_context() as context:
        sign_in(context.new_page(), site, name=site.admin, password=site.password)
        return context.storage_state()


@pytest.fixture
def admin(new_page: Open, signed_in: Any) -> Page:
    return new_page(viewport={"width": 1280, "height": 900}, storage_state=signed_in)


def search(page: Page, site: Site, term: str, *, state: str = "") -> None:
    page.goto(f"{site.api}{USERS}" + (f"?state={state}" if state else ""))
    page.locator("#searchbar").fill(term)
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**q=**")


def run_action(page: Page, action: str, *, shoot: Shoot | None = None) -> None:
    """Run the action on all users of the list and confirm it."""
    # Django's script resets the checkboxes at `pageshow`.
    page.wait_for_load_state()
    page.locator("#action-toggle").check()
    expect(page.locator(".action-counter")).not_to_have_text(re.compile(r"^0 "))
    page.locator("select[name=action]").select_option(label=action)
    page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
    expect(page.get_by_role("button", name="Yes, go on")).to_be_visible()
    if shoot:
        shoot(page, f"admin-confirm-{action}")
    page.get_by_role("button", name="Yes, go on").click()


def test_a_user_is_found_filtered_and_opened(admin: Page, site: Site, shoot: Shoot) -> None:
    ada = site.sign_in("augusta", first_name="Augusta", last_name="King")
    site.sign_in("charles", first_name="Charles", last_name="Babbage")
    search(admin, site, "augusta@")
    rows = admin.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Augusta King")
    expect(rows).to_contain_text("augusta@example.test")
    shoot(admin, "admin-users")
    admin.get_by_role("link", name="deactivated locally").click()
    expect(rows).to_have_count(0)
    admin.get_by_role("link", name="live", exact=True).click()
    admin.get_by_role("link", name="Augusta King").click()
    expect(admin.locator("#content")).to_contain_text("Clerk owns these")
    link = admin.get_by_role("link", name=ada["clerk_id"])
    assert str(link.get_attribute("href")).startswith("https://dashboard.clerk.com/")
    shoot(admin, "admin-user")


def test_sync_again_fixes_a_missed_webhook(admin: Page, site: Site, shoot: Shoot) -> None:
    site.sign_in("missed", first_name="Old")
    site.control("people/missed/update", first_name="New", faults={"drop": True})
    search(admin, site, "missed@")
    rows = admin.locator("#result_list tbody tr")
    expect(rows).to_contain_text("Old")
    run_action(admin, "Sync again from Clerk", shoot=shoot)
    expect(admin.locator(".messagelist .success")).to_contain_text("from Clerk: updated.")
    expect(rows).to_contain_text("New")
    expect(rows).to_contain_text("api")


def test_a_deactivated_user_is_403_in_the_api_until_activated(admin: Page, site: Site, shoot: Shoot) -> None:
    site.sign_in("inactive")
    token = site.token("inactive")
    assert site.me(token).status_code == 200
    search(admin, site, "inactive@")
    run_action(admin, "Deactivate", shoot=shoot)
    expect(admin.locator("#result_list tbody tr")).to_contain_text("deactivated locally")
    refused = site.me(token)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, "user_inactive")
    run_action(admin, "Activate")
    expect(admin.locator(".messagelist .success")).to_contain_text("Activated")
    assert site.me(token).status_code == 200


def test_a_locally_deleted_user_gets_another_row_at_the_next_sign_in(
    admin: Page, site: Site, shoot: Shoot
) -> None:
    first = site.sign_in("removed")
    search(admin, site, "removed@")
    run_action(admin, "Delete locally", shoot=shoot)
    expect(admin.locator(".messagelist .success")).to_contain_text("The next sign-in creates a new row.")
    expect(admin.locator("#result_list tbody tr")).to_have_count(0)
    second = site.me(site.token("removed")).json()
    assert (second["clerk_id"], second["id"] != first["id"]) == (first["clerk_id"], True)
    search(admin, site, first["clerk_id"])
    states = admin.locator("#result_list .field-state")
    expect(states).to_have_text(["live", "deleted locally"])
    shoot(admin, "admin-deleted-locally")


def test_a_user_deleted_in_clerk_is_found_by_the_filter_and_cannot_be_restored(
    admin: Page, site: Site
) -> None:
    site.sign_in("clerk-deleted")
    _await_delivery(site, site.control("people/clerk-deleted/delete")["svix_id"])
    rows = admin.locator("#result_list tbody tr")
    search(admin, site, "clerk-deleted@", state="clerk")
    expect(rows).to_contain_text("deleted in Clerk")
    run_action(admin, "Restore")
    expect(admin.locator(".messagelist .error")).to_contain_text("Clerk has no user")
    search(admin, site, "clerk-deleted@")
    expect(rows).to_have_count(0)


def test_an_outage_of_clerk_during_an_action_is_a_message(admin: Page, site: Site, shoot: Shoot) -> None:
    site.sign_in("twin1")
    site.sign_in("twin2")
    search(admin, site, "twin")
    expect(admin.locator("#result_list tbody tr")).to_have_count(2)
    site.control("api", status=503, times=2)  # the call and its retry
    run_action(admin, "Sync again from Clerk")
    expect(admin.locator(".messagelist .error")).to_contain_text("Clerk's Backend API answered 503")
    expect(admin.locator(".messagelist .warning")).to_contain_text("Nothing was done for the other 1")
    shoot(admin, "admin-clerk-unavailable")


def test_an_action_is_in_the_history_of_the_user(admin: Page, site: Site) -> None:
    site.sign_in("logged", first_name="Logged")
    search(admin, site, "logged@")
    run_action(admin, "Deactivate")
    admin.get_by_role("link", name="Logged").click()
    admin.get_by_role("link", name="History").click()
    expect(admin.locator("#change-history")).to_contain_text("Deactivated user_")


def test_the_page_of_a_user_links_to_its_events(admin: Page, site: Site, shoot: Shoot) -> None:
    ada = site.sign_in("notified", first_name="Before")
    change = site.control("people/notified/update", first_name="After")
    _await_delivery(site, change["svix_id"])
    search(admin, site, ada["clerk_id"])
    admin.get_by_role("link", name="After").click()
    shoot(admin, "admin-user-links")
    admin.get_by_role("link", name="Show the events of this user").click()
    expect(admin.locator("#result_list tbody tr")).to_have_count(1)
    expect(admin.locator("#result_list tbody tr")).to_contain_text(ada["clerk_id"])
    expect(admin.locator("#result_list tbody tr")).to_contain_text("user.updated")
    shoot(admin, "admin-events")


def test_local_staff_are_created_and_sign_in(admin: Page, new_page: Open, site: Site) -> None:
    admin.goto(f"{site.api}{USERS}add/")
    admin.get_by_label("Username").fill("olaf")
    for label in ("Password:", "Password confirmation:"):
        admin.get_by_label(label, exact=True).fill("q9!xkWm2vL-long")
    admin.get_by_role("button", name="Save", exact=True).click()
    admin.get_by_label("Staff status").check()
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.locator(".messagelist .success")).to_contain_text("was changed successfully")
    other = new_page()
    sign_in(other, site, name="olaf", password="q9!xkWm2vL-long")
    expect(other.get_by_text("You don\u2019t have permission")).to_be_visible()


PAGES = {
    "users": USERS,
    "user": USERS + "{row}/change/",
    "events": "/admin/webhooks/webhookevent/",
    "failures": "/admin/health/syncfailure/?state=all",
    "today": "/admin/health/syncfailure/today/",
    "runs": "/admin/accounts/syncrun/",
}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_readable_on_a_phone_in_light_and_dark(
    new_page: Open, signed_in: Any, site: Site, shoot: Shoot, name: str
) -> None:
    ada = site.sign_in(f"phone-{name}", first_name="Ada")
    change = site.control(f"people/phone-{name}/update", last_name="Lovelace")
    _await_delivery(site, change["svix_id"])
    phone = new_page(viewport={"width": 390, "height": 844}, storage_state=signed_in)
    phone.goto(site.api + PAGES[name].format(row=ada["id"]))
    assert fits_width(phone)
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        phone.emulate_media(color_scheme=scheme)
        shoot(phone, f"phone-{name}-{scheme}")
        assert low_contrast_texts(phone, "#content, #content *") == []


def _await_delivery(site: Site, svix_id: str) -> None:
    """Wait until the webhook of a change has arrived."""
    give_up_at = time.monotonic() + 60
    while not requests.get(f"{site.clerk}/_dev/deliveries/{svix_id}", timeout=5).json()["attempts"]:
        assert time.monotonic() < give_up_at, "the webhook was not delivered"
        time.sleep(0.05)
