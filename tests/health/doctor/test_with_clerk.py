"""The report after real requests, with real tokens and keys of the local Clerk emulator."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from accounts.clerk.keys import KeysUnavailable
from accounts.clerk.outgoing import USER_AGENT
from accounts.conf import get_key_source
from accounts.models import User
from devclerk.fixtures import LocalClerk
from devclerk.tokens import Fault
from health.metrics import CLOCK_SKEW, KEY_FETCHES, KEY_SET_AGE, KeySampler
from health.models import SyncFailure
from health.report.build import Report, build_report
from tests.accounts.clerk.keyserver import dated, serving
from tests.clock import Clock
from tests.health.rows import HOUR, event, failures, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
LONG = "x" * 5_000


def sign_in(clerk: LocalClerk, user: Any, **options: Any) -> int:
    headers = {"Authorization": f"Bearer {clerk.mint(user, **options)}"}
    status: int = Client(headers=headers).get("/api/v1/me").status_code
    return status


def report(*, later: timedelta = timedelta()) -> Report:
    return build_report(now=timezone.now() + later)


def codes(built: Report) -> list[str]:
    return [reason.code for reason in built.reasons]


def test_user_without_a_webhook_is_reported_after_ten_minutes(clerk: LocalClerk) -> None:
    event("user_first", at=timezone.now() - HOUR)
    run(at=timezone.now() - HOUR)
    assert sign_in(clerk, clerk.new_person()) == 200
    assert report().webhooks.state == "ok"
    assert codes(report(later=timedelta(minutes=11))) == ["webhooks_missed"]


def test_delivery_ends_the_report_of_a_missed_webhook(clerk: LocalClerk) -> None:
    event("user_first", at=timezone.now() - HOUR)
    run(at=timezone.now() - HOUR)
    user = clerk.new_person()
    sign_in(clerk, user)
    event(user.id, at=timezone.now())
    assert report(later=timedelta(minutes=11)).webhooks.state == "ok"


def test_unusable_claim_is_recorded_and_the_request_succeeds(clerk: LocalClerk) -> None:
    assert sign_in(clerk, "ada", claims={"first_name": LONG}) == 200
    row = SyncFailure.objects.open().get()
    assert (row.clerk_id, row.source, row.reason) == (
        clerk.person("ada").id,
        "request",
        "unusable_field:first_name",
    )


def test_warm_request_is_one_statement_with_all_receivers(
    clerk: LocalClerk, django_assert_num_queries: Any
) -> None:
    token = clerk.mint("ada")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert client.get("/api/v1/me").status_code == 200
    with django_assert_num_queries(1):
        assert client.get("/api/v1/me").status_code == 200


def test_missing_keys_are_degraded(clerk: LocalClerk) -> None:
    clerk.keys_down()
    assert sign_in(clerk, "ada") == 503
    built = report()
    assert built.keys.stale
    assert set(codes(built)) == {"keys_unavailable", "no_verification_key"}


def test_unknown_keys_are_no_reason_and_no_failure(clerk: LocalClerk) -> None:
    assert sign_in(clerk, "ada") == 200
    clerk.keys_slow()
    assert sign_in(clerk, "ada", fault=Fault.UNKNOWN_KID) == 503
    built = report()
    assert (built.status, codes(built)) == ("ok", [])
    assert not SyncFailure.objects.exists()


def test_wrong_clock_is_reported_and_measured(clerk: LocalClerk, settings: Settings) -> None:
    with serving(dated(clerk.emulator.keyring.jwks(), ahead=30)) as server:
        settings.CLERK_JWKS_URL = server.url
        for kid in (clerk.kid, "ins_unknown"):
            get_key_source().get_keys(kid)
        built = report()
        assert (built.status, codes(built)) == ("degraded", ["clock_skew"])
        assert built.as_dict()["keys"]["clock_skew_seconds"] == pytest.approx(-30, abs=1.5)
        KeySampler().sample()
        assert CLOCK_SKEW._value.get() == pytest.approx(-30, abs=1.5)


@pytest.mark.parametrize(
    ("answer", "last_error"),
    [
        (Response("<h1>Forbidden</h1>", status=403), "status_403"),
        (Response("<h1>Sign in to the network</h1>"), "JSONDecodeError"),
        (Response('{"portal": true}'), "no_key_list"),
    ],
)
def test_next_step_for_the_answer_of_a_firewall_names_the_user_agent(
    clerk: LocalClerk, settings: Settings, httpserver: HTTPServer, answer: Response, last_error: str
) -> None:
    httpserver.expect_request("/jwks.json").respond_with_response(answer)
    settings.CLERK_JWKS_URL = httpserver.url_for("/jwks.json")
    assert sign_in(clerk, "ada") == 503
    [reason] = [each for each in report().reasons if each.code == "no_verification_key"]
    assert last_error in reason.detail
    assert USER_AGENT in reason.next_step


def test_keys_are_stale_after_the_seconds_of_the_setting(clerk: LocalClerk, settings: Settings) -> None:
    assert sign_in(clerk, "ada") == 200
    assert not report().keys.stale
    settings.HEALTH_KEYS_STALE_SECONDS = 0
    built = report()
    assert (built.keys.mode, built.keys.stale, codes(built)) == ("jwks", True, ["keys_stale"])


def test_process_that_has_not_fetched_keys_yet_is_not_degraded() -> None:
    assert not get_key_source().status().held
    assert codes(report()) == []


def test_ready_needs_clerk_for_the_first_key_only(clerk: LocalClerk) -> None:
    client = Client()
    assert client.get("/health/ready").json() == {"status": "no_verification_key"}
    get_key_source().get_keys(clerk.kid)
    clerk.keys_down()
    assert client.get("/health/ready").json() == {"status": "ok"}


def test_probe_does_not_call_clerk(clerk: LocalClerk) -> None:
    Client().get("/health/ready")
    assert clerk.key_requests == 0


def test_fetches_of_keys_are_counted_by_their_result(clerk: LocalClerk) -> None:
    def count() -> float:
        (series,) = KEY_FETCHES.collect()
        return sum(sample.value for sample in series.samples if sample.name.endswith("_total"))

    clerk.keys_down()
    with pytest.raises(KeysUnavailable):
        get_key_source().get_keys(clerk.kid)
    before = count()
    KeySampler().sample()
    assert count() > before


def test_sampler_reads_the_keys_at_most_every_ten_seconds(clerk: LocalClerk) -> None:
    get_key_source().get_keys(clerk.kid)
    clock = Clock()
    sampler = KeySampler(clock=clock)
    sampler.sample()
    KEY_SET_AGE.set(-1)
    clock.now += 9.9
    sampler.sample()
    assert KEY_SET_AGE._value.get() == -1
    clock.now += 0.1
    sampler.sample()
    assert KEY_SET_AGE._value.get() >= 0


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(User.objects.create(username="helga", is_staff=True, is_superuser=True))
    return client


def failed(clerk_id: str) -> str:
    now = timezone.now()
    SyncFailure.objects.record([failures(clerk_id, at=now, reason="unusable_field:email")], now=now)
    return f"/admin/health/syncfailure/{SyncFailure.objects.get().pk}/sync-again/"


def test_sync_again_fetches_the_user_closes_the_failure_and_is_logged(
    clerk: LocalClerk, operator: Client
) -> None:
    user = clerk.new_person(first_name="Grace")
    page = operator.post(failed(user.id), follow=True).content.decode()
    assert f"Fetched {user.id} from Clerk: created." in page
    assert User.objects.get(clerk_id=user.id).first_name == "Grace"
    assert not SyncFailure.objects.open().exists()
    assert user.id in LogEntry.objects.get().get_change_message()


def test_sync_again_of_a_user_unknown_to_clerk_is_a_message(operator: Client) -> None:
    page = operator.post(failed("user_unknown"), follow=True).content.decode()
    assert "Clerk has no user user_unknown." in page
    assert SyncFailure.objects.open().exists()


def test_sync_again_without_a_valid_secret_key_is_a_message(
    clerk: LocalClerk, operator: Client, settings: Settings
) -> None:
    settings.CLERK_SECRET_KEY = "sk_test_wrong"
    page = operator.post(failed("user_a"), follow=True).content.decode()
    assert "Could not fetch user_a." in page
    assert "CLERK_SECRET_KEY" in page
