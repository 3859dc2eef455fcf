"""Tokens of browsers, and their faults."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from accounts.clerk.keys import KeyStore
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from devclerk.fixtures import LocalClerk
from tests.devclerk.frontend.conftest import Browser
from tests.devclerk.runs import claims_of


def configure(clerk: LocalClerk, **body: Any) -> None:
    """Set how browsers get tokens, by the control API."""
    response = requests.post(f"{clerk.issuer}/_dev/frontend", json=body, timeout=10)
    assert response.status_code == 200, response.text


def verify(clerk: LocalClerk, token: str, *, party: str) -> Any:
    """Verify a token as the project does."""
    verifier = SessionVerifier(
        KeyStore(clerk.jwks_url, allow_http=True),
        issuer=clerk.issuer,
        authorized_parties=(party,),
        audience=None,
        leeway=5,
    )
    return verifier.verify(token)


def test_each_call_returns_another_valid_token(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    first, second = (browser.token(session_id).json() for _ in range(2))
    assert first["object"] == "token"
    assert first["jwt"] != second["jwt"]
    claims = verify(clerk, first["jwt"], party=browser.app)
    assert (claims.user_id, claims.session_id) == (clerk.person("ada").id, session_id)


def test_the_authorized_party_is_the_page(clerk: LocalClerk) -> None:
    browser = Browser(clerk, app="http://localhost:5173")
    session_id = browser.sign_in("ada")
    assert claims_of(browser.token(session_id).json()["jwt"])["azp"] == "http://localhost:5173"


def test_behind_a_proxy_the_authorized_party_comes_from_the_referer(
    browser: Browser, clerk: LocalClerk
) -> None:
    browser.sign_in("ada")
    response = browser.session.get(
        f"{clerk.api_url}/v1/client", headers={"Referer": "http://localhost:3000/notes?page=2"}, timeout=10
    )
    token = response.json()["response"]["sessions"][0]["last_active_token"]["jwt"]
    assert claims_of(token)["azp"] == "http://localhost:3000"


def test_custom_claims_and_the_lifetime_can_be_set(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    configure(clerk, lifetime=20, claims={"plan": "pro", "first_name": None})
    claims = claims_of(browser.token(session_id).json()["jwt"])
    assert claims["exp"] - claims["iat"] == 20
    assert (claims["plan"], claims["first_name"], claims["sid"]) == ("pro", None, session_id)


def test_a_template_token_names_no_session_and_no_organization(browser: Browser) -> None:
    session_id = browser.sign_in("ada")
    browser.call(f"client/sessions/{session_id}/touch", active_organization_id="org_Acme")
    token = browser.call(f"client/sessions/{session_id}/tokens/hasura").json()["jwt"]
    assert not {"sid", "o"} & claims_of(token).keys()


def test_the_tokens_of_a_session_name_its_active_organization(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    assert verify(clerk, browser.token(session_id).json()["jwt"], party=browser.app).organization is None

    touched = browser.call(f"client/sessions/{session_id}/touch", active_organization_id="org_Acme").json()

    shown = touched["response"]["last_active_token"]["jwt"]
    for token in (shown, browser.token(session_id).json()["jwt"]):
        organization = verify(clerk, token, party=browser.app).organization
        assert (organization.id, organization.slug, organization.role) == ("org_Acme", "acme", "member")
    for asked, expected in (("org_Other", "org_Other"), ("", None)):
        token = browser.call(f"client/sessions/{session_id}/tokens", organization_id=asked).json()["jwt"]
        assert claims_of(token).get("o", {}).get("id") == expected


def test_custom_claims_set_the_role_in_the_organization(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    browser.call(f"client/sessions/{session_id}/touch", active_organization_id="org_acme")
    configure(clerk, claims={"o": {"id": "org_acme", "slg": "acme", "rol": "admin"}})
    token = browser.token(session_id).json()["jwt"]
    assert verify(clerk, token, party=browser.app).organization.role == "admin"


def test_the_factor_ages_are_minutes_since_the_sign_in(browser: Browser) -> None:
    session_id = browser.sign_in("ada")
    assert claims_of(browser.token(session_id).json()["jwt"])["fva"] == [0, -1]


def test_failures_happen_as_often_as_planned(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    configure(clerk, status=503, times=2, retry_after=3)
    answers = [browser.token(session_id) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert answers[0].json()["errors"][0]["code"] == "internal_clerk_error"
    assert answers[0].headers["Access-Control-Allow-Origin"] == browser.app


def test_an_expired_token_is_refused_and_the_next_is_good(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    configure(clerk, fault="expired")
    expired, good = (browser.token(session_id).json()["jwt"] for _ in range(2))
    with pytest.raises(InvalidToken) as caught:
        verify(clerk, expired, party=browser.app)
    assert caught.value.reason == "token_expired"
    assert verify(clerk, good, party=browser.app).session_id == session_id


def test_a_call_can_be_slow(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    configure(clerk, delay=0.4)
    started = time.monotonic()
    assert browser.token(session_id).status_code == 200
    assert 0.4 <= time.monotonic() - started < 5
    started = time.monotonic()
    browser.token(session_id)
    assert time.monotonic() - started < 0.4


def test_tokens_are_signed_by_the_rotated_key(browser: Browser, clerk: LocalClerk) -> None:
    session_id = browser.sign_in("ada")
    old = browser.token(session_id).json()["jwt"]
    clerk.rotate_keys()
    assert verify(clerk, browser.token(session_id).json()["jwt"], party=browser.app).session_id == session_id
    with pytest.raises(InvalidToken) as caught:
        verify(clerk, old, party=browser.app)
    assert caught.value.reason == "token_unknown_key"


@pytest.mark.parametrize(
    "body",
    [
        {"fault": "typo"},
        {"typo": 1},
        {"status": "x"},
        {"lifetime": "x"},
        {"lifetime": 0},
        {"lifetime": 1e300},
        {"delay": 1e9},
        {"status": 503, "claims": 7},
    ],
)
def test_an_invalid_setting_is_400_and_changes_nothing(
    browser: Browser, clerk: LocalClerk, body: dict[str, object]
) -> None:
    session_id = browser.sign_in("ada")
    response = requests.post(f"{clerk.issuer}/_dev/frontend", json=body, timeout=10)
    assert response.status_code == 400
    assert browser.token(session_id).status_code == 200


def test_the_sessions_of_a_user_can_be_ended_from_outside(
    browser: Browser, other_browser: Browser, clerk: LocalClerk
) -> None:
    session_id, grace = browser.sign_in("ada"), browser.sign_in("grace")
    other_browser.sign_in("ada")
    response = requests.post(f"{clerk.issuer}/_dev/people/ada/sign-out", timeout=10)
    assert response.json() == {"ended": 2}
    assert browser.token(session_id).status_code == 401
    assert browser.token(grace).status_code == 200
