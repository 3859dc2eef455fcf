"""Webhooks and health under a router: the ledger, the failures and the probes use the write database."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connections, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import DeletedBy, SyncRun, User
from accounts.signals import sync_failed
from devclerk.fixtures import LocalClerk
from health.checks import DatabaseCheck, NotReady
from health.doctor.examine import examine
from health.doctor.findings import Level
from health.models import SyncFailure
from health.report.build import build_report
from tests.health.rows import run
from tests.routers.conftest import Me, Routed
from tests.routers.databases import ALIASES
from tests.webhooks.deliveries import SECRET, deliver, envelope, next_id, now, outcome_of, user_data
from tests.webhooks.handler_cases import temporary_handlers
from tests.webhooks.trouble import trigger
from webhooks import ClerkEvent, on
from webhooks.models import WebhookEvent

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=ALIASES),
    pytest.mark.postgresql,
    pytest.mark.own_session,
]
DELETION = {"id": "user_1", "object": "user", "deleted": True}


@pytest.fixture(autouse=True)
def signing_secret(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)


def test_repeated_event_is_a_duplicate_and_an_older_one_is_stale(routed: Routed) -> None:
    event, svix_id = envelope("user.updated", user_data(first_name="New")), next_id()
    assert outcome_of(event, svix_id=svix_id) == "created"
    assert outcome_of(event, svix_id=svix_id) == "duplicate"
    routed.catch_up()
    older = user_data(first_name="Old", updated_at=now() - 60_000)
    assert outcome_of(envelope("user.updated", older, at=now() - 60_000)) == "stale"
    newer = user_data(first_name="Newer", updated_at=now() + 1_000)
    assert outcome_of(envelope("user.updated", newer)) == "updated"
    assert User.objects.using(routed.write).get().first_name == "Newer"
    ledger = WebhookEvent.objects.using(routed.write).order_by("pk")
    assert list(ledger.values_list("outcome", "attempts")) == [("created", 2), ("stale", 1), ("updated", 1)]


def test_handlers_share_one_transaction_of_the_write_database_with_their_mark(routed: Routed) -> None:
    calls: list[str] = []
    groups = Group.objects.using(routed.write)

    def work(event: ClerkEvent) -> None:
        groups.create(name=f"call {len(calls)}")
        transaction.on_commit(lambda: calls.append("committed"), using=routed.write)
        calls.append("called")
        if len(calls) == 1:
            raise LookupError

    svix_id, event = next_id(), envelope("organization.created", {"id": "org_1"})
    with temporary_handlers():
        on("organization.created")(work)
        assert deliver(event, svix_id=svix_id).status_code == 503
        ledger = WebhookEvent.objects.using(routed.write)
        assert (groups.count(), ledger.get().error_code, ledger.get().handled_at) == (0, "LookupError", None)
        routed.catch_up()
        assert [outcome_of(event, svix_id=svix_id) for _ in range(2)] == ["handled", "duplicate"]
    assert (groups.get().name, calls) == ("call 1", ["called", "called", "committed"])
    assert ledger.get().handled_at is not None


def test_event_after_a_deletion_is_stale(routed: Routed) -> None:
    outcome_of(envelope("user.created", user_data()))
    routed.catch_up()
    assert outcome_of(envelope("user.deleted", DELETION, at=now())) == "deleted"
    assert outcome_of(envelope("user.updated", user_data(updated_at=now() + 1_000))) == "stale"
    assert User.objects.using(routed.write).get().deleted_by == DeletedBy.CLERK


def test_failed_effect_leaves_no_event_without_its_effect(routed: Routed) -> None:
    event, svix_id = envelope("user.created", user_data()), next_id()
    with trigger("RAISE EXCEPTION 'no'", using=routed.write):
        assert deliver(event, svix_id=svix_id).status_code == 503
    assert WebhookEvent.objects.using(routed.write).get().outcome == "failed"
    assert outcome_of(event, svix_id=svix_id) == "created"


def test_failure_is_recorded_after_the_transaction_and_closed_by_a_sync(
    routed: Routed, me: Me, clerk: LocalClerk
) -> None:
    clerk_id = clerk.person("ada").id
    with transaction.atomic(using=routed.write):
        sync_failed.send(sender=User, clerk_id=clerk_id, source="request", reason="unusable_field:email")
        assert not SyncFailure.objects.using(routed.write).exists()
    routed.catch_up()
    assert build_report(now=timezone.now()).failures.open == 1
    sync_failed.send(sender=User, clerk_id=clerk_id, source="request", reason="unusable_field:email")
    assert me() == (200, "Ada")
    assert build_report(now=timezone.now()).failures.open == 0
    row = SyncFailure.objects.using(routed.write).get()
    assert (row.closed_at is None, row.reason) == (False, "unusable_field:email")
    SyncFailure.objects.using(routed.write).update(closed_at=None)
    row.refresh_from_db()
    assert row.closed_at is None


def test_report_and_probes_read_the_write_database(routed: Routed, me: Me) -> None:
    run(at=timezone.now() - timedelta(hours=1))
    routed.catch_up()
    outcome_of(envelope("user.created", user_data()))
    me()
    assert Client().get("/health/ready").json() == {"status": "ok"}
    assert Client().get("/health/sync").json() == {"status": "ok"}
    output = StringIO()
    with pytest.raises(SystemExit) as ending:
        call_command("sync_health", stdout=output)
    assert ending.value.code == 0
    assert "users: 2, without a profile 0" in output.getvalue()
    assert "webhooks: ok, last received 2" in output.getvalue()
    assert "last backfill: done" in output.getvalue()


def test_doctor_reads_the_write_database(routed: Routed) -> None:
    SyncRun.objects.create(kind=SyncRun.Kind.BACKFILL, status=SyncRun.Status.DONE)
    outcome_of(envelope("user.created", user_data()))
    findings = examine(token=None, clock=timezone.now)
    texts = [finding.what for finding in findings]
    assert "A backfill has finished." in texts
    assert any(text.startswith("The last webhook arrived at") for text in texts)
    assert [finding for finding in findings if finding.level == Level.ERROR] == []


def test_readiness_checks_the_migrations_of_the_write_database(routed: Routed) -> None:
    DatabaseCheck().run()
    if routed.write == "default":
        return
    with connections[routed.write].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'health'")
    with pytest.raises(NotReady, match="migrations_pending"):
        DatabaseCheck().run()
