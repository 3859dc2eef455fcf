"""The check of the order of REST framework's authentication classes."""

from __future__ import annotations

import pytest
from pytest_django import Settings
from rest_framework.authentication import BaseAuthentication

from accounts.authentication import ClerkAuthentication
from tests.accounts.checks.conftest import Configure

OURS = "accounts.authentication.ClerkAuthentication"
SESSION = "rest_framework.authentication.SessionAuthentication"
TOKEN = "rest_framework.authentication.TokenAuthentication"


class Silent(BaseAuthentication):
    """A class that names no challenge."""


class Own(ClerkAuthentication):
    """A project's own subclass."""


@pytest.mark.parametrize(
    "classes",
    [
        [SESSION, OURS],
        [TOKEN, SESSION, OURS],
        [Silent, OURS],
        (SESSION, Own),
        ["missing.Class", SESSION, OURS],
    ],
)
def test_w010_class_without_a_challenge_stands_first(
    ids: Configure, settings: Settings, classes: list[object]
) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": classes}
    assert ids() == ["accounts.W010"]


@pytest.mark.parametrize("classes", [[OURS, SESSION], [TOKEN, OURS], [OURS], [SESSION], [], [Own, Silent]])
def test_other_orders_are_accepted(ids: Configure, settings: Settings, classes: list[object]) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": classes}
    assert ids() == []


def test_project_without_rest_framework_is_accepted(ids: Configure, settings: Settings) -> None:
    del settings.REST_FRAMEWORK
    assert ids() == []
