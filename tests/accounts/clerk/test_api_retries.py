"""Retries of the Backend API client: 429, server errors, lost connections, cut-off bodies, time limits."""

from __future__ import annotations

import socket

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from accounts.clerk.api import ClerkAPI, ClerkAPIError
from tests.accounts.clerk.api_server import (
    SECRET,
    RawServer,
    SleepClock,
    json_response,
    raw_answer,
    serve_in_turn,
)

COUNT = "/v1/users/count"
FIVE_USERS = b'{"total_count": 5}'


def throttled(retry_after: str | None = None) -> Response:
    headers = None if retry_after is None else {"Retry-After": retry_after}
    return json_response({"errors": [{"code": "too_many_requests"}]}, status=429, headers=headers)


def unavailable() -> Response:
    return json_response({"clerk_trace_id": "abc123"}, status=503, headers={"Retry-After": "60"})


def five_users() -> Response:
    return Response(FIVE_USERS, content_type="application/json")


def impatient(api_url: str, clock: SleepClock) -> ClerkAPI:
    return ClerkAPI(SECRET, base_url=api_url, timeout=5, patience=0, clock=clock, sleep=clock.sleep)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [("1", 1), (" 7 ", 7), ("60", 60), ("61", 60), ("21600", 60), ("9" * 5000, 60)],
)
def test_429_is_retried_after_the_time_it_asks_for_but_a_minute_at_most(
    httpserver: HTTPServer, clerk_api: ClerkAPI, sleep_clock: SleepClock, retry_after: str, seconds: int
) -> None:
    serve_in_turn(httpserver, COUNT, throttled(retry_after), five_users())
    assert clerk_api.count() == 5
    assert sleep_clock.slept == [seconds]


@pytest.mark.parametrize(
    "retry_after", [None, "", "soon", "0", "-5", "1.5", "\u0661", "Sat, 01 Jan 2000 00:00:00 GMT"]
)
def test_429_without_a_usable_time_is_retried_with_backoff(
    httpserver: HTTPServer, clerk_api: ClerkAPI, sleep_clock: SleepClock, retry_after: str | None
) -> None:
    serve_in_turn(httpserver, COUNT, throttled(retry_after), throttled(retry_after), five_users())
    assert clerk_api.count() == 5
    assert sleep_clock.slept == [0, pytest.approx(1.25, abs=0.25)]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (b"Date: Sat, 21 Nov 2026 10:00:00 GMT\r\nRetry-After: Sat, 21 Nov 2026 10:00:05 GMT\r\n", 5),
        (b"Date: Sat, 21 Nov 2026 10:00:00 GMT\r\nRetry-After: Sat, 21 Nov 2026 11:00:00 GMT\r\n", 60),
        (b"Date: Sat, 21 Nov 2026 10:00:00 GMT\r\nRetry-After: Sat, 21 Nov 2026 09:00:00 GMT\r\n", 0),
        (b"Date: yesterday\r\nRetry-After: Sat, 21 Nov 2026 10:00:05 GMT\r\n", 0),
        (b"Retry-After: Sat, 21 Nov 2026 10:00:05 GMT\r\n", 0),
    ],
)
def test_retry_after_as_a_date_counts_from_the_date_of_the_answer(
    raw_server: RawServer, raw_api: ClerkAPI, sleep_clock: SleepClock, headers: bytes, seconds: int
) -> None:
    busy = raw_answer(b"{}", status="429 Too Many Requests", headers=headers)
    raw_server.answers = [busy, raw_answer(FIVE_USERS)]
    assert raw_api.count() == 5
    assert sleep_clock.slept == [seconds]


def test_the_eleventh_429_is_an_error(
    httpserver: HTTPServer, clerk_api: ClerkAPI, sleep_clock: SleepClock
) -> None:
    serve_in_turn(httpserver, COUNT, throttled("60"))
    with pytest.raises(ClerkAPIError, match="rate limit") as caught:
        clerk_api.count()
    assert (caught.value.status, len(httpserver.log)) == (429, 11)
    assert sleep_clock.slept == [60] * 10


def test_each_call_has_retries_of_its_own(
    httpserver: HTTPServer, clerk_api: ClerkAPI, sleep_clock: SleepClock
) -> None:
    serve_in_turn(httpserver, COUNT, *[throttled("1")] * 9, five_users(), *[throttled("1")] * 9, five_users())
    assert [clerk_api.count(), clerk_api.count()] == [5, 5]
    assert sleep_clock.slept == [1] * 18


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 599])
def test_server_error_is_retried_at_once(
    httpserver: HTTPServer, clerk_api: ClerkAPI, sleep_clock: SleepClock, status: int
) -> None:
    serve_in_turn(httpserver, COUNT, Response("oops", status=status), five_users())
    assert clerk_api.count() == 5
    assert sleep_clock.slept == [0]


def test_thirty_seconds_of_server_errors_are_an_error_with_the_last_trace_id(
    httpserver: HTTPServer, clerk_api: ClerkAPI, sleep_clock: SleepClock
) -> None:
    serve_in_turn(httpserver, COUNT, Response("oops", status=502), unavailable())
    with pytest.raises(ClerkAPIError) as caught:
        clerk_api.count()
    assert (caught.value.status, caught.value.trace_id) == (503, "abc123")
    assert sum(sleep_clock.slept) == pytest.approx(30)
    assert len(httpserver.log) == len(sleep_clock.slept) + 1
    for slept, seconds in zip(sleep_clock.slept[:-1], [0, 1, 2, 4, 8, 8], strict=False):
        assert seconds <= slept <= min(8, seconds + 0.5), sleep_clock.slept
    assert not sleep_clock.slept[1].is_integer()  # has a random part


def test_429_begins_the_thirty_seconds_anew(
    httpserver: HTTPServer, clerk_api: ClerkAPI, sleep_clock: SleepClock
) -> None:
    broken = [Response(status=502)] * 5
    serve_in_turn(httpserver, COUNT, *broken, throttled("20"), *broken[:3], five_users())
    assert clerk_api.count() == 5
    assert sum(sleep_clock.slept) > 40


@pytest.mark.parametrize("status", [302, 400, 404, 408, 413, 422])
def test_other_answers_are_final(
    httpserver: HTTPServer, clerk_api: ClerkAPI, sleep_clock: SleepClock, status: int
) -> None:
    headers = {"Retry-After": "1", "Location": httpserver.url_for("/elsewhere")}
    serve_in_turn(httpserver, COUNT, json_response({}, status=status, headers=headers))
    with pytest.raises(ClerkAPIError) as caught:
        clerk_api.count()
    assert caught.value.status == status
    assert [request.path for request, _ in httpserver.log] == [COUNT]
    assert sleep_clock.slept == []


@pytest.mark.parametrize(
    ("answer", "calls", "slept"), [(unavailable(), 2, [0]), (throttled("1"), 1, []), (throttled(), 1, [])]
)
def test_without_patience_there_is_one_retry_and_none_after_429(
    httpserver: HTTPServer, sleep_clock: SleepClock, answer: Response, calls: int, slept: list[int]
) -> None:
    serve_in_turn(httpserver, COUNT, answer)
    with pytest.raises(ClerkAPIError) as caught:
        impatient(httpserver.url_for(""), sleep_clock).count()
    assert caught.value.status == answer.status_code
    assert len(httpserver.log) == calls
    assert sleep_clock.slept == slept


def test_without_patience_a_single_server_error_is_retried(
    httpserver: HTTPServer, sleep_clock: SleepClock
) -> None:
    serve_in_turn(httpserver, COUNT, unavailable(), five_users())
    assert impatient(httpserver.url_for(""), sleep_clock).count() == 5


def test_lost_connection_is_retried(
    raw_server: RawServer, raw_api: ClerkAPI, sleep_clock: SleepClock
) -> None:
    raw_server.answers = [b"", raw_answer(FIVE_USERS)]
    assert raw_api.count() == 5
    assert sleep_clock.slept == [0]


def test_thirty_seconds_without_a_connection_are_an_error_that_names_the_network(
    sleep_clock: SleepClock,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    api = ClerkAPI(SECRET, base_url=address, clock=sleep_clock, sleep=sleep_clock.sleep)
    with pytest.raises(ClerkAPIError, match=r"gave no answer.*CLERK_API_URL") as caught:
        api.count()
    assert caught.value.status is None
    assert sum(sleep_clock.slept) == pytest.approx(30)


def test_three_answers_with_a_cut_off_body_are_an_error(
    raw_server: RawServer, raw_api: ClerkAPI, sleep_clock: SleepClock
) -> None:
    raw_server.answers = [raw_answer(b"[1, 2", length=100)]
    with pytest.raises(ClerkAPIError, match="answer_cut_off"):
        list(raw_api.iter_users())
    assert raw_server.served == 3
    assert sleep_clock.slept == [0, 0]


def test_two_answers_with_a_cut_off_body_are_retried(raw_server: RawServer, raw_api: ClerkAPI) -> None:
    cut_off = raw_answer(FIVE_USERS[:5], length=len(FIVE_USERS))
    raw_server.answers = [cut_off, cut_off, raw_answer(FIVE_USERS)]
    assert raw_api.count() == 5


def test_server_error_with_a_cut_off_body_is_retried_like_any_server_error(
    raw_server: RawServer, raw_api: ClerkAPI, sleep_clock: SleepClock
) -> None:
    cut_off = raw_answer(b"oops", length=100, status="502 Bad Gateway")
    raw_server.answers = [cut_off, cut_off, cut_off, cut_off, raw_answer(FIVE_USERS)]
    assert raw_api.count() == 5
    assert sum(sleep_clock.slept) >= 7


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n["])
def test_an_answer_that_stalls_ends_at_the_time_limit(
    raw_server: RawServer, sleep_clock: SleepClock, sent: bytes
) -> None:
    raw_server.answers, raw_server.hold = [sent], 0.4
    api = ClerkAPI(
        SECRET,
        base_url=raw_server.address,
        timeout=0.2,
        patience=0,
        clock=sleep_clock,
        sleep=sleep_clock.sleep,
    )
    with pytest.raises(ClerkAPIError, match="Check the network") as caught:
        api.count()
    assert caught.value.status is None
    assert sleep_clock.slept == [0]


@pytest.mark.parametrize(
    ("address", "code"), [("ftp://127.0.0.1", "InvalidSchema"), ("http://", "InvalidURL")]
)
def test_an_address_that_cannot_be_asked_is_an_error_at_once(
    sleep_clock: SleepClock, address: str, code: str
) -> None:
    api = ClerkAPI(SECRET, base_url=address, clock=sleep_clock, sleep=sleep_clock.sleep)
    with pytest.raises(ClerkAPIError, match=code):
        api.count()
    assert sleep_clock.slept == []
