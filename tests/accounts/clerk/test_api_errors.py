"""Errors of the Backend API client: who gave the answer, what the operator can do, and no secret."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer

from accounts.clerk.api import ClerkAPI, ClerkAPIError
from tests.accounts.clerk.api_server import SECRET


@pytest.mark.parametrize("status", [401, 403])
def test_error_for_a_wrong_key_names_the_setting_and_not_the_key(
    httpserver: HTTPServer, clerk_api: ClerkAPI, status: int
) -> None:
    body = {"errors": [{"code": "authentication_invalid", "message": SECRET}], "clerk_trace_id": "t1"}
    httpserver.expect_request("/v1/users/count").respond_with_json(body, status=status)
    with pytest.raises(ClerkAPIError, match=r"authentication_invalid, trace t1.*CLERK_SECRET_KEY") as caught:
        clerk_api.count()
    assert SECRET not in str(caught.value) + repr(caught.value)
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("status", [302, 401, 403, 404, 407, 429, 451])
@pytest.mark.parametrize(
    "body",
    ["<h1>Blocked</h1>", "{}", "", '{"errors": [{"code": 1020, "message": "Access denied"}]}'],
    ids=["html", "no errors", "empty", "number"],
)
def test_answer_of_a_firewall_is_not_called_a_wrong_secret_key(
    httpserver: HTTPServer, clerk_api: ClerkAPI, status: int, body: str
) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_data(body, status=status)
    with pytest.raises(ClerkAPIError, match="firewall or proxy") as caught:
        clerk_api.count()
    assert (caught.value.status, caught.value.code) == (status, "not_from_clerk")
    assert caught.value.concerns_all
    for wrong in ("CLERK_SECRET_KEY", "rate limit", "support"):
        assert wrong not in str(caught.value)
    assert "django-clerk-sync/" in caught.value.next_step
    assert "CLERK_API_URL" in caught.value.next_step


@pytest.mark.parametrize("body", ["<h1>Sign in to the network</h1>", ""])
def test_page_with_status_200_is_not_called_an_answer_of_clerk(
    httpserver: HTTPServer, clerk_api: ClerkAPI, body: str
) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_data(body)
    with pytest.raises(ClerkAPIError, match=r"not_from_clerk.*firewall or proxy"):
        clerk_api.count()


def test_error_for_a_page_of_a_gateway_names_the_firewall_and_the_outage(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_data("<h1>Bad gateway</h1>", status=502)
    with pytest.raises(ClerkAPIError, match=r"firewall or proxy.*https://status\.clerk\.com"):
        clerk_api.count()


def test_text_in_place_of_a_code_is_not_repeated(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    body = {"errors": [{"code": "ann@example.com is taken"}], "clerk_trace_id": {"x": 1}}
    httpserver.expect_request("/v1/users/count").respond_with_json(body, status=400)
    with pytest.raises(ClerkAPIError) as caught:
        clerk_api.count()
    assert (caught.value.code, caught.value.trace_id) == ("not_from_clerk", None)


@pytest.mark.parametrize("key", ["", "sk test", "sk_test\n", "sk_tést", "sk\x00"])
def test_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="CLERK_SECRET_KEY") as caught:
        ClerkAPI(key)
    assert not key or key not in str(caught.value)
