from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from pytest_django import Settings

from accounts.clerk.keys import KeysStatus, PemKeys
from accounts.models import CreatedVia, User
from accounts.signals import sync_failed
from health.models import SyncFailure
from health.recorder import MAX_ENTRIES, recorder
from health.report.build import build_report
from health.report.facts import KeyFacts, read_keys
from health.report.reasons import explain_keys
from tests.clock import Clock
from tests.health.conftest import Away
from tests.health.rows import HOUR, MINUTE, event, failures, new_user, run
from webhooks.models import EventOutcome

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()
SHAPE = {
    "status": str,
    "reasons": list,
    "failures": {"open": int, "by_source": dict, "by_reason": dict, "oldest_at": None},
    "keys": {"mode": str, "age_seconds": None, "stale": bool, "clock_skew_seconds": None},
    "webhooks": {
        "state": str,
        "last_received_at": None,
        "lag_seconds": {"p50": None, "p95": None},
        "rejected": int,
        "missed": {"count": int, "share": float},
    },
    "people": {"live": int, "without_profile": int},
    "runs": {"backfill": None, "reconcile": None},
}


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = ("whsec_c2VjcmV0",)


def report() -> Any:
    return json.loads(json.dumps(build_report(now=NOW).as_dict(), cls=DjangoJSONEncoder))


def codes(built: Any) -> list[str]:
    return [reason["code"] for reason in built["reasons"]]


def assert_shape(value: Any, shape: Any) -> None:
    if isinstance(shape, dict):
        assert value.keys() == shape.keys()
        for name, inner in shape.items():
            assert_shape(value[name], inner)
    elif shape is None:
        assert value is None
    else:
        assert type(value) is shape


def test_report_of_an_empty_database_has_the_shape_and_is_ok() -> None:
    built = report()
    assert_shape(built, SHAPE)
    assert (built["status"], built["reasons"]) == ("ok", [])
    assert built["webhooks"]["state"] == "unknown"


def test_missing_webhook_secret_is_not_degraded(settings: Settings) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = ()
    event("user_first", at=NOW - 40 * HOUR)
    run(at=NOW - 40 * HOUR)
    new_user(at=NOW - HOUR)
    built = report()
    assert (built["status"], built["webhooks"]["state"]) == ("ok", "not_configured")


def test_missing_backfill_is_not_degraded() -> None:
    event("user_first", at=NOW - 2 * HOUR)
    new_user(at=NOW - HOUR)
    built = report()
    assert (built["status"], built["webhooks"]["state"]) == ("ok", "unknown")
    assert (built["people"], built["runs"]["backfill"]) == ({"live": 1, "without_profile": 1}, None)


def test_notes_have_their_next_step(settings: Settings) -> None:
    settings.CLERK_WEBHOOK_SIGNING_SECRET = ()
    new_user(at=NOW - HOUR)
    notes = build_report(now=NOW).notes
    assert [note.code for note in notes] == ["webhooks_not_configured", "no_backfill", "empty_profiles"]
    assert all(note.next_step for note in notes)


def test_missed_webhooks_are_reported_with_count_share_and_next_step() -> None:
    event("user_first", at=NOW - 40 * HOUR)
    run(at=NOW - 40 * HOUR)
    new_user(at=NOW - HOUR)
    built = report()
    assert (built["status"], built["webhooks"]["state"]) == ("degraded", "missed")
    assert built["webhooks"]["missed"] == {"count": 1, "share": 1.0}
    assert codes(built) == ["webhooks_missed"]
    assert "Webhooks" in built["reasons"][0]["next_step"]


def test_late_webhooks_are_reported() -> None:
    for _ in range(9):
        event(at=NOW - HOUR, lag=timedelta(seconds=2))
    event(at=NOW - HOUR, lag=timedelta(seconds=900))
    built = report()
    assert built["webhooks"]["lag_seconds"] == {"p50": 2.0, "p95": 900.0}
    assert (built["webhooks"]["state"], codes(built)) == ("late", ["webhooks_late"])


def test_webhooks_in_time_are_ok() -> None:
    event("user_first", at=NOW - 40 * HOUR, lag=HOUR)
    run(at=NOW - 40 * HOUR)
    event("user_a", at=NOW - HOUR)
    new_user("user_a", at=NOW - HOUR)
    built = report()
    assert (built["status"], built["webhooks"]["state"]) == ("ok", "ok")
    assert built["webhooks"]["last_received_at"] == DjangoJSONEncoder().default(NOW - HOUR)


def test_rejected_events_of_the_last_day_are_counted() -> None:
    event(at=NOW - HOUR, outcome=EventOutcome.REJECTED)
    event(at=NOW - 25 * HOUR, outcome=EventOutcome.REJECTED)
    assert report()["webhooks"]["rejected"] == 1


def test_open_failures_are_counted_by_source_and_reason_and_explained() -> None:
    batch = [
        failures("user_a", at=NOW - 2 * HOUR, reason="unusable_field:email"),
        failures("user_b", at=NOW - HOUR, reason="unusable_field:email", source="webhook", times=7),
        failures(at=NOW, reason="lock_timeout"),
    ]
    SyncFailure.objects.record(batch, now=NOW)
    built = report()
    assert built["failures"] == {
        "open": 3,
        "by_source": {"request": 2, "webhook": 1},
        "by_reason": {"unusable_field:email": 2, "lock_timeout": 1},
        "oldest_at": DjangoJSONEncoder().default(NOW - 2 * HOUR),
    }
    assert codes(built) == ["lock_timeout"]
    assert built["status"] == "degraded"


def test_closed_failures_and_ended_outages_are_not_reported() -> None:
    SyncFailure.objects.record([failures("user_a", at=NOW), failures(at=NOW - 20 * MINUTE)], now=NOW)
    SyncFailure.objects.close_for(["user_a"], at=NOW)
    built = report()
    assert (built["status"], built["failures"]["open"]) == ("ok", 0)


@pytest.mark.parametrize("source", ["request", "webhook"])
def test_an_unexpected_error_without_a_user_ends_after_15_quiet_minutes(source: str) -> None:
    """Before the signature is good, a stranger may cause it again and again, but cannot keep it open."""
    sync_failed.send_robust(User, clerk_id=None, source=source, reason="unexpected_error")
    now = timezone.now()
    assert build_report(now=now + 14 * MINUTE).status == "degraded"
    assert build_report(now=now + 16 * MINUTE).status == "ok"


def test_report_writes_pending_counts_into_the_table() -> None:
    for _ in range(5):
        recorder.record(clerk_id=None, source="request", reason="keys_unavailable", at=NOW)
    assert report()["failures"]["open"] == 1
    assert SyncFailure.objects.get().count == 5


def test_live_users_without_a_profile_are_counted() -> None:
    new_user(at=NOW)
    new_user(at=NOW, via=CreatedVia.WEBHOOK, first_name="Ada")
    new_user(at=NOW, email="ada@example.test")
    new_user(at=NOW, deleted_at=NOW, deleted_by="clerk")
    assert report()["people"] == {"live": 3, "without_profile": 1}


def test_newest_finished_run_of_each_kind_is_reported() -> None:
    run(at=NOW - 3 * HOUR)
    run(at=NOW - 2 * HOUR)
    run(at=NOW - HOUR, kind="reconcile")
    runs = report()["runs"]
    assert runs["backfill"]["finished_at"] == DjangoJSONEncoder().default(NOW - 2 * HOUR)
    assert runs["reconcile"].keys() == {"finished_at", "status", "counts"}


def test_pem_key_whose_good_signatures_stop_is_reported_as_rotated() -> None:
    clock = Clock()
    keys = PemKeys([], clock=clock)
    for good in (True, False):
        for _ in range(5):
            keys.record_result(good=good)
        clock.now += 300
    (reason,) = explain_keys(read_keys(), status=keys.status())
    assert reason.code == "keys_rotated"
    assert reason.detail.startswith("Key rotated?")
    assert "CLERK_JWT_KEY" in reason.next_step


@pytest.mark.parametrize(("seconds", "words"), [(30.2, "30 seconds ahead of"), (-7.6, "8 seconds behind")])
def test_wrong_clock_is_a_reason_with_the_next_step(seconds: float, words: str) -> None:
    facts = KeyFacts(mode="jwks", age_seconds=1, stale=False, clock_skew_seconds=seconds)
    (reason,) = explain_keys(facts, status=KeysStatus(mode="jwks"))
    assert reason.code == "clock_skew"
    assert words in reason.detail
    assert "NTP" in reason.next_step


def test_failed_events_are_a_note() -> None:
    event(at=NOW - HOUR, outcome=EventOutcome.FAILED)
    built = build_report(now=NOW)
    assert (built.webhooks.failed, built.status) == (1, "ok")
    assert [note.code for note in built.notes] == ["webhooks_failed", "no_backfill"]


def test_failed_handlers_are_a_note_with_their_names() -> None:
    for name, at in (("shop.keep", HOUR), ("shop.keep", HOUR), ("shop.end", HOUR), ("shop.old", 25 * HOUR)):
        event(at=NOW - at, outcome=EventOutcome.FAILED, failed_handler=name)
    built = build_report(now=NOW)
    assert built.webhooks.failed_handlers == {"shop.keep": 2, "shop.end": 1}
    assert (built.webhooks.failed, built.status) == (0, "ok")
    notes = [(note.code, note.detail) for note in built.notes]
    assert notes[:2] == [
        ("handlers_failed", "Events of the last day that shop.end failed on and has not handled since: 1."),
        ("handlers_failed", "Events of the last day that shop.keep failed on and has not handled since: 2."),
    ]


def test_failing_handler_degrades_the_report_with_its_name() -> None:
    recorder.record(clerk_id=None, source="webhook", reason="handler_failed:shop.keep", at=NOW)
    (reason,) = build_report(now=NOW).reasons
    assert reason.code == "handler_failed"
    assert reason.detail == "Open failures with the reason handler_failed:shop.keep: 1."
    assert "dashboard" in reason.next_step


@pytest.mark.postgresql
def test_report_is_built_from_memory_while_the_database_is_down(away: Away) -> None:
    with away():
        recorder.record(clerk_id="user_a", source="request", reason="database_error", at=NOW)
        built = report()
    assert built["status"] == "degraded"
    assert codes(built) == ["database_unavailable", "database_error"]
    assert built["failures"]["open"] == 1
    assert (built["webhooks"]["state"], built["people"]) == (
        "unknown",
        {"live": None, "without_profile": None},
    )
    after = report()
    assert (codes(after), after["failures"]["open"]) == (["database_error"], 1)


@pytest.mark.postgresql
def test_dropped_failures_are_reported(away: Away) -> None:
    with away():
        for number in range(MAX_ENTRIES + 5):
            recorder.record(clerk_id=f"user_{number}", source="request", reason="unusable_profile", at=NOW)
    built = report()
    assert built["failures"]["open"] == MAX_ENTRIES
    assert "5." in next(each for each in built["reasons"] if each["code"] == "failures_lost")["detail"]


@pytest.mark.postgresql
def test_dropped_failures_are_not_reported_after_15_minutes(away: Away, recorder_clock: Clock) -> None:
    with away():
        for number in range(MAX_ENTRIES + 5):
            recorder.record(clerk_id=f"user_{number}", source="request", reason="unusable_profile", at=NOW)
    recorder_clock.now += 14 * 60
    assert recorder.dropped_count == 5
    recorder_clock.now += 60
    assert recorder.dropped_count == 0
    assert "failures_lost" not in {each["code"] for each in report()["reasons"]}


def test_report_has_a_bounded_number_of_statements(django_assert_max_num_queries: Any) -> None:
    for number in range(30):
        event(f"user_{number}", at=NOW - HOUR)
        new_user(f"user_{number}", at=NOW - HOUR)
    with django_assert_max_num_queries(13):
        build_report(now=NOW)
