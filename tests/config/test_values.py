"""Typed values: the texts that each type accepts, and errors that never repeat the text."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path

import psycopg
import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from config import values
from config.database import parse
from tests.postgres import ThrowawayPostgres

ROOT = Path("/srv/project")
TIMEOUT_OPTIONS = {
    "connect_timeout": 5,
    "tcp_user_timeout": 5000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
}
database = partial(parse, root=ROOT)
number = partial(values.whole_number, low=1, high=300)
decimal = partial(values.number, low=0.01, high=300)


@pytest.mark.parametrize("text", ["true", "True", "1", "YES", "on"])
def test_these_texts_are_true(text: str) -> None:
    assert values.boolean(text) is True


@pytest.mark.parametrize("text", ["false", "FALSE", "0", "no", "Off"])
def test_these_texts_are_false(text: str) -> None:
    assert values.boolean(text) is False


@pytest.mark.parametrize(
    ("convert", "text"),
    [
        *[(values.boolean, text) for text in ("maybe", "2", "y", "truee", "-1")],
        *[
            (number, text)
            for text in ("0", "301", "-5", "5.0", "5s", "1_0", "\u0665", "+5", "99999999999999999999")
        ],
        *[
            (decimal, text)
            for text in ("0", "0.001", "300.1", "-5", "1e2", "1.", ".5", "1,5", "nan", "\u0665")
        ],
        *[
            (values.url, text)
            for text in ("clerk.example.com", "ftp://x.example", "https://", "https://a b", "//x")
        ],
        *[
            (values.url, text)
            for text in ("https://u:p@x.example", "https://x:port", "https://x/#f", "https://[::1")
        ],
        *[
            (values.origins, text)
            for text in ("app.example.com", "https://a.example/", "https://*.example", "*", "null")
        ],
        (values.origins, "https://good.example, https://bad.example/"),
        *[
            (values.hosts, text)
            for text in (
                "https://api.example.com",
                "good.example, bad.example:8000",
                "a.example/",
                "a b",
                "*.a.example",
            )
        ],
        *[
            (database, text)
            for text in ("mysql://u:p@h/db", "postgres", "postgres://", "postgres://h:port/db")
        ],
        *[(database, text) for text in ("sqlite://:memory:", "sqlite://", "postgres://u:p@h/db?pool=maybe")],
        *[
            (database, text)
            for text in ("postgres://h/db?conn_max_age=soon", "postgres://h/db?conn_max_age=-1")
        ],
        *[(database, text) for text in ("postgres://h/db?atomic_requests=perhaps")],
        (database, "postgres://h/db?pool=true&conn_max_age=60"),
        *[(database, text) for text in ("sqlite:///x?foo=bar", "sqlite:///x?timeout=soon")],
    ],
)
def test_a_malformed_text_is_refused_without_being_repeated(convert: object, text: str) -> None:
    assert callable(convert)

    with pytest.raises(values.Malformed) as refusal:
        convert(text)

    assert len(text) < 3 or f" {text} " not in f" {refusal.value} "


@pytest.mark.parametrize("text", ["users", "/users/", "/", "//users", "/a b", "https://x.example/users"])
def test_a_path_prefix_has_one_form(text: str) -> None:
    with pytest.raises(values.Malformed, match="must be a path such as /users"):
        values.path_prefix(text)


def test_a_whole_number_can_be_either_limit() -> None:
    assert (number("1"), number("300")) == (1, 300)


def test_a_number_can_have_decimals() -> None:
    assert (decimal("0.05"), decimal("300")) == (0.05, 300)


def test_items_are_stripped_and_empty_ones_dropped() -> None:
    assert values.comma_separated(" a, b ,,c,") == ("a", "b", "c")


def test_a_trailing_slash_is_removed() -> None:
    assert values.url("https://clerk.example.com/") == "https://clerk.example.com"


def test_an_origin_can_have_a_port_and_the_scheme_of_an_app() -> None:
    assert values.origins("http://localhost:3000, https://a.example, capacitor://localhost") == (
        "http://localhost:3000",
        "https://a.example",
        "capacitor://localhost",
    )


def test_hosts_are_in_the_form_of_allowed_hosts() -> None:
    text = "api.example.com, .example.com, LOCALHOST, 10.0.0.1, [::1], *"

    assert values.hosts(text) == ("api.example.com", ".example.com", "LOCALHOST", "10.0.0.1", "[::1]", "*")


@pytest.mark.parametrize("name", ["pool", "atomic_requests", "conn_health_checks"])
def test_an_invalid_boolean_in_the_address_is_named(name: str) -> None:
    with pytest.raises(values.Malformed, match=f"^has a {name} that is not true or false$"):
        database(f"postgres://u:p@h/db?{name}=maybe")


def test_options_of_sqlite_can_be_set() -> None:
    assert database("sqlite:///x?timeout=3")["OPTIONS"]["timeout"] == 3


def test_conn_max_age_defaults_to_a_minute_and_can_be_set() -> None:
    assert database("postgres://u:p@h:5433/db")["CONN_MAX_AGE"] == 60
    assert database("postgresql://u:p@h:5433/db?conn_max_age=5")["CONN_MAX_AGE"] == 5
    assert database("postgres://u:p@h/db?conn_max_age=None")["CONN_MAX_AGE"] is None


def test_timeouts_for_an_unreachable_host_have_defaults_and_can_be_set() -> None:
    assert database("postgres://u:p@h/db")["OPTIONS"] == TIMEOUT_OPTIONS
    for option in TIMEOUT_OPTIONS:
        assert database(f"postgres://u:p@h/db?{option}=2")["OPTIONS"] == TIMEOUT_OPTIONS | {option: 2}


def test_libpq_sets_these_timeouts_on_its_socket(postgres_server: ThrowawayPostgres) -> None:
    entry = database(postgres_server.url)
    django = DatabaseWrapper(connections.configure_settings({"default": entry})["default"])

    with psycopg.connect(**django.get_connection_params()) as connection:
        used = connection.info.get_parameters()
        assert {option: int(used[option]) for option in TIMEOUT_OPTIONS} == TIMEOUT_OPTIONS
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            raw_socket = socket.socket(fileno=os.dup(connection.fileno()))
            with raw_socket:
                assert raw_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5000
                assert raw_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
                assert raw_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 5


def test_the_password_is_decoded() -> None:
    assert database("postgres://u:p%40%2Fss@h/db")["PASSWORD"] == "p@/ss"


def test_a_value_that_starts_with_a_dollar_is_literal() -> None:
    assert database("postgres://u:$HOME@h/db")["PASSWORD"] == "$HOME"


def test_a_pool_excludes_persistent_connections() -> None:
    entry = database("postgres://u:p@h/db?pool=true&sslmode=require")

    assert entry["OPTIONS"]["pool"]
    assert entry["OPTIONS"]["sslmode"] == "require"
    assert entry["CONN_MAX_AGE"] == 0


def test_pool_false_sets_no_pool() -> None:
    assert "pool" not in database("postgres://u:p@h/db?pool=false")["OPTIONS"]


def test_booleans_of_django_are_converted() -> None:
    entry = database("postgres://h/db?atomic_requests=false&disable_server_side_cursors=true")

    assert entry["ATOMIC_REQUESTS"] is False
    assert entry["DISABLE_SERVER_SIDE_CURSORS"] is True


def test_a_socket_folder_can_be_named() -> None:
    assert database("postgres://u@/db?host=/run/postgresql")["OPTIONS"]["host"] == "/run/postgresql"


def test_sqlite_transactions_are_immediate_and_wait_for_the_lock() -> None:
    entry = database("sqlite:///db.sqlite3")

    assert entry["NAME"] == str(ROOT / "db.sqlite3")
    assert entry["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert entry["OPTIONS"]["timeout"] == 20
    assert "journal_mode=WAL" in entry["OPTIONS"]["init_command"]


def test_an_absolute_sqlite_path_is_unchanged() -> None:
    assert database("sqlite:////var/lib/users.sqlite3")["NAME"] == "/var/lib/users.sqlite3"


def test_the_test_database_of_sqlite_is_a_file() -> None:
    assert database("sqlite:////var/lib/users.sqlite3")["TEST"]["NAME"] == "/var/lib/users.sqlite3-test"


@pytest.mark.parametrize("text", ["X-Real-IP", "x-forwarded-for", "Fly-Client-IP"])
def test_names_of_headers(text: str) -> None:
    assert values.header(text) == text


@pytest.mark.parametrize("text", ["X_Real_IP", "X-Real-IP: 1", "X Real", "X-Real-IP,X-Forwarded-For"])
def test_names_that_no_header_has(text: str) -> None:
    with pytest.raises(values.Malformed) as refusal:
        values.header(text)
    assert text not in str(refusal.value)
