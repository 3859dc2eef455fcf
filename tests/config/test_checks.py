"""The checks of the clone's own settings."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from pytest_django import Settings


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ([], ["config.W002"]),
        (["*"], ["config.W003"]),
        (["api.example.com", "*"], ["config.W003"]),
        (["api.example.com"], []),
        ([".example.com"], []),
    ],
)
def test_hosts_outside_debug(settings: Settings, hosts: list[str], expected: list[str]) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = hosts
    messages = run_checks(tags=["config"])
    assert [each.id for each in messages] == expected
    assert all(each.hint and "DJANGO_ALLOWED_HOSTS" in each.msg for each in messages)


@pytest.mark.parametrize("hosts", [[], ["*"]])
def test_every_host_is_allowed_in_debug(settings: Settings, hosts: list[str]) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = hosts
    assert run_checks(tags=["config"]) == []


def test_malformed_hosts_are_reported_once(settings: Settings) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = []
    settings.ENV_PROBLEMS = (("DJANGO_ALLOWED_HOSTS", "must be host names"),)
    assert run_checks(tags=["config"]) == []
