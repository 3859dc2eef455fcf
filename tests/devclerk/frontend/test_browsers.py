"""Which pages and addresses the Frontend API accepts: those of this machine."""

from __future__ import annotations

import pytest
import requests

from devclerk.fixtures import LocalClerk
from devclerk.frontend.browser import cookie_suffix, loopback_address, publishable_key
from tests.devclerk.frontend.conftest import Browser


@pytest.mark.parametrize(
    "origin",
    [
        "https://other.example.test",
        "null",
        "http://localhost.example.test:3000",
        "chrome-extension://abc",
        "",
    ],
)
@pytest.mark.parametrize("path", ["client", "environment", "client/sessions"])
def test_pages_of_other_machines_are_refused(browser: Browser, origin: str, path: str) -> None:
    session_id = browser.sign_in("ada")
    method = "DELETE" if path == "client/sessions" else "GET"
    response = browser.call(path, method=method, headers={"Origin": origin})
    assert response.status_code == 403
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "user_" not in response.text
    assert browser.token(session_id).status_code == 200


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:5173", "https://localhost"])
def test_pages_of_this_machine_may_read_answers_and_errors(browser: Browser, origin: str) -> None:
    for path in ("client", "client/sessions/sess_2x"):
        response = browser.call(path, method="GET", headers={"Origin": origin})
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Vary"] == "Origin"


def test_a_preflight_is_answered_for_this_machine_alone(clerk: LocalClerk) -> None:
    def preflight(origin: str) -> requests.Response:
        headers = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
        return requests.options(f"{clerk.api_url}/v1/client", headers=headers, timeout=10)

    allowed = preflight("http://localhost:3000")
    assert (allowed.status_code, allowed.content) == (204, b"")
    assert "PATCH" in allowed.headers["Access-Control-Allow-Methods"]
    assert preflight("https://other.example.test").status_code == 403


def test_another_host_is_421(browser: Browser) -> None:
    for path in ("client", "environment", "me"):
        response = browser.call(path, method="GET", headers={"Host": "other.example.test"})
        assert response.status_code == 421


def test_an_address_that_is_not_served_is_404_in_clerks_format(browser: Browser) -> None:
    for method, path in (("GET", "client/shoes"), ("DELETE", "me"), ("POST", "environment")):
        response = browser.call(path, method=method)
        assert (response.status_code, response.json()["errors"][0]["code"]) == (404, "resource_not_found")


def test_a_body_that_is_no_form_is_400(browser: Browser, clerk: LocalClerk) -> None:
    response = browser.session.post(f"{clerk.api_url}/v1/client/sign_ins", data=b"\xff", timeout=10)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "request_body_invalid")


def test_the_environment_names_the_sign_in_page_as_the_browser_knows_it(
    browser: Browser, clerk: LocalClerk
) -> None:
    def sign_in_url(**headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        config = browser.call("environment", method="GET", headers=named).json()["display_config"]
        return str(config["sign_in_url"])

    port = clerk.issuer.rpartition(":")[2]
    assert sign_in_url() == f"{clerk.issuer}/sign-in"
    assert sign_in_url(Host=f"localhost:{port}") == f"http://localhost:{port}/sign-in"
    assert sign_in_url(X_Forwarded_Host="localhost:3000") == f"http://localhost:{port}/sign-in"
    assert (
        sign_in_url(Clerk_Proxy_Url="http://localhost:3000/__clerk")
        == "http://localhost:3000/__clerk/sign-in"
    )
    for foreign in (
        {"X_Forwarded_Host": "other.example.test"},
        {"X_Forwarded_Host": "[localhost"},
        {"Clerk_Proxy_Url": "https://other.example.test"},
    ):
        assert sign_in_url(**foreign) == f"{clerk.issuer}/sign-in"


# The values of the next two tests are those of Clerk's own: clerk/javascript, packages/shared, keys.spec.ts.
def test_the_publishable_key_is_built_as_in_clerks_packages() -> None:
    assert (
        publishable_key("fake-clerk-test.clerk.accounts.dev")
        == "pk_live_ZmFrZS1jbGVyay10ZXN0LmNsZXJrLmFjY291bnRzLmRldiQ"
    )


@pytest.mark.parametrize(
    ("key", "suffix"),
    [
        ("pk_live_ZmFrZS1jbGVyay10ZXN0LmNsZXJrLmFjY291bnRzLmRldiQ=", "qReyu04C"),
        ("pk_test_ZW5vdWdoLWFscGFjYS04Mi5jbGVyay5hY2NvdW50cy5sY2xjbGVyay5jb20k", "jtYvyt_H"),
        ("pk_test_eHh4eHh4LXhhYWFhYS1hYS5jbGVyay5hY2NvdW50cy5sY2xjbGVyay5jb20k", "tZJdb-5s"),
    ],
)
def test_the_suffix_of_cookies_is_that_of_clerks_packages(key: str, suffix: str) -> None:
    assert cookie_suffix(key) == suffix


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/notes",
        "//localhost:3000/",
        "https://other.example.test/",
        "http://localhost.example.test/",
        "http://localhost:3000@other.example.test/",
        "http://user@localhost:3000/",
        "http://localhost\\@other.example.test/",
        "http://localhost:port/",
        "http://[::1",
        "javascript:alert(1)",
        "ftp://localhost/",
        " javascript://localhost/%0aalert(1)",
    ],
)
def test_an_address_elsewhere_is_none(text: str) -> None:
    assert loopback_address(text) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://localhost:3000/notes?page=2#top", "http://localhost:3000/notes?page=2#top"),
        ("https://127.0.0.1/", "https://127.0.0.1/"),
        ("http://localhost:3000/\r\nSet-Cookie:a=b", "http://localhost:3000/Set-Cookie:a=b"),
        ("http://localhost:3000/ü", "http://localhost:3000/%C3%BC"),
    ],
)
def test_an_address_of_this_machine_is_fit_for_a_header(text: str, address: str) -> None:
    assert loopback_address(text) == address
