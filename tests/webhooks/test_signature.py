from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.webhooks.deliveries import SECRET, make_secret, signed_headers
from webhooks.signature import InvalidSignature, NoUsableSecret, verify

BODY = b'{"type": "user.updated", "data": {"first_name": "Zo\xc3\xab"}}'
Headers = dict[str, str]
MINUTE_SECONDS = 60


def signed(**changes: str | None) -> Headers:
    """Return valid headers with the given changes; None removes a header."""
    headers: dict[str, str | None] = {**signed_headers(BODY)}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in headers.items() if value is not None}


def with_signature(change: Callable[[str], str]) -> Headers:
    headers = signed_headers(BODY)
    return headers | {"svix-signature": change(headers["svix-signature"])}


def with_id(svix_id: str) -> Headers:
    """Return valid headers with this id: only the check of the id can refuse them."""
    return signed_headers(BODY, svix_id=svix_id)


def with_timestamp(change: Callable[[str], str]) -> Headers:
    headers = signed_headers(BODY)
    return headers | {"svix-timestamp": change(headers["svix-timestamp"])}


VALID = {
    "a delivery of svix": signed,
    "an unknown version before": lambda: with_signature(lambda signature: f"v1a,AAAA {signature}"),
    "an unknown version after": lambda: with_signature(lambda signature: f"{signature} v2,AAAA"),
    "a wrong signature before": lambda: with_signature(lambda signature: f"v1,AAAA {signature}"),
    "nearly five minutes old": lambda: signed_headers(BODY, at=time.time() - 5 * MINUTE_SECONDS + 15),
    "nearly five minutes ahead": lambda: signed_headers(BODY, at=time.time() + 5 * MINUTE_SECONDS - 15),
    "the longest id": lambda: with_id("m" * 255),
    "upper case in the id": lambda: with_id("MSG_Abc-1.2"),
}

INVALID = {
    # Missing or empty headers
    "no headers": dict,
    "no id": lambda: signed(svix_id=None),
    "no timestamp": lambda: signed(svix_timestamp=None),
    "no signature": lambda: signed(svix_signature=None),
    "empty id": lambda: signed(svix_id=""),
    "empty timestamp": lambda: signed(svix_timestamp=""),
    "empty signature": lambda: signed(svix_signature=""),
    # Validly signed ids that the ledger cannot store
    "id too long": lambda: with_id("m" * 256),
    "id with NUL": lambda: with_id("msg_\x00"),
    "id with a line break": lambda: with_id("msg_\n1"),
    "id with Latin-1 characters": lambda: with_id("msg_é"),
    "id with a tab": lambda: with_id("msg_\t1"),
    # Timestamps
    "timestamp of letters": lambda: signed(svix_timestamp="yesterday"),
    "timestamp not a number": lambda: signed(svix_timestamp="nan"),
    "timestamp infinite": lambda: signed(svix_timestamp="inf"),
    "timestamp negative": lambda: signed(svix_timestamp="-1"),
    "timestamp zero": lambda: signed(svix_timestamp="0"),
    "timestamp of a thousand digits": lambda: signed(svix_timestamp="9" * 1000),
    "timestamp in milliseconds": lambda: with_timestamp(lambda timestamp: timestamp + "000"),
    "timestamp with an exponent": lambda: with_timestamp(lambda timestamp: f"{timestamp}e0"),
    "timestamp with underscores": lambda: with_timestamp(
        lambda timestamp: f"{timestamp[:1]}_{timestamp[1:]}"
    ),
    "timestamp with a fraction": lambda: with_timestamp(lambda timestamp: f"{timestamp}.9"),
    "timestamp with a plus": lambda: with_timestamp(lambda timestamp: f"+{timestamp}"),
    "timestamp with spaces": lambda: with_timestamp(lambda timestamp: f" {timestamp} "),
    "timestamp in Arabic digits": lambda: with_timestamp(
        lambda timestamp: timestamp.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    ),
    "timestamp one second off": lambda: with_timestamp(lambda timestamp: str(int(timestamp) - 1)),
    "over five minutes old": lambda: signed_headers(BODY, at=time.time() - 5 * MINUTE_SECONDS - 2),
    "over five minutes ahead": lambda: signed_headers(BODY, at=time.time() + 5 * MINUTE_SECONDS + 15),
    # Signatures in which svix finds no match
    "another secret": lambda: signed_headers(BODY, secret=make_secret("other")),
    "another body": lambda: signed_headers(BODY + b" "),
    "another id": lambda: signed(svix_id="msg_other"),
    "version only": lambda: signed(svix_signature="v1,"),
    "unknown version only": lambda: with_signature(lambda signature: signature.replace("v1,", "v2,")),
    "version in upper case": lambda: with_signature(str.upper),
    "truncated signature": lambda: with_signature(truncate),
    # Signatures in which svix raises ValueError or binascii.Error instead of its own exception
    "no version": lambda: with_signature(lambda signature: signature.removeprefix("v1,")),
    "no comma": lambda: signed(svix_signature="v1"),
    "two commas": lambda: signed(svix_signature="v1,AAAA,AAAA"),
    "two spaces": lambda: signed(svix_signature="v1,AAAA  v1,AAAA"),
    "only spaces": lambda: signed(svix_signature="   "),
    "one character of base64": lambda: signed(svix_signature="v1,A"),
    "wrong padding": lambda: signed(svix_signature="v1,AAAAA="),
    "Latin-1 signature": lambda: signed(svix_signature="v1,\xe9\xff"),
    "surrogate signature": lambda: signed(svix_signature="v1,\udc80"),
    "two headers joined by a comma": lambda: with_signature(lambda signature: f"{signature}, {signature}"),
    "a thousand signatures": lambda: signed(svix_signature=" ".join(["v1,AAAA"] * 1000)),
}


def truncate(signature: str) -> str:
    version, _, encoded = signature.partition(",")
    return f"{version},{base64.b64encode(base64.b64decode(encoded)[:-1]).decode()}"


@pytest.mark.parametrize("make", VALID.values(), ids=VALID.keys())
def test_valid_signature_returns_the_id(make: Callable[[], Headers]) -> None:
    headers = make()
    assert verify(BODY, headers=headers, secrets=[SECRET]) == headers["svix-id"]


@pytest.mark.parametrize("make", INVALID.values(), ids=INVALID.keys())
def test_invalid_signature_is_refused(make: Callable[[], Headers]) -> None:
    with pytest.raises(InvalidSignature):
        verify(BODY, headers=make(), secrets=[SECRET])


def test_id_of_one_character_is_accepted() -> None:
    assert verify(BODY, headers=signed_headers(BODY, svix_id="m"), secrets=[SECRET]) == "m"


def test_tables_have_at_least_forty_cases() -> None:
    assert len(VALID) + len(INVALID) >= 40


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b'{"type": "\x80"}', b"\xed\xa0\x80"])
def test_body_that_is_not_utf8_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify(body, headers=signed_headers(BODY), secrets=[SECRET])


@pytest.mark.parametrize("name", ["svix-id", "svix-timestamp", "svix-signature"])
def test_webhook_headers_do_not_replace_svix_headers(name: str) -> None:
    headers = signed_headers(BODY)
    headers[name.replace("svix", "webhook")] = headers.pop(name)
    with pytest.raises(InvalidSignature):
        verify(BODY, headers=headers, secrets=[SECRET])


@pytest.mark.parametrize("signer", ["old", "new"])
def test_each_configured_secret_is_accepted(signer: str) -> None:
    headers = signed_headers(BODY, secret=make_secret(signer))
    secrets = [make_secret("old"), make_secret("new")]
    assert verify(BODY, headers=headers, secrets=secrets) == headers["svix-id"]


def test_one_of_two_signatures_is_enough() -> None:
    old = signed_headers(BODY, secret=make_secret("old"), svix_id="msg_1")
    new = signed_headers(BODY, secret=make_secret("new"), svix_id="msg_1", at=int(old["svix-timestamp"]))
    both = old | {"svix-signature": f"{old['svix-signature']} {new['svix-signature']}"}
    assert verify(BODY, headers=both, secrets=[make_secret("new")]) == "msg_1"


@pytest.mark.parametrize(
    "secrets",
    [[], [""], ["whsec_"], ["whsec_!!!!"], ["whsec_\u00e9"], ["whsec_A"], ["whsec_", ""]],
    ids=["none", "empty", "only prefix", "not base64", "not ASCII", "one character", "two empty ones"],
)
def test_missing_secret_is_not_an_invalid_signature(secrets: list[str]) -> None:
    with pytest.raises(NoUsableSecret):
        verify(BODY, headers=signed_headers(BODY), secrets=secrets)


def test_unusable_secret_next_to_a_usable_one_is_ignored() -> None:
    headers = signed_headers(BODY)
    assert verify(BODY, headers=headers, secrets=["whsec_", SECRET]) == headers["svix-id"]


@pytest.mark.parametrize("secret", [SECRET.removeprefix("whsec_"), SECRET.rstrip("="), f" {SECRET} "])
def test_secret_is_read_with_or_without_prefix_and_padding(secret: str) -> None:
    headers = signed_headers(BODY)
    assert verify(BODY, headers=headers, secrets=[secret]) == headers["svix-id"]


def test_importing_the_module_does_not_import_svix() -> None:
    probe = "import sys, webhooks.signature; sys.exit('svix' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False, timeout=60).returncode == 0
