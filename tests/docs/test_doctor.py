"""The doctor prints what docs/operations.md shows of it."""

from __future__ import annotations

import re

import pytest

from devclerk.fixtures import LocalClerk
from devclerk.tokens import Keyring
from tests.accounts import programs
from tests.docs.documents import ROOT, blocks

TRACE = re.compile(r"trace [0-9a-f]{32}")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_doctor_prints_what_is_shown(clerk: LocalClerk, number: int) -> None:
    shown = blocks(ROOT / "docs/operations.md", language="")[number].text.splitlines()
    arguments, variables = broken_setups(clerk)[number]

    done = programs.run("clerk_doctor", *arguments, clerk=clerk, **variables)

    printed = iter(TRACE.sub("trace", done.stdout).splitlines())
    assert shown[0].startswith("$ python manage.py clerk_doctor")
    # In this order, with other findings in between: the document leaves out findings without a problem.
    assert [line for line in shown[1:] if TRACE.sub("trace", line) not in printed] == [], (
        done.stdout + done.stderr
    )


def broken_setups(clerk: LocalClerk) -> list[tuple[list[str], dict[str, str]]]:
    """Return the three setups of the document: arguments of the doctor, and variables that are wrong."""
    token = clerk.mint("grace", fault="template", claims={"first_name": None})
    return [
        ([], {"DJANGO_DEBUG": "perhaps", "CLERK_PUBLISHABLE_KEY": "pk_test_perhaps"}),
        ([], {"CLERK_JWT_KEY": Keyring().pem, "CLERK_SECRET_KEY": "sk_test_Another"}),
        (["--token", token], {}),
    ]
