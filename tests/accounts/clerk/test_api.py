"""Answers of the Backend API over real HTTP: pages of users, one user, the count, the public keys."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from accounts.clerk.api import API_VERSION, ClerkAPI, ClerkAPIError
from accounts.clerk.outgoing import USER_AGENT
from tests.accounts.clerk.api_server import SECRET, RawServer, json_response, raw_answer

NOT_FOUND = {"errors": [{"code": "resource_not_found", "message": "not found"}], "clerk_trace_id": "trace1"}


def make_users(start: int, count: int) -> list[dict[str, Any]]:
    return [{"id": f"user_{number:06d}"} for number in range(start, start + count)]


def serve_pages(httpserver: HTTPServer, users: list[dict[str, Any]], *, refused: str = "") -> None:
    """Serve pages by cursor and by offset as Clerk does, and 422 for the cursor `refused`."""

    def answer(request: Request) -> Response:
        after, offset = request.args.get("starting_after"), int(request.args.get("offset", "0"))
        if after and after == refused:
            return json_response({"errors": [{"code": "form_param_invalid"}]}, status=422)
        start = offset
        if after:
            start = next(n for n, user in enumerate(users) if user["id"] == after) + 1
        return json_response(users[start : start + int(request.args["limit"])])

    httpserver.expect_request("/v1/users").respond_with_handler(answer)


@pytest.mark.parametrize(("total", "calls"), [(0, 1), (3, 1), (500, 2), (1001, 3)])
def test_every_user_comes_once_in_pages_of_500(
    httpserver: HTTPServer, clerk_api: ClerkAPI, total: int, calls: int
) -> None:
    serve_pages(httpserver, make_users(0, total))
    pages = list(clerk_api.iter_users())
    assert [user for page in pages for user in page.users] == make_users(0, total)
    assert len(httpserver.log) == calls


def test_request_has_key_version_order_and_limit(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    serve_pages(httpserver, make_users(0, 1))
    list(clerk_api.iter_users())
    request = httpserver.log[0][0]
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Clerk-API-Version"] == API_VERSION
    assert request.query_string == b"limit=500&order_by=%2Bcreated_at"


def test_pages_start_after_the_given_cursor(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    serve_pages(httpserver, make_users(0, 700))
    pages = list(clerk_api.iter_users(starting_after="user_000649"))
    assert [user for page in pages for user in page.users] == make_users(650, 50)


@pytest.mark.parametrize("refused", ["user_000499", "user_000999"])
def test_refused_cursor_is_replaced_by_overlapping_offsets(
    httpserver: HTTPServer, clerk_api: ClerkAPI, refused: str
) -> None:
    serve_pages(httpserver, make_users(0, 1700), refused=refused)
    ids = [user["id"] for page in clerk_api.iter_users() for user in page.users]
    assert sorted(set(ids)) == [user["id"] for user in make_users(0, 1700)]
    assert len(ids) > 1700


def test_refused_cursor_of_an_earlier_run_restarts_at_the_first_page(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    serve_pages(httpserver, make_users(0, 30), refused="user_deleted")
    ids = [user["id"] for page in clerk_api.iter_users(starting_after="user_deleted") for user in page.users]
    assert ids == [user["id"] for user in make_users(0, 30)]


def test_repeated_page_is_an_error(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    httpserver.expect_request("/v1/users").respond_with_json(make_users(0, 500))
    with pytest.raises(ClerkAPIError, match="pages_do_not_advance"):
        list(clerk_api.iter_users())
    assert len(httpserver.log) == 2


def test_full_page_without_ids_is_an_error(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    httpserver.expect_request("/v1/users").respond_with_json([{"id": 7}, None] * 250)
    with pytest.raises(ClerkAPIError, match="pages_do_not_advance"):
        list(clerk_api.iter_users())


def test_malformed_entries_stay_in_the_page_and_the_cursor_skips_them(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    httpserver.expect_request("/v1/users").respond_with_json([{"id": "user_a"}, "junk", {"id": None}])
    (page,) = clerk_api.iter_users()
    assert page.users == [{"id": "user_a"}, "junk", {"id": None}]
    assert page.cursor == "user_a"


def test_page_has_the_time_of_its_answer(raw_server: RawServer, raw_api: ClerkAPI) -> None:
    raw_server.answers = [raw_answer(b"[]", headers=b"Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n")]
    (page,) = raw_api.iter_users()
    assert page.answered_at == 1795255200000


@pytest.mark.parametrize("header", [b"", b"Date: yesterday\r\n", b"Date: Sat, 99 Nov 2026 10:00:00 GMT\r\n"])
def test_malformed_date_is_no_time(raw_server: RawServer, raw_api: ClerkAPI, header: bytes) -> None:
    raw_server.answers = [raw_answer(b"[]", headers=header)]
    (page,) = raw_api.iter_users()
    assert page.answered_at is None


def test_every_request_has_our_user_agent(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_json({"total_count": 5})
    clerk_api.count()
    assert [request.headers["User-Agent"] for request, _ in httpserver.log] == [USER_AGENT]


def test_user_is_returned_as_clerk_sent_it(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    httpserver.expect_request("/v1/users/user_a").respond_with_json({"id": "user_a", "banned": False})
    assert clerk_api.find_user("user_a").user == {"id": "user_a", "banned": False}


def test_user_that_is_not_in_clerk_is_none_with_the_time_of_the_answer(
    httpserver: HTTPServer, clerk_api: ClerkAPI
) -> None:
    httpserver.expect_request("/v1/users/user_a").respond_with_json(NOT_FOUND, status=404)
    answer = clerk_api.find_user("user_a")
    assert answer.user is None
    assert answer.answered_at is not None


@pytest.mark.parametrize(
    "body", ["<h1>Not Found</h1>", "{}", '{"errors": []}', '{"errors": [{"code": "url_wrong"}]}', "["]
)
def test_404_that_is_not_clerks_own_is_an_error(
    httpserver: HTTPServer, clerk_api: ClerkAPI, body: str
) -> None:
    httpserver.expect_request("/v1/users/user_a").respond_with_data(body, status=404)
    with pytest.raises(ClerkAPIError):
        clerk_api.find_user("user_a")


@pytest.mark.parametrize("clerk_id", ["", ".", ".."])
def test_id_that_would_be_another_address_is_no_user(
    httpserver: HTTPServer, clerk_api: ClerkAPI, clerk_id: str
) -> None:
    assert clerk_api.find_user(clerk_id).user is None
    assert not httpserver.log


def test_slashes_of_an_id_are_escaped(httpserver: HTTPServer, clerk_api: ClerkAPI) -> None:
    with pytest.raises(ClerkAPIError):
        clerk_api.find_user("../jwks?x=1")
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
def test_answer_that_is_not_the_user_is_an_error(
    httpserver: HTTPServer, clerk_api: ClerkAPI, body: str, code: str
) -> None:
    httpserver.expect_request("/v1/users/user_a").respond_with_data(body)
    with pytest.raises(ClerkAPIError, match=code):
        clerk_api.find_user("user_a")


@pytest.mark.parametrize("body", ["[]", '{"total_count": true}', '{"total_count": "5"}'])
def test_malformed_count_is_an_error(httpserver: HTTPServer, clerk_api: ClerkAPI, body: str) -> None:
    httpserver.expect_request("/v1/users/count").respond_with_data(body)
    with pytest.raises(ClerkAPIError, match="unexpected_answer"):
        clerk_api.count()


@pytest.mark.parametrize("body", ['{"data": []}', "null"])
def test_page_that_is_no_list_is_an_error(httpserver: HTTPServer, clerk_api: ClerkAPI, body: str) -> None:
    httpserver.expect_request("/v1/users").respond_with_data(body)
    with pytest.raises(ClerkAPIError, match="unexpected_answer"):
        list(clerk_api.iter_users())


@pytest.mark.parametrize("body", ["[]", '{"keys": null}', '{"keys": {}}'])
def test_jwks_without_a_list_of_keys_is_an_error(
    httpserver: HTTPServer, clerk_api: ClerkAPI, body: str
) -> None:
    httpserver.expect_request("/v1/jwks").respond_with_data(body)
    with pytest.raises(ClerkAPIError, match="unexpected_answer"):
        clerk_api.get_jwks()
