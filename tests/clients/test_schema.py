"""The schema that the TypeScript client's tests are generated from."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from django.core.management import call_command

COMMITTED = Path(__file__).parents[2] / "clients" / "typescript" / "tests" / "openapi.yaml"


def test_the_committed_schema_describes_the_resource_of_the_tests() -> None:
    written = StringIO()
    call_command(
        "spectacular", urlconf="tests.clients.labels", validate=True, fail_on_warn=True, stdout=written
    )

    assert COMMITTED.read_text() == written.getvalue(), (
        "The resource or the errors of the API changed. Run `make schema client` and commit what they write."
    )
