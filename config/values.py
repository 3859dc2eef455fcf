"""Pure functions from texts of the environment to typed values.

Each takes one stripped, non-empty text and raises `Malformed` with the form that it should have. The message
never repeats the text.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from accounts.clerk.origins import is_origin

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

# The hosts that Django accepts, without the port, or a star.
# Django reads no header with an underscore.
HEADER = re.compile(r"[A-Za-z0-9-]+")
HOST = re.compile(r"\*|\.?[a-z0-9-]+(\.[a-z0-9-]+)*|\[[a-f0-9]*:[a-f0-9:.]+\]", re.IGNORECASE)


class Malformed(ValueError):
    """A text of the wrong form. The message names the form and never repeats the text."""


def boolean(text: str) -> bool:
    """Read true or false, in one of eight spellings. Raise `Malformed`."""
    lowered = text.lower()
    if lowered in TRUE:
        return True
    if lowered in FALSE:
        return False
    raise Malformed("must be true or false")


def whole_number(text: str, *, low: int, high: int) -> int:
    """Read a whole number from `low` to `high`, both included. Raise `Malformed`."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise Malformed(f"must be a whole number from {low} to {high}")
    return int(text)


def number(text: str, *, low: float, high: float) -> float:
    """Read a number from `low` to `high`, both included, with optional decimals. Raise `Malformed`."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) or not low <= float(text) <= high:
        raise Malformed(f"must be a number from {low:g} to {high:g}")
    return float(text)


def comma_separated(text: str) -> tuple[str, ...]:
    """Read a comma separated list; blanks around an item and empty items are dropped."""
    return tuple(item for part in text.split(",") if (item := part.strip()))


def url(text: str) -> str:
    """Read an absolute web address and return it without a trailing slash. Raise `Malformed`."""
    if _split(text) is None:
        raise Malformed("must be an address such as https://clerk.example.com")
    return text.rstrip("/")


def urls(text: str) -> tuple[str, ...]:
    """Read a list of absolute web addresses, each without a trailing slash. Raise `Malformed`."""
    return tuple(map(url, comma_separated(text)))


def path_prefix(text: str) -> str:
    """Read the path below which the site is served. Raise `Malformed`."""
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", text):
        raise Malformed("must be a path such as /users, with a slash at its start and none at its end")
    return text


def origins(text: str) -> tuple[str, ...]:
    """Read a list of origins: scheme, host and optional port. Raise `Malformed`."""
    found = comma_separated(text)
    if not all(map(is_origin, found)):
        raise Malformed(
            "must be origins as browsers send them, such as https://app.example.com or capacitor://localhost,"
            " comma separated: lower case, without a wildcard, a default port or a slash at the end"
        )
    return found


def header(text: str) -> str:
    """Read the name of a header. Raise `Malformed`."""
    if not HEADER.fullmatch(text):
        raise Malformed("must be the name of a header, letters, digits and hyphens, such as X-Real-IP")
    return text


def hosts(text: str) -> tuple[str, ...]:
    """Read a list of host names as ALLOWED_HOSTS takes them. Raise `Malformed`."""
    found = comma_separated(text)
    if not all(HOST.fullmatch(host) for host in found):
        raise Malformed(
            "must be host names such as api.example.com, comma separated, without https://, a port or a path"
        )
    return found


def _split(text: str) -> SplitResult | None:
    """Return the parts of an absolute http(s) address, or None."""
    if re.search(r"[\s\x00-\x1f\\]", text):
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    plain = parts.username is None and not parts.query and not parts.fragment
    return parts if parts.scheme in {"http", "https"} and parts.hostname and port != 0 and plain else None
