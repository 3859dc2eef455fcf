"""One test for each check of the settings."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.checks import run_checks

from tests.accounts.checks.conftest import CANARY, Configure

TEST_KEY = "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"


def pem() -> str:
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def test_correct_settings_report_nothing(ids: Configure) -> None:
    assert ids() == []


def test_e001_each_malformed_variable(ids: Configure) -> None:
    assert (
        ids(ENV_PROBLEMS=(("DJANGO_HTTPS", "must be true or false"), ("X", "must be y")))
        == ["accounts.E001"] * 2
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"CLERK_ISSUER": "", "CLERK_JWKS_URL": ""},
        {"CLERK_JWKS_URL": ""},
        {"CLERK_ISSUER": ""},
    ],
)
def test_e002_issuer_or_keys_are_missing(ids: Configure, changes: dict[str, str]) -> None:
    assert ids(CLERK_PUBLISHABLE_KEY="", **changes) == ["accounts.E002"]


def test_pem_replaces_the_jwks_address(ids: Configure) -> None:
    assert ids(CLERK_PUBLISHABLE_KEY="", CLERK_JWKS_URL="", CLERK_JWT_KEY=pem()) == []


def test_e003_publishable_key_does_not_decode(ids: Configure) -> None:
    assert ids(CLERK_PUBLISHABLE_KEY=f"pk_live_{CANARY}", CLERK_ISSUER="", CLERK_JWKS_URL="") == [
        "accounts.E003"
    ]


@pytest.mark.parametrize("text", [CANARY, f"-----BEGIN PUBLIC KEY-----\n{CANARY}\n-----END PUBLIC KEY-----"])
def test_e004_pem_does_not_parse(ids: Configure, text: str) -> None:
    assert ids(CLERK_JWT_KEY=text) == ["accounts.E004"]


def test_e005_authorized_parties_are_empty(ids: Configure) -> None:
    assert ids(CLERK_AUTHORIZED_PARTIES=()) == ["accounts.E005"]


@pytest.mark.parametrize(
    "party",
    [
        "https://*.vercel.app",
        "http://127.1:3000",
        "http://10.0.0.01",
        "http://2130706433",
        "http://[0:0:0:0:0:0:0:1]:3000",
        "https://app.example.com/",
        "https://app.example.com/path",
        " https://app.example.com",
        "https://app .example.com",
        "https://App.example.com",
        "https://*.example.com",
        "https://app.example.com:443",
        "app.example.com",
        "",
    ],
)
def test_e006_party_is_no_origin(ids: Configure, party: str) -> None:
    assert ids(CLERK_AUTHORIZED_PARTIES=("https://good.example", party)) == ["accounts.E006"]


def test_a_party_may_have_the_scheme_of_an_app(ids: Configure) -> None:
    assert ids(CLERK_AUTHORIZED_PARTIES=("capacitor://localhost", "chrome-extension://abc")) == []


@pytest.mark.parametrize("name", ["CLERK_ISSUER", "CLERK_JWKS_URL", "CLERK_API_URL"])
@pytest.mark.parametrize(
    "address",
    [
        "http://clerk.example.com",
        "https://localhost:8001",
        "https://clerk.localhost",
        "https://127.0.0.1",
        "https://127.8.8.8",
        "https://[::1]:8001",
        "https://0.0.0.0",
        "https://localhost.",
        "https://127.1",
        "https://2130706433",
        "https://0x7f.1/jwks",
        "https://0",
        "https://[::ffff:127.0.0.1]",
        "https://[::]",
        "https://localhost.localdomain",
        "https://localhost6",
        "https://ip6-localhost",
        "https://ip6-loopback",
    ],
)
def test_e007_address_is_plain_http_or_loopback(ids: Configure, name: str, address: str) -> None:
    # An issuer of another form is reported as such too.
    assert ids(**{name: address})[0] == "accounts.E007"


@pytest.mark.parametrize("changes", [{"CLERK_API_URL": "http://127.0.0.1:8001"}, {"CLERK_ISSUER": ""}])
def test_hint_names_the_option_of_the_test_runner(ids: Configure, changes: dict[str, str]) -> None:
    ids(**{"CLERK_PUBLISHABLE_KEY": ""} | changes)
    (message,) = run_checks(tags=["accounts"])
    assert "--debug-mode" in str(message.hint)


@pytest.mark.parametrize(
    "address", ["https://8.8.8.8", "https://[2001:db8::1]", "https://mylocalhost.example"]
)
def test_address_of_another_machine_may_be_an_ip(ids: Configure, address: str) -> None:
    assert ids(CLERK_ISSUER=address, CLERK_JWKS_URL=address, CLERK_API_URL=address) == []


@pytest.mark.parametrize("name", ["CLERK_ISSUER", "CLERK_JWKS_URL", "CLERK_API_URL"])
@pytest.mark.parametrize("address", ["http://localhost:8001", "http://127.0.0.1:8001", "https://127.0.0.1"])
def test_loopback_is_allowed_in_debug(ids: Configure, name: str, address: str) -> None:
    assert ids(**{name: address}, DEBUG=True) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "email",
        "shoe_size=size",
        "email=",
        "email=email,,",
        "email=a email=b",
        "email=user.email",
        "email=email|user.email",
        "email={{user.primary_email_address}}",
    ],
)
def test_e008_claims_do_not_parse(ids: Configure, text: str) -> None:
    assert ids(CLERK_CLAIMS=text) == ["accounts.E008"]


@pytest.mark.parametrize("names", ["", (), "locale", "locale, public_metadata", ["username"]])
def test_further_fields_are_a_list_of_names(ids: Configure, names: object) -> None:
    assert ids(CLERK_EXTRA_FIELDS=names) == []


@pytest.mark.parametrize(
    "names", ["unsafe_metadata", "email", "locale,locale", "shoe_size", None, {"locale": 1}]
)
def test_e021_further_fields_cannot_be_used(ids: Configure, names: object) -> None:
    assert ids(CLERK_EXTRA_FIELDS=names) == ["accounts.E021"]


@pytest.mark.parametrize("names", [5, [["locale"]]])
def test_e020_further_fields_are_a_list_of_names(ids: Configure, names: object) -> None:
    assert ids(CLERK_EXTRA_FIELDS=names) == ["accounts.E020"]


def test_e021_says_why_users_metadata_is_refused(ids: Configure) -> None:
    ids(CLERK_EXTRA_FIELDS=("locale", "unsafe_metadata"))
    (message,) = [each for each in run_checks(tags=["accounts"]) if each.id == "accounts.E021"]
    assert "'unsafe_metadata' is never stored: a user's own browser writes it" in message.msg


def test_claim_feeds_a_further_field_only_if_it_is_stored(ids: Configure) -> None:
    claims = "email=email,locale=locale"
    assert ids(CLERK_CLAIMS=claims) == ["accounts.E008"]
    assert ids(CLERK_CLAIMS=claims, CLERK_EXTRA_FIELDS=("locale",)) == []


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ("email=work,email_verified=email_verified", ["accounts.W008"]),
        ("email=email|work,email_verified=email_verified", ["accounts.W008"]),
        ("email=work", []),
        ("email=primaryEmail|email,email_verified=v", []),
        ("email_verified=email_verified", []),
    ],
)
def test_w008_address_is_not_known_to_be_the_primary_one(
    ids: Configure, claims: str, expected: list[str]
) -> None:
    assert ids(CLERK_CLAIMS=claims) == expected


@pytest.mark.parametrize("secret", [CANARY, "whsec_", f"whsec_{CANARY}!", "sk_live_YWJj"])
def test_e009_webhook_secret_has_another_form(ids: Configure, secret: str) -> None:
    assert ids(CLERK_WEBHOOK_SIGNING_SECRET=("whsec_YWJj", secret)) == ["accounts.E009"]


def test_e014_jwks_address_is_plain_http_in_debug(ids: Configure) -> None:
    url = "http://clerk.internal:8001/jwks"

    assert ids(CLERK_JWKS_URL=url, DEBUG=True) == ["accounts.E014"]
    # PEM keys are used: the address is never fetched.
    assert ids(CLERK_JWKS_URL=url, CLERK_JWT_KEY=pem(), DEBUG=True) == []
    assert ids(CLERK_JWKS_URL="", CLERK_JWT_KEY=pem(), DEBUG=True) == []


@pytest.mark.parametrize(
    "key",
    [
        f"sk_live_{CANARY} b",
        f"sk_live_{CANARY}\nb",
        f"sk_live_{CANARY}\x00",
        f"sk_live_{CANARY}\u00e9",
        "sk_live_",
        f"pk_live_{CANARY}",
        f"whsec_{CANARY}",
        CANARY,
    ],
)
def test_e015_secret_key_has_another_form(ids: Configure, key: str) -> None:
    assert ids(CLERK_SECRET_KEY=key) == ["accounts.E015"]


def test_w001_authorized_parties_are_not_set(ids: Configure) -> None:
    assert ids(CLERK_AUTHORIZED_PARTIES=None) == ["accounts.W001"]


@pytest.mark.parametrize(
    "keys",
    [
        {"CLERK_PUBLISHABLE_KEY": TEST_KEY},
        {"CLERK_PUBLISHABLE_KEY": "", "CLERK_SECRET_KEY": f"sk_test_{CANARY}"},
    ],
)
def test_w002_development_keys_outside_debug(ids: Configure, keys: dict[str, str]) -> None:
    assert ids(**keys) == ["accounts.W002"]
    assert ids(**keys, DEBUG=True) == []


def test_w003_keys_belong_to_two_instances(ids: Configure) -> None:
    assert ids(CLERK_SECRET_KEY=f"sk_test_{CANARY}", DEBUG=True) == ["accounts.W003"]
    assert ids(CLERK_SECRET_KEY=f"sk_live_{CANARY}") == []


@pytest.mark.parametrize("token", ["", "Zk3mT0q1vXw9Rr7yB2nL", "correct horse battery staple"])
def test_health_token_may_be_absent_or_long(ids: Configure, token: str) -> None:
    assert ids(HEALTH_TOKEN=token) == []
