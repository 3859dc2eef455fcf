"""Several issuers: the domains of one instance, whose tokens have the same keys."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from accounts.clerk.keys import pem_keys
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from devclerk.tokens import Keyring
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY, FixedKeys, Mint

SATELLITE = "https://clerk.satellite.test"
OTHER = "https://clerk.other.test"


@pytest.mark.parametrize("issuers", [[ISSUER, SATELLITE], (SATELLITE, ISSUER), {ISSUER, SATELLITE}])
def test_token_of_each_domain_is_accepted(keys: FixedKeys, mint: Mint, issuers: Collection[str]) -> None:
    verifier = SessionVerifier(keys, issuers, (PARTY,))
    for issuer in (ISSUER, SATELLITE):
        assert verifier.verify(mint(issuer=issuer), now=NOW).user_id == "user_ada"


@pytest.mark.parametrize("issuer", [OTHER, "", ISSUER[:-1], f"{ISSUER},{SATELLITE}"])
def test_token_of_another_domain_is_refused(keys: FixedKeys, mint: Mint, issuer: str) -> None:
    verifier = SessionVerifier(keys, [ISSUER, SATELLITE], (PARTY,))
    with pytest.raises(InvalidToken, match="token_invalid_issuer"):
        verifier.verify(mint(issuer=issuer), now=NOW)


@pytest.mark.parametrize("claim", [[ISSUER], {"a": 1}, None, 5])
def test_issuer_that_is_no_text_is_refused(keys: FixedKeys, mint: Mint, claim: object) -> None:
    verifier = SessionVerifier(keys, {ISSUER, SATELLITE}, (PARTY,))
    with pytest.raises(InvalidToken, match="token_invalid_issuer"):
        verifier.verify(mint(claims={"iss": claim}), now=NOW)


def test_one_issuer_is_compared_whole(keys: FixedKeys, mint: Mint) -> None:
    with pytest.raises(InvalidToken, match="token_invalid_issuer"):
        SessionVerifier(keys, ISSUER, (PARTY,)).verify(mint(issuer=ISSUER[:8]), now=NOW)


def test_bad_signature_of_any_of_our_domains_counts_as_a_rotation(keys: FixedKeys) -> None:
    verifier = SessionVerifier(keys, [ISSUER, SATELLITE], (PARTY,))
    kid = next(iter(keys.keys))
    for issuer in (ISSUER, SATELLITE, OTHER):
        forged = Keyring().mint("user_ada", issuer=issuer, azp=PARTY, now=NOW, header={"kid": kid})
        with pytest.raises(InvalidToken, match="token_invalid_signature"):
            verifier.verify(forged, now=NOW)
    assert keys.results == [False, False]


def test_configured_keys_verify_each_domain(keyring: Keyring, mint: Mint) -> None:
    verifier = SessionVerifier(pem_keys(keyring.pem), [ISSUER, SATELLITE], (PARTY,))
    assert verifier.verify(mint(issuer=SATELLITE), now=NOW).user_id == "user_ada"
