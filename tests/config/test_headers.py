"""Headers that cannot be read, before the WSGI application: they count as not sent."""

from __future__ import annotations

from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from django.core.handlers.wsgi import WSGIHandler
from werkzeug.test import Client

from config.headers import readable

# The server side ends each request by itself, and with it what waits in a transaction.
pytestmark = pytest.mark.django_db(transaction=True)
SITE = "http://testserver"
QUERY = "?a=1&b=="


@pytest.fixture
def client() -> Client:
    """Ask the application as a server does."""
    return Client(readable(WSGIHandler()), use_cookies=False)


@pytest.mark.parametrize(
    "header",
    [
        "text/plain; x*=bogus''%41",
        "text/plain; charset*=utf-8''%00",
        "text/plain; charset=base64",
        "text/plain; charset=undefined",
        "text/plain; charset=punycode",
        "text/plain; charset=nobody-knows",
    ],
)
def test_a_content_type_that_cannot_be_read_changes_no_answer(client: Client, header: str) -> None:
    for path, status in {"/api/v1/me": 401, "/api/nothing": 404, "/admin/login/": 200}.items():
        response = client.get(path + QUERY, SITE, headers={"Content-Type": header, "X-Request-ID": "kept"})

        assert response.status_code == status
        assert response.headers["X-Request-ID"] == "kept"


@pytest.mark.parametrize("path", ["/admin/", "/api/docs", "/api/schema"])
def test_a_cookie_that_spells_a_nul_is_nobody_s_session(client: Client, path: str) -> None:
    stranger = client.get(path, SITE)

    response = client.get(path, SITE, headers={"Cookie": 'sessionid="abc\\000defghijk"'})

    assert response.status_code == stranger.status_code < 500
    assert response.headers.get("Location") == stranger.headers.get("Location")


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
def test_what_can_be_read_arrives_as_it_was_sent(name: str, value: str) -> None:
    def echo(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [environ[name].encode()]

    assert Client(readable(echo), use_cookies=False).get("/", environ_overrides={name: value}).text == value
