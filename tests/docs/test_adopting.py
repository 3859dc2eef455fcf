"""The parts that docs/adopting.md offers for separate use work separately."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.test import APIRequestFactory

from devclerk.fixtures import LocalClerk
from tests.docs.documents import ROOT, blocks

CLASS = blocks(ROOT / "docs/adopting.md", language="python")[2].text
PLACES = ("https://clerk.example.com", "https://app.example.com", 'jwks.json")')
MODULES = "accounts.clerk.api, accounts.clerk.profiles, accounts.clerk.tokens"
IMPORT = f"import sys; import {MODULES}; print(*sys.modules)"


@pytest.mark.django_db
def test_the_class_for_another_model_finds_users_by_their_token(clerk: LocalClerk) -> None:
    code = CLASS
    for place, ours in zip(PLACES, (clerk.issuer, clerk.azp, 'jwks.json", allow_http=True)'), strict=True):
        assert place in code
        code = code.replace(place, ours)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - what the document shows

    def user_of(token: str) -> Any:
        request = APIRequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        return names["ClerkAuthentication"]().authenticate(request)[0]

    assert user_of(clerk.mint("ada")) == get_user_model().objects.get(clerk_id=clerk.person("ada").id)
    with pytest.raises(AuthenticationFailed) as refused:
        user_of(clerk.mint("ada", fault="expired"))
    assert refused.value.get_codes() == "token_expired"


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
