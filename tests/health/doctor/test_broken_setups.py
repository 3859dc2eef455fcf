"""`clerk_doctor` on broken configurations: each finding names the true cause."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest
from django.db import connection
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from pytest_httpserver import HTTPServer
from werkzeug import Response

from devclerk.fixtures import LocalClerk
from devclerk.tokens import Keyring
from health.doctor.webhooks import examine_endpoint
from health.models import SyncFailure
from tests.accounts import programs
from tests.health.doctor.reports import ERRORS, FINE, WARNINGS, examine, texts
from webhooks.models import WebhookEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]

APP = "https://app.example.com"
PARTIES = "CLERK_AUTHORIZED_PARTIES"
# Setting, value, exit status, and what the doctor says first about it.
SETUPS = [
    (
        {PARTIES: ("https://*.vercel.app",)},
        ERRORS,
        "CLERK_AUTHORIZED_PARTIES contains 'https://*.vercel.app', which no browser sends as an origin.",
    ),
    (
        {"CLERK_CLAIMS": "email=user.email"},
        ERRORS,
        (
            "CLERK_CLAIMS does not parse: 'email=user.email' is not of the form field=claim or"
            " field=claim|alternative; a claim is a name at the top level of the token, neither a path nor a"
            " shortcode"
        ),
    ),
    (
        {"CLERK_INSTANCE_ID": "app_2abc"},
        ERRORS,
        "CLERK_INSTANCE_ID is not the id of one instance: every webhook would be refused.",
    ),
    (
        {"CLERK_INSTANCE_ID": "ins_2other"},
        ERRORS,
        "CLERK_INSTANCE_ID is not the instance of the public keys, which is {kid}.",
    ),
    (
        {"CLERK_ISSUER": "https://Clerk.example.com"},
        ERRORS,
        "CLERK_ISSUER contains 'https://Clerk.example.com', which no token of Clerk's has as its issuer.",
    ),
    (
        {"CLERK_API_URL": "https://api.clerk.com/v1", "CLERK_SECRET_KEY": ""},
        ERRORS,
        "CLERK_API_URL contains /v1, which each request adds itself.",
    ),
    (
        {"CLERK_SECRET_KEY": "pk_test_Public"},
        ERRORS,
        (
            "CLERK_SECRET_KEY is not a secret key of Clerk's: sk_live_ or sk_test_ and one word of printable"
            " characters."
        ),
    ),
    (
        {"CORS_ALLOWED_ORIGINS": [APP], PARTIES: ("https://www.example.com",)},
        WARNINGS,
        "CORS_ALLOWED_ORIGINS has origins that CLERK_AUTHORIZED_PARTIES lacks: https://app.example.com.",
    ),
    (
        {"CLERK_CLOCK_SKEW_SECONDS": -60},
        ERRORS,
        "CLERK_CLOCK_SKEW_SECONDS is out of range.",
    ),
    ({"CLERK_ISSUER": 5}, ERRORS, "CLERK_ISSUER is no list of texts."),
    (
        {"HEALTH_TOKEN": "w\u00f6rter" * 10},
        ERRORS,
        "HEALTH_TOKEN has characters that an HTTP header does not carry: no request can send it.",
    ),
    (
        {
            "REST_FRAMEWORK": {
                "DEFAULT_AUTHENTICATION_CLASSES": [
                    "rest_framework.authentication.SessionAuthentication",
                    "accounts.authentication.ClerkAuthentication",
                ]
            }
        },
        WARNINGS,
        (
            "SessionAuthentication stands before ClerkAuthentication in DEFAULT_AUTHENTICATION_CLASSES: a"
            " refused token is 403 instead of 401, and its session wins over a token."
        ),
    ),
]


@pytest.mark.parametrize(("changes", "code", "what"), SETUPS)
def test_broken_setting_is_named(
    clerk: LocalClerk, clerk_settings: Settings, changes: dict[str, object], code: int, what: str
) -> None:
    for name, value in changes.items():
        setattr(clerk_settings, name, value)
    ending, report = examine()
    assert ending == code, report
    level = "error" if code == ERRORS else "warning"
    found = [each for each in report["findings"] if each["level"] == level]
    assert found[0]["what"] == what.format(kid=clerk.kid)
    assert found[0]["why"]
    assert found[0]["to_do"]


DATABASES = [
    ("postgresql://user@127.0.0.1:9/none", "(OperationalError): nothing listens at this host and port."),
    ("postgresql://user@db.invalid/none", "(OperationalError): its host has no address."),
    ("{server}/no_such_database", "(OperationalError): the server has no such database."),
    ("sqlite:////no/such/folder/db.sqlite3", "(OperationalError): the file cannot be opened or written."),
]


@pytest.mark.postgresql
@pytest.mark.parametrize(("address", "what"), DATABASES)
def test_error_of_the_database_is_named_by_its_class(clerk: LocalClerk, address: str, what: str) -> None:
    if "{server}" in address:
        entry = connection.settings_dict
        # A socket is an option of libpq; through PgBouncer its port is one too.
        options = {name: entry["OPTIONS"][name] for name in ("host", "port") if name in entry["OPTIONS"]}
        query = f"?{urlencode(options)}"
        place = f"postgresql://{entry['USER']}@{entry['HOST']}" + (
            f":{entry['PORT']}" if entry["PORT"] else ""
        )
        address = address.format(server=place) + query
    done = programs.run("clerk_doctor", clerk=clerk, DATABASE_URL=address)
    assert done.returncode == ERRORS, done.stdout + done.stderr
    assert f"[error] The database cannot be used {what}" in done.stdout
    assert "within a second" not in done.stdout
    assert "no_such_database" not in done.stdout


@pytest.mark.parametrize("option", ["pgbouncer=true", "statement_timeout=5000"])
def test_malformed_database_url_is_the_only_cause(clerk: LocalClerk, option: str) -> None:
    done = programs.run("clerk_doctor", clerk=clerk, DATABASE_URL=f"postgres://u:s3cret@h/db?{option}")
    assert done.returncode == ERRORS
    assert f"[error] DATABASE_URL has an unknown option {option.partition('=')[0]};" in done.stdout
    assert done.stdout.count("[error]") == 1
    assert "The database was not examined" in done.stdout
    assert "s3cret" not in done.stdout


def test_issuer_of_another_instance_is_an_error(
    clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/.well-known/jwks.json").respond_with_json(Keyring().jwks())
    other = httpserver.url_for("").rstrip("/")
    clerk_settings.CLERK_ISSUER = [clerk.issuer, other]
    code, report = examine()
    assert code == ERRORS
    assert f"CLERK_ISSUER contains {other}, whose keys are not those" in texts(report, "error")


def test_satellite_of_the_instance_is_fine(
    clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/.well-known/jwks.json").respond_with_json(clerk.emulator.keyring.jwks())
    clerk_settings.CLERK_ISSUER = f"{clerk.issuer},{httpserver.url_for('').rstrip('/')}"
    assert examine()[0] == FINE


def test_address_without_the_file_of_the_keys_is_explained(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_JWKS_URL = f"{clerk.issuer}/v1/nothing"
    code, report = examine()
    assert code == ERRORS
    assert "ends in /.well-known/jwks.json" in texts(report, "error")


def test_instance_of_the_keys_is_fine_and_excludes_the_example_event(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_INSTANCE_ID = clerk.kid
    code, report = examine()
    assert code == FINE, report
    assert "CLERK_INSTANCE_ID is the instance of the public keys." in texts(report, "ok")
    assert "example events, which name another instance, are refused with 400" in texts(report, "ok")
    assert "send a test event" not in texts(report, "ok")


def test_audience_is_pointed_out(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_AUDIENCE = "api"
    code, report = examine()
    assert code == FINE
    assert "401 token_invalid_audience" in texts(report, "ok")


def test_origins_that_agree_are_fine(clerk_settings: Settings) -> None:
    clerk_settings.CORS_ALLOWED_ORIGINS = ["http://localhost:5173", APP]
    clerk_settings.CLERK_AUTHORIZED_PARTIES = (APP, "https://www.example.com")
    code, report = examine()
    assert code == FINE
    assert "Tokens of each origin in CORS_ALLOWED_ORIGINS are accepted." in texts(report, "ok")
    assert "CORS_ALLOWED_ORIGINS lacks: https://www.example.com." in texts(report, "ok")


# The endpoint from outside


def test_own_endpoint_is_fine_and_nothing_is_recorded(
    live_server: LiveServer, clerk_settings: Settings
) -> None:
    code, report = examine("--webhook-url", f"{live_server.url}/webhooks/clerk")
    assert code == FINE, report
    assert "refuses a delivery without a signature" in texts(report, "ok")
    assert not WebhookEvent.objects.exists()
    assert not SyncFailure.objects.exists()


UNCONFIGURED = {"errors": [{"code": "webhooks_not_configured", "detail": "", "attr": None}]}
ANSWERS = [
    (Response("", status=308, headers={"Location": "https://x.example/webhooks/clerk/"}), "a redirect"),
    (Response("<h1>Log in</h1>", status=401), "401 (not from this project)"),
    (Response("<h1>Forbidden</h1>", status=403), "firewall, proxy or platform"),
    (Response("<h1>Not Found</h1>", status=404), "must end in /webhooks/clerk"),
    (Response("<h1>Bad Request (400)</h1>", status=400), "DJANGO_ALLOWED_HOSTS"),
    (Response("ok"), "200 (not from this project)"),
    (Response('{"errors": [{"code": "<script>"}]}', status=400), "400 (not from this project)"),
]


@pytest.mark.parametrize(("answer", "words"), ANSWERS)
def test_answer_of_the_endpoint_is_explained(httpserver: HTTPServer, answer: Response, words: str) -> None:
    httpserver.expect_request("/webhooks/clerk", method="POST").respond_with_response(answer)
    code, report = examine("--webhook-url", httpserver.url_for("/webhooks/clerk"))
    assert code == ERRORS
    assert words in texts(report, "error")
    assert "script" not in texts(report, "error")


def test_endpoint_without_a_secret_is_explained(httpserver: HTTPServer) -> None:
    httpserver.expect_request(re.compile(".*")).respond_with_json(UNCONFIGURED, status=503)
    code, report = examine("--webhook-url", httpserver.url_for("/webhooks/clerk"))
    assert code == ERRORS
    assert "503 (webhooks_not_configured)" in texts(report, "error")
    assert "CLERK_WEBHOOK_SIGNING_SECRET" in texts(report, "error")


def test_endpoint_that_cannot_be_reached_is_an_error() -> None:
    code, report = examine("--webhook-url", "http://127.0.0.1:9/webhooks/clerk")
    assert code == ERRORS
    assert "gives no answer (ConnectionError)" in texts(report, "error")


@pytest.mark.parametrize("url", ["", "api.example.com/webhooks/clerk", "ftp://api.example.com"])
def test_malformed_endpoint_is_an_error(url: str) -> None:
    [finding] = examine_endpoint(url)
    assert (finding.level, finding.what) == ("error", "--webhook-url is no address.")


def test_host_that_is_not_served_is_named(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["api.example.com"]
    findings = list(examine_endpoint("http://other.invalid/webhooks/clerk"))
    assert "DJANGO_ALLOWED_HOSTS does not contain other.invalid" in findings[0].what
