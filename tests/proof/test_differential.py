"""The verifier compare with PyJWT and the other installed libraries; `make proof` installs all of them."""

from __future__ import annotations

import pytest

from tests.proof import differential
from tests.proof.differential import ACCEPTED, Difference, compare, we_accept_only_what_all_accept


def test_we_accept_only_what_all_accept_except_for_explained_differences() -> None:
    figures = we_accept_only_what_all_accept(seed=1)
    assert figures["tokens"] == len({case.token for case in compare()[0]})


def test_a_difference_without_an_explanation_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [row for row in differential.EXPLAINED if row.place != "claim jti"]
    monkeypatch.setattr(differential, "EXPLAINED", known)
    with pytest.raises(AssertionError, match="claim jti"):
        we_accept_only_what_all_accept(seed=1)


def test_the_table_in_the_document_has_every_explanation() -> None:
    table = differential.REPORT.read_text()
    for row in differential.EXPLAINED:
        assert f"| {row.ours} | {row.place} |" in table
        assert row.reason in table


def test_what_only_we_accept_does_not_concern_identity_or_signature() -> None:
    only_ours = {each.case.place for each in compare()[2] if _is_accepted_by_us(each)}
    assert not only_ours & {
        "signature",
        "claim sub",
        "claim iss",
        "claim azp",
        "header alg",
        "header cat",
        "nothing",
    }


def _is_accepted_by_us(difference: Difference) -> bool:
    return difference.ours == ACCEPTED
