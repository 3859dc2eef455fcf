"""DATABASE_URL: the options of the pool, and options that are unknown."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.database import parse
from config.values import Malformed

database = partial(parse, root=Path("/srv/project"))


def pool(query: str) -> Any:
    return database(f"postgres://u:p@h/db?pool=true{query}")["OPTIONS"]["pool"]


def test_the_pool_holds_as_many_connections_as_the_image_has_threads() -> None:
    gunicorn = Path(__file__).parents[2] / "deploy" / "gunicorn.conf.py"

    assert "\nthreads = 8\n" in gunicorn.read_text()
    assert pool("") == {
        "min_size": 4,
        "max_size": 8,
        "timeout": 5,
        "max_lifetime": 600,
        "reconnect_timeout": 2,
    }


def test_the_sizes_and_the_timeout_of_the_pool_can_be_set() -> None:
    sizes = pool("&pool_min_size=0&pool_max_size=20&pool_timeout=2.5")

    assert (sizes["min_size"], sizes["max_size"], sizes["timeout"]) == (0, 20, 2.5)
    assert pool("&pool_max_size=2")["min_size"] == 2


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("pool=true&pool_min_size=-1", "has a pool_min_size that must be a whole number from 0 to 1000"),
        ("pool=true&pool_max_size=0", "has a pool_max_size that must be a whole number from 1 to 1000"),
        ("pool=true&pool_max_size=many", "has a pool_max_size that must be a whole number from 1 to 1000"),
        ("pool=true&pool_timeout=0", "has a pool_timeout that must be a number from 0.1 to 60"),
        ("pool=true&pool_min_size=9", "has a pool_min_size greater than its pool_max_size"),
        ("pool_max_size=9", "has pool_max_size without pool=true"),
        ("pool=false&pool_timeout=9", "has pool_timeout without pool=true"),
        ("server_side_binding=perhaps", "has a server_side_binding that is not true or false"),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(query: str, message: str) -> None:
    with pytest.raises(Malformed, match=f"^{message}$"):
        database(f"postgres://u:p@h/db?{query}")


@pytest.mark.parametrize(
    "name",
    ["pool_size", "pool_max_lifetime", "POOL", "min_size", "sslmod", "timezone", "pgbouncer", "replication"],
)
def test_an_unknown_option_is_named(name: str) -> None:
    with pytest.raises(Malformed, match=f"^has an unknown option {name};"):
        database(f"postgres://u:p@h/db?{name}=1")


def test_settings_of_the_server_are_refused_with_their_form() -> None:
    with pytest.raises(
        Malformed, match=r"^has an unknown option statement_timeout; .* options=-c%20name%3Dvalue$"
    ):
        database("postgres://u:p@h/db?statement_timeout=5000")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        *[
            (f"{name}={value}", f"has a {name} with a value that libpq does not accept")
            for name, value in (
                ("sslmode", "reqire"),
                ("target_session_attrs", "writable"),
                ("channel_binding", "maybe"),
                ("gssencmode", "maybe"),
                ("load_balance_hosts", "maybe"),
                ("ssl_min_protocol_version", "TLSv9"),
                ("require_auth", "maybe"),
            )
        ],
        *[
            (f"{name}=5s", f"has a {name} that is not a whole number")
            for name in (
                "connect_timeout",
                "keepalives",
                "keepalives_count",
                "keepalives_idle",
                "keepalives_interval",
                "prepare_threshold",
                "tcp_user_timeout",
            )
        ],
        *[
            (
                f"target_session_attrs={name}",
                "has a target_session_attrs that may choose a server without writes: use read-write",
            )
            for name in ("read-only", "standby", "prefer-standby")
        ],
    ],
)
def test_a_value_that_no_connection_can_use_is_refused(query: str, message: str) -> None:
    with pytest.raises(Malformed, match=f"^{message}$"):
        database(f"postgres://u:p@h/db?{query}")


def test_an_unknown_option_of_sqlite_is_named() -> None:
    with pytest.raises(Malformed, match=r"^has an unknown option pool$"):
        database("sqlite:///x?pool=true")


def test_a_part_of_a_password_is_not_repeated() -> None:
    with pytest.raises(Malformed, match=r"^has an unknown option whose name is malformed;"):
        database("postgres://u:p@h/db?s3cret@host/db=1")


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=verify-full&sslrootcert=/ca.pem",
        "host=/tmp/socket",
        "target_session_attrs=read-write",
        "options=-c%20statement_timeout%3D5s",
        "application_name=web&keepalives_count=3",
        "prepare_threshold=5&server_side_binding=true&assume_role=app",
        "conn_max_age=5&disable_server_side_cursors=true&conn_health_checks=true&autocommit=true",
    ],
)
def test_options_of_libpq_and_django_are_known(query: str) -> None:
    database(f"postgres://u:p@h/db?{query}")


def test_server_side_binding_is_a_boolean() -> None:
    # Django compares with True.
    assert database("postgres://u:p@h/db?server_side_binding=true")["OPTIONS"]["server_side_binding"] is True
