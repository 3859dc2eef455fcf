"""The short forms of the fuzzing; `make proof` runs the long ones."""

from __future__ import annotations

from random import Random

import pytest
from django.test import Client

from accounts.models import User
from devclerk.fixtures import LocalClerk
from tests.proof import fuzz, guided
from tests.proof.corruption import as_header, corrupt_token


def test_no_altered_token_is_accepted() -> None:
    figures = fuzz.no_altered_token_is_accepted(seed=1, tokens=4_000)
    assert {"token_malformed", "token_invalid_signature", "token_invalid_algorithm"} <= set(figures)


def test_no_invalid_signed_claims_are_accepted() -> None:
    figures = fuzz.no_invalid_signed_claims_are_accepted(seed=1, tokens=400)
    assert {"accepted", "token_invalid_claims", "token_invalid_issuer"} <= set(figures)


@pytest.mark.django_db
def test_no_altered_token_is_accepted_by_the_api(
    clerk: LocalClerk, clerk_settings: object, client: Client
) -> None:
    random = Random(1)  # noqa: S311 - repeatable, not secret
    valid = [clerk.mint(f"user_{number}") for number in range(3)]
    statuses = set()
    for _ in range(300):
        altered = as_header(corrupt_token(valid, random=random))
        if altered.strip() not in valid:
            headers = {"Authorization": f"Bearer {altered}"}
            statuses.add(client.get("/api/v1/me", headers=headers).status_code)
    assert statuses == {401}
    assert not User.objects.exists()


def test_a_thousand_unknown_keys_cause_at_most_four_fetches() -> None:
    assert fuzz.a_thousand_unknown_keys_cause_at_most_four_fetches(seed=1)["fetches for them"] == 0


@pytest.mark.django_db
def test_no_altered_delivery_has_an_effect() -> None:
    figures = fuzz.no_altered_delivery_has_an_effect(seed=1, deliveries=500)
    assert {"foreign, 400", "untouched, 200", "genuine, 200"} <= set(figures)


@pytest.mark.parametrize("name", guided.TARGETS)
def test_the_seeds_of_the_guided_fuzzing_pass(name: str) -> None:
    check = guided.TARGETS[name]()
    for seed in guided.SEEDS[name]:
        check(seed)
