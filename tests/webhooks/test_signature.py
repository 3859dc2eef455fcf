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
MINUTE = 60


def signed(**changes: str | None) -> Headers:
    """Give good headers with some of them changed, or left out with None."""
    headers: dict[str, str | None] = {**signed_headers(BODY)}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in headers.items() if value is not None}


def with_signature(change: Callable[[str], str]) -> Headers:
    headers = signed_headers(BODY)
    return headers | {"svix-signature": change(headers["svix-signature"])}


def with_id(svix_id: str) -> Headers:
    """Sign correctly over an odd id: only the look at the id itself can refuse it."""
    return signed_headers(BODY, svix_id=svix_id)


def with_timestamp(change: Callable[[str], str]) -> Headers:
    headers = signed_headers(BODY)
    return headers | {"svix-timestamp": change(headers["svix-timestamp"])}


GOOD = {
    "as svix signs": signed,
    "an unknown version before": lambda: with_signature(lambda good: f"v1a,AAAA {good}"),
    "an unknown version after": lambda: with_signature(lambda good: f"{good} v2,AAAA"),
    "a wrong signature before": lambda: with_signature(lambda good: f"v1,AAAA {good}"),
    "nearly five minutes old": lambda: signed_headers(BODY, at=time.time() - 5 * MINUTE + 15),
    "nearly five minutes ahead": lambda: signed_headers(BODY, at=time.time() + 5 * MINUTE - 15),
    "the longest id": lambda: with_id("m" * 255),
    "other capitals in the id": lambda: with_id("MSG_Abc-1.2"),
}

BAD = {
    # Nothing there
    "no headers": dict,
    "no id": lambda: signed(svix_id=None),
    "no timestamp": lambda: signed(svix_timestamp=None),
    "no signature": lambda: signed(svix_signature=None),
    "empty id": lambda: signed(svix_id=""),
    "empty timestamp": lambda: signed(svix_timestamp=""),
    "empty signature": lambda: signed(svix_signature=""),
    # Ids that the ledger could not hold, each signed for real
    "id too long": lambda: with_id("m" * 256),
    "id with NUL": lambda: with_id("msg_\x00"),
    "id with a line break": lambda: with_id("msg_\n1"),
    "id with Latin-1 letters": lambda: with_id("msg_é"),
    "id with a tab": lambda: with_id("msg_\t1"),
    # Times
    "timestamp of words": lambda: signed(svix_timestamp="yesterday"),
    "timestamp not a number": lambda: signed(svix_timestamp="nan"),
    "timestamp infinite": lambda: signed(svix_timestamp="inf"),
    "timestamp negative": lambda: signed(svix_timestamp="-1"),
    "timestamp zero": lambda: signed(svix_timestamp="0"),
    "timestamp of a thousand digits": lambda: signed(svix_timestamp="9" * 1000),
    "timestamp in milliseconds": lambda: with_timestamp(lambda good: good + "000"),
    "timestamp with an exponent": lambda: with_timestamp(lambda good: f"{good}e0"),
    "timestamp with underscores": lambda: with_timestamp(lambda good: f"{good[:1]}_{good[1:]}"),
    "timestamp with a fraction": lambda: with_timestamp(lambda good: f"{good}.9"),
    "timestamp with a plus": lambda: with_timestamp(lambda good: f"+{good}"),
    "timestamp with blanks": lambda: with_timestamp(lambda good: f" {good} "),
    "timestamp in Arabic digits": lambda: with_timestamp(
        lambda good: good.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    ),
    "timestamp one second off": lambda: with_timestamp(lambda good: str(int(good) - 1)),
    "over five minutes old": lambda: signed_headers(BODY, at=time.time() - 5 * MINUTE - 2),
    "over five minutes ahead": lambda: signed_headers(BODY, at=time.time() + 5 * MINUTE + 15),
    # Signatures in which svix finds no match
    "another secret": lambda: signed_headers(BODY, secret=make_secret("other")),
    "another body": lambda: signed_headers(BODY + b" "),
    "another id": lambda: signed(svix_id="msg_other"),
    "version only": lambda: signed(svix_signature="v1,"),
    "unknown version only": lambda: with_signature(lambda good: good.replace("v1,", "v2,")),
    "version in capitals": lambda: with_signature(str.upper),
    "signature cut short": lambda: with_signature(base64_cut),
    # Signatures in which svix raises ValueError or binascii.Error instead of its own exception
    "no version": lambda: with_signature(lambda good: good.removeprefix("v1,")),
    "no comma": lambda: signed(svix_signature="v1"),
    "two commas": lambda: signed(svix_signature="v1,AAAA,AAAA"),
    "two blanks": lambda: signed(svix_signature="v1,AAAA  v1,AAAA"),
    "only blanks": lambda: signed(svix_signature="   "),
    "one letter of base64": lambda: signed(svix_signature="v1,A"),
    "wrong padding": lambda: signed(svix_signature="v1,AAAAA="),
    "Latin-1 signature": lambda: signed(svix_signature="v1,\xe9\xff"),
    "surrogate signature": lambda: signed(svix_signature="v1,\udc80"),
    "two deliveries folded into one header": lambda: with_signature(lambda good: f"{good}, {good}"),
    "a thousand signatures": lambda: signed(svix_signature=" ".join(["v1,AAAA"] * 1000)),
}


def base64_cut(signature: str) -> str:
    version, _, encoded = signature.partition(",")
    return f"{version},{base64.b64encode(base64.b64decode(encoded)[:-1]).decode()}"


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD.keys())
def test_a_signed_delivery_gives_its_id(make: Callable[[], Headers]) -> None:
    headers = make()
    assert verify(BODY, headers=headers, secrets=[SECRET]) == headers["svix-id"]


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_anything_else_is_one_refusal(make: Callable[[], Headers]) -> None:
    with pytest.raises(InvalidSignature):
        verify(BODY, headers=make(), secrets=[SECRET])


def test_an_id_of_one_letter_is_an_id() -> None:
    assert verify(BODY, headers=signed_headers(BODY, svix_id="m"), secrets=[SECRET]) == "m"


def test_the_tables_hold_more_than_forty_cases() -> None:
    assert len(GOOD) + len(BAD) >= 40


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b'{"type": "\x80"}', b"\xed\xa0\x80"])
def test_a_body_that_is_no_text_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify(body, headers=signed_headers(BODY), secrets=[SECRET])


@pytest.mark.parametrize("name", ["svix-id", "svix-timestamp", "svix-signature"])
def test_the_headers_of_another_scheme_never_fill_a_gap(name: str) -> None:
    headers = signed_headers(BODY)
    headers[name.replace("svix", "webhook")] = headers.pop(name)
    with pytest.raises(InvalidSignature):
        verify(BODY, headers=headers, secrets=[SECRET])


@pytest.mark.parametrize("signer", ["old", "new"])
def test_any_of_several_secrets_may_have_signed(signer: str) -> None:
    headers = signed_headers(BODY, secret=make_secret(signer))
    secrets = [make_secret("old"), make_secret("new")]
    assert verify(BODY, headers=headers, secrets=secrets) == headers["svix-id"]


def test_during_a_rotation_either_of_the_two_signatures_is_enough() -> None:
    old = signed_headers(BODY, secret=make_secret("old"), svix_id="msg_1")
    new = signed_headers(BODY, secret=make_secret("new"), svix_id="msg_1", at=int(old["svix-timestamp"]))
    both = old | {"svix-signature": f"{old['svix-signature']} {new['svix-signature']}"}
    assert verify(BODY, headers=both, secrets=[make_secret("new")]) == "msg_1"


@pytest.mark.parametrize(
    "secrets",
    [[], [""], ["whsec_"], ["whsec_!!!!"], ["whsec_\u00e9"], ["whsec_A"], ["whsec_", ""]],
    ids=["none", "empty", "prefix alone", "no base64", "not ASCII", "one letter", "two empty ones"],
)
def test_without_a_usable_secret_the_fault_is_ours(secrets: list[str]) -> None:
    with pytest.raises(NoUsableSecret):
        verify(BODY, headers=signed_headers(BODY), secrets=secrets)


def test_an_unusable_secret_beside_a_good_one_does_no_harm() -> None:
    headers = signed_headers(BODY)
    assert verify(BODY, headers=headers, secrets=["whsec_", SECRET]) == headers["svix-id"]


@pytest.mark.parametrize("secret", [SECRET.removeprefix("whsec_"), SECRET.rstrip("="), f" {SECRET} "])
def test_a_secret_is_read_however_it_was_pasted(secret: str) -> None:
    headers = signed_headers(BODY)
    assert verify(BODY, headers=headers, secrets=[secret]) == headers["svix-id"]


def test_importing_the_room_does_not_load_svix() -> None:
    probe = "import sys, webhooks.signature; sys.exit('svix' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False, timeout=60).returncode == 0
