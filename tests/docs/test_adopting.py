"""The parts that docs/adopting.md offers for separate use work separately."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.test import APIRequestFactory

from accounts.models import User
from devclerk.fixtures import LocalClerk
from tests.docs.documents import ROOT, blocks
from tests.factories import UserFactory

CLASS = blocks(ROOT / "docs/adopting.md", language="python")[2].text
PLACES = ("https://clerk.example.com", "https://app.example.com", 'jwks.json")')
MODULES = "accounts.clerk.api, accounts.clerk.profiles, accounts.clerk.tokens"
IMPORT = f"import sys; import {MODULES}; print(*sys.modules)"


@pytest.fixture
def authenticate(clerk: LocalClerk) -> Callable[[str], Any]:
    """Return a function that authenticates a token with the class of the document, against the emulator."""
    code = CLASS
    for place, ours in zip(PLACES, (clerk.issuer, clerk.azp, 'jwks.json", allow_http=True)'), strict=True):
        assert place in code
        code = code.replace(place, ours)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - what the document shows

    def authenticate_token(token: str) -> Any:
        request = APIRequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        return names["ClerkAuthentication"]().authenticate(request)[0]

    return authenticate_token


@pytest.mark.django_db
def test_class_for_another_model_finds_users_by_their_token(
    clerk: LocalClerk, authenticate: Callable[[str], Any]
) -> None:
    first, again = authenticate(clerk.mint("ada")), authenticate(clerk.mint("ada"))

    assert first == again == User.objects.get(clerk_id=clerk.person("ada").id)
    assert authenticate(clerk.mint("grace")) != first
    with pytest.raises(AuthenticationFailed) as refused:
        authenticate(clerk.mint("ada", fault="expired"))
    assert refused.value.get_codes() == "token_expired"


@pytest.mark.django_db
def test_class_for_another_model_sets_an_unusable_password(
    clerk: LocalClerk, authenticate: Callable[[str], Any]
) -> None:
    user = authenticate(clerk.mint("ada"))

    user.refresh_from_db()
    assert user.password != ""
    assert not user.has_usable_password()
    assert not user.check_password("")


@pytest.mark.django_db
def test_class_for_another_model_refuses_a_deactivated_user(
    clerk: LocalClerk, authenticate: Callable[[str], Any]
) -> None:
    authenticate(clerk.mint("ada"))
    User.objects.update(is_active=False)

    with pytest.raises(PermissionDenied) as refused:
        authenticate(clerk.mint("ada"))
    assert (refused.value.status_code, refused.value.get_codes()) == (403, "user_inactive")


@pytest.mark.django_db
def test_class_for_another_model_never_finds_a_user_by_the_address(
    clerk: LocalClerk, authenticate: Callable[[str], Any]
) -> None:
    ada = clerk.person("ada")
    existing = UserFactory.create(clerk_id=None, username=ada.email, email=ada.email, is_staff=True)

    user = authenticate(clerk.mint("ada"))

    assert (user.pk != existing.pk, user.is_staff) == (True, False)
    existing.refresh_from_db()
    assert (existing.clerk_id, existing.email) == (None, ada.email)


@pytest.mark.django_db
def test_class_for_another_model_refuses_a_conflict_with_an_existing_user(
    clerk: LocalClerk, authenticate: Callable[[str], Any]
) -> None:
    existing = UserFactory.create(clerk_id=None, username=clerk.person("ada").id)

    with pytest.raises(PermissionDenied) as refused:
        authenticate(clerk.mint("ada"))

    assert refused.value.status_code == 403
    assert User.objects.get() == existing
    assert User.objects.get().clerk_id is None


@pytest.mark.django_db
def test_class_for_another_model_refuses_a_session_with_an_actor(
    clerk: LocalClerk, authenticate: Callable[[str], Any]
) -> None:
    UserFactory.create(clerk_id=clerk.person("ada").id, is_staff=True)

    with pytest.raises(AuthenticationFailed) as refused:
        authenticate(clerk.mint("ada", actor="user_support"))
    assert refused.value.get_codes() == "impersonation_refused"


def test_the_clerk_package_works_alone(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "accounts/clerk", tmp_path / "accounts/clerk")
    (tmp_path / "accounts/__init__.py").touch()

    done = subprocess.run(
        [sys.executable, "-c", IMPORT], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"cryptography", "jwt", "requests"} <= loaded
    assert not loaded & {"django", "rest_framework", "accounts.models"}
