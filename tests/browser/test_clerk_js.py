"""Clerk's clerk-js in a real browser against the emulator, with calls to the project's API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from devclerk.frontend.browser import publishable_key
from tests.browser.site import Site
from tests.devclerk.javascript_packages import require_packages

# The frontend that `make run` allows. No server listens there: the tests answer.
APP = "http://localhost:3000/"
PAGE = """<!doctype html><meta charset="utf-8"><title>An application</title><h1>An application</h1>
<script src="{clerk}/npm/@clerk/clerk-js@6/dist/clerk.browser.js" crossorigin="anonymous"
  data-clerk-publishable-key="{key}" data-clerk-proxy-url="{clerk}"></script>
<script>
  window.ready = Clerk.load().then(() => document.body.append(Object.assign(
    document.createElement('p'), {{ id: 'user', textContent: Clerk.user?.id ?? 'signed out' }})));
  Clerk.addListener(() => document.querySelector('#user')?.replaceChildren(Clerk.user?.id ?? 'signed out'));
  // Calls the API with a token of the session; `fresh` asks Clerk for a new one.
  window.me = async (fresh) => {{
    const token = await Clerk.session?.getToken({{ skipCache: fresh }});
    const headers = token ? {{ Authorization: `Bearer ${{token}}` }} : {{}};
    const response = await fetch('{api}/api/v1/me', {{ headers }});
    const body = await response.json();
    return [response.status, body.clerk_id ?? body.errors[0].code];
  }};
</script>
"""
TOKEN_CALL = "/tokens?"


class App:
    """An application with clerk-js in one tab; `calls` are the statuses of its calls for tokens."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page, self.site = page, site
        self.calls: list[int] = []
        page.on("response", self._count)

    def open(self) -> None:
        """Load the application and wait for clerk-js."""
        self.page.goto(APP)
        self.page.evaluate("window.ready")

    def sign_in(self, handle: str) -> str:
        """Sign in on the page of the emulator, as clerk-js leads there. Return the Clerk id."""
        clerk_id = self.site.create_user(handle, first_name=handle.title())
        self.page.evaluate("Clerk.redirectToSignIn()")
        self.page.get_by_label("Another user").fill(handle)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.expect_user(clerk_id)
        return clerk_id

    def expect_user(self, clerk_id: str) -> None:
        """Wait until clerk-js has this user."""
        expect(self.page.locator("#user")).to_have_text(clerk_id)

    def me(self, *, fresh: bool = False) -> Any:
        """Call the API; return the status, and the Clerk id or the code."""
        return self.page.evaluate("fresh => me(fresh)", fresh)

    def switch_to(self, clerk_id: str) -> None:
        """Switch to another account that is signed in."""
        self.page.evaluate(
            "id => Clerk.setActive({session: Clerk.client.sessions.find(s => s.user.id === id)})", clerk_id
        )

    def _count(self, response: Any) -> None:
        if TOKEN_CALL in response.url and response.request.method == "POST":
            self.calls.append(response.status)


Open = Callable[..., App]


@pytest.fixture
def open_app(new_page: Callable[..., Page], site: Site) -> Iterator[Open]:
    """Return a function that opens the application in a new browser, or in another tab of `beside`."""
    require_packages()
    key = publishable_key(site.clerk.removeprefix("http://"))
    # The host name of the application, so that the browser gives both the same cookies
    clerk = site.clerk.replace("127.0.0.1", "localhost")
    key = publishable_key(site.clerk.removeprefix("http://"))
    html = PAGE.format(clerk=clerk, api=site.api, key=key)

    def answer(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")

    def open_app(beside: App | None = None) -> App:
        page = beside.page.context.new_page() if beside else new_page()
        page.route(f"{APP}**", answer)
        page.route(f"{clerk}/**", lambda route: route.continue_())
        app = App(page, site)
        app.open()
        return app

    yield open_app
    site.control("frontend", lifetime=60, claims={})


def test_a_sign_in_reaches_the_api(open_app: Open) -> None:
    app = open_app()
    app.expect_user("signed out")
    assert app.me() == [401, "not_authenticated"]
    clerk_id = app.sign_in("clerkjs")
    assert app.page.url == APP
    assert app.me() == [200, clerk_id]
    assert app.page.evaluate("Clerk.user.firstName") == "Clerkjs"


def test_the_session_survives_a_reload(open_app: Open) -> None:
    app = open_app()
    clerk_id = app.sign_in("reloaded")
    app.open()
    app.expect_user(clerk_id)
    assert app.me() == [200, clerk_id]


def test_skip_cache_asks_for_a_new_token_each_time(open_app: Open) -> None:
    app = open_app()
    clerk_id = app.sign_in("skipping")
    before = len(app.calls)
    assert [app.me(), app.me()] == [[200, clerk_id]] * 2
    assert len(app.calls) == before
    assert [app.me(fresh=True), app.me(fresh=True)] == [[200, clerk_id]] * 2
    assert app.calls[before:] == [200, 200]


def test_tokens_are_renewed_before_they_expire(open_app: Open, site: Site) -> None:
    site.control("frontend", lifetime=18)
    app = open_app()
    clerk_id = app.sign_in("renewing")
    first = app.page.evaluate("Clerk.session.getToken()")
    # The page does nothing; clerk-js asks by itself.
    with app.page.expect_response(lambda response: TOKEN_CALL in response.url) as renewal:
        pass
    assert renewal.value.status == 200
    # The answer reaches clerk-js a moment after it reaches the browser.
    app.page.wait_for_function(
        "first => Clerk.session.getToken().then((token) => token !== first)", arg=first
    )
    assert app.me() == [200, clerk_id]


def test_two_accounts_are_switched_and_one_is_signed_out(open_app: Open) -> None:
    app = open_app()
    first, second = app.sign_in("switcha"), app.sign_in("switchb")
    assert app.me() == [200, second]
    app.switch_to(first)
    app.expect_user(first)
    assert app.me() == [200, first]
    app.page.evaluate("Clerk.signOut({sessionId: Clerk.session.id})")
    app.page.wait_for_load_state()
    app.open()
    app.expect_user(second)
    assert app.page.evaluate("Clerk.client.sessions.length") == 1


def test_each_tab_keeps_its_account_until_it_is_reloaded(open_app: Open) -> None:
    app = open_app()
    first = app.sign_in("taba")
    other = open_app(beside=app)
    second = other.sign_in("tabb")
    assert other.me(fresh=True) == [200, second]
    assert app.me(fresh=True) == [200, first]
    app.open()
    app.expect_user(second)


def test_a_sign_out_in_one_tab_signs_the_other_out(open_app: Open) -> None:
    app = open_app()
    clerk_id = app.sign_in("leavingtabs")
    other = open_app(beside=app)
    other.expect_user(clerk_id)
    other.page.evaluate("Clerk.signOut()")
    other.expect_user("signed out")
    app.expect_user("signed out")
    assert app.me() == [401, "not_authenticated"]
    cookies = {str(one["name"]): str(one["value"]) for one in app.page.context.cookies()}
    assert not [name for name in cookies if name.startswith("__session")]
    assert {value for name, value in cookies.items() if name.startswith("__client_uat")} == {"0"}


def test_an_expired_token_is_401_and_the_next_is_good(open_app: Open, site: Site) -> None:
    app = open_app()
    clerk_id = app.sign_in("expiring")
    site.control("frontend", fault="expired")
    assert app.me(fresh=True) == [401, "token_expired"]
    assert app.me(fresh=True) == [200, clerk_id]


def test_clerk_js_retries_a_failing_token_call(open_app: Open, site: Site) -> None:
    app = open_app()
    clerk_id = app.sign_in("retrying")
    before = len(app.calls)
    site.control("frontend", status=429)
    assert app.me(fresh=True) == [200, clerk_id]
    assert app.calls[before:][:2] == [429, 200]


def test_a_slow_token_call_is_waited_for(open_app: Open, site: Site) -> None:
    app = open_app()
    clerk_id = app.sign_in("waiting")
    site.control("frontend", delay=2)
    started = app.page.evaluate("performance.now()")
    assert app.me(fresh=True) == [200, clerk_id]
    assert app.page.evaluate("performance.now()") - started >= 2000


@pytest.mark.parametrize("change", ["update", "delete", "sign-out"])
def test_a_banned_deleted_or_revoked_user_is_signed_out(open_app: Open, site: Site, change: str) -> None:
    app = open_app()
    handle = f"ended{change.replace('-', '')}"
    app.sign_in(handle)
    site.control(f"people/{handle}/{change}", **({"banned": True} if change == "update" else {}))
    refused = app.page.evaluate(
        "Clerk.session.getToken({skipCache: true}).catch(error => [error.status, error.errors[0].code])"
    )
    assert refused == [401, "authentication_invalid"]
    app.expect_user("signed out")


def test_custom_claims_are_in_the_token(open_app: Open, site: Site) -> None:
    app = open_app()
    app.sign_in("claiming")
    site.control("frontend", claims={"plan": "pro"})
    plan = app.page.evaluate(
        "Clerk.session.getToken({skipCache: true}).then(() => Clerk.session.lastActiveToken.jwt.claims.plan)"
    )
    assert plan == "pro"


def test_a_form_of_your_own_signs_in(open_app: Open, site: Site) -> None:
    clerk_id = site.create_user("ownform")
    app = open_app()
    app.page.evaluate(
        "Clerk.client.signIn.create({identifier: 'ownform@example.test'})"
        ".then(signIn => Clerk.setActive({session: signIn.createdSessionId}))"
    )
    app.expect_user(clerk_id)
    assert app.me() == [200, clerk_id]


def test_the_active_organization_of_the_session_is_chosen(open_app: Open) -> None:
    app = open_app()
    app.sign_in("organized")
    app.page.evaluate("Clerk.setActive({organization: null})")
    assert app.page.evaluate("Clerk.session.lastActiveOrganizationId") is None


def test_the_sign_in_page_is_readable(open_app: Open, shoot: Callable[..., Any]) -> None:
    app = open_app()
    app.page.evaluate("Clerk.redirectToSignIn()")
    expect(app.page.get_by_role("heading", name="Sign in")).to_be_visible()
    shoot(app.page, "emulator-sign-in")
