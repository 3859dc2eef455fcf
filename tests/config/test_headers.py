"""Unreadable headers are removed before the WSGI application, and before the ASGI application."""

from __future__ import annotations

import asyncio
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from django.core.handlers.wsgi import WSGIHandler
from werkzeug.test import Client

from config.headers import Receive, Scope, Send, readable, readable_asgi

# The handler closes the database connection after each request, and its transaction with it.
pytestmark = pytest.mark.django_db(transaction=True)
SITE = "http://testserver"
QUERY = "?a=1&b=="
UNREADABLE = [
    "text/plain; x*=bogus''%41",
    "text/plain; charset*=utf-8''%00",
    "text/plain; charset=base64",
    "text/plain; charset=undefined",
    "text/plain; charset=punycode",
    "text/plain; charset=unknown",
]


@pytest.fixture
def client() -> Client:
    """Return a client that calls the application as a server does."""
    return Client(readable(WSGIHandler()), use_cookies=False)


@pytest.mark.parametrize("header", UNREADABLE)
def test_an_unreadable_content_type_changes_no_answer(client: Client, header: str) -> None:
    for path, status in {"/api/v1/me": 401, "/api/nothing": 404, "/admin/login/": 200}.items():
        response = client.get(path + QUERY, SITE, headers={"Content-Type": header, "X-Request-ID": "kept"})

        assert response.status_code == status
        assert response.headers["X-Request-ID"] == "kept"


@pytest.mark.parametrize("path", ["/admin/", "/api/docs", "/api/schema"])
def test_a_cookie_with_a_nul_is_no_session(client: Client, path: str) -> None:
    anonymous = client.get(path, SITE)

    response = client.get(path, SITE, headers={"Cookie": 'sessionid="abc\\000defghijk"'})

    assert response.status_code == anonymous.status_code < 500
    assert response.headers.get("Location") == anonymous.headers.get("Location")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONTENT_TYPE", "application/json"),
        ("CONTENT_TYPE", "application/json; charset=UTF-8"),
        ("CONTENT_TYPE", 'text/plain; charset="latin-1"'),
        ("CONTENT_TYPE", "multipart/form-data; boundary=x'y"),
        ("HTTP_COOKIE", "sessionid=abc; theme=dark"),
        ("HTTP_COOKIE", r'name="a\054 b"; csrftoken=x'),
    ],
)
def test_readable_headers_are_unchanged(name: str, value: str) -> None:
    def echo(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [environ[name].encode()]

    assert Client(readable(echo), use_cookies=False).get("/", environ_overrides={name: value}).text == value


def passed_on(*headers: tuple[str, str]) -> list[tuple[str, str]]:
    """Return the headers that an ASGI application receives of these."""
    received: list[tuple[bytes, bytes]] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        received.extend(scope["headers"])

    async def call(scope: Scope) -> None:
        await readable_asgi(application)(scope, never, never)

    async def never(*_: object) -> Any:
        raise AssertionError

    asyncio.run(call({"type": "http", "headers": [(k.encode(), v.encode()) for k, v in headers]}))
    return [(name.decode(), value.decode()) for name, value in received]


@pytest.mark.parametrize(
    "unreadable",
    [
        *([("content-type", header)] for header in UNREADABLE),
        [("content-type", "text/plain; x*=utf-8"), ("content-type", "bogus''%41")],
        [("cookie", 'sessionid="abc\\000defghijk"')],
        # Django 5 joins these by a comma, Django 6 by a semicolon.
        [("cookie", 'a="x'), ("cookie", '\\000"')],
        [("cookie", "a=x"), ("cookie", 'b="\\000"')],
    ],
    ids=str,
)
def test_an_asgi_application_gets_no_unreadable_header(unreadable: list[tuple[str, str]]) -> None:
    others = [("host", "testserver"), ("x-request-id", "kept")]

    assert passed_on(others[0], *unreadable, others[1]) == others


def test_an_asgi_application_gets_readable_headers_unchanged() -> None:
    headers = [
        ("content-type", 'text/plain; charset="latin-1"'),
        ("cookie", "sessionid=abc; theme=dark"),
        ("cookie", r'name="a\054 b"'),
        ("accept", r"\000"),
    ]

    assert passed_on(*headers) == headers
