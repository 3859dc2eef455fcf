"""The short forms of the proofs with two versions; `make proof` runs them at their full size."""

from __future__ import annotations

import pytest

from tests.proof.versions import serve_last_release, wait_for_migrations
from tests.releases import BREAKING_COLUMN, COLUMN, MODELS, last_release

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(last_release() is None, reason="the commit of LAST_RELEASE is not in this clone"),
]


def test_the_last_release_serves_after_a_column_was_added_to_each_table() -> None:
    assert serve_last_release(columns=dict.fromkeys(MODELS, COLUMN)) == "8 answers, 4 commands"


@pytest.mark.parametrize(
    ("model", "complaint"),
    [("user", "first request: 503"), ("webhookevent", "webhook user.created: 503")],
)
def test_a_column_with_a_python_default_breaks_the_last_release(model: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        serve_last_release(columns={model: BREAKING_COLUMN})


def test_the_next_version_is_not_ready_before_its_migration() -> None:
    assert wait_for_migrations().startswith("503 migrations_pending, then 200")
