"""Log lines are JSON, have the request id and contain no input of a client."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import DisallowedHost
from django.db import IntegrityError
from django.test import RequestFactory

from config.logging import ExcInfo, logging_config

CANARY = "canary-7f3a"
Line = dict[str, Any]


@pytest.fixture
def logged() -> Callable[..., Line]:
    """Return a function that formats one record with the production configuration."""
    handler_config = logging_config(debug=False)
    configurator = logging.config.DictConfigurator(handler_config)

    def send(
        name: str,
        level: int,
        message: str,
        *arguments: object,
        exc_info: ExcInfo | None = None,
        extra: dict[str, object] | None = None,
    ) -> Line:
        filters = {
            key: configurator.configure_filter(value) for key, value in handler_config["filters"].items()
        }
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(configurator.configure_formatter(handler_config["formatters"]["json"]))
        for key in handler_config["handlers"]["console"]["filters"]:
            handler.addFilter(filters[key])
        logger = logging.getLogger(name)
        record = logger.makeRecord(name, level, "file.py", 1, message, arguments, exc_info, extra=extra)
        handler.handle(record)
        assert stream.getvalue().count("\n") == 1
        line: Line = json.loads(stream.getvalue())
        return line

    return send


def _write() -> None:
    raise IntegrityError(f"Key (email)=({CANARY}@example.com) already exists")


def _raised() -> ValueError:
    error = ValueError(CANARY)
    try:
        _write()
    except IntegrityError as cause:
        error.__cause__ = cause
    return error


def test_a_line_is_json_with_level_logger_time_and_request_id(logged: Callable[..., Line]) -> None:
    line = logged("accounts.sync", logging.INFO, "synced", extra={"clerk_id": "user_1"})

    assert line.pop("timestamp")
    assert line == {
        "level": "INFO",
        "logger": "accounts.sync",
        "message": "synced",
        "clerk_id": "user_1",
        "request_id": None,
    }


def test_an_exception_is_logged_by_class_and_place_without_its_text(logged: Callable[..., Line]) -> None:
    error = _raised()

    line = logged("accounts.sync", logging.ERROR, "failed", exc_info=(ValueError, error, error.__traceback__))

    assert CANARY not in json.dumps(line)
    assert line["exc_info"].index("django.db.utils.IntegrityError") < line["exc_info"].index(
        "builtins.ValueError"
    )
    assert "test_logging.py" in line["exc_info"]


def test_the_address_of_a_failed_request_is_not_logged(logged: Callable[..., Line]) -> None:
    request = RequestFactory().get(f"/{CANARY}", {"q": CANARY})

    line = logged(
        "django.request",
        logging.ERROR,
        "%s: %s",
        "Error",
        request.path,
        extra={"request": request, "status_code": 500},
    )

    assert CANARY not in json.dumps(line)
    assert (line["message"], line["status_code"]) == ("The request failed", 500)


def test_the_text_of_a_suspicious_request_is_not_logged(logged: Callable[..., Line]) -> None:
    error = DisallowedHost(CANARY)

    line = logged(
        "django.security.DisallowedHost", logging.ERROR, str(error), exc_info=(DisallowedHost, error, None)
    )

    assert CANARY not in json.dumps(line)
    assert line["logger"] == "django.security.DisallowedHost"


def test_client_errors_are_not_logged_twice() -> None:
    assert logging_config(debug=False)["loggers"]["django.request"]["level"] == "ERROR"


@pytest.mark.parametrize(
    ("extra", "end"),
    [
        ({}, "it broke [7]\n"),
        ({"error": "TypeError"}, "it broke [7] TypeError\n"),
        ({"error": "TypeError", "place": "a.py:3 in b"}, "it broke [7] TypeError at a.py:3 in b\n"),
    ],
)
def test_a_line_in_debug_shows_class_and_place_of_an_error(extra: dict[str, object], end: str) -> None:
    config = logging_config(debug=True)
    configurator = logging.config.DictConfigurator(config)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(configurator.configure_formatter(config["formatters"]["plain"]))
    logger = logging.getLogger("accounts")
    handler.handle(
        logger.makeRecord(
            "accounts", logging.ERROR, "file.py", 1, "it broke", (), None, extra={"request_id": "7"} | extra
        )
    )
    assert stream.getvalue().endswith(end)
