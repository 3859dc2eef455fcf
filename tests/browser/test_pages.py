"""The pages that have a content security policy work in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.site import Site

Open = Callable[..., Page]
Shoot = Callable[[Page, str], Path]


def test_swagger_ui_sends_a_request(new_page: Open, site: Site, shoot: Shoot) -> None:
    ada = site.sign_in("swagger")
    page = new_page(viewport={"width": 1200, "height": 1000})
    page.goto(f"{site.api}/api/docs")
    expect(page.get_by_role("heading", name="django-clerk-sync")).to_be_visible()
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").first.fill(site.token("swagger"))
    page.locator(".auth-btn-wrapper button.authorize").click()
    page.locator(".auth-btn-wrapper .btn-done").click()
    page.locator(".opblock-summary", has_text="/api/v1/me").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text(ada["clerk_id"])
    assert page.evaluate("getComputedStyle(document.body).marginTop") == "0px"
    shoot(page, "swagger")


def test_front_page_of_the_emulator_has_its_style(new_page: Open, site: Site) -> None:
    page = new_page()
    response = page.goto(site.clerk)
    assert response is not None
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
