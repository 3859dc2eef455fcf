"""`clerk_doctor`: the findings about settings, webhooks and database."""

from __future__ import annotations

import base64
import json

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts.models import CreatedVia
from devclerk.fixtures import LocalClerk
from tests.accounts import programs
from tests.factories import UserFactory
from tests.health.doctor.reports import ERRORS, FINE, WARNINGS, examine, texts
from webhooks.models import EventOutcome, WebhookEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]


def test_valid_setup_has_no_problem() -> None:
    code, report = examine()
    assert (code, report["status"]) == (FINE, "ok"), report
    assert {finding["level"] for finding in report["findings"]} == {"ok"}


@pytest.mark.parametrize("level", ["warning", "error"])
def test_each_finding_has_what_why_and_what_to_do(clerk_settings: Settings, level: str) -> None:
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
        ("CLERK_SECRET_KEY", "pk_test_Public", ERRORS, "not a secret key of Clerk's"),
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
def test_wrong_setting_is_reported(
    clerk_settings: Settings, setting: str, value: object, code: int, words: str
) -> None:
    setattr(clerk_settings, setting, value)
    ending, report = examine()
    assert (ending, report["status"]) == (code, "warning" if code == WARNINGS else "error")
    assert words in texts(report, report["status"])
    for secret in ("sk_test_Wrong", "pk_test_Public", "two words", "nonsense", "no key"):
        assert secret not in json.dumps(report)


def test_issuer_of_another_publishable_key_is_a_warning(clerk_settings: Settings) -> None:
    host = base64.b64encode(b"clerk.other.example$").decode()
    clerk_settings.CLERK_PUBLISHABLE_KEY = f"pk_test_{host}"
    code, report = examine()
    assert code == WARNINGS
    assert "https://clerk.other.example" in texts(report, "warning")


def test_users_without_any_webhook_are_a_warning() -> None:
    UserFactory.create(created_via=CreatedVia.REQUEST)
    code, report = examine()
    assert code == WARNINGS
    assert "no webhook has ever arrived" in texts(report, "warning")


def test_last_webhook_has_its_time() -> None:
    at = timezone.now()
    WebhookEvent.objects.create(
        svix_id="msg_1", type="user.created", occurred_at=at, received_at=at, outcome=EventOutcome.CREATED
    )
    code, report = examine()
    assert code == FINE
    assert f"The last webhook arrived at {at:%Y-%m-%d %H:%M}" in texts(report, "ok")


BROKEN = {
    "DJANGO_DEBUG": "maybe",
    "CLERK_PUBLISHABLE_KEY": "pk_live_nonsense",
    "CLERK_JWKS_URL": "not an address",
    "CLERK_AUTHORIZED_PARTIES": "",
    "CLERK_CLOCK_SKEW_SECONDS": "soon",
    "CLERK_CLAIMS": "email",
    "PROMETHEUS_MULTIPROC_DIR": "/dev/null",
}


def test_command_starts_with_malformed_settings_and_reports_all(clerk: LocalClerk) -> None:
    done = programs.run("clerk_doctor", clerk=clerk, **BROKEN)
    assert done.returncode == ERRORS, done.stderr
    for name in BROKEN:
        assert name in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.postgresql
@pytest.mark.own_session
def test_standby_is_an_error_with_what_to_do() -> None:
    name = connection.ops.quote_name(str(connection.settings_dict["NAME"]))
    with connection.cursor() as cursor:
        # New connections find this function before PostgreSQL's own: to them the server is a standby.
        cursor.execute("CREATE SCHEMA standby")
        cursor.execute(
            "CREATE FUNCTION standby.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'"
        )
        cursor.execute(f"ALTER DATABASE {name} SET search_path = standby, pg_catalog, public")
    try:
        code, report = examine()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET search_path")
            cursor.execute("DROP SCHEMA standby CASCADE")
    assert code == ERRORS
    assert "The database is a standby" in texts(report, "error")
    assert "DATABASE_URL" in texts(report, "error")


def test_command_starts_without_a_database(clerk: LocalClerk) -> None:
    done = programs.run(
        "clerk_doctor",
        clerk=clerk,
        DATABASE_URL="postgresql://user@127.0.0.1:9/none",
        CLERK_WEBHOOK_SIGNING_SECRET="",
    )
    assert done.returncode == ERRORS
    assert "The database cannot be used (OperationalError): nothing listens" in done.stdout
    assert "CLERK_WEBHOOK_SIGNING_SECRET is not set" in done.stdout
    assert "Traceback" not in done.stderr
