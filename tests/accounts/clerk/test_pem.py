"""Configured public keys: the forms that are accepted, and the suspicion of a rotation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from accounts.clerk.jwks import keys_of_pem
from accounts.clerk.keys import KeysStatus, PemKeys, pem_keys
from accounts.clerk.tokens import InvalidToken, SessionVerifier
from devclerk.tokens import ABSENT, Keyring
from tests.accounts.clerk.conftest import ISSUER, NOW, PARTY, Mint


def body_of(pem: str) -> str:
    return "".join(pem.splitlines()[1:-1])


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda pem: pem,
    "with literal line ends": lambda pem: pem.replace("\n", "\\n"),
    "with Windows line ends": lambda pem: pem.replace("\n", "\r\n"),
    "with literal Windows line ends": lambda pem: pem.replace("\n", "\\r\\n"),
    "in quotes": lambda pem: f'"{pem}"',
    "in single quotes with literal line ends": lambda pem: "'" + pem.replace("\n", "\\n") + "'",
    "on one line": lambda pem: pem.replace("\n", " "),
    "without the first and last line": lambda pem: "\n".join(pem.splitlines()[1:-1]),
    "the letters alone": body_of,
    "the letters alone, in quotes": lambda pem: f'"{body_of(pem)}"',
    "the letters alone, in single quotes": lambda pem: f"'{body_of(pem)}'",
    "indented": lambda pem: "\n".join(f"    {line}" for line in pem.splitlines()),
    "with blanks around": lambda pem: f"\n\n {pem} \n",
}


@pytest.mark.parametrize("form", FORMS)
def test_pasted_key_is_read(keyring: Keyring, form: str) -> None:
    (key,) = keys_of_pem(FORMS[form](keyring.pem))
    (plain,) = keys_of_pem(keyring.pem)
    assert key.public_numbers() == plain.public_numbers()


@pytest.mark.parametrize("between", ["", "\n", "\\n", " "])
def test_each_of_several_keys_is_tried_with_any_kid(keyring: Keyring, mint: Mint, between: str) -> None:
    other = Keyring()
    text = f"{other.pem.strip()}{between}{keyring.pem}"
    verifier = SessionVerifier(pem_keys(text.replace("\n", "\\n")), ISSUER, (PARTY,))
    assert verifier.verify(mint(header={"kid": "ins_any"}), now=NOW).user_id == "user_ada"
    assert (
        verifier.verify(other.mint("user_b", issuer=ISSUER, azp=PARTY, now=NOW), now=NOW).user_id == "user_b"
    )


def _private(key: RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public(key: RSAPublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_private_key_is_refused_and_not_repeated() -> None:
    pem = _private(rsa_key(65537, 2048))
    with pytest.raises(ValueError, match=r"^This is a private key") as caught:
        keys_of_pem(pem)
    assert pem.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("text", ["x", "-----BEGIN PUBLIC KEY-----", "pk_test_abc", "AAAA", "\\n"])
def test_text_that_is_no_key_is_refused_with_the_next_step(text: str) -> None:
    with pytest.raises(ValueError, match=r"^This is no PEM public key\. Copy the whole block"):
        keys_of_pem(text)


def test_malformed_second_block_is_refused(keyring: Keyring) -> None:
    with pytest.raises(ValueError, match="no PEM"):
        keys_of_pem(f"{keyring.pem}-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")


def test_second_block_without_its_end_is_refused(keyring: Keyring) -> None:
    with pytest.raises(ValueError, match=r"^One of the keys is cut off"):
        keys_of_pem(f"{keyring.pem}{Keyring().pem[:200]}")


def test_another_kind_of_key_is_refused() -> None:
    pem = ec_key(SECP256R1()).public_key()
    text = pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ValueError, match="RSA"):
        keys_of_pem(text)


def test_key_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^The key must be an RSA public key of 2048"):
        keys_of_pem(_public(rsa_key(65537, 1024).public_key()))  # noqa: S505 - that is the point


def test_public_key_in_the_pkcs1_form_is_read(keyring: Keyring) -> None:
    (key,) = keys_of_pem(keyring.pem)
    older = key.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    assert keys_of_pem(older)[0].public_numbers() == key.public_numbers()


def test_good_signatures_that_stop_while_bad_ones_come_make_a_rotation_suspect(
    keyring: Keyring, mint: Mint
) -> None:
    moment = [0.0]
    keys = PemKeys(keys_of_pem(keyring.pem), clock=lambda: moment[0])
    verifier = SessionVerifier(keys, ISSUER, (PARTY,))
    other = Keyring()

    def request(ring: Keyring, *, minted_at: float = NOW) -> None:
        moment[0] += 10
        with suppress(InvalidToken):
            verifier.verify(ring.mint("user_a", issuer=ISSUER, azp=PARTY, now=minted_at), now=NOW)

    for _ in range(30):
        request(other)
        request(keyring)
        assert not keys.status().suspect_rotation
    for _ in range(30):
        request(other)
        request(keyring, minted_at=NOW - 600)  # an expired token that a client repeats
    assert keys.status().suspect_rotation
    request(keyring)
    assert not keys.status().suspect_rotation


@pytest.mark.parametrize("kid", [None, True, 1, ["ins"], {"ins": 1}])
def test_kid_that_is_no_string_is_malformed_with_configured_keys(keyring: Keyring, kid: object) -> None:
    verifier = SessionVerifier(pem_keys(keyring.pem), ISSUER, (PARTY,))
    with pytest.raises(InvalidToken, match="token_malformed"):
        verifier.verify(
            keyring.mint("user_a", issuer=ISSUER, azp=PARTY, now=NOW, header={"kid": kid}), now=NOW
        )


@pytest.mark.parametrize("kid", [ABSENT, "", "ins_other"])
def test_any_kid_that_is_a_string_is_accepted(keyring: Keyring, kid: object) -> None:
    verifier = SessionVerifier(pem_keys(keyring.pem), ISSUER, (PARTY,))
    token = keyring.mint("user_a", issuer=ISSUER, azp=PARTY, now=NOW, header={"kid": kid})
    assert verifier.verify(token, now=NOW).user_id == "user_a"


GOOD, BAD = True, False


@pytest.mark.parametrize(
    ("windows", "suspect"),
    [
        ([[GOOD], [BAD] * 5], True),
        ([[GOOD], [BAD] * 4], False),
        ([[GOOD], [BAD] * 4, [BAD] * 4], False),
        ([[GOOD], [BAD] * 5, [BAD], []], True),
        ([[GOOD], [BAD] * 5, [GOOD]], False),
        ([[GOOD], [BAD] * 50 + [GOOD]], False),
        ([[BAD] * 500], False),
        ([[BAD] * 500, [BAD] * 500], False),
        ([[GOOD] * 100, [BAD] * 9], False),
        ([[GOOD] * 100, [BAD] * 10], True),
        ([[GOOD] * 100, *[[GOOD]] * 11, [BAD] * 9], False),
        ([[GOOD] * 100, *[[GOOD]] * 12, [BAD] * 9], True),
    ],
)
def test_bad_signatures_in_place_of_good_ones_for_five_minutes_decide(
    keyring: Keyring, windows: list[list[bool]], *, suspect: bool
) -> None:
    moment = [3600.0]
    keys = PemKeys(keys_of_pem(keyring.pem), clock=lambda: moment[0])
    for window in windows:
        for good in window:
            keys.record_result(good=good)
        moment[0] += 300
        last = keys.status().suspect_rotation
    assert last is suspect


def test_configured_keys_are_held_from_the_start(keyring: Keyring) -> None:
    keys = PemKeys(keys_of_pem(keyring.pem))
    keys.start()
    assert keys.status() == KeysStatus(mode="pem", held=True)


@pytest.mark.parametrize("forgeries", [1, 3, 20])
def test_forgeries_of_a_quiet_night_are_no_rotation(keyring: Keyring, forgeries: int) -> None:
    moment = [0.0]
    keys = PemKeys(keys_of_pem(keyring.pem), clock=lambda: moment[0])
    for _ in range(100):
        moment[0] += 3
        keys.record_result(good=True)
    for _ in range(forgeries):
        moment[0] += 1200
        keys.record_result(good=False)
        assert not keys.status().suspect_rotation
    moment[0] += 3600
    assert not keys.status().suspect_rotation


def test_forgeries_followed_by_good_tokens_are_no_rotation(keyring: Keyring) -> None:
    moment = [3600.0]
    keys = PemKeys(keys_of_pem(keyring.pem), clock=lambda: moment[0])
    for good in [False] * 5 + [True] * 6:
        keys.record_result(good=good)
        assert not keys.status().suspect_rotation
    moment[0] += 301
    assert not keys.status().suspect_rotation


def test_few_forgeries_among_many_good_tokens_are_no_rotation(keyring: Keyring) -> None:
    moment = [0.0]
    keys = PemKeys(keys_of_pem(keyring.pem), clock=lambda: moment[0])
    for number in range(400):
        moment[0] += 1
        keys.record_result(good=number % 10 != 0)
    assert not keys.status().suspect_rotation
