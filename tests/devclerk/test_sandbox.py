"""The sandbox as it is served; tests/browser/test_sandbox.py drives it."""

from __future__ import annotations

import pytest
import requests

from devclerk.fixtures import LocalClerk


def get(clerk: LocalClerk, path: str, *, host: str = "") -> requests.Response:
    return requests.get(clerk.issuer + path, headers={"Host": host} if host else {}, timeout=10)


def test_the_page_names_the_api_that_receives_the_webhooks(clerk: LocalClerk) -> None:
    clerk.send_webhooks_to("http://127.0.0.1:4321/webhooks/clerk")
    page = get(clerk, "/sandbox")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert 'data-api="http://127.0.0.1:4321"' in page.text


def test_the_policy_allows_own_scripts_and_requests_to_the_api(clerk: LocalClerk) -> None:
    clerk.send_webhooks_to("http://127.0.0.1:4321/webhooks/clerk")
    policy = get(clerk, "/sandbox").headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "connect-src 'self' http://127.0.0.1:4321" in policy


def test_without_a_webhook_address_the_page_names_no_api(clerk: LocalClerk) -> None:
    assert 'data-api=""' in get(clerk, "/sandbox").text


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/sandbox.js", "text/javascript"), ("/client.js", "text/javascript"), ("/sandbox.css", "text/css")],
)
def test_each_file_has_its_content_type(clerk: LocalClerk, path: str, kind: str) -> None:
    assert get(clerk, path).headers["Content-Type"] == f"{kind}; charset=utf-8"


@pytest.mark.parametrize("path", ["/sandbox", "/sandbox.js", "/client.js"])
def test_another_host_is_421(clerk: LocalClerk, path: str) -> None:
    assert get(clerk, path, host="other.example.test").status_code == 421


@pytest.mark.parametrize("path", ["/sandbox/", "/sandbox.html", "/assets/sandbox.js", "/../tokens.py"])
def test_nothing_else_is_served(clerk: LocalClerk, path: str) -> None:
    assert get(clerk, path).status_code == 404
