"""The README shows what is so: its view has real types, and its doctor says these words."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from devclerk.fixtures import LocalClerk
from devclerk.tokens import Keyring
from tests.accounts import programs
from tests.docs.documents import ROOT, blocks

README = ROOT / "README.md"
TRACE = re.compile(r"trace [0-9a-f]{32}")


def test_the_view_passes_strict_mypy(tmp_path: Path) -> None:
    (view,) = blocks(README, language="python")
    module = tmp_path / "greeting.py"
    body = view.text.rstrip().splitlines()
    # What mypy reveals shows that the types are real ones, and not Any.
    body.insert(-1, "        reveal_type((request.user, request.auth))")
    module.write_text("\n".join(body) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(module)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "accounts.models.User, accounts.clerk.tokens.SessionClaims" in done.stdout


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_doctor_says_what_is_shown(clerk: LocalClerk, number: int) -> None:
    shown = blocks(README, language="")[number].text.splitlines()
    arguments, variables = broken(clerk)[number]

    done = programs.run("clerk_doctor", *arguments, clerk=clerk, **variables)

    said = iter(TRACE.sub("trace", done.stdout).splitlines())
    assert shown[0].startswith("$ python manage.py clerk_doctor")
    # In this order, with other findings in between: the README leaves out what is well.
    assert [line for line in shown[1:] if TRACE.sub("trace", line) not in said] == [], (
        done.stdout + done.stderr
    )


def broken(clerk: LocalClerk) -> list[tuple[list[str], dict[str, str]]]:
    """Give the three set-ups of the README: arguments of the doctor, and variables that are wrong."""
    token = clerk.mint("grace", fault="template", claims={"first_name": None})
    return [
        ([], {"DJANGO_DEBUG": "perhaps", "CLERK_PUBLISHABLE_KEY": "pk_test_perhaps"}),
        ([], {"CLERK_JWT_KEY": Keyring().pem, "CLERK_SECRET_KEY": "sk_test_Another"}),
        (["--token", token], {}),
    ]
