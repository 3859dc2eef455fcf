"""Unexpected exceptions: whether they are the fault of the token, and what is logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accounts.clerk.jws import InvalidToken
from accounts.clerk.keys import KeysUnavailable
from accounts.clerk.tokens import SessionVerifier, VerificationFailed, verify_signature
from devclerk.tokens import Keyring
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY, FixedKeys, Mint

CANARY = "canary-51c7"
Check = Callable[[Any, Any], object]


def verify(token: Any, keys: Any) -> object:
    return SessionVerifier(keys, ISSUER, (PARTY,)).verify(token, now=NOW)


both_functions = pytest.mark.parametrize("check", [verify, verify_signature])


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Collect the log; no line may have the text of an exception, a traceback or the token."""
    with caplog.at_level(logging.DEBUG):
        yield caplog
    assert CANARY not in "".join(repr(vars(record)) for record in caplog.records)
    assert not any(record.exc_info or record.stack_info for record in caplog.records)


def logged(log: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """Return message, class and function of each error that was logged."""
    errors = [record for record in log.records if record.levelno == logging.ERROR]
    return [
        (record.getMessage(), vars(record)["error"], vars(record)["place"].rpartition(" ")[2])
        for record in errors
    ]


class KeysThat(FixedKeys):
    """A key source that returns, or raises, its second argument."""

    def __init__(self, document: Any, answer: Any) -> None:
        super().__init__(document)
        self.answer = answer

    def get_keys(self, kid: object) -> Sequence[RSAPublicKey]:
        if isinstance(self.answer, Exception):
            raise self.answer
        result: Sequence[RSAPublicKey] = self.answer
        return result


class KeysThatCannotCount(FixedKeys):
    """A key source whose `record_result` fails."""

    def record_result(self, *, good: bool) -> None:
        raise ArithmeticError(CANARY)


class Text(str):
    """A token that raises when it is split."""

    __slots__ = ()

    def split(self, *_: object, **__: object) -> list[str]:
        raise RuntimeError(CANARY)


class AnyKey:
    """A key of another type that accepts every signature."""

    def verify(self, *_: object) -> None:
        """Return, which means that the signature is good."""


@both_functions
def test_unexpected_error_before_the_signature_is_a_malformed_token(
    mint: Mint, keys: FixedKeys, log: pytest.LogCaptureFixture, check: Check
) -> None:
    with pytest.raises(InvalidToken) as caught:
        check(Text(mint()), keys)
    assert (caught.value.reason, caught.value.is_unexpected) == ("token_malformed", True)
    assert logged(log) == [("Unexpected error before a signature was verified", "RuntimeError", "split")]


@both_functions
def test_expected_refusal_is_not_logged_as_an_error(
    mint: Mint, keys: FixedKeys, log: pytest.LogCaptureFixture, check: Check
) -> None:
    with pytest.raises(InvalidToken) as caught:
        check(mint(header={"kid": "other"}), keys)
    assert (caught.value.reason, caught.value.is_unexpected) == ("token_unknown_key", False)
    assert logged(log) == []


@both_functions
@pytest.mark.parametrize("error", [LookupError(CANARY), RecursionError(CANARY), TypeError(CANARY)])
def test_key_source_that_raises_is_keys_unavailable(
    mint: Mint, keyring: Keyring, log: pytest.LogCaptureFixture, check: Check, error: Exception
) -> None:
    with pytest.raises(KeysUnavailable) as caught:
        check(mint(), KeysThat(keyring.jwks(), error))
    assert caught.value.is_unexpected
    assert caught.value.retry_after > 0
    assert logged(log) == [("The key source failed", type(error).__name__, "get_keys")]


@both_functions
@pytest.mark.parametrize(
    "wrong",
    [
        *(None, 0, False, 5, "", "a key", b"", {}, {"kid": 1}, set(), object()),
        *([None], ["a key"], (AnyKey(),), [Ed25519PrivateKey.generate().public_key()], iter(())),
    ],
)
def test_key_source_that_returns_no_list_of_keys_is_keys_unavailable(
    mint: Mint, keyring: Keyring, log: pytest.LogCaptureFixture, check: Check, wrong: object
) -> None:
    with pytest.raises(KeysUnavailable) as caught:
        check(mint(), KeysThat(keyring.jwks(), wrong))
    assert caught.value.is_unexpected
    assert [line[:2] for line in logged(log)] == [("The key source failed", "TypeError")]


@both_functions
@pytest.mark.parametrize("refusal", [InvalidToken("token_unknown_key"), KeysUnavailable()])
def test_refusal_of_the_key_source_is_raised_unchanged(
    mint: Mint, keyring: Keyring, log: pytest.LogCaptureFixture, check: Check, refusal: Exception
) -> None:
    with pytest.raises(type(refusal)) as caught:
        check(mint(), KeysThat(keyring.jwks(), refusal))
    assert caught.value is refusal
    assert not caught.value.is_unexpected  # type: ignore[attr-defined]
    assert logged(log) == []


def test_key_source_that_fails_to_record_a_result_is_keys_unavailable(
    mint: Mint, keyring: Keyring, log: pytest.LogCaptureFixture
) -> None:
    keys = KeysThatCannotCount(keyring.jwks())
    signed, _, _ = mint().rpartition(".")
    for token in (mint(), f"{signed}.AAAA"):
        with pytest.raises(KeysUnavailable) as caught:
            verify(token, keys)
        assert caught.value.is_unexpected
    assert logged(log) == [("The key source failed", "ArithmeticError", "record_result")] * 2


@pytest.mark.parametrize(
    ("options", "error"),
    [({"leeway": "five"}, "TypeError"), ({"authorized_parties": 5}, "TypeError")],
)
def test_unexpected_error_after_the_signature_is_not_the_fault_of_the_token(
    mint: Mint, keys: FixedKeys, log: pytest.LogCaptureFixture, options: dict[str, Any], error: str
) -> None:
    usual: dict[str, Any] = {"authorized_parties": (PARTY,)}
    verifier = SessionVerifier(keys, ISSUER, **usual | options)
    with pytest.raises(VerificationFailed):
        verifier.verify(mint(), now=NOW)
    assert [line[:2] for line in logged(log)] == [("Unexpected error after a signature was verified", error)]


def test_signed_payload_that_is_no_json_is_the_fault_of_the_token(
    keyring: Keyring, keys: FixedKeys, log: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidToken) as caught:
        verify(keyring.sign({"alg": "RS256", "kid": keyring.kid}, b"no JSON"), keys)
    assert (caught.value.reason, caught.value.is_unexpected) == ("token_malformed", False)
    assert logged(log) == []
