"""An app that ours need is missing in INSTALLED_APPS: the error is a sentence that names it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from accounts.apps import AccountsConfig
from health.apps import HealthConfig
from tests.packages import ROOT
from webhooks.apps import WebhooksConfig

SETUP = """
import sys, django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", *sys.argv[1:]])
django.setup()
"""


@pytest.mark.parametrize(
    ("installed", "error"),
    [
        ([HealthConfig, AccountsConfig], (HealthConfig, WebhooksConfig)),
        ([HealthConfig, WebhooksConfig], (HealthConfig, AccountsConfig)),
        ([WebhooksConfig, HealthConfig], (WebhooksConfig, AccountsConfig)),
        ([AccountsConfig, WebhooksConfig, HealthConfig], None),
    ],
)
def test_missing_app_is_named(
    installed: list[type[AccountsConfig]], error: tuple[type[AccountsConfig], type[AccountsConfig]] | None
) -> None:
    names = [each.name for each in installed]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SETUP, *names], env=variables, capture_output=True, text=True, check=False
    )
    expected = f'"{error[0].name}" needs "{error[1].name}" in INSTALLED_APPS.' if error else ""
    assert done.stderr.strip().endswith(expected)
    assert done.returncode == (1 if error else 0), done.stderr
