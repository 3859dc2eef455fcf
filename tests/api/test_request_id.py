"""X-Request-ID, and the log line of a request."""

from __future__ import annotations

import logging
import re

import pytest
from django.test import Client, RequestFactory

from api.middleware import RequestIDFilter
from tests.api.conftest import Ask

pytestmark = pytest.mark.django_db

NEW = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    "sent",
    ["req-1", "7f3c0f0e-6f0b-4d43-9d8c-1d6c1c0b7b1e", "A.b_c-9", "x" * 128, "01HZX3V9R6J8K2M4N6P8Q0S2T4"],
)
def test_well_formed_id_is_kept(client: Client, sent: str) -> None:
    assert client.get("/api/v1/me", headers={"X-Request-ID": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize(
    "sent", ["", " ", "a b", "x" * 129, "a\tb", "a,b", "<script>", "é", "a\nb", '"', "a%0ab"]
)
def test_malformed_id_is_replaced(client: Client, sent: str) -> None:
    assert NEW.fullmatch(client.get("/api/v1/me", headers={"X-Request-ID": sent}).headers["X-Request-ID"])


def test_each_request_has_its_own_id(client: Client) -> None:
    ids = {client.get("/api/v1/me").headers["X-Request-ID"] for _ in range(3)}

    assert len(ids) == 3


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/nothing", "/nowhere", "/api/docs", "/admin/"])
def test_every_response_has_an_id(client: Client, path: str) -> None:
    assert NEW.fullmatch(client.get(path).headers["X-Request-ID"])


def test_response_to_an_unknown_host_has_an_id(client: Client) -> None:
    assert NEW.fullmatch(client.get("/api/v1/me", headers={"Host": "evil.example"}).headers["X-Request-ID"])


def test_preflight_has_an_id(client: Client) -> None:
    response = client.options(
        "/api/v1/me", headers={"Origin": "https://app.example.test", "Access-Control-Request-Method": "GET"}
    )

    assert NEW.fullmatch(response.headers["X-Request-ID"])


def request_line(caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    [record] = [record for record in caplog.records if record.name == "api.request"]
    return record.__dict__


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Record log lines with the filter of the configured handlers."""
    caplog.handler.addFilter(RequestIDFilter())
    caplog.set_level(logging.INFO, logger="api.request")
    return caplog


def test_each_request_is_logged_once(ask: Ask, lines: pytest.LogCaptureFixture) -> None:
    response = ask("/api/v1/me", by="user_ada")

    line = request_line(lines)
    assert (line["msg"], line["method"], line["route"], line["status"]) == (
        "request",
        "GET",
        "api/v1/me",
        200,
    )
    assert line["request_id"] == response.headers["X-Request-ID"]
    assert line["clerk_id"] == "user_ada"
    assert isinstance(line["duration_ms"], float)


def test_log_has_the_route_instead_of_the_path(client: Client, lines: pytest.LogCaptureFixture) -> None:
    client.get("/api/v1/users/canary@example.test?search=canary")

    line = request_line(lines)
    assert line["route"] == "api/v1/users/<str:id>"
    assert line["clerk_id"] is None
    assert "canary" not in str(line)


def test_unknown_path_is_not_logged(client: Client, lines: pytest.LogCaptureFixture) -> None:
    client.get("/canary@example.test")

    assert request_line(lines)["route"] is None
    assert "canary" not in str(request_line(lines))


def test_record_outside_a_request_has_no_id(lines: pytest.LogCaptureFixture) -> None:
    logging.getLogger("api.request").info("idle")

    assert request_line(lines)["request_id"] is None


def test_request_object_is_removed_from_the_record() -> None:
    record = logging.makeLogRecord({"request": RequestFactory().get("/?search=canary")})

    RequestIDFilter().filter(record)

    assert "request" not in record.__dict__
