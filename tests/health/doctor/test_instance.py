"""`clerk_doctor`: the findings about keys, clock and Backend API."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta

import pytest
import requests
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.clerk.outgoing import USER_AGENT
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Keyring
from health.doctor.examine import examine as examine_at
from health.doctor.findings import worst
from tests.health.doctor.reports import ERRORS, FINE, WARNINGS, examine, texts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]


def test_plain_http_outside_debug_is_an_error(clerk_settings: Settings) -> None:
    clerk_settings.DEBUG = False
    code, report = examine()
    assert code == ERRORS
    assert "gives no usable key (The address of the keys must be https" in texts(report, "error")


def test_pem_of_the_instance_is_ok(clerk: LocalClerk, clerk_settings: Settings) -> None:
    clerk_settings.CLERK_JWT_KEY = clerk.pem
    code, report = examine()
    assert code == FINE, report
    assert "All 1 keys of CLERK_JWT_KEY" in texts(report, "ok")


def test_pem_of_another_instance_is_reported_by_its_number(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_JWT_KEY = clerk.pem
    clerk.rotate_keys()
    code, report = examine()
    assert code == ERRORS
    assert "key 1 of 1" in texts(report, "error")


def test_pem_and_secret_key_of_two_instances_are_an_error(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_JWT_KEY = Keyring().pem
    clerk_settings.CLERK_JWKS_URL = ""
    code, report = examine()
    assert code == ERRORS
    assert "CLERK_SECRET_KEY belongs to another instance" in texts(report, "error")


def test_firewall_before_the_backend_api_is_not_a_wrong_secret_key(
    clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    httpserver.expect_request(re.compile(".*")).respond_with_data("<h1>Forbidden</h1>", status=403)
    clerk_settings.CLERK_API_URL = httpserver.url_for("").rstrip("/")
    code, report = examine()
    assert code == ERRORS
    (finding,) = [each for each in report["findings"] if each["level"] == "error"]
    assert finding["what"] == "CLERK_API_URL answered 403 (not_from_clerk)."
    assert "firewall or proxy" in finding["to_do"]
    assert "CLERK_SECRET_KEY" not in finding["to_do"]


@pytest.mark.parametrize(("status", "trouble"), [(403, "status 403"), (200, "JSONDecodeError")])
def test_firewall_before_the_address_of_the_keys_is_an_error(
    clerk_settings: Settings, httpserver: HTTPServer, status: int, trouble: str
) -> None:
    httpserver.expect_request("/jwks").respond_with_data("<h1>Forbidden</h1>", status=status)
    clerk_settings.CLERK_JWKS_URL = httpserver.url_for("/jwks")
    code, report = examine()
    assert code == ERRORS
    assert f"gives no usable key ({trouble})." in texts(report, "error")
    assert "firewall or proxy" in texts(report, "error")


def test_each_request_has_our_user_agent(
    clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/jwks").respond_with_json(clerk.emulator.keyring.jwks())
    httpserver.expect_request("/v1/jwks").respond_with_json(clerk.emulator.keyring.jwks())
    httpserver.expect_request("/v1/users/count").respond_with_json({"total_count": 3})
    clerk_settings.CLERK_JWKS_URL = httpserver.url_for("/jwks")
    clerk_settings.CLERK_API_URL = httpserver.url_for("").rstrip("/")
    assert examine()[0] == FINE
    agents = {(request.path, request.headers["User-Agent"]) for request, _ in httpserver.log}
    assert agents == {(path, USER_AGENT) for path in ("/jwks", "/v1/jwks", "/v1/users/count")}


def test_slow_address_of_the_keys_is_an_error(
    clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    def slow(_: Request) -> Response:
        time.sleep(2.5)
        return Response(json.dumps(clerk.emulator.keyring.jwks()))

    httpserver.expect_request("/jwks").respond_with_handler(slow)
    clerk_settings.CLERK_JWKS_URL = httpserver.url_for("/jwks")
    code, report = examine()
    assert code == ERRORS
    assert "a process waits 2 s" in texts(report, "error")


def test_secret_key_of_another_instance_is_an_error(
    clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    keys = {"keys": [{"kty": "RSA", "kid": "ins_other", "n": "AQAB" * 86, "e": "AQAB"}]}
    httpserver.expect_request("/v1/jwks").respond_with_json(keys)
    httpserver.expect_request("/v1/users/count").respond_with_json({"total_count": 3})
    clerk_settings.CLERK_API_URL = httpserver.url_for("").rstrip("/")
    code, report = examine()
    assert code == ERRORS
    assert "another instance" in texts(report, "error")


@pytest.mark.parametrize(
    ("seconds", "code"), [(0, FINE), (-3, WARNINGS), (3, WARNINGS), (60, ERRORS), (-60, ERRORS)]
)
def test_difference_of_the_clocks_is_measured(seconds: int, code: int) -> None:
    findings = examine_at(token=None, clock=lambda: timezone.now() + timedelta(seconds=seconds))
    assert worst(findings) == ("ok", "warning", "error")[code]


def test_slow_answer_is_not_a_wrong_clock(
    clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    def slow(_: Request) -> Response:
        time.sleep(3.5)
        return Response(requests.get(clerk.jwks_url, timeout=5).content)

    httpserver.expect_request("/jwks").respond_with_handler(slow)
    clerk_settings.CLERK_JWKS_URL = httpserver.url_for("/jwks")
    found = [each.what for each in examine_at(token=None, clock=timezone.now)]
    assert "This machine's clock agrees with Clerk's." in found
