"""The sign-in page: its users, its form, and who may send it."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from devclerk.fixtures import LocalClerk
from tests.devclerk.frontend.conftest import Browser

APP_PAGE = "http://127.0.0.1:3000/notes"


def choose(
    browser: Browser, user: str, *, redirect_url: str = APP_PAGE, headers: dict[str, str] | None = None
) -> requests.Response:
    """Send the form of the page, as a browser does."""
    same_origin = {"Origin": browser.clerk.issuer, "Sec-Fetch-Site": "same-origin"}
    return browser.session.post(
        f"{browser.clerk.issuer}/sign-in",
        data={"user": user, "redirect_url": redirect_url},
        headers=same_origin | (headers or {}),
        timeout=10,
        allow_redirects=False,
    )


def users(browser: Browser) -> list[Any]:
    """Return the ids of the users that are signed in."""
    client = browser.client()
    return [session["user"]["id"] for session in client["sessions"]] if client else []


def test_a_chosen_user_is_signed_in_and_sent_back(browser: Browser, clerk: LocalClerk) -> None:
    ada = clerk.person("ada").id
    response = choose(browser, ada)
    assert (response.status_code, response.headers["Location"]) == (303, APP_PAGE)
    assert users(browser) == [ada]


def test_the_token_of_an_earlier_session_is_removed(browser: Browser) -> None:
    response = choose(browser, "ada")
    removed = [line for line in response.raw.headers.getlist("Set-Cookie") if line.startswith("__session")]
    assert len(removed) == 2
    assert all("=;" in line and "Max-Age=0" in line for line in removed)


@pytest.mark.parametrize("name", ["grace", "ada@example.test"])
def test_a_handle_or_an_address_names_a_user_too(browser: Browser, clerk: LocalClerk, name: str) -> None:
    choose(browser, name)
    assert users(browser) == [clerk.person(name).id]


def test_the_page_lists_users_and_who_is_signed_in(browser: Browser, clerk: LocalClerk) -> None:
    clerk.new_person(handle="eve", first_name="<script>alert(1)</script>", email="%PROBLEM%@example.test")
    choose(browser, "ada")
    page = browser.navigate("/sign-in")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "ada@example.test, signed in" in page.text
    assert "mallory@example.test, banned" in page.text
    assert "&lt;script&gt;" in page.text
    assert "%PROBLEM%@example.test" in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_the_page_keeps_the_address_to_return_to(browser: Browser) -> None:
    assert f'value="{APP_PAGE}"' in browser.navigate("/sign-in", redirect_url=APP_PAGE).text
    foreign = browser.navigate("/sign-in", redirect_url='https://other.example.test/"><b>')
    assert "other.example.test" not in foreign.text


def test_without_an_address_it_returns_to_the_page_before_or_to_the_application(browser: Browser) -> None:
    from_app = browser.session.get(
        f"{browser.clerk.issuer}/sign-in", headers={"Referer": "http://localhost:5173/"}, timeout=10
    )
    assert 'value="http://localhost:5173/"' in from_app.text
    browser_at_localhost = choose(
        browser, "ada", redirect_url="", headers={"X-Forwarded-Host": "localhost:3000"}
    )
    assert browser_at_localhost.headers["Location"] == "http://localhost:3000"


@pytest.mark.parametrize(
    ("user", "redirect_url", "status", "sentence"),
    [
        ("mallory", APP_PAGE, 403, "banned and cannot sign in"),
        ("unknown", APP_PAGE, 404, "No user is called"),
        ("", APP_PAGE, 404, "No user is called"),
        ("ada", "https://other.example.test/", 400, "address of this machine"),
        ("ada", "http://localhost:3000/", 400, "Use one name in both"),
    ],
)
def test_a_refusal_is_a_sentence_on_the_page(
    browser: Browser, user: str, redirect_url: str, status: int, sentence: str
) -> None:
    response = choose(browser, user, redirect_url=redirect_url)
    assert response.status_code == status
    assert '<p role="alert">' in response.text
    assert sentence in response.text
    assert users(browser) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://other.example.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_the_form_of_another_page_is_refused(browser: Browser, headers: dict[str, str]) -> None:
    assert choose(browser, "ada", headers=headers).status_code == 403
    assert users(browser) == []


def test_behind_the_proxy_of_an_application_the_form_is_of_its_origin(browser: Browser) -> None:
    headers = {"Origin": "http://localhost:3000", "Clerk-Proxy-Url": "http://localhost:3000/__clerk"}
    response = choose(browser, "ada", redirect_url="http://localhost:3000/", headers=headers)
    assert response.status_code == 303


def test_a_body_that_is_no_form_is_400(clerk: LocalClerk) -> None:
    assert requests.post(f"{clerk.issuer}/sign-in", data=b"\xff", timeout=10).status_code == 400


def test_the_files_of_the_page_are_served(browser: Browser) -> None:
    for name, content_type in (("sign-in.js", "text/javascript"), ("sign-in.css", "text/css")):
        response = browser.navigate(f"/{name}")
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith(content_type)
