"""Sessions of browsers: sign-in, several users, switching, ends."""

from __future__ import annotations

import time

import pytest
import requests

from devclerk.fixtures import LocalClerk
from tests.devclerk.frontend.conftest import Browser
from tests.devclerk.runs import claims_of


def code_of(response: requests.Response) -> str:
    """Return the code of an error in Clerk's format."""
    return str(response.json()["errors"][0]["code"])


def signed_in(browser: Browser) -> set[str]:
    """Return the ids of the users that are signed in."""
    client = browser.client()
    return {session["user"]["id"] for session in client["sessions"]} if client else set()


def test_a_browser_without_a_sign_in_has_no_client(browser: Browser) -> None:
    assert browser.client() is None
    assert browser.session.cookies["__client_uat"] == "0"


def test_a_sign_in_creates_a_session_with_user_and_token(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada@example.test")
    client = browser.client()
    (session,) = client["sessions"]
    assert client["last_active_session_id"] == session["id"] == session_id
    assert session["user"]["first_name"] == "Ada"
    assert "private_metadata" not in session["user"]
    claims = claims_of(session["last_active_token"]["jwt"])
    assert (claims["sid"], claims["sub"], claims["iss"]) == (session_id, clerk.person("ada").id, clerk.issuer)
    assert claims["azp"] == browser.app


def test_the_client_cookie_is_closed_to_scripts_and_other_sites(browser: Browser) -> None:
    response = browser.call("client/sign_ins", identifier="ada")
    cookies = [one for one in response.raw.headers.getlist("Set-Cookie") if one.startswith("__client_")]
    secret = next(one for one in cookies if not one.startswith("__client_uat"))
    assert "HttpOnly" in secret
    assert all("SameSite=Lax" in one for one in cookies)
    assert all("HttpOnly" not in one for one in cookies if one.startswith("__client_uat"))


def test_a_second_user_signs_in_beside_the_first(browser: Browser, clerk: LocalClerk) -> None:
    first, second = browser.sign_in("ada"), browser.sign_in("grace")
    client = browser.client()
    assert [session["id"] for session in client["sessions"]] == [first, second]
    assert client["last_active_session_id"] == second
    assert browser.session.cookies["__client_uat"] == str(client["updated_at"] // 1000)


def test_the_same_user_has_one_session_in_a_browser(browser: Browser) -> None:
    first, second = browser.sign_in("ada"), browser.sign_in("ada")
    assert [session["id"] for session in browser.client()["sessions"]] == [second] != [first]


def test_a_touch_switches_the_account(browser: Browser) -> None:
    first, _ = browser.sign_in("ada"), browser.sign_in("grace")
    before = browser.client()["updated_at"]
    touched = browser.call(f"client/sessions/{first}/touch", active_organization_id="").json()
    assert touched["response"]["user"]["first_name"] == "Ada"
    assert touched["client"]["last_active_session_id"] == first
    assert browser.client()["updated_at"] == before


def test_the_active_organization_is_kept_until_another_is_chosen(browser: Browser) -> None:
    session_id = browser.sign_in("ada")
    for chosen, stored in (("org_2abc", "org_2abc"), ("", None)):
        answer = browser.call(f"client/sessions/{session_id}/touch", active_organization_id=chosen).json()
        assert answer["response"]["last_active_organization_id"] == stored
        assert browser.client()["sessions"][0]["last_active_organization_id"] == stored


@pytest.mark.parametrize(("action", "status"), [("end", "ended"), ("remove", "removed")])
def test_the_end_of_one_session_leaves_the_other(browser: Browser, action: str, status: str) -> None:
    first, second = browser.sign_in("ada"), browser.sign_in("grace")
    answer = browser.call(f"client/sessions/{second}/{action}").json()
    assert answer["response"]["status"] == status
    assert answer["client"]["last_active_session_id"] == first
    assert browser.token(second).status_code == 401
    assert browser.token(first).status_code == 200


def test_a_sign_out_ends_all_sessions_and_keeps_the_client(browser: Browser) -> None:
    session_id = browser.sign_in("ada")
    browser.sign_in("grace")
    answer = browser.call("client/sessions", method="DELETE").json()
    assert answer["client"]["sessions"] == []
    assert answer["client"]["last_active_session_id"] is None
    assert browser.session.cookies["__client_uat"] == "0"
    assert code_of(browser.token(session_id)) == "authentication_invalid"


def test_a_removed_client_is_forgotten(browser: Browser) -> None:
    browser.sign_in("ada")
    assert browser.call("client", method="DELETE").status_code == 200
    assert browser.client() is None


def test_a_client_can_be_created_before_a_sign_in(browser: Browser) -> None:
    created = browser.call("client", method="PUT").json()["response"]
    assert created["sessions"] == []
    browser.sign_in("ada")
    assert browser.client()["id"] == created["id"]


def test_another_browser_sees_and_uses_nothing(browser: Browser, other_browser: Browser) -> None:
    session_id = browser.sign_in("ada")
    assert other_browser.client() is None
    for path in ("tokens", "touch", "end", "remove"):
        assert other_browser.call(f"client/sessions/{session_id}/{path}").status_code == 401
    assert other_browser.call(f"client/sessions/{session_id}", method="GET").status_code == 401
    assert browser.token(session_id).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"banned": True}, "user_banned"),
        ({"deprovisioned": True}, "user_banned"),
        ({"locked": True}, "user_locked"),
    ],
)
def test_a_user_that_may_not_sign_in_is_403(
    browser: Browser, clerk: LocalClerk, changes: dict[str, bool], code: str
) -> None:
    clerk.update("ada", **changes)
    response = browser.call("client/sign_ins", identifier="ada")
    assert (response.status_code, code_of(response)) == (403, code)
    assert browser.client() is None


def test_an_unknown_user_is_422(browser: Browser) -> None:
    response = browser.call("client/sign_ins", identifier="unknown")
    assert (response.status_code, code_of(response)) == (422, "form_identifier_not_found")


def test_a_ban_ends_the_sessions_for_good(
    browser: Browser, other_browser: Browser, clerk: LocalClerk
) -> None:
    sessions = [browser.sign_in("ada"), other_browser.sign_in("ada")]
    browser.sign_in("grace")
    clerk.update("ada", banned=True)
    assert signed_in(browser) == {clerk.person("grace").id}
    assert signed_in(other_browser) == set()
    clerk.update("ada", banned=False)
    assert browser.token(sessions[0]).status_code == 401
    assert other_browser.token(sessions[1]).status_code == 401


def test_a_deletion_ends_the_sessions(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    clerk.delete("ada")
    assert browser.token(session_id).status_code == 401
    assert signed_in(browser) == set()


def test_an_event_without_a_change_ends_no_session(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    control = f"{clerk.issuer}/_dev/people/ada/send"
    assert requests.post(control, json={"type": "user.deleted"}, timeout=10).status_code == 200
    assert browser.token(session_id).status_code == 200


def test_a_changed_user_is_seen_in_the_session(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    clerk.update("ada", first_name="Augusta", public_metadata={"plan": "pro"})
    answer = browser.session.get(
        f"{clerk.api_url}/v1/me", params={"_clerk_session_id": session_id}, timeout=10
    ).json()
    assert answer["response"]["first_name"] == "Augusta"
    assert answer["response"]["public_metadata"] == {"plan": "pro"}
    assert claims_of(browser.token(session_id).json()["jwt"])["first_name"] == "Augusta"


@pytest.mark.parametrize("name", ["memberships", "invitations", "suggestions"])
def test_a_user_is_in_no_organization(browser: Browser, other_browser: Browser, name: str) -> None:
    session_id = browser.sign_in("ada")

    def fetch(one: Browser) -> requests.Response:
        url = f"{one.clerk.api_url}/v1/me/organization_{name}"
        return one.session.get(url, params={"_clerk_session_id": session_id}, timeout=10)

    assert fetch(browser).json()["response"] == {"data": [], "total_count": 0}
    assert fetch(other_browser).status_code == 401


def test_tokens_are_never_older_than_the_sign_in(browser: Browser) -> None:
    session_id = browser.sign_in("ada")
    # Clerk's servers ask for a handshake if a token is older than this cookie.
    assert claims_of(browser.token(session_id).json()["jwt"])["iat"] >= int(
        browser.session.cookies["__client_uat"]
    )
    assert int(browser.session.cookies["__client_uat"]) >= int(time.time()) - 5
