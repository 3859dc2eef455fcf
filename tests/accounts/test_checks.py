"""One test for each system check: when it speaks, and that it is silent about what is well."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.checks import run_checks
from psycopg import IsolationLevel
from pytest_django import Settings

TEST_KEY = "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"
LIVE_KEY = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
POSTGRESQL = "django.db.backends.postgresql"
SQLITE = "django.db.backends.sqlite3"
CANARY = "canary7f3a"
Configure = Callable[..., list[str]]


@pytest.fixture
def ids(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Configure a good production but for what the test says; give the ids that the checks then report."""
    good = {
        "DEBUG": False,
        "ALLOW_SQLITE": False,
        "ENV_PROBLEMS": (),
        "CLERK_PUBLISHABLE_KEY": LIVE_KEY,
        "CLERK_ISSUER": "https://clerk.example.com",
        "CLERK_JWKS_URL": "https://clerk.example.com/.well-known/jwks.json",
        "CLERK_JWT_KEY": "",
        "CLERK_SECRET_KEY": "",
        "CLERK_API_URL": "https://api.clerk.com",
        "CLERK_AUTHORIZED_PARTIES": ("https://app.example.com", "http://localhost:3000"),
        "CLERK_WEBHOOK_SIGNING_SECRET": (),
        "CLERK_CLAIMS": "email=email,first_name=first_name|firstName",
    }

    def configure(*, database: dict[str, object] | None = None, **changes: object) -> list[str]:
        for name, value in (good | changes).items():
            setattr(settings, name, value)
        entry = {"ENGINE": POSTGRESQL, "CONN_MAX_AGE": 60, "OPTIONS": {}} | (database or {})
        # The checks alone read it: connections that are open keep their own.
        monkeypatch.setitem(settings.DATABASES, "default", entry)
        messages = run_checks(tags=["accounts"])
        assert all(message.hint for message in messages)
        assert CANARY not in str(messages)
        return [str(message.id) for message in messages]

    return configure


def pem() -> str:
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def test_a_good_production_is_silent(ids: Configure) -> None:
    assert ids() == []


def test_e001_every_malformed_value(ids: Configure) -> None:
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
def test_e002_no_way_to_verify_any_token(ids: Configure, changes: dict[str, str]) -> None:
    assert ids(CLERK_PUBLISHABLE_KEY="", **changes) == ["accounts.E002"]


def test_a_pem_instead_of_the_jwks_is_a_way_to_verify(ids: Configure) -> None:
    assert ids(CLERK_PUBLISHABLE_KEY="", CLERK_JWKS_URL="", CLERK_JWT_KEY=pem()) == []


def test_e003_a_publishable_key_that_does_not_decode(ids: Configure) -> None:
    assert ids(CLERK_PUBLISHABLE_KEY=f"pk_live_{CANARY}", CLERK_ISSUER="", CLERK_JWKS_URL="") == [
        "accounts.E003"
    ]


@pytest.mark.parametrize("text", [CANARY, f"-----BEGIN PUBLIC KEY-----\n{CANARY}\n-----END PUBLIC KEY-----"])
def test_e004_a_pem_that_does_not_parse(ids: Configure, text: str) -> None:
    assert ids(CLERK_JWT_KEY=text) == ["accounts.E004"]


def test_e005_authorized_parties_set_and_empty(ids: Configure) -> None:
    assert ids(CLERK_AUTHORIZED_PARTIES=()) == ["accounts.E005"]


@pytest.mark.parametrize(
    "party",
    [
        "https://app.example.com/",
        "https://app.example.com/path",
        " https://app.example.com",
        "https://app .example.com",
        "https://App.example.com",
        "app.example.com",
        "",
    ],
)
def test_e006_a_party_that_no_browser_sends(ids: Configure, party: str) -> None:
    assert ids(CLERK_AUTHORIZED_PARTIES=("https://good.example", party)) == ["accounts.E006"]


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
def test_e007_plain_http_or_this_machine_outside_debug(ids: Configure, name: str, address: str) -> None:
    assert ids(**{name: address}) == ["accounts.E007"]


@pytest.mark.parametrize(
    "address", ["https://8.8.8.8", "https://[2001:db8::1]", "https://mylocalhost.example"]
)
def test_another_machine_may_be_named_by_its_address(ids: Configure, address: str) -> None:
    assert ids(CLERK_ISSUER=address, CLERK_JWKS_URL=address, CLERK_API_URL=address) == []


@pytest.mark.parametrize("name", ["CLERK_ISSUER", "CLERK_JWKS_URL", "CLERK_API_URL"])
@pytest.mark.parametrize("address", ["http://localhost:8001", "http://127.0.0.1:8001", "https://127.0.0.1"])
def test_this_machine_is_fine_in_debug(ids: Configure, name: str, address: str) -> None:
    assert ids(**{name: address}, DEBUG=True) == []


@pytest.mark.parametrize(
    "text", ["", "email", "shoe_size=size", "email=", "email=email,,", "email=a email=b"]
)
def test_e008_claims_with_an_unknown_field_or_a_bad_form(ids: Configure, text: str) -> None:
    assert ids(CLERK_CLAIMS=text) == ["accounts.E008"]


@pytest.mark.parametrize("secret", [CANARY, "whsec_", f"whsec_{CANARY}!", "sk_live_YWJj"])
def test_e009_a_webhook_secret_of_another_form(ids: Configure, secret: str) -> None:
    assert ids(CLERK_WEBHOOK_SIGNING_SECRET=("whsec_YWJj", secret)) == ["accounts.E009"]


def test_e010_sqlite_outside_debug(ids: Configure) -> None:
    assert ids(database={"ENGINE": SQLITE}) == ["accounts.E010"]
    assert ids(database={"ENGINE": SQLITE}, ALLOW_SQLITE=True) == []
    assert ids(database={"ENGINE": SQLITE}, DEBUG=True) == []


@pytest.mark.parametrize("engine", [POSTGRESQL, SQLITE])
def test_e011_atomic_requests(ids: Configure, engine: str) -> None:
    assert ids(database={"ENGINE": engine, "ATOMIC_REQUESTS": True}, ALLOW_SQLITE=True) == ["accounts.E011"]


@pytest.mark.parametrize(
    "options",
    [
        {"isolation_level": IsolationLevel.REPEATABLE_READ},
        {"isolation_level": IsolationLevel.SERIALIZABLE},
        {"isolation_level": 3},
        {"options": "-c default_transaction_isolation=serializable"},
    ],
)
def test_e012_another_isolation_level(ids: Configure, options: dict[str, object]) -> None:
    assert ids(database={"OPTIONS": options}) == ["accounts.E012"]


def test_read_committed_may_be_said(ids: Configure) -> None:
    assert ids(database={"OPTIONS": {"isolation_level": IsolationLevel.READ_COMMITTED}}) == []


def test_e013_a_connection_for_each_request(ids: Configure) -> None:
    assert ids(database={"CONN_MAX_AGE": 0}) == ["accounts.E013"]
    assert ids(database={"CONN_MAX_AGE": 0, "OPTIONS": {"pool": True}}) == []
    assert ids(database={"CONN_MAX_AGE": None}) == []


def test_e014_keys_over_plain_http_from_another_machine_in_debug(ids: Configure) -> None:
    url = "http://clerk.internal:8001/jwks"

    assert ids(CLERK_JWKS_URL=url, DEBUG=True) == ["accounts.E014"]
    # Then nobody fetches them.
    assert ids(CLERK_JWKS_URL=url, CLERK_JWT_KEY=pem(), DEBUG=True) == []
    assert ids(CLERK_JWKS_URL="", CLERK_JWT_KEY=pem(), DEBUG=True) == []


@pytest.mark.parametrize(
    "key", [f"sk_live_{CANARY} b", f"sk_live_{CANARY}\nb", f"sk_live_{CANARY}\x00", f"sk_live_{CANARY}\u00e9"]
)
def test_e015_a_secret_key_that_no_header_can_carry(ids: Configure, key: str) -> None:
    assert ids(CLERK_SECRET_KEY=key) == ["accounts.E015"]


def test_w001_no_authorized_parties(ids: Configure) -> None:
    assert ids(CLERK_AUTHORIZED_PARTIES=None) == ["accounts.W001"]


@pytest.mark.parametrize(
    "keys",
    [
        {"CLERK_PUBLISHABLE_KEY": TEST_KEY},
        {"CLERK_PUBLISHABLE_KEY": "", "CLERK_SECRET_KEY": f"sk_test_{CANARY}"},
    ],
)
def test_w002_a_development_instance_outside_debug(ids: Configure, keys: dict[str, str]) -> None:
    assert ids(**keys) == ["accounts.W002"]
    assert ids(**keys, DEBUG=True) == []


def test_w003_keys_of_two_instances(ids: Configure) -> None:
    assert ids(CLERK_SECRET_KEY=f"sk_test_{CANARY}", DEBUG=True) == ["accounts.W003"]
    assert ids(CLERK_SECRET_KEY=f"sk_live_{CANARY}") == []
