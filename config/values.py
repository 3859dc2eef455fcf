"""Pure functions from texts of the environment to typed values.

Each takes one stripped, non-empty text and raises `Malformed` with the form that it should have. The message
never repeats the text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import environ

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})

DATABASE = (
    "must look like postgres://user:password@host:5432/name or sqlite:///db.sqlite3; "
    "special characters of the password are percent-encoded"
)
# A new connection for each request would take 4 to 5 times as long as a warm request.
CONN_MAX_AGE_SECONDS = 60
# How libpq detects an unreachable host, on open connections too: otherwise it waits without end, and every
# request with it. These options act on the client side, so a pooler never sees them.
POSTGRESQL_OPTIONS = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 5000,  # milliseconds without an acknowledgement of sent data
    "keepalives_idle": 10,  # seconds without traffic until the first probe
    "keepalives_interval": 5,  # seconds between probes
}
# Booleans of Django in the query of the address; django-environ leaves "false" a (true) text.
DATABASE_FLAGS = ("ATOMIC_REQUESTS", "AUTOCOMMIT", "CONN_HEALTH_CHECKS", "DISABLE_SERVER_SIDE_CURSORS")
SQLITE_OPTIONS = {
    # With any other mode, two writing threads get "database is locked".
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,  # seconds
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}

# The hosts that Django accepts, without the port, or a star.
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


def origins(text: str) -> tuple[str, ...]:
    """Read a list of web origins: scheme, host and optional port. Raise `Malformed`."""
    found = comma_separated(text)
    for origin in found:
        parts = _split(origin)
        if parts is None or f"{parts.scheme}://{parts.netloc}" != origin:
            raise Malformed(
                "must be origins such as https://app.example.com, comma separated, without a slash at the end"
            )
    return found


def hosts(text: str) -> tuple[str, ...]:
    """Read a list of host names as ALLOWED_HOSTS takes them. Raise `Malformed`."""
    found = comma_separated(text)
    if not all(HOST.fullmatch(host) for host in found):
        raise Malformed(
            "must be host names such as api.example.com, comma separated, without https://, a port or a path"
        )
    return found


def database(text: str, *, root: Path) -> dict[str, Any]:
    """Return Django's entry for a database address. Raise `Malformed`.

    A relative SQLite path starts at `root`.
    """
    scheme = text.partition("://")[0]
    if scheme not in {"postgres", "postgresql", "sqlite"}:
        raise Malformed(DATABASE)
    try:
        entry: dict[str, Any] = environ.Env.db_url_config(text)
    except Exception as error:
        raise Malformed(DATABASE) from error
    if not entry["NAME"]:
        raise Malformed(DATABASE)
    entry.setdefault("OPTIONS", {})
    for flag in DATABASE_FLAGS:
        if flag in entry:
            entry[flag] = _query_flag(entry[flag], name=flag.lower())
    return _sqlite(entry, root=root) if scheme == "sqlite" else _postgresql(entry)


def _sqlite(entry: dict[str, Any], *, root: Path) -> dict[str, Any]:
    name = entry["NAME"]
    if name == ":memory:":
        raise Malformed("must name an SQLite file: a database in memory differs in each thread")
    if not entry["OPTIONS"].keys() <= SQLITE_OPTIONS.keys():
        raise Malformed(f"has an option that is not one of SQLite's: {', '.join(SQLITE_OPTIONS)}")
    path = root / name
    entry["NAME"] = str(path)
    entry["OPTIONS"] = {**SQLITE_OPTIONS, **entry["OPTIONS"]}
    if type(entry["OPTIONS"]["timeout"]) not in {int, float}:
        raise Malformed("has a timeout that is not a number of seconds")
    # A test database in memory would hide conflicts between threads.
    entry["TEST"] = {"NAME": f"{path}-test"}
    return entry


def _postgresql(entry: dict[str, Any]) -> dict[str, Any]:
    options = entry["OPTIONS"]
    pool = _query_flag(options.pop("pool", "false"), name="pool")
    if pool:
        options["pool"] = True
    # Django refuses persistent connections together with a pool.
    age = entry.get("CONN_MAX_AGE", 0 if pool else CONN_MAX_AGE_SECONDS)
    if age is not None and (isinstance(age, bool) or not isinstance(age, int) or age < 0):
        raise Malformed("has a conn_max_age that is not a whole number of seconds")
    if pool and age != 0:
        raise Malformed("asks for a pool and for a conn_max_age: they exclude each other")
    entry["CONN_MAX_AGE"] = age
    entry["OPTIONS"] = {**POSTGRESQL_OPTIONS, **options}
    # A failing statement replaces a dead connection; a SELECT 1 per request would double the statements.
    entry.setdefault("CONN_HEALTH_CHECKS", False)
    return entry


def _query_flag(value: object, *, name: str) -> bool:
    """Read a boolean in the query of an address. Raise `Malformed`."""
    try:
        return boolean(str(value))
    except Malformed:
        raise Malformed(f"has a {name} that is not true or false") from None


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
