"""`clerk_doctor`: what is wrong is said in plain words, and nothing secret is."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Mapping
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import requests
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.clerk.outgoing import USER_AGENT
from accounts.models import CreatedVia
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Keyring
from health.doctor.examine import examine as examine_at
from health.doctor.findings import worst
from health.doctor.token import examine_token
from tests.accounts import programs
from tests.factories import UserFactory
from webhooks.models import EventOutcome, WebhookEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]

FINE, WARNINGS, ERRORS = 0, 1, 2


def examine(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command in this process; give exit code and report."""
    output, code = StringIO(), 0
    try:
        call_command("clerk_doctor", "--json", *arguments, stdout=output)
    except SystemExit as ending:
        code = int(str(ending.code))
    return code, json.loads(output.getvalue())


def said(report: Mapping[str, Any], level: str) -> str:
    """Give all that was said at this level."""
    chosen = [finding for finding in report["findings"] if finding["level"] == level]
    return "\n".join(" ".join(finding.values()) for finding in chosen)


def test_a_good_set_up_is_fine() -> None:
    code, report = examine()
    assert (code, report["status"]) == (FINE, "ok"), report
    assert {finding["level"] for finding in report["findings"]} == {"ok"}


def test_plain_http_outside_debug_is_a_finding(clerk_settings: Settings) -> None:
    clerk_settings.DEBUG = False
    code, report = examine()
    assert code == ERRORS
    assert "gives no usable key (The address of the keys must be https" in said(report, "error")


@pytest.mark.parametrize("level", ["warning", "error"])
def test_each_finding_says_what_why_and_what_to_do(clerk_settings: Settings, level: str) -> None:
    clerk_settings.CLERK_SECRET_KEY = ""
    clerk_settings.CLERK_JWKS_URL += "x"
    _, report = examine()
    findings = [finding for finding in report["findings"] if finding["level"] == level]
    assert findings
    assert all(finding["what"] and finding["why"] and finding["to_do"] for finding in findings)


@pytest.mark.parametrize(
    ("setting", "value", "code", "words"),
    [
        ("CLERK_SECRET_KEY", "", WARNINGS, "CLERK_SECRET_KEY is not set"),
        ("CLERK_SECRET_KEY", "sk_test_Wrong", ERRORS, "clerk_key_invalid"),
        ("CLERK_SECRET_KEY", "pk_test_Public", ERRORS, "no secret key of Clerk's"),
        ("CLERK_SECRET_KEY", "sk_test_two words", ERRORS, "one word"),
        ("CLERK_WEBHOOK_SIGNING_SECRET", (), WARNINGS, "CLERK_WEBHOOK_SIGNING_SECRET is not set"),
        ("CLERK_WEBHOOK_SIGNING_SECRET", ("nonsense",), ERRORS, "whsec_"),
        ("CLERK_AUTHORIZED_PARTIES", None, WARNINGS, "CLERK_AUTHORIZED_PARTIES"),
        ("CLERK_AUTHORIZED_PARTIES", ("https://app.example.com/",), ERRORS, "CLERK_AUTHORIZED_PARTIES"),
        ("CLERK_JWKS_URL", "http://127.0.0.1:9/", ERRORS, "gives no usable key"),
        ("CLERK_JWT_KEY", "no key", ERRORS, "CLERK_JWT_KEY does not parse"),
        ("ENV_PROBLEMS", (("CLERK_CLAIMS", "must be pairs"),), ERRORS, "CLERK_CLAIMS must be pairs"),
    ],
)
def test_what_is_wrong_is_named(
    clerk_settings: Settings, setting: str, value: object, code: int, words: str
) -> None:
    setattr(clerk_settings, setting, value)
    ending, report = examine()
    assert (ending, report["status"]) == (code, "warning" if code == WARNINGS else "error")
    assert words in said(report, report["status"])
    for secret in ("sk_test_Wrong", "pk_test_Public", "two words", "nonsense", "no key"):
        assert secret not in json.dumps(report)


def test_an_issuer_that_is_not_the_publishable_keys_is_named(clerk_settings: Settings) -> None:
    host = base64.b64encode(b"clerk.other.example$").decode()
    clerk_settings.CLERK_PUBLISHABLE_KEY = f"pk_test_{host}"
    code, report = examine()
    assert code == WARNINGS
    assert "https://clerk.other.example" in said(report, "warning")


def test_a_pem_of_the_instance_is_fine(clerk: LocalClerk, clerk_settings: Settings) -> None:
    clerk_settings.CLERK_JWT_KEY = clerk.pem
    code, report = examine()
    assert code == FINE, report
    assert "All 1 keys of CLERK_JWT_KEY" in said(report, "ok")


def test_a_pem_of_another_instance_is_named_by_its_number(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_JWT_KEY = clerk.pem
    clerk.rotate_keys()
    code, report = examine()
    assert code == ERRORS
    assert "key 1 of 1" in said(report, "error")


def test_a_pem_of_another_instance_than_the_secret_key_is_an_error(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_JWT_KEY = Keyring().pem
    clerk_settings.CLERK_JWKS_URL = ""
    code, report = examine()
    assert code == ERRORS
    assert "CLERK_SECRET_KEY belongs to another instance" in said(report, "error")


def test_a_firewall_before_the_backend_api_is_not_called_a_wrong_secret_key(
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
def test_a_firewall_before_the_address_of_the_keys_is_named(
    clerk_settings: Settings, httpserver: HTTPServer, status: int, trouble: str
) -> None:
    httpserver.expect_request("/jwks").respond_with_data("<h1>Forbidden</h1>", status=status)
    clerk_settings.CLERK_JWKS_URL = httpserver.url_for("/jwks")
    code, report = examine()
    assert code == ERRORS
    assert f"gives no usable key ({trouble})." in said(report, "error")
    assert "firewall or proxy" in said(report, "error")


def test_every_request_of_the_doctor_carries_our_own_user_agent(
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


def test_an_address_of_the_keys_that_is_too_slow_for_requests_is_an_error(
    clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    def slow(_: Request) -> Response:
        time.sleep(2.5)
        return Response(json.dumps(clerk.emulator.keyring.jwks()))

    httpserver.expect_request("/jwks").respond_with_handler(slow)
    clerk_settings.CLERK_JWKS_URL = httpserver.url_for("/jwks")
    code, report = examine()
    assert code == ERRORS
    assert "a process waits 2 s" in said(report, "error")


def test_a_secret_key_of_another_instance_is_an_error(
    clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    keys = {"keys": [{"kty": "RSA", "kid": "ins_other", "n": "AQAB" * 86, "e": "AQAB"}]}
    httpserver.expect_request("/v1/jwks").respond_with_json(keys)
    httpserver.expect_request("/v1/users/count").respond_with_json({"total_count": 3})
    clerk_settings.CLERK_API_URL = httpserver.url_for("").rstrip("/")
    code, report = examine()
    assert code == ERRORS
    assert "another instance" in said(report, "error")


@pytest.mark.parametrize(
    ("seconds", "code"), [(0, FINE), (-3, WARNINGS), (3, WARNINGS), (60, ERRORS), (-60, ERRORS)]
)
def test_a_clock_that_is_off_is_measured(seconds: int, code: int) -> None:
    findings = examine_at(token=None, clock=lambda: timezone.now() + timedelta(seconds=seconds))
    assert worst(findings) == ("ok", "warning", "error")[code]


def test_a_slow_answer_is_no_wrong_clock(
    clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    def slow(_: Request) -> Response:
        time.sleep(3.5)
        return Response(requests.get(clerk.jwks_url, timeout=5).content)

    httpserver.expect_request("/jwks").respond_with_handler(slow)
    clerk_settings.CLERK_JWKS_URL = httpserver.url_for("/jwks")
    told = [each.what for each in examine_at(token=None, clock=timezone.now)]
    assert "This machine's clock agrees with Clerk's." in told


def test_people_without_any_webhook_are_a_warning() -> None:
    UserFactory.create(created_via=CreatedVia.REQUEST)
    code, report = examine()
    assert code == WARNINGS
    assert "no webhook has ever come" in said(report, "warning")


def test_the_last_webhook_is_dated() -> None:
    at = timezone.now()
    WebhookEvent.objects.create(
        svix_id="msg_1", type="user.created", occurred_at=at, received_at=at, outcome=EventOutcome.CREATED
    )
    code, report = examine()
    assert code == FINE
    assert f"The last webhook came at {at:%Y-%m-%d %H:%M}" in said(report, "ok")


def test_a_good_token_is_valid_and_complete(clerk: LocalClerk) -> None:
    code, report = examine("--token", clerk.mint("ada"))
    assert code == FINE, report
    assert "The token is valid." in said(report, "ok")
    assert "bytes used" in said(report, "ok")


def test_a_token_that_expired_on_its_way_here_is_judged_as_of_its_last_second(clerk: LocalClerk) -> None:
    code, report = examine("--token", clerk.mint("ada", now=timezone.now().timestamp() - 600))
    assert code == FINE, report
    assert "until it expired" in said(report, "ok")


def test_missing_claims_come_with_the_json_that_adds_them(clerk: LocalClerk) -> None:
    code, report = examine("--token", clerk.mint("user_2unknownToEverybody00000000"))
    assert code == WARNINGS
    (finding,) = [each for each in report["findings"] if "Customize session token" in each["to_do"]]
    wanted = json.loads(finding["to_do"].partition("add: ")[2])
    assert wanted["email"] == "{{user.primary_email_address}}"
    assert set(wanted) == {"email", "email_verified", "first_name", "last_name", "image_url"}


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.W10.e30", "sk_test_1"])
def test_what_is_no_token_is_said_to_be_none(token: str) -> None:
    code, report = examine("--token", token)
    assert code == ERRORS
    assert "no session token" in said(report, "error")


def test_a_refused_token_comes_with_the_reason_and_advice(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_AUTHORIZED_PARTIES = ("https://other.example",)
    code, report = examine("--token", clerk.mint("ada"))
    assert code == ERRORS
    assert "token_invalid_authorized_party" in said(report, "error")
    assert "CLERK_AUTHORIZED_PARTIES" in said(report, "error")


def test_a_good_token_that_meets_an_error_of_ours_is_not_said_to_be_refused(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_AUTHORIZED_PARTIES = 5
    finding = next(examine_token(clerk.mint("ada"), now=timezone.now()))
    assert finding.level == "error"
    assert "this program failed" in finding.what
    assert "503" in finding.why


def test_neither_token_nor_secrets_nor_claims_are_printed(clerk: LocalClerk) -> None:
    token = clerk.mint("ada")
    for arguments in (["--token", token], ["--json", "--token", token]):
        done = programs.run("clerk_doctor", *arguments, clerk=clerk)
        assert done.returncode == 0, done.stdout + done.stderr
        text = done.stdout + done.stderr
        for word in (
            token,
            clerk.secret_key,
            clerk.webhook_secret,
            "ada@example.test",
            "Lovelace",
            token[-40:],
        ):
            assert word not in text


BROKEN = {
    "DJANGO_DEBUG": "maybe",
    "CLERK_PUBLISHABLE_KEY": "pk_live_nonsense",
    "CLERK_JWKS_URL": "not an address",
    "CLERK_AUTHORIZED_PARTIES": "",
    "CLERK_CLOCK_SKEW_SECONDS": "soon",
    "CLERK_CLAIMS": "email",
    "PROMETHEUS_MULTIPROC_DIR": "/dev/null",
}


def test_it_starts_with_malformed_settings_and_names_them_all(clerk: LocalClerk) -> None:
    done = programs.run("clerk_doctor", clerk=clerk, **BROKEN)
    assert done.returncode == ERRORS, done.stderr
    for name in BROKEN:
        assert name in done.stdout
    assert "Traceback" not in done.stderr


def test_with_malformed_claims_a_token_is_examined_as_far_as_it_can_be(clerk: LocalClerk) -> None:
    done = programs.run(
        "clerk_doctor", "--json", "--token", clerk.mint("ada"), clerk=clerk, CLERK_CLAIMS="bogus"
    )
    assert (done.returncode, done.stderr) == (ERRORS, "")
    report = json.loads(done.stdout)
    assert "Whether the token has its claims cannot be told: CLERK_CLAIMS" in said(report, "error")
    assert "The token is valid." in said(report, "ok")


def test_it_starts_without_a_database_and_names_what_needs_none(clerk: LocalClerk) -> None:
    done: subprocess.CompletedProcess[str] = programs.run(
        "clerk_doctor",
        clerk=clerk,
        DATABASE_URL="postgresql://nobody@127.0.0.1:9/none",
        CLERK_WEBHOOK_SIGNING_SECRET="",
    )
    assert done.returncode == ERRORS
    assert "The database does not answer" in done.stdout
    assert "CLERK_WEBHOOK_SIGNING_SECRET is not set" in done.stdout
    assert "Traceback" not in done.stderr
