"""The TypeScript client in Chromium: expired tokens, an outage, a ban, and a switch of the account."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.browser.conftest import Open
from tests.browser.site import Site

Scenario = Callable[..., Any]

# Runs in the page. `tokens` is what getToken returns, and what it returns with `skipCache`.
SCRIPT = """
async ([baseUrl, tokens, calls, userId]) => {
  const { createApiClient, createUserEndpoints } = await import("/client.js");
  const events = [];
  let [held, next] = tokens;
  const getToken = async (options) => {
    if (options?.skipCache) {
      events.push("renewal");
      held = next;
    }
    return held;
  };
  const client = createApiClient({
    baseUrl, getToken, userId,
    onSignedOut: () => events.push("signed out"),
    onUserRefused: ({ code }) => events.push(code),
  });
  const users = createUserEndpoints(client);
  const results = await Promise.allSettled(Array.from({ length: calls }, () => users.me()));
  const read = ({ value, reason }) => value?.email ?? reason.code ?? reason.name;
  return { results: [...new Set(results.map(read))], events };
}
"""


@pytest.fixture
def page(new_page: Open, site: Site) -> Page:
    """Open a page of the emulator's origin, which the API allows, without a script of its own."""
    page = new_page()
    answer = page.goto(f"{site.clerk}/client.js")
    if answer is None or not answer.ok:
        reason = "the TypeScript client is not built (make client)"
        pytest.fail(reason) if os.environ.get("REQUIRE_NODE") else pytest.skip(reason)
    return page


@pytest.fixture
def run(page: Page, site: Site) -> Scenario:
    """Return a function that makes calls at once. It returns their results, events and number of requests."""

    def run(held: str, *, renewed: str = "", calls: int = 1, user_id: str | None = None) -> Any:
        sent: list[str] = []
        page.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
        found = page.evaluate(SCRIPT, [site.api, [held, renewed], calls, user_id])
        return {**found, "requests": sent.count(f"GET {site.api}/api/v1/me")}

    return run


def expired_token(site: Site, handle: str) -> str:
    """Return a token that has expired."""
    return str(site.control(f"people/{handle}/token", fault="expired")["token"])


def test_an_expired_token_costs_30_calls_one_renewal_and_one_request(run: Scenario, site: Site) -> None:
    me = site.sign_in("client-expiry")

    found = run(expired_token(site, "client-expiry"), renewed=site.token("client-expiry"), calls=30)

    assert found == {"results": [me["email"]], "events": ["renewal"], "requests": 31}


def test_a_short_outage_is_not_seen(run: Scenario, page: Page, site: Site) -> None:
    me = site.sign_in("client-outage")
    failures = iter(range(2))

    def fail_twice(route: Route) -> None:
        if next(failures, None) is None:
            route.continue_()
        else:
            route.abort()

    page.route("**/api/v1/me", fail_twice)

    assert run(site.token("client-outage"))["results"] == [me["email"]]


def test_a_long_outage_is_an_error_and_no_sign_out(run: Scenario, page: Page, site: Site) -> None:
    site.sign_in("client-long-outage")
    page.route("**/api/v1/me", lambda route: route.abort())

    found = run(site.token("client-long-outage"))

    assert (found["results"], found["events"]) == (["TypeError"], [])


def test_a_ban_is_reported_once_for_all_calls(run: Scenario, site: Site) -> None:
    site.sign_in("client-ban")
    token = site.token("client-ban")
    site.control("people/client-ban/update", banned=True)
    for _ in range(100):
        if site.me(token).status_code == 403:
            break
        time.sleep(0.1)

    found = run(token, calls=5)

    assert (found["results"], found["events"]) == (["user_inactive"], ["user_inactive"])


def test_after_a_switch_nothing_is_sent_as_another_user(run: Scenario, site: Site) -> None:
    user_id = site.create_user("client-switch")
    site.sign_in("client-switch-other")

    before = run(site.token("client-switch"), user_id=user_id)
    found = run(site.token("client-switch-other"), user_id=user_id)

    assert before["results"] == ["client-switch@example.test"]
    assert (found["results"], found["events"]) == (["AccountChanged"], [])
