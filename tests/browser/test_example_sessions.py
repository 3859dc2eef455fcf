"""Sessions in examples/nextjs: expiry, refusal, an outage of the keys, a switch, a ban and the sign-out."""

from __future__ import annotations

import re
import time

import pytest
import requests
from playwright.sync_api import expect

from tests.browser.example import App, Example
from tests.browser.site import Site
from tests.browser.watch import Watch

LEEWAY_SECONDS = 5  # of the API, for clocks that differ


def take_problems(watch: Watch) -> set[str]:
    """Return the first line of each problem so far, without queries, and forget them."""
    lines = {problem.partition("\n")[0].partition("?")[0] for problem in watch.problems}
    watch.problems.clear()
    return lines


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
