"""From the address of a database, DATABASE_URL, to Django's entry for it.

A message names the option at fault and never repeats a value: the address holds a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import environ

from config.values import Malformed, boolean, number, whole_number

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
# Options of libpq that it reads as whole numbers, and only when it connects.
NUMBER_OPTIONS = (
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
)
# Options that name the server. libpq judges the others alone, without a connection to any server.
PLACE_OPTIONS = frozenset({"host", "hostaddr", "port", "user", "password", "dbname", "service"})
# No file exists below a folder that does not: a connection to it ends at once, without the network.
NO_SOCKET_FOLDER = "/nonexistent"
# Servers that refuse writes, or that may.
STANDBYS = frozenset({"read-only", "standby", "prefer-standby"})
# Booleans of Django in the query of the address; django-environ leaves "false" a (true) text.
DATABASE_FLAGS = ("ATOMIC_REQUESTS", "AUTOCOMMIT", "CONN_HEALTH_CHECKS", "DISABLE_SERVER_SIDE_CURSORS")
# Options of Django and psycopg that an address can hold, beside those of libpq and of the pool.
DRIVER_OPTIONS = frozenset({"assume_role", "isolation_level", "prepare_threshold", "server_side_binding"})
SERVER_SETTINGS = "; settings of the server are written options=-c%20name%3Dvalue"
# As many as the image has threads: one that waits in a first request takes no connection from the others.
POOL_MAX_SIZE = 8
POOL_MIN_SIZE = 4
POOL_OPTIONS = {
    "timeout": 5.0,  # seconds that a request waits for a connection; psycopg's 30 hold every thread
    "max_lifetime": 600.0,  # seconds
    # Seconds after which a failed attempt to connect ends. psycopg's pauses grow for five minutes, and a pool
    # would wait as long after an outage; the next request starts a new attempt.
    "reconnect_timeout": 2.0,
}
POOL_READERS: dict[str, Callable[[str], float]] = {
    "pool_min_size": partial(whole_number, low=0, high=1000),
    "pool_max_size": partial(whole_number, low=1, high=1000),
    "pool_timeout": partial(number, low=0.1, high=60),
}
SQLITE_OPTIONS = {
    # With any other mode, two writing threads get "database is locked".
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,  # seconds
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def parse(text: str, *, root: Path) -> dict[str, Any]:
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
    _refuse_unknown(entry["OPTIONS"], known=SQLITE_OPTIONS.keys())
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
    pool = _take_pool(options)
    _refuse_unknown(options, known=_libpq_options() | DRIVER_OPTIONS, advice=SERVER_SETTINGS)
    _refuse_standby(options)
    if "server_side_binding" in options:
        options["server_side_binding"] = _query_flag(
            options["server_side_binding"], name="server_side_binding"
        )
    _refuse_malformed_numbers(options)
    _refuse_unusable(options)
    # Django refuses persistent connections together with a pool.
    age = entry.get("CONN_MAX_AGE", 0 if pool else CONN_MAX_AGE_SECONDS)
    if age is not None and (isinstance(age, bool) or not isinstance(age, int) or age < 0):
        raise Malformed("has a conn_max_age that is not a whole number of seconds")
    if pool and age != 0:
        raise Malformed("asks for a pool and for a conn_max_age: they exclude each other")
    entry["CONN_MAX_AGE"] = age
    entry["OPTIONS"] = {**POSTGRESQL_OPTIONS, **options, **pool}
    # A failing statement replaces a dead connection; a SELECT 1 per request would double the statements.
    entry.setdefault("CONN_HEALTH_CHECKS", False)
    return entry


def _take_pool(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the options of the pool; return Django's option for it, or nothing without a pool."""
    is_pooled = _query_flag(options.pop("pool", "false"), name="pool")
    found = {name: options.pop(name) for name in POOL_READERS if name in options}
    if not is_pooled:
        if found:
            raise Malformed(f"has {min(found)} without pool=true")
        return {}
    sizes: dict[str, Any] = {"max_size": POOL_MAX_SIZE, **POOL_OPTIONS}
    for name, value in found.items():
        try:
            sizes[name.removeprefix("pool_")] = POOL_READERS[name](str(value))
        except Malformed as error:
            raise Malformed(f"has a {name} that {error}") from None
    sizes.setdefault("min_size", min(POOL_MIN_SIZE, sizes["max_size"]))
    if sizes["min_size"] > sizes["max_size"]:
        raise Malformed("has a pool_min_size greater than its pool_max_size")
    return {"pool": sizes}


def _refuse_standby(options: Mapping[str, Any]) -> None:
    if options.get("target_session_attrs") in STANDBYS:
        raise Malformed("has a target_session_attrs that may choose a server without writes: use read-write")


def _refuse_malformed_numbers(options: Mapping[str, Any]) -> None:
    """Raise `Malformed` for a text in an option that libpq or psycopg reads as a number when it connects."""
    for name in (*NUMBER_OPTIONS, "prepare_threshold"):
        try:
            whole_number(str(options.get(name, 0)), low=0, high=999_999_999)
        except Malformed:
            raise Malformed(f"has a {name} that is not a whole number") from None


def _refuse_unusable(options: Mapping[str, Any]) -> None:
    """Raise `Malformed` for an option whose value libpq refuses before it connects to any server.

    libpq itself decides, so that this list of names and values never grows old. Its text, which holds the
    value, is compared and not shown.
    """
    usual = _connection_error({})
    for name in sorted(options.keys() - DRIVER_OPTIONS - PLACE_OPTIONS):
        if _connection_error({name: str(options[name])}) != usual:
            raise Malformed(f"has a {name} with a value that libpq does not accept")


def _connection_error(options: Mapping[str, str]) -> bytes:
    """Return the error of a connection with these options to a socket that does not exist."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - psycopg need not be installed for SQLite
    from psycopg.pq import PGconn  # noqa: PLC0415 - the same

    text = make_conninfo(host=NO_SOCKET_FOLDER, dbname="none", user="none", **options)
    connection = PGconn.connect_start(text.encode())
    try:
        return connection.error_message
    finally:
        connection.finish()


def _refuse_unknown(options: Iterable[str], *, known: Collection[str], advice: str = "") -> None:
    unknown = min(set(options) - set(known), default=None)
    if unknown is not None:
        # Anything but a name may be a part of a password that is not percent-encoded.
        name = unknown if re.fullmatch(r"[A-Za-z_]{1,40}", unknown) else "whose name is malformed"
        raise Malformed(f"has an unknown option {name}{advice}")


def _libpq_options() -> frozenset[str]:
    from psycopg.pq import Conninfo  # noqa: PLC0415 - psycopg need not be installed for SQLite

    # A connection for replication takes no ordinary statements.
    return frozenset(option.keyword.decode() for option in Conninfo.get_defaults()) - {"replication"}


def _query_flag(value: object, *, name: str) -> bool:
    """Read a boolean in the query of an address. Raise `Malformed`."""
    try:
        return boolean(str(value))
    except Malformed:
        raise Malformed(f"has a {name} that is not true or false") from None
