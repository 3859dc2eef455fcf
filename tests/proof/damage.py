"""Damage: tokens and deliveries that were genuine until something on the way changed them, by a seed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/= \n\x00\u0661\u00e9\ud800"
# What a changed field may become.
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


def damaged_text(text: str, *, random: Random) -> str:
    """Change, drop, double or insert a few letters, or cut the text."""
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


def damaged_token(good: Sequence[str], *, random: Random) -> str:
    """Damage one of the good tokens: its letters, the order of its parts, or a field of its JSON."""
    token, other = random.choice(good), random.choice(good)
    change = random.randrange(5)
    if change == 0:
        return damaged_text(token, random=random)
    if change == 1:
        return _shuffled(token, random=random)
    if change == 2:
        return _mixed(token, other, random=random)
    return _rewritten(token, random=random)


def _shuffled(token: str, *, random: Random) -> str:
    parts = token.split(".")
    chosen = [random.choice(parts) for _ in range(random.choice((1, 2, 3, 3, 3, 4, 5)))]
    return ".".join(chosen)


def _mixed(token: str, other: str, *, random: Random) -> str:
    parts, part = token.split("."), random.randrange(3)
    parts[part] = other.split(".")[part]
    return ".".join(parts)


def _rewritten(token: str, *, random: Random) -> str:
    parts = token.split(".")
    which = random.randrange(2)
    fields: dict[str, Any] = json.loads(_decoded(parts[which]))
    for _ in range(random.choice((1, 1, 2))):
        _change_field(fields, random=random)
    parts[which] = _encoded(json.dumps(fields).encode())
    if random.random() < 0.2:
        parts[2] = random.choice(("", "AA", parts[2][::-1]))
    return ".".join(parts)


def _change_field(fields: dict[str, Any], *, random: Random) -> None:
    name = random.choice((*FIELDS, *fields))
    if random.random() < 0.2:
        fields.pop(name, None)
    else:
        fields[name] = random.choice(JUNK)


def damaged_claims(claims: dict[str, Any], *, random: Random) -> dict[str, Any]:
    """Change one to three of the claims, for somebody who has the key to sign again."""
    changed = dict(claims)
    for _ in range(random.choice((1, 1, 2, 3))):
        _change_field(changed, random=random)
    return changed


def damaged_bytes(body: bytes, *, random: Random) -> bytes:
    """Change a body: some of its bytes, its length, or a field of its JSON."""
    if random.random() < 0.5:
        return damaged_text(body.decode(), random=random).encode(errors="surrogatepass")
    fields: dict[str, Any] = json.loads(body)
    inner = fields["data"] if random.random() < 0.5 else fields
    inner[random.choice(tuple(inner))] = random.choice(JUNK)
    return json.dumps(fields).encode()


def damaged_headers(headers: dict[str, str], *, random: Random) -> dict[str, str]:
    """Change, drop, rename or swap the headers of a delivery."""
    changed = dict(headers)
    for _ in range(random.choice((1, 1, 2, 3))):
        name = random.choice(tuple(headers))
        change: Callable[[], object] = random.choice(
            (
                lambda name=name: changed.pop(name, None),
                lambda name=name: changed.update({name: damaged_text(headers[name], random=random)}),
                lambda name=name: changed.update({name: random.choice(tuple(headers.values()))}),
                lambda name=name: changed.update({name: _odd_header(headers[name], random=random)}),
                lambda name=name: changed.update({name.replace("svix", "webhook"): changed.pop(name, "")}),
            )
        )
        change()
    return changed


def _odd_header(value: str, *, random: Random) -> str:
    odd = (
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
    return random.choice((*odd, value + " ", value.upper(), value[::-1], f"v2,x {value}", value * 30))


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def as_header(text: str) -> str:
    """Give the text as it can stand in a header: the bytes of its UTF-8, without line ends."""
    data = b""
    with suppress(UnicodeEncodeError):
        data = text.encode(errors="surrogatepass")
    return data.translate(None, b"\r\n\x00").decode("latin-1")
