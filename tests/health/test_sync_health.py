from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import SyncRun
from devclerk.fixtures import LocalClerk
from health.models import SyncFailure
from tests.accounts import programs
from tests.health.conftest import Away
from tests.health.rows import failures

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> tuple[int, str]:
    output = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("sync_health", *arguments, stdout=output)
    assert isinstance(ended.value.code, int)
    return ended.value.code, output.getvalue()


def record_failure() -> None:
    SyncFailure.objects.record(
        [failures("user_a", at=timezone.now(), reason="unexpected_error", source="backfill")],
        now=timezone.now(),
    )


def test_status_ok_exits_with_0() -> None:
    code, text = run()
    assert (code, text.splitlines()[0]) == (0, "status: ok")


def test_last_runs_are_printed_with_seconds() -> None:
    moment = datetime(2026, 3, 1, 12, 30, 5, 123456, tzinfo=UTC)
    SyncRun.objects.create(kind="backfill", status="done", started_at=moment, finished_at=moment)
    _, text = run()
    assert "last backfill: done 2026-03-01 12:30:05 UTC" in text.splitlines()
    assert "last reconcile: none" in text.splitlines()


def test_status_degraded_exits_with_1_and_prints_the_next_step() -> None:
    record_failure()
    code, text = run()
    assert code == 1
    assert "problem: Open failures with the reason unexpected_error: 1." in text
    assert "next: This program, a setting or your code failed unexpectedly" in text


@pytest.mark.postgresql
def test_unreachable_database_exits_with_2(away: Away) -> None:
    with away():
        code, text = run("--json")
    assert code == 2
    assert json.loads(text)["reasons"][0]["code"] == "database_unavailable"


def test_json_is_the_body_of_health_sync() -> None:
    record_failure()
    code, text = run("--json")
    assert (code, json.loads(text)["failures"]["by_reason"]) == (1, {"unexpected_error": 1})


UNUSABLE = {
    "no database": {"DATABASE_URL": "foo"},
    "no PEM": {"CLERK_JWT_KEY": "foo"},
    "none": {"CLERK_ISSUER": "", "CLERK_JWKS_URL": ""},
    "no file": {"CLERK_JWT_KEY_FILE": "/nonexistent", "CLERK_JWKS_URL": ""},
}


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["lines", "json"])
@pytest.mark.parametrize("variables", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_settings_without_key_or_database_exit_with_2(
    clerk: LocalClerk, variables: dict[str, str], arguments: list[str]
) -> None:
    done = programs.run("sync_health", *arguments, clerk=clerk, **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("CommandError: There is no report")
    assert "clerk_doctor" in done.stderr
    assert "Traceback" not in done.stderr


def test_notes_do_not_change_the_exit_status() -> None:
    code, text = run()
    assert code == 0
    assert "note: No webhook secret is set" in text
