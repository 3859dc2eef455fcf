"""Random corruption of genuine tokens and webhook deliveries, repeatable by a seed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/= \n\x00\u0661\u00e9\ud800"
# Values of a corrupted field.
JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**12,
        10**400,
        "",
        "x",
        "none",
        "HS256",
        "RS256",
        "user_2evil",
        "null",
    ),
    *([], ["x"], {}, {"sub": "user_2evil"}, "\ud800", "\x00", "a" * 300),
)
FIELDS = (
    "alg",
    "typ",
    "kid",
    "cat",
    "crit",
    "jwk",
    "oiat",
    "iss",
    "sub",
    "sid",
    "azp",
    "aud",
    "exp",
    "nbf",
    "iat",
)


def corrupt_text(text: str, *, random: Random) -> str:
    """Replace, remove, repeat or insert a few letters, or truncate the text."""
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        where = random.randrange(len(text) + 1)
        change = random.randrange(5)
        if change == 0:
            text = text[:where] + random.choice(LETTERS) + text[where + 1 :]
        elif change == 1:
            text = text[:where] + text[where + 1 :]
        elif change == 2:
            text = text[:where] + random.choice(LETTERS) + text[where:]
        elif change == 3:
            length = random.randrange(1, 40)
            text = text[:where] + text[where : where + length] * 2 + text[where + length :]
        else:
            text = text[:where] if random.random() < 0.5 else text[where:]
    return text


def corrupt_token(valid: Sequence[str], *, random: Random) -> str:
    """Corrupt one of the valid tokens: its letters, the order of its parts, or a field of its JSON."""
    token, other = random.choice(valid), random.choice(valid)
    change = random.randrange(5)
    if change == 0:
        return corrupt_text(token, random=random)
    if change == 1:
        return _shuffle_parts(token, random=random)
    if change == 2:
        return _mix_parts(token, other, random=random)
    return _rewrite_field(token, random=random)


def _shuffle_parts(token: str, *, random: Random) -> str:
    parts = token.split(".")
    chosen = [random.choice(parts) for _ in range(random.choice((1, 2, 3, 3, 3, 4, 5)))]
    return ".".join(chosen)


def _mix_parts(token: str, other: str, *, random: Random) -> str:
    parts, part = token.split("."), random.randrange(3)
    parts[part] = other.split(".")[part]
    return ".".join(parts)


def _rewrite_field(token: str, *, random: Random) -> str:
    parts = token.split(".")
    which = random.randrange(2)
    fields: dict[str, Any] = json.loads(_decode(parts[which]))
    for _ in range(random.choice((1, 1, 2))):
        _change_field(fields, random=random)
    parts[which] = _encode(json.dumps(fields).encode())
    if random.random() < 0.2:
        parts[2] = random.choice(("", "AA", parts[2][::-1]))
    return ".".join(parts)


def _change_field(fields: dict[str, Any], *, random: Random) -> None:
    name = random.choice((*FIELDS, *fields))
    if random.random() < 0.2:
        fields.pop(name, None)
    else:
        fields[name] = random.choice(JUNK)


def corrupt_claims(claims: dict[str, Any], *, random: Random) -> dict[str, Any]:
    """Change one to three of the claims; the caller signs them again."""
    changed = dict(claims)
    for _ in range(random.choice((1, 1, 2, 3))):
        _change_field(changed, random=random)
    return changed


def corrupt_bytes(body: bytes, *, random: Random) -> bytes:
    """Corrupt a body: some of its bytes, its length, or a field of its JSON."""
    if random.random() < 0.5:
        return corrupt_text(body.decode(), random=random).encode(errors="surrogatepass")
    fields: dict[str, Any] = json.loads(body)
    inner = fields["data"] if random.random() < 0.5 else fields
    inner[random.choice(tuple(inner))] = random.choice(JUNK)
    return json.dumps(fields).encode()


def corrupt_headers(headers: dict[str, str], *, random: Random) -> dict[str, str]:
    """Change, remove, rename or swap the headers of a delivery."""
    changed = dict(headers)
    for _ in range(random.choice((1, 1, 2, 3))):
        name = random.choice(tuple(headers))
        change: Callable[[], object] = random.choice(
            (
                lambda name=name: changed.pop(name, None),
                lambda name=name: changed.update({name: corrupt_text(headers[name], random=random)}),
                lambda name=name: changed.update({name: random.choice(tuple(headers.values()))}),
                lambda name=name: changed.update({name: _invalid_header(headers[name], random=random)}),
                lambda name=name: changed.update({name.replace("svix", "webhook"): changed.pop(name, "")}),
            )
        )
        change()
    return changed


def _invalid_header(value: str, *, random: Random) -> str:
    invalid = (
        "",
        " ",
        "v1,",
        "v1",
        "v2,AAAA",
        "v1,AAAA v1,BBBB",
        "-1",
        "0",
        "1e9",
        "1_7",
        "\u0661",
        "9" * 400,
        "\xff",
    )
    return random.choice((*invalid, value + " ", value.upper(), value[::-1], f"v2,x {value}", value * 30))


def _decode(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def as_header(text: str) -> str:
    """Return the text as a header can hold it: its UTF-8 bytes without line ends and NUL."""
    data = b""
    with suppress(UnicodeEncodeError):
        data = text.encode(errors="surrogatepass")
    return data.translate(None, b"\r\n\x00").decode("latin-1")
