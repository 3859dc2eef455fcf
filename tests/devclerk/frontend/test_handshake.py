"""The handshake: how a server without a fresh session gets the cookies of the browser's client."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import jwt
import pytest
import requests

from devclerk.fixtures import LocalClerk
from devclerk.frontend.clients import HANDSHAKES_KEPT, ClientStore
from tests.devclerk.frontend.conftest import Browser
from tests.devclerk.runs import claims_of

HANDSHAKE = "/v1/client/handshake"
APP_PAGE = "http://127.0.0.1:3000/notes?page=2"


def directives_by_nonce(browser: Browser, **params: str) -> list[str]:
    """Make a handshake and return the cookies behind its nonce."""
    response = browser.navigate(HANDSHAKE, redirect_url=APP_PAGE, format="nonce", **params)
    assert (response.status_code, response.headers["Location"]) == (307, APP_PAGE)
    return list(payload(browser.clerk, response.cookies["__clerk_handshake_nonce"]).json()["directives"])


def payload(clerk: LocalClerk, nonce: str, *, key: str | None = None) -> requests.Response:
    """Ask the Backend API for the cookies behind a nonce."""
    return requests.get(
        f"{clerk.api_url}/v1/clients/handshake_payload",
        params={"nonce": nonce},
        headers={"Authorization": f"Bearer {key or clerk.secret_key}"},
        timeout=10,
    )


def values(directives: list[str]) -> dict[str, str]:
    """Return the values of Set-Cookie headers by name."""
    cookies: SimpleCookie = SimpleCookie()
    for one in directives:
        cookies.load(one)
    return {name: morsel.value for name, morsel in cookies.items()}


def test_a_signed_in_browser_returns_with_its_session(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    cookies = values(directives_by_nonce(browser))
    claims = claims_of(cookies["__session"])
    assert (claims["sid"], claims["azp"]) == (session_id, "http://127.0.0.1:3000")
    assert cookies["__client_uat"] == browser.session.cookies["__client_uat"]
    assert cookies["__clerk_handshake_nonce"] == ""
    suffixed = {name for name in cookies if name.startswith(("__session_", "__client_uat_"))}
    assert len(suffixed) == 2


def test_a_nonce_works_once_and_needs_the_secret_key(browser: Browser, clerk: LocalClerk) -> None:
    browser.sign_in("ada")
    response = browser.navigate(HANDSHAKE, redirect_url=APP_PAGE, format="nonce")
    nonce = response.cookies["__clerk_handshake_nonce"]
    assert payload(clerk, nonce, key="sk_test_wrong").status_code == 401
    assert payload(clerk, nonce).status_code == 200
    assert payload(clerk, nonce).status_code == 404
    assert payload(clerk, "").status_code == 404


def test_old_handshakes_are_forgotten() -> None:
    store = ClientStore()
    nonces = [store.store_handshake([str(number)]) for number in range(HANDSHAKES_KEPT + 1)]
    assert store.take_handshake(nonces[0]) is None
    assert store.take_handshake(nonces[1]) == ["1"]


def test_without_the_nonce_format_the_cookies_are_in_a_signed_token(
    browser: Browser, clerk: LocalClerk
) -> None:
    session_id = browser.sign_in("ada")
    response = browser.navigate(HANDSHAKE, redirect_url=APP_PAGE)
    token = response.cookies["__clerk_handshake"]
    keys: dict[str, Any] = requests.get(clerk.jwks_url, timeout=10).json()
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    directives = jwt.decode(token, key, algorithms=["RS256"])["handshake"]
    assert claims_of(values(directives)["__session"])["sid"] == session_id


@pytest.mark.parametrize("end", ["sign out", "ban", "no client"])
def test_a_signed_out_browser_returns_without_a_session(
    browser: Browser, clerk: LocalClerk, end: str
) -> None:
    if end != "no client":
        browser.sign_in("ada")
    if end == "sign out":
        browser.call("client/sessions", method="DELETE")
    if end == "ban":
        clerk.update("ada", banned=True)
    directives = directives_by_nonce(browser)
    cookies = values(directives)
    assert (cookies["__session"], cookies["__client_uat"]) == ("", "0")
    assert all("Max-Age=0" in one for one in directives if one.startswith("__session"))


def test_the_active_session_is_the_one_that_was_switched_to(browser: Browser) -> None:
    first, _ = browser.sign_in("ada"), browser.sign_in("grace")
    browser.call(f"client/sessions/{first}/touch")
    assert claims_of(values(directives_by_nonce(browser))["__session"])["sid"] == first


def test_a_server_can_activate_an_organization(browser: Browser) -> None:
    browser.sign_in("ada")
    for chosen, stored in (("org_2abc", "org_2abc"), ("", None)):
        directives_by_nonce(browser, organization_id=chosen)
        assert browser.client()["sessions"][0]["last_active_organization_id"] == stored
    directives_by_nonce(browser, organization_id="org_2abc")
    directives_by_nonce(browser)
    assert browser.client()["sessions"][0]["last_active_organization_id"] == "org_2abc"


@pytest.mark.parametrize("path", [HANDSHAKE, "/v1/client/touch"])
@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("https://other.example.test/", "address of this machine"),
        ("", "address of this machine"),
        ("http://localhost:3000/", "Use one name in both"),
    ],
)
def test_it_returns_to_this_machine_under_the_same_name_alone(
    browser: Browser, path: str, address: str, sentence: str
) -> None:
    browser.sign_in("ada")
    response = browser.navigate(path, redirect_url=address)
    assert response.status_code == 400
    assert sentence in response.json()["errors"][0]["message"]
    assert "Location" not in response.headers
    assert "Set-Cookie" not in response.headers


def test_a_touch_by_navigation_returns(browser: Browser) -> None:
    browser.sign_in("ada")
    response = browser.navigate("/v1/client/touch", redirect_url=APP_PAGE)
    assert (response.status_code, response.headers["Location"]) == (307, APP_PAGE)
