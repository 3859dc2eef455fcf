"""Actions of the admin that call Clerk's Backend API, and its failures."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import InterfaceError, connection, connections
from django.utils import timezone
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.models import DeletedBy, User
from accounts.sync import delete_locally, delete_user
from devclerk.fixtures import LocalClerk
from tests.accounts.wire import Wire
from tests.config.admin.conftest import RunAction
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_sync_again_writes_what_clerk_has(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    ada = UserFactory.create(clerk_id=clerk.person("ada").id, first_name="Old")
    assert f"Fetched {ada.clerk_id} from Clerk: updated." in run_action("sync_again", ada)
    ada.refresh_from_db()
    assert ada.first_name == "Ada"
    assert "Fetched" in LogEntry.objects.get().get_change_message()


def test_restore_needs_the_user_to_exist_in_clerk(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    known, unknown = UserFactory.create(clerk_id=clerk.person("ada").id), UserFactory.create()
    for user in (known, unknown):
        delete_user(user.clerk_id or "", at=1_700_000_000_000)
    text = run_action("restore", known, unknown)
    assert f"Restored {known.clerk_id}." in text
    assert f"Clerk has no user {unknown.clerk_id}" in text
    assert list(User.objects.live().exclude(clerk_id=None)) == [known]


def test_restore_is_refused_beside_a_live_row(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    old = UserFactory.create(clerk_id=clerk.person("ada").id)
    delete_locally(old)
    UserFactory.create(clerk_id=old.clerk_id)
    assert "another row of the same user is live" in run_action("restore", old)


def test_database_failure_after_a_restoration_is_a_message(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    ada = UserFactory.create(clerk_id=clerk.person("ada").id, first_name="Old")
    delete_locally(ada)

    def fail_at_merge(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        if sql.startswith("UPDATE") and '"first_name"' in sql:
            raise InterfaceError
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail_at_merge):
        text = run_action("restore", ada)

    assert f"The database failed at the row {ada.pk} (database_error). Check the row" in text
    assert User.objects.live().filter(pk=ada.pk, first_name="Old").exists()


@pytest.mark.postgresql
def test_restore_is_refused_after_a_deletion_during_the_call(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer
) -> None:
    ada = UserFactory.create(
        clerk_id=clerk.person("ada").id, deleted_at=timezone.now(), deleted_by=DeletedBy.LOCAL
    )

    def delete(_request: Request, response: Response) -> Response:
        delete_user(ada.clerk_id or "", at=time.time_ns() // 1_000_000)
        connections.close_all()
        return response

    clerk_settings.CLERK_API_URL = httpserver.url_for("")
    Wire(clerk, httpserver).tamper = delete
    assert "the user was deleted during the call to Clerk" in run_action("restore", ada)
    assert not User.objects.live().filter(pk=ada.pk).exists()


@pytest.mark.parametrize("action", ["sync_again", "restore"])
def test_a_refused_secret_key_is_a_message(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings, action: str
) -> None:
    clerk_settings.CLERK_SECRET_KEY = "sk_test_wrong"
    ada = UserFactory.create(deleted_at=timezone.now(), deleted_by=DeletedBy.CLERK)
    text = run_action(action, ada)
    assert f"Could not fetch {ada.clerk_id}." in text
    assert "sk_test_wrong" not in text


def test_the_first_failed_call_ends_the_action(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk.api_fails(503, times=100)
    users = UserFactory.create_batch(5)
    started = time.monotonic()
    text = run_action("sync_again", *users)
    assert time.monotonic() - started < 5
    assert text.count("Could not fetch") == 1
    assert "Nothing was done for the other 4" in text
    assert len(clerk.api_requests) == 2


def test_a_rate_limit_is_a_message_without_a_wait(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    clerk.api_fails(429, times=2, retry_after=60)
    started = time.monotonic()
    assert "answered 429" in run_action("sync_again", UserFactory.create())
    assert time.monotonic() - started < 5


def test_an_unreachable_backend_api_is_a_message(run_action: RunAction, clerk_settings: Settings) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        clerk_settings.CLERK_API_URL = f"http://127.0.0.1:{closed.getsockname()[1]}"
        text = run_action("sync_again", UserFactory.create())
    assert "gave no answer" in text


def test_a_user_missing_in_clerk_does_not_stop_the_others(
    run_action: RunAction, clerk: LocalClerk, clerk_settings: Settings
) -> None:
    unknown, ada = UserFactory.create(), UserFactory.create(clerk_id=clerk.person("ada").id)
    text = run_action("sync_again", unknown, ada)
    assert f"Clerk has no user {unknown.clerk_id}" in text
    assert f"Fetched {ada.clerk_id} from Clerk" in text


def test_a_missing_secret_key_is_named_in_the_message(run_action: RunAction, settings: Settings) -> None:
    settings.CLERK_SECRET_KEY = ""
    assert "CLERK_SECRET_KEY is not set" in run_action("sync_again", UserFactory.create())
