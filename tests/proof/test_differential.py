"""The verifier beside PyJWT, and whoever else is installed; `make proof` has all of them."""

from __future__ import annotations

import pytest

from tests.proof import differential
from tests.proof.differential import ACCEPTED, Difference, compared, we_accept_only_what_all_accept


def test_we_accept_only_what_all_accept_but_for_what_is_explained() -> None:
    figures = we_accept_only_what_all_accept(seed=1)
    assert figures["tokens"] == len({case.token for case in compared()[0]})


def test_a_difference_that_nobody_explained_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [row for row in differential.EXPLAINED if row.place != "claim jti"]
    monkeypatch.setattr(differential, "EXPLAINED", known)
    with pytest.raises(AssertionError, match="claim jti"):
        we_accept_only_what_all_accept(seed=1)


def test_the_table_on_file_has_every_explanation() -> None:
    table = differential.REPORT.read_text()
    for row in differential.EXPLAINED:
        assert f"| {row.ours} | {row.place} |" in table
        assert row.why in table


def test_what_only_we_accept_concerns_neither_who_nor_whose() -> None:
    lone = {each.case.place for each in compared()[2] if _is_lone(each)}
    assert not lone & {
        "signature",
        "claim sub",
        "claim iss",
        "claim azp",
        "header alg",
        "header cat",
        "nothing",
    }


def _is_lone(difference: Difference) -> bool:
    return difference.ours == ACCEPTED
