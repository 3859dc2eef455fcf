"""What a project gets wrong is a check or a reported failure, never a 500, and concerns no other user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import ERROR, run_checks
from django.db import connections
from django.db.models import NOT_PROVIDED
from django.db.models.signals import post_save
from pytest_django import Settings

from accounts.db import lock_key
from accounts.models import ClerkAccount
from tests.accounts.bulk.commands import run_json
from tests.foreign.cases.conftest import Project
from tests.webhooks.deliveries import deliver, envelope, user_data

pytestmark = pytest.mark.django_db(transaction=True)
Failures = Callable[[], list[tuple[str | None, str]]]


class ProjectFault(Exception):
    """A fault in the code of the project."""


def fail_for_ada(sender: object, instance: Any, **_: object) -> None:
    """Fail for one user."""
    if instance.email == "ada@example.test":
        raise ProjectFault


def fail(identity: Any) -> Any:
    """Fail where a user is expected."""
    raise ProjectFault


def build_named(identity: Any) -> Any:
    """Build the user of an identity, as CLERK_CREATE_USER."""
    user = get_user_model()(email=f"{identity.clerk_id}@own.example.test")
    if hasattr(user, "username"):
        user.username = f"u{identity.pk}"
    return user


def return_saved(identity: Any) -> Any:
    """Return a user that exists already, which would be a link at request time."""
    return get_user_model()._default_manager.get()


@pytest.fixture
def _broken_receiver() -> Iterator[None]:
    post_save.connect(fail_for_ada, sender=get_user_model())
    yield
    post_save.disconnect(fail_for_ada, sender=get_user_model())


def codes() -> list[str]:
    """Return the ids of the messages of our checks."""
    return [str(message.id) for message in run_checks(tags=["accounts"])]


@pytest.mark.usefixtures("_broken_receiver")
def test_failing_receiver_is_503_for_its_user_alone(project: Project, failures: Failures) -> None:
    assert project.get("ada").status_code == 503
    assert failures() == [(project.clerk.person("ada").id, "create_user_failed")]
    assert project.get("yuki").status_code == 200
    assert (ClerkAccount.objects.count(), project.users.count()) == (1, 1)


@pytest.mark.usefixtures("_broken_receiver")
def test_failure_is_in_the_report(project: Project) -> None:
    assert project.get("ada").status_code == 503
    _, report = run_json("sync_health")
    assert report["failures"]["by_reason"] == {"create_user_failed": 1}


@pytest.mark.usefixtures("_broken_receiver")
def test_failing_receiver_is_503_for_its_webhook(project: Project) -> None:
    response = deliver(envelope("user.created", user_data("user_ada")))
    assert response.status_code == 503


@pytest.mark.usefixtures("_broken_receiver")
def test_failing_receiver_fails_one_user_of_a_backfill(project: Project, failures: Failures) -> None:
    status, counts = run_json("backfill_users")
    others = len(project.clerk.people) - 1
    assert (status, counts["failed"], counts["created"]) == (1, 1, others)
    assert (project.clerk.person("ada").id, "create_user_failed") in failures()
    assert project.users.count() == others


@pytest.mark.postgresql
def test_failed_update_continues_with_the_stored_row(project: Project, failures: Failures) -> None:
    """Under ATOMIC_REQUESTS too: the failure must not break the transaction of the view."""
    project.get("ada")
    ada = project.clerk.update("ada", first_name="Augusta")
    with closing(connections["default"].copy()) as other, other.cursor() as cursor:
        other.set_autocommit(False)
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(ada.id)])
        response = project.get("ada")
    assert (response.status_code, response.json()["has_profile"]) == (200, True)
    assert failures() == [(ada.id, "lock_timeout")]
    assert ClerkAccount.objects.get().first_name == "Ada"


@pytest.mark.parametrize("name", ["fail", "return_saved", "missing"])
def test_unusable_create_user_is_503(
    project: Project, clerk_settings: Settings, failures: Failures, name: str
) -> None:
    project.new_user("old@example.test")
    clerk_settings.CLERK_CREATE_USER = f"{__name__}.{name}"
    assert project.get("ada").status_code == 503
    assert failures() == [(project.clerk.person("ada").id, "create_user_failed")]
    assert ClerkAccount.objects.count() == 0
    assert ("accounts.E019" in codes()) is (name == "missing")


def test_create_user_of_the_project_is_used(project: Project, clerk_settings: Settings) -> None:
    clerk_settings.CLERK_CREATE_USER = f"{__name__}.build_named"
    assert project.get("ada").status_code == 200
    user = project.user_of("ada")
    assert user.email == f"{project.clerk.person('ada').id}@own.example.test"
    assert getattr(user, project.name_column) == "Ada"
    assert not user.has_usable_password()


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "no_such_column"},
        {"nickname": "email"},
        {"email": "is_active"},
        {"email_verified": "is_staff"},
        {"first_name": "id"},
        {"first_name": "password"},
        ["email"],
    ],
)
def test_wrong_user_fields_are_a_check_and_no_error(
    project: Project, clerk_settings: Settings, fields: Any
) -> None:
    clerk_settings.CLERK_USER_FIELDS = fields
    assert "accounts.E018" in codes()
    assert project.get("ada").status_code == 200


def test_model_without_an_address_column_is_a_check(
    project: Project, clerk_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_user_model(), "EMAIL_FIELD", "no_such_column", raising=False)
    clerk_settings.CLERK_USER_FIELDS = None
    assert "accounts.W006" in codes()
    assert run_json("link_users")[0] == 0


def test_models_that_do_not_fit_are_a_check(clerk_settings: Settings) -> None:
    assert "accounts.E017" not in codes()
    for name in ("accounts.User", "auth.Group", "no.Model", "nonsense"):
        clerk_settings.CLERK_IDENTITY_MODEL = name
        assert codes().count("accounts.E017") == 1, name


def test_column_that_demands_a_value_is_a_check(
    project: Project, clerk_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "accounts.W007" not in codes()
    field = get_user_model()._meta.get_field("is_active")
    monkeypatch.setattr(field, "default", NOT_PROVIDED)
    (message,) = [each for each in run_checks(tags=["accounts"]) if each.id == "accounts.W007"]
    assert "is_active" in message.msg
    clerk_settings.CLERK_CREATE_USER = f"{__name__}.build_named"
    assert "accounts.W007" not in codes()


@pytest.mark.postgresql
def test_ordinary_settings_of_the_database_are_warnings() -> None:
    is_atomic = connections["default"].settings_dict["ATOMIC_REQUESTS"]
    assert {"accounts.W004", "accounts.W005"} & set(codes()) == {
        "accounts.W004",
        *(["accounts.W005"] if is_atomic else []),
    }


def test_errors_are_those_of_the_project_unless_it_chooses_ours(
    project: Project, clerk_settings: Settings
) -> None:
    token = project.clerk.mint("ada", expires=-100)
    assert set(project.get("", token=token).json()) == {"detail"}
    handler = "accounts.errors.exception_handler"
    clerk_settings.REST_FRAMEWORK = clerk_settings.REST_FRAMEWORK | {"EXCEPTION_HANDLER": handler}
    response = project.get("", token=token)
    assert response.json()["errors"][0]["code"] == "token_expired"
    assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_setting_of_another_type_is_a_check(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_ALLOW_IMPERSONATION = "false"
    assert "accounts.E020" in codes()


def test_no_check_of_django_or_ours_is_an_error() -> None:
    assert [message for message in run_checks() if message.level >= ERROR] == []
