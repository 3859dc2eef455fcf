"""One test for each check of a value that is well formed and can never work or match."""

from __future__ import annotations

import pytest

from tests.accounts.checks.conftest import CANARY, Configure

STRONG = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLERK_ISSUER", 5),
        ("CLERK_ISSUER", [5]),
        ("CLERK_AUTHORIZED_PARTIES", 5),
        ("CLERK_WEBHOOK_SIGNING_SECRET", [b"whsec_YWJj"]),
        ("CLERK_CLOCK_SKEW_SECONDS", -1),
        ("CLERK_CLOCK_SKEW_SECONDS", 301),
        ("CLERK_CLOCK_SKEW_SECONDS", float("nan")),
        ("HEALTH_KEYS_STALE_SECONDS", 0),
        ("HEALTH_MISSED_WEBHOOK_MINUTES", 0),
        ("HEALTH_WEBHOOK_LAG_SECONDS", 10_000_000),
    ],
)
def test_e020_setting_has_another_type_or_is_out_of_range(ids: Configure, name: str, value: object) -> None:
    assert ids(**{name: value}) == ["accounts.E020"]


@pytest.mark.parametrize(
    "issuer",
    [
        "https://Clerk.example.com",
        "https://clerk.example.com/",
        "https://clerk.example.com//proxy",
        "https://clerk.example.com:443",
        "https://clerk.example.com?x=1",
        "https://clerk.example.com/.well-known/jwks.json",
        "https://*.example.com",
        "https://api.clerk.com",
        "https://api.clerk.com/v1",
        "clerk.example.com",
        " https://clerk.example.com",
    ],
)
def test_e023_issuer_is_in_no_token(ids: Configure, issuer: str) -> None:
    assert "accounts.E023" in ids(CLERK_ISSUER=["https://clerk.example.com", issuer])


@pytest.mark.parametrize(
    "issuer",
    [
        "https://happy-cat-1.clerk.accounts.dev",
        "https://app.example.com/api/__clerk",
        "https://clerk.example.com:8443",
        "https://clerk.example.com, https://clerk.satellite.example",
        ["https://clerk.example.com", "https://clerk.satellite.example"],
        {"https://clerk.example.com"},
    ],
)
def test_issuers_of_an_instance_and_of_a_proxy_are_accepted(ids: Configure, issuer: object) -> None:
    assert ids(CLERK_ISSUER=issuer) == []


def test_e007_second_issuer_is_plain_http(ids: Configure) -> None:
    assert ids(CLERK_ISSUER="https://clerk.example.com,http://clerk.satellite.example") == ["accounts.E007"]


@pytest.mark.parametrize("name", ["CLERK_JWKS_URL", "CLERK_API_URL"])
@pytest.mark.parametrize("address", ["https://*.example.com/jwks", "https://a..example/jwks"])
def test_e024_host_is_unknown_to_every_name_server(ids: Configure, name: str, address: str) -> None:
    assert ids(**{name: address}) == ["accounts.E024"]


@pytest.mark.parametrize("address", ["https://api.clerk.com/v1/jwks", "https://API.clerk.dev/v1/jwks"])
def test_e025_keys_are_those_of_the_backend_api(ids: Configure, address: str) -> None:
    assert ids(CLERK_JWKS_URL=address) == ["accounts.E025"]


@pytest.mark.parametrize("address", ["https://api.clerk.com/v1", "https://api.clerk.com/v1/users"])
def test_e026_backend_api_has_a_version(ids: Configure, address: str) -> None:
    assert ids(CLERK_API_URL=address) == ["accounts.E026"]


def test_backend_api_may_be_behind_a_proxy(ids: Configure) -> None:
    assert ids(CLERK_API_URL="https://proxy.example.com/clerk-v1") == []


@pytest.mark.parametrize(
    "instance", ["app_2abc", "ins_2abc,ins_2def", "ins_...", "ins_", "clerk.example.com", "INS_2abc"]
)
def test_e027_instance_is_not_one_id(ids: Configure, instance: str) -> None:
    assert ids(CLERK_INSTANCE_ID=instance) == ["accounts.E027"]


def test_instance_id_of_clerk_is_accepted(ids: Configure) -> None:
    assert ids(CLERK_INSTANCE_ID="ins_2CD7tT6BxhdShzyCUy3DXUvrvJE") == []


@pytest.mark.parametrize("token", ["w\u00f6rter" * 10, f"{STRONG}\n{CANARY}", f"{STRONG}\x00"])
def test_e028_health_token_fits_no_header(ids: Configure, token: str) -> None:
    assert ids(HEALTH_TOKEN=token) == ["accounts.E028"]


@pytest.mark.parametrize("token", ["abc", STRONG[:19], "aaaabbbb" * 10])
def test_w009_health_token_is_weak(ids: Configure, token: str) -> None:
    assert ids(HEALTH_TOKEN=token) == ["accounts.W009"]
    assert ids(HEALTH_TOKEN=token, DEBUG=True) == []


def test_health_token_may_have_twenty_characters(ids: Configure) -> None:
    assert ids(HEALTH_TOKEN=STRONG[:20]) == []
