"""The names that the code has: packages, settings and codes."""

from __future__ import annotations

import re

from api.schema import ERRORS
from health.report import reasons
from tests.docs.documents import ROOT
from webhooks.views import REFUSALS

PACKAGES = ("accounts", "api", "config", "devclerk", "health", "webhooks")


def named(pattern: str, *files: str) -> set[str]:
    """Return what a pattern finds in files of the code; an empty result is an error of the pattern."""
    found = {word for name in files for word in re.findall(pattern, (ROOT / name).read_text())}
    assert found, pattern
    return found


def variables() -> set[str]:
    """Return the name of every variable that the settings read from the environment."""
    return named(r'\benv\.(?!reject)\w+\(\s*"([A-Z_]+)"', "config/settings.py")


def error_codes() -> set[str]:
    """Return every code that the API and the webhook address answer with."""
    return (
        named(r'InvalidToken\(\s*"(\w+)"', "accounts/clerk/jws.py", "accounts/clerk/tokens.py")
        | named(r'(?:SignIn\w+|UserInactive|UnknownKey)\("(\w+)"', "accounts/sign_in.py")
        | named(r'(?:code|default_code) = "(\w+)"', "accounts/permissions.py")
        | {code for _, code, _ in ERRORS}
        | {refusal.code for refusal in REFUSALS.values()}
    )


def health_codes() -> set[str]:
    """Return every code of a health answer."""
    return named(r'code="(\w+)"', "health/report/reasons.py") | set(reasons.NEXT_STEPS) | {"unexpected_error"}
