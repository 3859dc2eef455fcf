"""The modules that `make mutants` changes, and the tests of each."""

from __future__ import annotations

from collections.abc import Sequence

CLERK = "tests/accounts/clerk"
TOKEN_TESTS = (
    f"{CLERK}/test_signature.py",
    f"{CLERK}/test_tokens.py",
    f"{CLERK}/test_token_claims.py",
    f"{CLERK}/test_token_headers.py",
    f"{CLERK}/test_token_signatures.py",
    f"{CLERK}/test_token_texts.py",
)
# The tests of each module, the slowest module first, so that all workers end at about the same time.
MODULES: dict[str, Sequence[str]] = {
    "accounts/clerk/keys.py": (
        f"{CLERK}/test_failing_jwks.py",
        f"{CLERK}/test_key_lookup.py",
        f"{CLERK}/test_key_refresh.py",
        f"{CLERK}/test_unknown_kid.py",
        f"{CLERK}/test_clock_skew.py",
    ),
    "accounts/clerk/pem.py": (f"{CLERK}/test_pem.py",),
    "accounts/clerk/clock_skew.py": (f"{CLERK}/test_clock_skew.py",),
    "accounts/clerk/unknown_kids.py": (f"{CLERK}/test_unknown_kid.py",),
    "accounts/sync.py": (
        "tests/accounts/test_sync.py",
        "tests/accounts/test_deletion.py",
        "tests/accounts/test_restoration.py",
        "tests/accounts/test_signals.py",
        "tests/accounts/test_races.py",
        "tests/test_cold_path.py",
    ),
    "accounts/db.py": (
        "tests/accounts/test_db.py",
        "tests/accounts/test_pool.py",
        "tests/routers/test_requests.py",
        "tests/routers/test_events.py",
        "tests/accounts/test_races.py",
        "tests/accounts/test_sync.py",
        "tests/accounts/test_deletion.py",
        "tests/accounts/test_restoration.py",
    ),
    "webhooks/handlers.py": (
        "tests/webhooks/test_handlers.py",
        "tests/webhooks/test_own_handlers.py",
        "tests/webhooks/test_turns.py",
        "tests/webhooks/test_ledger.py",
        "tests/webhooks/test_observability.py",
        "tests/webhooks/test_handler_failures.py",
        "tests/webhooks/test_handler_time.py",
        "tests/webhooks/test_parallel_handlers.py",
        "tests/routers/test_events.py",
        "tests/accounts/test_extra_fields.py",
        "tests/test_cold_path.py",
    ),
    "webhooks/dispatch.py": (
        "tests/webhooks/test_own_handlers.py",
        "tests/webhooks/test_handler_callbacks.py",
        "tests/webhooks/test_handler_failures.py",
        "tests/webhooks/test_handler_time.py",
        "tests/webhooks/test_parallel_handlers.py",
        "tests/routers/test_events.py",
    ),
    "accounts/lookup.py": ("tests/accounts/test_lookup.py", "tests/accounts/test_lookup_joined.py"),
    "accounts/merge.py": (
        "tests/accounts/test_merge.py",
        "tests/accounts/test_merge_extra.py",
        "tests/accounts/test_merge_histories.py",
    ),
    "accounts/clerk/tokens.py": (
        *TOKEN_TESTS,
        f"{CLERK}/test_pem.py",
        f"{CLERK}/test_clock_skew.py",
        f"{CLERK}/test_issuers.py",
        f"{CLERK}/test_unexpected.py",
    ),
    "accounts/clerk/jws.py": (
        *TOKEN_TESTS,
        f"{CLERK}/test_pem.py",
        f"{CLERK}/test_foreign_tokens.py",
        f"{CLERK}/test_unexpected.py",
        f"{CLERK}/test_clock_skew.py",
        "tests/accounts/test_unexpected.py",
    ),
    "accounts/clerk/jwks.py": (
        f"{CLERK}/test_jwks.py",
        f"{CLERK}/test_jwks_tls.py",
        f"{CLERK}/test_pem.py",
    ),
    "accounts/clerk/fields.py": (
        f"{CLERK}/test_fields.py",
        f"{CLERK}/test_profiles_from_claims.py",
        f"{CLERK}/test_profiles_from_users.py",
    ),
    "accounts/clerk/texts.py": (f"{CLERK}/test_texts.py",),
    "accounts/clerk/profiles.py": (
        f"{CLERK}/test_fields.py",
        f"{CLERK}/test_profiles_from_claims.py",
        f"{CLERK}/test_profiles_from_users.py",
        f"{CLERK}/test_storable_profiles.py",
    ),
    "accounts/clerk/session.py": (f"{CLERK}/test_session.py", f"{CLERK}/test_session_organization.py"),
    "accounts/clerk/reverification.py": (f"{CLERK}/test_reverification.py",),
    "accounts/clerk/single_flight.py": (f"{CLERK}/test_single_flight.py",),
    "accounts/clerk/token_bucket.py": (f"{CLERK}/test_token_bucket.py",),
    "accounts/clerk/times.py": (f"{CLERK}/test_times.py",),
    "accounts/clerk/ids.py": (f"{CLERK}/test_ids.py",),
    "accounts/clerk/base64url.py": (f"{CLERK}/test_base64url.py",),
    "webhooks/signature.py": ("tests/webhooks/test_signature.py",),
    "webhooks/registry.py": ("tests/webhooks/test_registry.py",),
    "webhooks/events.py": ("tests/webhooks/test_events.py",),
}
# Tests in a project with its own user model, for what the tests above leave undetected.
ACCOUNT_TESTS: dict[str, Sequence[str]] = {
    "accounts/sync.py": tuple(
        f"tests/foreign/cases/test_{name}.py" for name in ("sign_in", "events", "columns", "faults", "admin")
    )
}
ACCOUNT_SETTINGS = "tests.proof.mail_settings"
