"""What the log and error trackers receive of an exception."""

from __future__ import annotations

import logging

import pytest
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.test import Client

from api.middleware import RequestIDFilter
from config.logging import ConstantMessageFilter, JSONLineFormatter, logging_config
from tests.api.probes import CANARY

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.probes")]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Record log lines with the filters and the format of production."""
    parts = logging_config(debug=False)
    caplog.handler.setFormatter(JSONLineFormatter(parts["formatters"]["json"]["fmt"]))
    for line_filter in (ConstantMessageFilter(), RequestIDFilter()):
        caplog.handler.addFilter(line_filter)
    caplog.set_level(logging.INFO)
    return caplog


def format_records(log: pytest.LogCaptureFixture) -> str:
    return "\n".join(log.handler.format(record) for record in log.records)


@pytest.mark.parametrize("kind", ["bug", "integrity", "operational", "suspicious", "django404"])
def test_log_has_no_exception_text_and_no_query(
    client: Client, log: pytest.LogCaptureFixture, kind: str
) -> None:
    client.get(f"/api/probe/raise/{kind}?q={CANARY}")

    assert kind not in {"bug", "integrity", "operational"} or "api/probes.py" in format_records(log)
    assert CANARY not in format_records(log)


@pytest.mark.parametrize(
    ("kind", "level", "error"),
    [("bug", "ERROR", "RuntimeError"), ("operational", "WARNING", "OperationalError")],
)
def test_exception_is_logged_once_by_class_and_place(
    client: Client, log: pytest.LogCaptureFixture, kind: str, level: str, error: str
) -> None:
    client.get(f"/api/probe/raise/{kind}")

    [record] = [record for record in log.records if record.levelno >= logging.WARNING]
    assert record.levelname == level
    assert error in log.handler.format(record)
    assert "tests/api/probes.py" in log.handler.format(record)


def test_error_tracker_receives_bugs_but_not_outages(client: Client) -> None:
    reported: list[HttpRequest | None] = []

    def receive(request: HttpRequest | None = None, **_: object) -> None:
        reported.append(request)

    got_request_exception.connect(receive)
    try:
        client.get("/api/probe/raise/operational")
        assert reported == []
        client.get("/api/probe/raise/bug")
        assert len(reported) == 1
    finally:
        got_request_exception.disconnect(receive)
