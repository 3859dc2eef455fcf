"""`clerk_doctor --token`: the findings about one session token."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone
from pytest_django import Settings

from devclerk.fixtures import LocalClerk
from health.doctor.token import examine_token
from tests.accounts import programs
from tests.health.doctor.reports import ERRORS, FINE, WARNINGS, examine, texts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]


def test_valid_token_has_all_claims(clerk: LocalClerk) -> None:
    code, report = examine("--token", clerk.mint("ada"))
    assert code == FINE, report
    assert "The token is valid." in texts(report, "ok")
    assert "bytes used" in texts(report, "ok")


def test_expired_token_is_verified_as_of_its_last_second(clerk: LocalClerk) -> None:
    code, report = examine("--token", clerk.mint("ada", now=timezone.now().timestamp() - 600))
    assert code == FINE, report
    assert "until it expired" in texts(report, "ok")


def test_missing_claims_are_listed_as_json_for_clerk(clerk: LocalClerk) -> None:
    code, report = examine("--token", clerk.mint("user_2unknownToClerk00000000000"))
    assert code == WARNINGS
    (finding,) = [each for each in report["findings"] if "Customize session token" in each["to_do"]]
    wanted = json.loads(finding["to_do"].partition("add: ")[2])
    assert wanted["email"] == "{{user.primary_email_address}}"
    assert set(wanted) == {"email", "email_verified", "first_name", "last_name", "image_url"}


def test_missing_claims_of_further_fields_are_listed_too(clerk: LocalClerk, clerk_settings: Settings) -> None:
    clerk_settings.CLERK_EXTRA_FIELDS = ("phone_number", "public_metadata", "locale")
    clerk_settings.CLERK_CLAIMS = "email=email,phone_number=phone,public_metadata=meta|m,locale=locale"
    _, report = examine("--token", clerk.mint("ada"))
    (finding,) = [each for each in report["findings"] if "Customize session token" in each["to_do"]]
    assert json.loads(finding["to_do"].partition("add: ")[2]) == {
        "phone": "{{user.primary_phone_number}}",
        "phone_number_verified": "{{user.phone_number_verified}}",
        "meta": "{{user.public_metadata}}",
    }
    assert "locale absent" in finding["what"]


def test_missing_claim_without_a_shortcode_is_not_asked_for(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_EXTRA_FIELDS = ("locale",)
    clerk_settings.CLERK_CLAIMS = "email=email,locale=locale"
    _, report = examine("--token", clerk.mint("ada"))
    (finding,) = [each for each in report["findings"] if "locale absent" in each["what"]]
    assert finding["to_do"].startswith("Remove them from CLERK_CLAIMS")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.W10.e30", "sk_test_1"])
def test_malformed_token_is_an_error(token: str) -> None:
    code, report = examine("--token", token)
    assert code == ERRORS
    assert "not a session token" in texts(report, "error")


def test_refused_token_has_reason_and_advice(clerk: LocalClerk, clerk_settings: Settings) -> None:
    clerk_settings.CLERK_AUTHORIZED_PARTIES = ("https://other.example",)
    code, report = examine("--token", clerk.mint("ada", azp="https://app.example"))
    assert code == ERRORS
    assert "token_invalid_authorized_party" in texts(report, "error")
    assert "CLERK_AUTHORIZED_PARTIES" in texts(report, "error")


def test_valid_token_is_not_refused_after_an_error_of_ours(
    clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk_settings.CLERK_AUTHORIZED_PARTIES = 5
    finding = next(examine_token(clerk.mint("ada"), now=timezone.now()))
    assert finding.level == "error"
    assert "this program failed" in finding.what
    assert "503" in finding.why


def test_token_secrets_and_claims_are_not_printed(clerk: LocalClerk) -> None:
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


def test_token_is_verified_with_malformed_claims_setting(clerk: LocalClerk) -> None:
    done = programs.run(
        "clerk_doctor", "--json", "--token", clerk.mint("ada"), clerk=clerk, CLERK_CLAIMS="bogus"
    )
    assert (done.returncode, done.stderr) == (ERRORS, "")
    report = json.loads(done.stdout)
    assert "The claims of the token cannot be examined: CLERK_CLAIMS" in texts(report, "error")
    assert "The token is valid." in texts(report, "ok")
