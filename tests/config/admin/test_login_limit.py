"""Logins to the admin are limited before the password is hashed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, authenticate
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import connections
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.login_limit import TooManyLogins
from accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
LOGIN, PASSWORD_CHANGE, PASSWORD = "/admin/login/", "/admin/password_change/", "a long password"
WRONG = "a wrong password"
THREADS = 12


class CountingHasher(PBKDF2PasswordHasher):
    """Django's hasher, which counts the hashes, and how many ran at once."""

    lock = threading.Lock()
    total = running = most = 0

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        cls = type(self)
        with cls.lock:
            cls.total += 1
            cls.running += 1
            cls.most = max(cls.most, cls.running)
        try:
            return super().encode(password, salt, iterations)
        finally:
            with cls.lock:
                cls.running -= 1


@pytest.fixture(autouse=True)
def hasher(settings: Settings) -> type[CountingHasher]:
    """Count the hashes after the user was created."""
    settings.PASSWORD_HASHERS = [f"{__name__}.{CountingHasher.__qualname__}"]
    User.objects.create_superuser("helga", password=PASSWORD)
    CountingHasher.total = CountingHasher.most = 0
    return CountingHasher


def log_in(username: str = "helga", password: str = WRONG, *, address: str = "192.0.2.1") -> Any:
    """Send the form of the login page from a new browser."""
    form = {"username": username, "password": password}
    return Client(REMOTE_ADDR=address).post(LOGIN, form)


def assert_refused(response: Any) -> None:
    """Check that the response is the plain page with the time to wait."""
    assert response.status_code == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.content.decode().startswith("Too many attempts to sign in. Wait ")
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("username", ["helga", "no such user"])
def test_sixth_attempt_is_refused_before_the_hash(
    username: str, hasher: type[CountingHasher], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert [log_in(username).status_code for _ in range(5)] == [200] * 5
    assert hasher.total == 5
    with django_assert_num_queries(0):
        assert_refused(log_in(username, PASSWORD))
    assert hasher.total == 5


def test_staff_at_another_address_sign_in() -> None:
    for _ in range(6):
        log_in()
    assert log_in(password=PASSWORD, address="192.0.2.2").status_code == 302


def test_a_correct_password_is_not_a_failure() -> None:
    assert [log_in(password=PASSWORD).status_code for _ in range(6)] == [302] * 6


def test_users_who_are_not_staff_are_limited_too(hasher: type[CountingHasher]) -> None:
    User.objects.create_user("olaf", password=PASSWORD)
    assert [log_in("olaf", PASSWORD).status_code for _ in range(6)] == [200] * 5 + [429]


def test_parallel_logins_hash_two_passwords_at_once(hasher: type[CountingHasher]) -> None:
    start = threading.Barrier(THREADS)

    def attempt(number: int) -> int:
        start.wait()
        try:
            return int(log_in(f"user {number}").status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as threads:
        statuses = set(threads.map(attempt, range(THREADS)))
    assert statuses == {200, 429}
    assert hasher.most <= 2


def test_wrong_old_passwords_are_limited_before_the_hash(hasher: type[CountingHasher]) -> None:
    client = Client()
    client.force_login(User.objects.get(username="helga"))
    new = {"new_password1": "quite another one", "new_password2": "quite another one"}
    statuses = [client.post(PASSWORD_CHANGE, new | {"old_password": WRONG}).status_code for _ in range(5)]
    assert statuses == [200] * 5
    hashes = hasher.total
    assert_refused(client.post(PASSWORD_CHANGE, new | {"old_password": PASSWORD}))
    assert hasher.total == hashes
    assert client.get(PASSWORD_CHANGE).status_code == 200


def test_a_correct_old_password_is_not_a_failure() -> None:
    client = Client()
    client.force_login(User.objects.get(username="helga"))
    form = {"old_password": PASSWORD, "new_password1": "quite another one", "new_password2": "different"}
    assert [client.post(PASSWORD_CHANGE, form).status_code for _ in range(6)] == [200] * 6
    form["new_password2"] = form["new_password1"]
    assert client.post(PASSWORD_CHANGE, form).status_code == 302


def test_logins_without_a_request_and_in_async_code_are_limited() -> None:
    for _ in range(5):
        assert authenticate(username="helga", password=WRONG) is None
    with pytest.raises(TooManyLogins):
        authenticate(username="helga", password=PASSWORD)
    with pytest.raises(TooManyLogins):
        async_to_sync(aauthenticate)(username="helga", password=PASSWORD)
