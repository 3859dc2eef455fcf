"""The audit log: one line for each sign-in, failure, change of rights and action, without personal data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.audit import SecurityEvent
from accounts.models import User
from tests.config.admin.conftest import RunAction
from tests.config.admin.pages import USERS, change_page
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
LOGIN, PASSWORD_CHANGE = "/admin/login/", "/admin/password_change/"
PASSWORD, NEW_PASSWORD = "a long password", "q9!xkWm2vL-long"
NAME = "canary.bird"
Lines = Callable[[], list[Mapping[str, Any]]]
STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id"}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, superuser: User, client: Client) -> Lines:
    """Return a function that returns the lines so far, each with its message and its fields."""
    caplog.set_level("INFO", logger="security")
    caplog.clear()

    def lines() -> list[Mapping[str, Any]]:
        records = [record for record in caplog.records if record.name == "security"]
        for record in records:
            assert not record.args
            assert NAME not in str(vars(record))
        return [
            {"event": record.getMessage(), "level": record.levelname}
            | {name: value for name, value in vars(record).items() if name not in STANDARD}
            for record in records
        ]

    return lines


def log_in(name: str = NAME, password: str = PASSWORD, **headers: str) -> Client:
    """Send the form of the login page from a new browser."""
    client = Client(REMOTE_ADDR="192.0.2.1", headers=headers)
    client.post(LOGIN, {"username": name, "password": password})
    return client


@pytest.fixture
def staff() -> User:
    return User.objects.create_user(NAME, password=PASSWORD, is_staff=True)


def test_sign_in_and_sign_out(staff: User, lines: Lines) -> None:
    log_in().post("/admin/logout/")
    who = {"level": "INFO", "user": str(staff.pk), "clerk_id": None, "address": "192.0.2.1"}
    assert lines() == [who | {"event": "Signed in"}, who | {"event": "Signed out"}]


def test_failures_have_the_hash_of_the_name(staff: User, lines: Lines) -> None:
    log_in(password="wrong")
    log_in(password="wrong again")
    log_in("another name", password="wrong")
    first, second, other = lines()
    assert first == second
    assert (first["event"], first["level"], first["address"]) == ("Sign-in failed", "WARNING", "192.0.2.1")
    assert len(first["username_hash"]) == 16
    assert other["username_hash"] != first["username_hash"]


def test_hash_depends_on_the_secret_key(staff: User, lines: Lines, settings: Settings) -> None:
    log_in(password="wrong")
    settings.SECRET_KEY = "another secret key"
    log_in(password="wrong")
    first, second = lines()
    assert first["username_hash"] != second["username_hash"]


def test_correct_password_of_a_user_who_is_not_staff_is_a_failure(lines: Lines) -> None:
    User.objects.create_user(NAME, password=PASSWORD)
    log_in()
    assert [line["event"] for line in lines()] == ["Sign-in failed"]


def test_too_many_sign_ins(staff: User, lines: Lines) -> None:
    for _ in range(6):
        log_in(password="wrong")
    assert [line["event"] for line in lines()] == ["Sign-in failed"] * 5 + ["Too many sign-ins"]
    assert lines()[-1]["level"] == "WARNING"


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("", ({"X-Forwarded-For": "198.51.100.7"}, "192.0.2.1")),
        ("X-Forwarded-For", ({"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}, "198.51.100.7")),
        ("X-Real-IP", ({"X-Real-IP": "2001:DB8::7"}, "2001:db8::7")),
        ("X-Real-IP", ({"X-Real-IP": "canary.bird"}, "192.0.2.1")),
        ("X-Real-IP", ({}, "192.0.2.1")),
    ],
)
def test_address_is_the_one_that_the_proxy_names(
    staff: User, lines: Lines, settings: Settings, header: str, named: tuple[dict[str, str], str]
) -> None:
    sent, address = named
    settings.CLIENT_ADDRESS_HEADER = header
    log_in(**sent)
    assert [line["address"] for line in lines()] == [address]


def test_logins_are_limited_by_the_address_that_the_proxy_names(staff: User, settings: Settings) -> None:
    settings.CLIENT_ADDRESS_HEADER = "X-Real-IP"
    for _ in range(6):
        log_in(password="wrong", **{"X-Real-IP": "198.51.100.1"})
    assert "_auth_user_id" in log_in(**{"X-Real-IP": "198.51.100.2"}).session


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({"is_active": "on", "is_staff": "on"}, ["is_staff"]),
        ({"is_active": "on", "is_superuser": "on"}, ["is_superuser"]),
        ({"is_active": "on", "groups": ["1"]}, ["groups"]),
        ({"is_active": "on", "user_permissions": "any"}, ["user_permissions"]),
    ],
)
def test_change_of_rights(
    client: Client, superuser: User, lines: Lines, form: dict[str, Any], fields: list[str]
) -> None:
    Group.objects.create(pk=1, name="support")
    if "user_permissions" in form:
        form = form | {"user_permissions": [Permission.objects.order_by("pk")[0].pk]}
    ada = UserFactory.create(first_name=NAME)
    client.post(change_page(ada), form)
    assert lines() == [
        {
            "event": "Rights changed",
            "level": "INFO",
            "operator": str(superuser.pk),
            "address": "127.0.0.1",
            "user": str(ada.pk),
            "clerk_id": ada.clerk_id,
            "fields": fields,
        }
    ]


def test_other_changes_and_a_form_without_changes(client: Client, lines: Lines) -> None:
    ada = UserFactory.create()
    client.post(change_page(ada), {})
    client.post(change_page(ada), {})
    assert [(line["event"], line["fields"]) for line in lines()] == [("User changed", ["is_active"])]


def test_new_local_user_and_passwords(client: Client, superuser: User, lines: Lines) -> None:
    form = {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    client.post(f"{USERS}add/", form | {"username": NAME})
    user = User.objects.get(username=NAME)
    client.post(f"{USERS}{user.pk}/password/", form | {"set-password": "yes"})
    own = {"old_password": "wrong", "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    client.post(PASSWORD_CHANGE, own)
    client.post(PASSWORD_CHANGE, own | {"old_password": PASSWORD})
    assert [(line["event"], line.get("user")) for line in lines()] == [
        ("Rights changed", str(user.pk)),
        ("Password changed", str(user.pk)),
        ("Sign-in failed", None),
        ("Password changed", str(superuser.pk)),
    ]


def test_groups(client: Client, lines: Lines) -> None:
    first, second = (str(permission.pk) for permission in Permission.objects.order_by("pk")[:2])
    client.post("/admin/auth/group/add/", {"name": NAME, "permissions": [first]})
    group = Group.objects.get()
    client.post(f"/admin/auth/group/{group.pk}/change/", {"name": NAME, "permissions": [second]})
    client.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})
    found = [(line["event"], line["group"], line["fields"]) for line in lines()]
    assert found == [
        ("Rights changed", group.pk, ["name", "permissions"]),
        ("Rights changed", group.pk, ["permissions"]),
        ("Rights changed", group.pk, ["deleted"]),
    ]


def test_actions(run_action: RunAction, superuser: User, lines: Lines) -> None:
    ada = UserFactory.create(first_name=NAME)
    run_action("deactivate", ada, superuser)
    found = {line["user"]: line for line in lines()}
    assert found[str(ada.pk)]["clerk_id"] == ada.clerk_id
    assert {key: (line["event"], line["action"], line["outcome"]) for key, line in found.items()} == {
        str(ada.pk): ("Action on a user", "deactivate", "done"),
        str(superuser.pk): ("Action on a user", "deactivate", "failed"),
    }


def test_erasures(lines: Lines) -> None:
    UserFactory.create(clerk_id="user_ada", first_name=NAME, deleted_at=timezone.now(), deleted_by="clerk")
    call_command("scrub_deleted_users", "--clerk-id", "user_ada", "--dry-run")
    call_command("scrub_deleted_users", "--clerk-id", "user_ada")
    call_command("scrub_deleted_users", "--older-than", "30")
    found = [(line["event"], line["clerk_id"], line["rows"]) for line in lines()]
    assert found == [("Personal data erased", "user_ada", 1), ("Personal data erased", None, 0)]


def test_each_event_is_a_constant_message() -> None:
    assert all("%" not in event and "{" not in event for event in SecurityEvent)
