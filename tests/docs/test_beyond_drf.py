"""The code of docs/beyond-drf.md under uvicorn, with the real libraries, over HTTP and WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from config.database import POOL_MAX_SIZE
from tests.docs.documents import ROOT, blocks
from tests.postgres import ThrowawayPostgres
from tests.proof.environment import clerk_instance
from tests.proof.rows import query
from tests.proof.site import Site, database

pytestmark = pytest.mark.postgresql
DOCUMENT = ROOT / "docs/beyond-drf.md"
# The file of each block; two of them are one file.
FILES = (
    *("clerk_views.py", "views.py", "ninja_api.py", "clerk_consumers.py"),
    *("greetings.py", "greetings.py", "routing.py", "events.py"),
)
SETTINGS = """
from config.settings import *
ROOT_URLCONF = "recipe_urls"
"""
URLS = """
from django.urls import path
from config.urls import *
from config.urls import urlpatterns as ours
from events import events
from ninja_api import api
from views import async_greeting, greeting

urlpatterns = [
    path("greeting", greeting),
    path("async-greeting", async_greeting),
    path("events", events),
    path("ninja/", api.urls),
    *ours,
]
"""
VIEWS = ("/greeting", "/async-greeting", "/ninja/greeting", "/ninja/async-greeting")
SOCKETS = ("/ws/greetings", "/ws/subprotocol")


@pytest.fixture(scope="module")
def server() -> Iterator[ThrowawayPostgres]:
    with database() as server:
        yield server


@pytest.fixture(scope="module")
def site(server: ThrowawayPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve the recipes beside the project."""
    folder = tmp_path_factory.mktemp("recipes")
    code = blocks(DOCUMENT, language="python")
    assert len(code) == len(FILES)
    for name, block in zip(FILES, code, strict=True):
        with (folder / name).open("a") as file:
            file.write(f"\n\n{block.text}")
    (folder / "recipe_settings.py").write_text(SETTINGS)
    (folder / "recipe_urls.py").write_text(URLS)
    with (
        clerk_instance() as clerk,
        Site(
            clerk,
            database=server.url,
            workers=1,
            asgi="routing:application",
            DJANGO_SETTINGS_MODULE="recipe_settings",
            PYTHONPATH=str(folder),
        ) as site,
    ):
        yield site


@contextmanager
def socket(site: Site, path: str, token: str) -> Iterator[ClientConnection]:
    """Open a WebSocket and present the token in the way of this address."""
    url = site.url.replace("http", "ws") + path
    by_subprotocol = path == "/ws/subprotocol"
    subprotocols = [Subprotocol("clerk"), Subprotocol(token)] if by_subprotocol else None
    with connect(url, subprotocols=subprotocols) as connection:
        if not by_subprotocol:
            connection.send(f"Bearer {token}")
        yield connection


def closed(connection: ClientConnection) -> tuple[int, str]:
    """Wait until the server closes the WebSocket; return its code and reason."""
    with pytest.raises(ConnectionClosed) as caught:
        connection.recv(timeout=10)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def greet(connection: ClientConnection) -> Any:
    connection.send("hello")
    return json.loads(connection.recv(timeout=10))


def get(site: Site, path: str, token: str | None = None) -> Any:
    return site.get(path, headers={"Authorization": f"Bearer {token}"} if token is not None else {})


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_has_the_user_and_the_session(site: Site, server: ThrowawayPostgres, path: str) -> None:
    response = get(site, path, site.mint("ada"))

    assert response.status_code == 200, site.log.read_text()
    assert response.json()["hello"] == "Ada"
    assert response.json()["session"].startswith("sess_")
    assert query(server.url, "SELECT count(*) FROM accounts_user WHERE first_name = 'Ada'") == [(1,)]


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_refuses_a_wrong_token_with_its_code(site: Site, path: str) -> None:
    response = get(site, path, site.mint("ada", fault="expired", expires=60))

    assert (response.status_code, response.json()["code"]) == (401, "token_expired")
    if "ninja" not in path:
        assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_refuses_a_request_without_a_token(site: Site, path: str) -> None:
    assert get(site, path).status_code == 401


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_refuses_a_blocked_user(site: Site, server: ThrowawayPostgres, path: str) -> None:
    token = site.mint("grace")
    assert get(site, path, token).status_code == 200
    query(server.url, "UPDATE accounts_user SET is_active = false WHERE first_name = 'Grace' RETURNING 1")
    try:
        response = get(site, path, token)
    finally:
        query(server.url, "UPDATE accounts_user SET is_active = true RETURNING 1")

    assert (response.status_code, response.json()["code"]) == (403, "user_inactive")


def test_a_post_needs_no_csrf_token(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.mint('ada')}"}

    assert [site._send("POST", path, headers=headers).status_code for path in VIEWS[:2]] == [200, 200]


def test_a_stream_of_events_ends_with_its_token(site: Site) -> None:
    response = get(site, "/events", site.mint("ada", expires=2))

    assert response.status_code == 200
    assert response.text == "data: Ada\n\n" * response.text.count("data") != ""
    assert get(site, "/events").status_code == 401


def test_streams_keep_no_connection_of_the_pool(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.mint('ada')}"}
    lines = []  # a stream ends with its iterator
    with ExitStack() as streams:
        for _ in range(POOL_MAX_SIZE + 2):
            stream = requests.get(f"{site.url}/events", headers=headers, stream=True, timeout=30)
            streams.enter_context(stream)
            lines.append(stream.iter_lines())
            assert next(lines[-1]) == b"data: Ada"
        assert get(site, "/greeting", site.mint("ada")).status_code == 200


@pytest.mark.parametrize("path", SOCKETS)
def test_a_websocket_has_the_user_and_the_session(site: Site, path: str) -> None:
    with socket(site, path, site.mint("ada")) as connection:
        assert greet(connection)["hello"] == "Ada"
        assert greet(connection)["session"].startswith("sess_")
        assert connection.subprotocol == ("clerk" if path == "/ws/subprotocol" else None)


@pytest.mark.parametrize("path", SOCKETS)
def test_a_websocket_closes_with_the_code_of_the_refusal(site: Site, path: str) -> None:
    with socket(site, path, site.mint("ada", fault="expired", expires=60)) as connection:
        assert closed(connection) == (4401, "token_expired")


def test_a_websocket_closes_for_a_message_before_the_token(site: Site) -> None:
    with connect(site.url.replace("http", "ws") + "/ws/greetings") as connection:
        for _ in range(3):
            connection.send("hello")
        assert closed(connection) == (4401, "token_expired")
    assert "Traceback" not in site.log.read_text()


def test_a_websocket_lives_until_its_last_token_expires(site: Site) -> None:
    with socket(site, "/ws/greetings", site.mint("ada", expires=1)) as connection:
        greet(connection)
        connection.send(f"Bearer {site.mint('ada', expires=3)}")
        greet(connection)
        with pytest.raises(TimeoutError):
            connection.recv(timeout=1.5)
        assert greet(connection)["hello"] == "Ada"
        with pytest.raises(TimeoutError):
            connection.recv(timeout=2)
        connection.send("hello")
        assert closed(connection) == (4401, "token_expired")


def test_a_websocket_keeps_its_user(site: Site) -> None:
    with socket(site, "/ws/greetings", site.mint("ada")) as connection:
        greet(connection)
        connection.send(f"Bearer {site.mint('grace')}")
        assert closed(connection) == (4403, "another_user")


def test_an_unavailable_database_is_503_everywhere(site: Site, server: ThrowawayPostgres) -> None:
    token = site.mint("ada")
    server.stop()
    try:
        responses = [get(site, path, token) for path in VIEWS]
        with socket(site, "/ws/greetings", token) as connection:
            ended = closed(connection)
    finally:
        server.start()

    assert {(each.status_code, each.json()["code"]) for each in responses} == {(503, "sync_unavailable")}
    assert {each.headers["Retry-After"] for each in responses} == {"5"}
    assert ended == (4503, "sync_unavailable")


def test_no_token_is_logged(site: Site) -> None:
    tokens = [site.mint("ada") for _ in range(2)]
    for path, token in zip(SOCKETS, tokens, strict=True):
        with socket(site, path, token) as connection:
            greet(connection)
    log = site.log.read_text()
    assert "/ws/subprotocol" in log
    assert [token for token in tokens if token.split(".")[1] in log] == []
