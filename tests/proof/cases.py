"""Several hundred generated tokens for one instance: valid ones, and ones altered in one named place."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from devclerk.tokens import ABSENT, MACHINE, TEMPLATE, Fault, Keyring

ISSUER, PARTY, USER_ID = "https://clerk.example.test", "https://app.example.test", "user_ada"
NOW = 1_800_000_000
LEEWAY_SECONDS = 5

# Wrong values of a claim: each JSON type, and strings that look like numbers.
VALUES: tuple[Any, ...] = (
    *(ABSENT, None, True, False, 0, -1, 1.5, 10**18, 10**400),
    *(
        "",
        "x",
        " ",
        str(NOW),
        "\u0661",
        "user_\ud800",
        "user_\x00",
        [],
        ["x"],
        [PARTY],
        {},
        {"sub": "user_x"},
    ),
)
CLAIMS = ("iss", "sub", "sid", "azp", "aud", "sts", "act", "exp", "nbf", "iat", "jti", "v", "o")
SPECIAL_CLAIMS: tuple[tuple[str, Any], ...] = (
    *(("iss", value) for value in (f"{ISSUER}/", ISSUER.upper(), [ISSUER], "https://clerk.other.test")),
    *(
        ("sub", value)
        for value in ("mch_2abc", "user_", "user_" + "a" * 59, "user_" + "a" * 60, "user_ada\n")
    ),
    *(("azp", value) for value in (f"{PARTY}/", PARTY[:-1], PARTY.upper(), "null")),
    *(("sts", value) for value in ("active", "pending", "expired")),
    *(("act", value) for value in ({"sub": ""}, {"sub": 1}, [{"sub": "user_x"}], "user_x")),
)
HEADERS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("alg", ("none", "None", "HS256", "RS512", "PS256", "ES256", "rs256", "", None, 1, ["RS256"], ABSENT)),
    ("typ", ("jwt", "at+jwt", "JOSE", "", None, 1, ["JWT"], ABSENT)),
    ("cat", (TEMPLATE, MACHINE, "cl_I7d4PD111III", "other", "", None, 1, ["x"], ABSENT)),
    ("kid", ("ins_other", "../../etc/passwd", "", None, 1, ["x"], {}, ABSENT)),
    ("crit", (["exp"], ["b64"], ["kid"], [], "exp", None, {}, True)),
    ("b64", (True, False, None, "false")),
    ("zip", ("DEF", "", None)),
    ("oiat", (0, -1, "1", None, True, 10**18, NOW + 3600)),
    *(
        (name, ("x", None, {"kty": "RSA"}, ["x"]))
        for name in ("jwk", "jku", "x5c", "x5u", "x5t", "enc", "cty")
    ),
)
EDGES = (-61, -6, -5.5, -5, -4.5, -1, 0, 1, 4.5, 5, 5.5, 6, 61)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One token; `place` names the header field, the claim or the part of the text that is altered."""

    place: str
    name: str
    token: str


def generate_cases(keyring: Keyring, *, other: Keyring) -> Iterator[Case]:
    """Yield all cases, signed with the keys of the instance or with those of another one."""
    yield Case(place="nothing", name="as Clerk builds it", token=_mint(keyring))
    for fault in Fault:
        yield Case(place=f"fault {fault}", name=fault, token=_mint(keyring, fault=fault))
    edges = [(claim, NOW + seconds) for claim in ("exp", "nbf", "iat") for seconds in EDGES]
    for claim, value in (*product(CLAIMS, VALUES), *SPECIAL_CLAIMS, *edges):
        token = _mint(keyring, claims={claim: value})
        yield Case(place=f"claim {claim}", name=_format_value(value), token=token)
    for field, values in HEADERS:
        for value in values:
            token = _mint(keyring, header={field: value})
            yield Case(place=f"header {field}", name=_format_value(value), token=token)
    for place, name, token in _texts(keyring, other=other):
        yield Case(place=place, name=name, token=token)


def _mint(keyring: Keyring, **options: Any) -> str:
    return keyring.mint(USER_ID, issuer=ISSUER, azp=PARTY, now=NOW, **options)


def _format_value(value: Any) -> str:
    if value is ABSENT:
        return "absent"
    text = json.dumps(value)
    return text if len(text) < 60 else f"{text[:12]}... of {len(text)} characters"


def _texts(keyring: Keyring, *, other: Keyring) -> Iterator[tuple[str, str, str]]:
    valid = _mint(keyring)
    header, payload, signature = valid.split(".")
    yield from _other_texts(valid)
    yield from _other_payloads(keyring)
    yield "signature", "absent", f"{header}.{payload}."
    yield "signature", "empty bytes", f"{header}.{payload}.{_encode(b'')}AA"
    yield "signature", "cut", f"{header}.{payload}.{signature[:-4]}"
    yield "signature", "twice", f"{header}.{payload}.{signature}{signature}"
    yield "signature", "zeros before it", f"{header}.{payload}.AAAA{signature}"
    yield "signature", "all zeros", f"{header}.{payload}.{_encode(bytes(256))}"
    yield "signature", "of another token", f"{header}.{payload}.{_mint(keyring).split('.')[2]}"
    yield "signature", "by another key", _mint(other, header={"kid": keyring.kid})
    yield (
        "signature",
        "by another key, which the header contains",
        _mint(other, header=_embedded_key(keyring, other)),
    )
    confused = _encode(b'{"alg":"HS256","typ":"JWT","kid":"%s"}' % keyring.kid.encode())
    for name, secret in (
        ("the PEM", keyring.pem),
        ("the PEM without its end", keyring.pem.strip()),
        ("", ""),
    ):
        code = hmac.digest(secret.encode(), f"{confused}.{payload}".encode(), hashlib.sha256)
        yield "signature", f"HMAC with {name or 'nothing'}", f"{confused}.{payload}.{_encode(code)}"
    for place, part in (("header", 0), ("payload", 1), ("signature", 2)):
        for position in (0, 1, 7, -8, -2):
            yield place, f"letter {position} changed", _replace_letter(valid, part=part, position=position)


def _embedded_key(keyring: Keyring, other: Keyring) -> dict[str, Any]:
    return {"kid": keyring.kid, "jwk": other.jwks()["keys"][0]}


def _other_texts(valid: str) -> Iterator[tuple[str, str, str]]:
    header, payload, signature = valid.split(".")
    yield "text", "empty", ""
    yield "text", "one part", header
    yield "text", "two parts", f"{header}.{payload}"
    yield "text", "four parts", f"{valid}.{signature}"
    yield "text", "five parts", f"{header}.{payload}.{signature}.{signature}.{signature}"
    yield "text", "a leading dot", f".{valid}"
    yield "text", "as JSON", json.dumps({"protected": header, "payload": payload, "signature": signature})
    yield "text", "with the scheme", f"Bearer {valid}"
    yield "text", "an API key", "ak_" + valid
    for name, letter in (
        ("blank", " "),
        ("line end", "\n"),
        ("NUL", "\x00"),
        ("soft hyphen", "\u00ad"),
        ("=", "="),
    ):
        yield "spelling", f"{name} at its end", valid + letter
        yield "spelling", f"{name} at its beginning", letter + valid
        yield "spelling", f"{name} in the header", f"{header[:4]}{letter}{header[4:]}.{payload}.{signature}"
        yield (
            "spelling",
            f"{name} in the signature",
            f"{header}.{payload}.{signature[:4]}{letter}{signature[4:]}",
        )
    yield "spelling", "padded", f"{header}==.{payload}=.{signature}=="
    yield "spelling", "standard letters", valid.replace("-", "+").replace("_", "/")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    unused = letters[letters.index(signature[-1]) + 1]
    yield "spelling", "an unused bit set", f"{header}.{payload}.{signature[:-1]}{unused}"


def _other_payloads(keyring: Keyring) -> Iterator[tuple[str, str, str]]:
    head = {"alg": "RS256", "typ": "JWT", "kid": keyring.kid}
    fields = {"iss": ISSUER, "azp": PARTY, "sub": USER_ID, "sid": "sess_1", "iat": NOW, "exp": NOW + 60}
    text = json.dumps(fields)
    bodies = {
        "not an object": b"[]",
        "not JSON": b"no",
        "empty": b"",
        "a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "in UTF-16": text.encode("utf-16"),
        "not UTF-8": text.encode()[:-1] + b',"x":"\xff"}',
        "NaN": text.encode()[:-1] + b',"x":NaN}',
        "NaN as exp": text.replace(str(NOW + 60), "NaN").encode(),
        "Infinity as exp": text.replace(str(NOW + 60), "Infinity").encode(),
        "exp of 400 digits": text.replace(str(NOW + 60), "1e400").encode(),
        "a duplicate name": text.encode()[:-1] + b',"sub":"user_eve"}',
        "a duplicate name in a nested object": text.encode()[:-1] + b',"x":{"a":1,"a":2}}',
        "nested as deep as the stack": text.encode()[:-1] + b',"x":' + b"[" * 1500 + b"]" * 1500 + b"}",
        "surrounded by blanks": b"  " + text.encode() + b"\n",
        "trailing text": text.encode() + b"x",
        "long": json.dumps({**fields, "x": "x" * 9000}).encode(),
    }
    for name, body in bodies.items():
        yield "payload", name, keyring.sign(head, body)
    yield (
        "header",
        "a duplicate name",
        keyring.sign(b'{"alg":"none",' + json.dumps(head).encode()[1:], fields),
    )
    yield "header", "not an object", keyring.sign(b"[]", fields)
    yield "header", "NaN", keyring.sign(json.dumps(head).encode()[:-1] + b',"x":NaN}', fields)
    yield "header", "surrounded by blanks", keyring.sign(b" " + json.dumps(head).encode(), fields)


def _replace_letter(token: str, *, part: int, position: int) -> str:
    parts = token.split(".")
    letters = list(parts[part])
    letters[position] = "A" if letters[position] != "A" else "B"
    parts[part] = "".join(letters)
    return ".".join(parts)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
