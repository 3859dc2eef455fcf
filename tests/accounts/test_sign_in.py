"""Sign-in without REST framework: what it returns, raises and sends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.sign_in import (
    SignIn,
    SignInError,
    SignInRefused,
    SignInUnavailable,
    UserInactive,
    read_bearer_token,
    sign_in,
)
from accounts.sync import delete_user
from devclerk.fixtures import LocalClerk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
ROOT = Path(__file__).resolve().parents[2]
Calls = list[dict[str, Any]]
# A project with nothing but these packages' user model.
IMPORT = """
import sys
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "accounts.apps.AccountsConfig"],
    AUTH_USER_MODEL="accounts.User",
)
import django
django.setup()
import accounts.sign_in
print(*sys.modules)
"""


def test_a_token_gives_a_saved_user_and_its_session(clerk: LocalClerk, decisions: Calls) -> None:
    signed_in = sign_in(clerk.mint("ada"))

    assert isinstance(signed_in, SignIn)
    assert signed_in.user == User.objects.get()
    assert signed_in.user.clerk_id == signed_in.session.user_id == clerk.person("ada").id
    assert decisions == [{"outcome": "ok"}]


def test_a_known_user_costs_one_statement(clerk: LocalClerk) -> None:
    token = clerk.mint("ada")
    first = sign_in(token)
    with CaptureQueriesContext(connection) as captured:
        assert sign_in(token) == first
    assert [query["sql"].split()[0] for query in captured] == ["SELECT"]


def block(clerk: LocalClerk) -> None:
    User.objects.update(is_active=False)


def make_staff(clerk: LocalClerk) -> None:
    User.objects.update(is_staff=True)


def delete_in_clerk(clerk: LocalClerk) -> None:
    delete_user(clerk.person("ada").id, at=1_900_000_000_000)


def take_away_the_key(clerk: LocalClerk) -> None:
    clerk.keys_down()
    clerk.rotate_keys()


@pytest.mark.parametrize(
    ("change", "options", "kind", "code"),
    [
        (None, {"fault": "expired"}, SignInRefused, "token_expired"),
        (None, {"fault": "machine"}, SignInRefused, "token_type_mismatch"),
        (delete_in_clerk, {}, SignInRefused, "user_deleted"),
        (block, {}, UserInactive, "user_inactive"),
        (make_staff, {"actor": "user_support"}, UserInactive, "impersonation_of_staff"),
        (take_away_the_key, {}, SignInUnavailable, "keys_unavailable"),
    ],
)
def test_a_refusal_has_a_code_a_status_and_a_sentence(
    clerk: LocalClerk,
    decisions: Calls,
    *,
    change: Callable[[LocalClerk], None] | None,
    options: dict[str, Any],
    kind: type[SignInError],
    code: str,
) -> None:
    sign_in(clerk.mint("ada"))
    if change is not None:
        change(clerk)

    with pytest.raises(SignInError) as caught:
        sign_in(clerk.mint("ada", **options))

    assert isinstance(caught.value, kind)
    assert caught.value.code == code
    assert caught.value.status == {SignInRefused: 401, UserInactive: 403, SignInUnavailable: 503}[kind]
    assert str(caught.value).endswith(".")
    assert decisions[-1]["outcome"] == code


def test_a_failure_of_this_program_says_when_to_try_again(
    clerk: LocalClerk, settings: Any, decisions: Calls, failures: Calls
) -> None:
    settings.CLERK_CLAIMS = 5
    with pytest.raises(SignInUnavailable) as caught:
        sign_in(clerk.mint("ada"))
    assert (caught.value.code, caught.value.retry_after) == ("sync_unavailable", 5)
    assert decisions == [{"outcome": "sync_unavailable"}]
    assert [failure["reason"] for failure in failures] == ["unexpected_error"]


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        ("Bearer a.b.c", "a.b.c"),
        ("  bEaReR   a.b.c  ", "a.b.c"),
        ("Bearer", ""),
        ("", None),
        ("Basic YTpi", None),
        ("Bearera.b.c", None),
    ],
)
def test_the_token_is_what_follows_the_scheme(authorization: str, token: str | None) -> None:
    assert read_bearer_token(authorization) == token


def test_it_imports_no_rest_framework() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "accounts.sign_in" in loaded
    assert [name for name in loaded if name.startswith(("rest_framework", "drf_"))] == []
