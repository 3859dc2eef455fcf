"""The Backend API over real HTTP: pages, errors, retries, and what must never be said."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.clerk import api as backend_api
from accounts.clerk.api import ClerkAPI, ClerkAPIError
from accounts.clerk.outgoing import USER_AGENT

SECRET = "sk_test_NotForAnybodysEyes"
NOT_FOUND = {"errors": [{"code": "resource_not_found", "message": "not found"}], "clerk_trace_id": "trace1"}


class RawServer:
    """Answer every connection with these very bytes and hang up."""

    def __init__(self) -> None:
        self.answer = b""
        self.served = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self.answer)
                self.served += 1

    def close(self) -> None:
        """Stop listening, and wait for the thread."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=5)


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


@pytest.fixture
def clerk_api(httpserver: HTTPServer) -> ClerkAPI:
    return ClerkAPI(SECRET, base_url=httpserver.url_for(""), timeout=5, patience=0.4)


def people(start: int, count: int) -> list[dict[str, Any]]:
    return [{"id": f"user_{number:06d}"} for number in range(start, start + count)]


def serve_pages(httpserver: HTTPServer, everybody: list[dict[str, Any]], *, refused: str = "") -> None:
    """Page by cursor and by offset as Clerk does; the cursor `refused` is answered 422."""

    def answer(request: Request) -> Response:
        after, offset = request.args.get("starting_after"), int(request.args.get("offset", "0"))
        if after and after == refused:
            return json_response({"errors": [{"code": "form_param_invalid"}]}, status=422)
        start = offset
        if after:
            start = next(n for n, user in enumerate(everybody) if user["id"] == after) + 1
        return json_response(everybody[start : start + int(request.args["limit"])])

    httpserver.expect_request("/v1/users").respond_with_handler(answer)


def json_response(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(body), status=status, headers=headers, content_type="application/json")


def answers(httpserver: HTTPServer, path: str, *responses: Response) -> None:
    """Answer with these in turn, and with the last for ever."""
    left = list(responses)
    httpserver.expect_request(path).respond_with_handler(
        lambda _request: left.pop(0) if len(left) > 1 else left[0]
    )


@pytest.mark.parametrize(("total", "calls"), [(0, 1), (3, 1), (500, 2), (1001, 3)])
def test_every_user_comes_once_in_pages_of_five_hundred(
    httpserver: HTTPServer, clerk_api: ClerkAPI, total: int, calls: int
) -> None:
    serve_pages(httpserver, people(0, total))
    pages = list(clerk_api.iter_users())
    assert [user for page in pages for user in page.users] == people(0, total)
    assert len(httpserver.log) == calls


def test_the_request_carries_key_version_order_and_limit(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    serve_pages(httpserver, people(0, 1))
    list(clerk_api.iter_users())
    request = httpserver.log[0][0]
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Clerk-API-Version"] == backend_api.API_VERSION
    assert request.query_string == b"limit=500&order_by=%2Bcreated_at"


def test_a_walk_goes_on_after_the_cursor_it_is_given(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    serve_pages(httpserver, people(0, 700))
    pages = list(clerk_api.iter_users(starting_after="user_000649"))
    assert [user for page in pages for user in page.users] == people(650, 50)


@pytest.mark.parametrize("refused", ["user_000499", "user_000999"])
def test_a_refused_cursor_is_replaced_by_offsets_that_overlap(
    httpserver: HTTPServer, clerk_api: ClerkAPI, refused: str
) -> None:
    serve_pages(httpserver, people(0, 1700), refused=refused)
    ids = [user["id"] for page in clerk_api.iter_users() for user in page.users]
    assert sorted(set(ids)) == [user["id"] for user in people(0, 1700)]
    assert len(ids) > 1700


def test_a_refused_cursor_of_an_earlier_run_starts_from_the_beginning(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    serve_pages(httpserver, people(0, 30), refused="user_gone")
    ids = [user["id"] for page in clerk_api.iter_users(starting_after="user_gone") for user in page.users]
    assert ids == [user["id"] for user in people(0, 30)]


def test_a_page_that_repeats_ends_the_walk(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    httpserver.expect_request("/v1/users").respond_with_json(people(0, 500))
    with pytest.raises(ClerkAPIError, match="pages_do_not_advance"):
        list(clerk_api.iter_users())
    assert len(httpserver.log) == 2


def test_a_full_page_that_names_nobody_ends_the_walk(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    httpserver.expect_request("/v1/users").respond_with_json([{"id": 7}, None] * 250)
    with pytest.raises(ClerkAPIError, match="pages_do_not_advance"):
        list(clerk_api.iter_users())


def test_odd_entries_of_a_page_are_handed_on_and_the_cursor_skips_them(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    httpserver.expect_request("/v1/users").respond_with_json([{"id": "user_a"}, "junk", {"id": None}])
    (page,) = clerk_api.iter_users()
    assert page.users == [{"id": "user_a"}, "junk", {"id": None}]
    assert page.cursor == "user_a"


def test_a_page_says_when_it_was_answered(raw_server: RawServer) -> None:
    raw_server.answer = (
        b"HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Length: 2\r\n\r\n[]"
    )
    (page,) = ClerkAPI(SECRET, base_url=raw_server.address, timeout=5).iter_users()
    assert page.answered_at == 1795255200000


@pytest.mark.parametrize("header", [b"", b"Date: yesterday\r\n", b"Date: Sat, 99 Nov 2026 10:00:00 GMT\r\n"])
def test_a_date_that_makes_no_sense_is_no_date(raw_server: RawServer, header: bytes) -> None:
    raw_server.answer = b"HTTP/1.1 200 OK\r\n" + header + b"Content-Length: 2\r\n\r\n[]"
    (page,) = ClerkAPI(SECRET, base_url=raw_server.address, timeout=5).iter_users()
    assert page.answered_at is None


def test_a_throttled_call_waits_as_long_as_clerk_asks(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    busy = json_response({}, status=429, headers={"Retry-After": "1"})
    answers(httpserver, "/v1/users/count", busy, json_response({"total_count": 5}))
    started = time.monotonic()
    assert clerk_api.count() == 5
    assert 1.0 <= time.monotonic() - started < 2.0


def test_a_retry_after_that_makes_no_sense_is_passed_over(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    busy = json_response({}, status=429, headers={"Retry-After": "soon"})
    answers(httpserver, "/v1/users/count", busy, json_response({"total_count": 5}))
    assert clerk_api.count() == 5


def test_a_call_that_stays_throttled_ends_in_an_error(httpserver: HTTPServer) -> None:
    past = "Sat, 01 Jan 2000 00:00:00 GMT"
    answers(httpserver, "/v1/users/count", json_response({}, status=429, headers={"Retry-After": past}))
    api = ClerkAPI(SECRET, base_url=httpserver.url_for(""))
    api._session.get_adapter("http://").max_retries.backoff_max = 0  # type: ignore[attr-defined]
    with pytest.raises(ClerkAPIError) as caught:
        api.count()
    assert (caught.value.status, len(httpserver.log)) == (429, 11)


def test_a_server_error_is_tried_again(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    answers(httpserver, "/v1/users/count", Response("oops", status=502), json_response({"total_count": 5}))
    assert clerk_api.count() == 5


def test_nothing_but_server_errors_gives_up_in_time_even_when_told_to_wait_longer(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    broken = json_response({"clerk_trace_id": "abc123"}, status=503, headers={"Retry-After": "60"})
    answers(httpserver, "/v1/users/count", broken)
    started = time.monotonic()
    with pytest.raises(ClerkAPIError) as caught:
        clerk_api.count()
    assert 0.3 < time.monotonic() - started < 2.0
    assert (caught.value.status, caught.value.trace_id) == (503, "abc123")
    assert len(httpserver.log) >= 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_is_said_to_be_one_and_is_not_shown(
    httpserver: HTTPServer, clerk_api: ClerkAPI, status: int
) -> None:
    body = {"errors": [{"code": "authentication_invalid", "message": SECRET}], "clerk_trace_id": "t1"}
    httpserver.expect_request("/v1/users/count").respond_with_json(body, status=status)
    with pytest.raises(ClerkAPIError, match=r"authentication_invalid, trace t1.*CLERK_SECRET_KEY") as caught:
        clerk_api.count()
    assert SECRET not in str(caught.value) + repr(caught.value)
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("status", [302, 401, 403, 404, 407, 429, 451])
@pytest.mark.parametrize(
    "body",
    ["<h1>Blocked</h1>", "{}", "", '{"errors": [{"code": 1020, "message": "Access denied"}]}'],
    ids=["html", "no errors", "empty", "number"],
)
def test_an_answer_of_a_firewall_is_not_called_a_wrong_secret_key(
    httpserver: HTTPServer, clerk_api: ClerkAPI, status: int, body: str
) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_data(body, status=status)
    with pytest.raises(ClerkAPIError, match="firewall or proxy") as caught:
        clerk_api.count()
    assert (caught.value.status, caught.value.code) == (status, "not_from_clerk")
    assert caught.value.concerns_all
    for wrong in ("CLERK_SECRET_KEY", "rate limit", "support"):
        assert wrong not in str(caught.value)
    assert "django-clerk-sync/" in caught.value.next_step
    assert "CLERK_API_URL" in caught.value.next_step


@pytest.mark.parametrize("body", ["<h1>Sign in to the network</h1>", ""])
def test_a_page_with_200_is_not_called_an_answer_of_clerk(
    httpserver: HTTPServer, clerk_api: ClerkAPI, body: str
) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_data(body)
    with pytest.raises(ClerkAPIError, match=r"not_from_clerk.*firewall or proxy"):
        clerk_api.count()


def test_an_error_page_of_a_gateway_names_the_firewall_and_the_outage(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_data("<h1>Bad gateway</h1>", status=502)
    with pytest.raises(ClerkAPIError, match=r"firewall or proxy.*https://status\.clerk\.com"):
        clerk_api.count()


def test_every_request_carries_our_own_user_agent(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_json({"total_count": 5})
    clerk_api.count()
    assert [request.headers["User-Agent"] for request, _ in httpserver.log] == [USER_AGENT]


def test_text_in_the_place_of_a_code_is_not_repeated(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    body = {"errors": [{"code": "ann@example.com is taken"}], "clerk_trace_id": {"x": 1}}
    httpserver.expect_request("/v1/users/count").respond_with_json(body, status=400)
    with pytest.raises(ClerkAPIError) as caught:
        clerk_api.count()
    assert (caught.value.code, caught.value.trace_id) == ("not_from_clerk", None)


def test_a_redirect_is_not_followed(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_response(
        Response(status=302, headers={"Location": httpserver.url_for("/elsewhere")})
    )
    with pytest.raises(ClerkAPIError) as caught:
        clerk_api.count()
    assert caught.value.status == 302
    assert [request.path for request, _ in httpserver.log] == ["/v1/users/count"]


def test_one_user_comes_as_clerk_sent_it(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    httpserver.expect_request("/v1/users/user_a").respond_with_json({"id": "user_a", "banned": False})
    assert clerk_api.get_user("user_a") == {"id": "user_a", "banned": False}


def test_a_user_whom_clerk_does_not_know_is_none_as_of_the_answer(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    httpserver.expect_request("/v1/users/user_a").respond_with_json(NOT_FOUND, status=404)
    answer = clerk_api.find_user("user_a")
    assert answer.user is None
    assert answer.answered_at is not None


@pytest.mark.parametrize(
    "body", ["<h1>Not Found</h1>", "{}", '{"errors": []}', '{"errors": [{"code": "url_wrong"}]}', "["]
)
def test_a_404_that_is_not_clerks_own_is_an_error(
    httpserver: HTTPServer, clerk_api: ClerkAPI, body: str
) -> None:
    httpserver.expect_request("/v1/users/user_a").respond_with_data(body, status=404)
    with pytest.raises(ClerkAPIError):
        clerk_api.find_user("user_a")


@pytest.mark.parametrize("clerk_id", ["", ".", ".."])
def test_an_id_that_would_be_another_address_is_nobody(
    httpserver: HTTPServer, clerk_api: ClerkAPI, clerk_id: str
) -> None:
    assert clerk_api.get_user(clerk_id) is None
    assert not httpserver.log


def test_an_id_with_slashes_stays_inside_its_segment(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    with pytest.raises(ClerkAPIError):
        clerk_api.get_user("../jwks?x=1")
    assert httpserver.log[0][0].environ["REQUEST_URI"] == "/v1/users/..%2Fjwks%3Fx%3D1"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("[]", "unexpected_answer"),
        ('{"id": "user_b"}', "unexpected_answer"),
        ("not json", "not_from_clerk"),
        ("[" * 200_000, "not_from_clerk"),
    ],
)
def test_an_answer_that_is_not_that_user_is_an_error(
    httpserver: HTTPServer, clerk_api: ClerkAPI, body: str, code: str
) -> None:
    httpserver.expect_request("/v1/users/user_a").respond_with_data(body)
    with pytest.raises(ClerkAPIError, match=code):
        clerk_api.find_user("user_a")


@pytest.mark.parametrize("body", ["[]", '{"total_count": true}', '{"total_count": "5"}'])
def test_a_count_that_is_no_count_is_an_error(httpserver: HTTPServer, clerk_api: ClerkAPI, body: str) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_data(body)
    with pytest.raises(ClerkAPIError, match="unexpected_answer"):
        clerk_api.count()


@pytest.mark.parametrize("body", ['{"data": []}', "null"])
def test_a_page_that_is_no_list_is_an_error(httpserver: HTTPServer, clerk_api: ClerkAPI, body: str) -> None:
    httpserver.expect_request("/v1/users").respond_with_data(body)
    with pytest.raises(ClerkAPIError, match="unexpected_answer"):
        list(clerk_api.iter_users())


def test_nobody_listening_is_an_error_that_names_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ClerkAPIError, match=r"gave no answer.*CLERK_API_URL") as caught:
        ClerkAPI(SECRET, base_url=address, patience=0.2).count()
    assert caught.value.status is None


def test_an_answer_that_breaks_off_is_tried_again_and_then_an_error(raw_server: RawServer) -> None:
    raw_server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1, 2"
    with pytest.raises(ClerkAPIError, match="answer_cut_off"):
        list(ClerkAPI(SECRET, base_url=raw_server.address, timeout=5).iter_users())
    assert raw_server.served == 3


@pytest.mark.parametrize("key", ["", "sk test", "sk_test\n", "sk_tést", "sk\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="CLERK_SECRET_KEY") as caught:
        ClerkAPI(key)
    assert not key or key not in str(caught.value)
