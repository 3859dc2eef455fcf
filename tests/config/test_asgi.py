"""`config.asgi:application` under a real uvicorn: checks, keys, HEALTH_PORT, and what it refuses."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.config.test_startup import probe, running, variables, wait_until
from tests.config.test_wsgi import get_when_ready
from tests.ports import free_port

__all__ = ["variables"]  # a fixture


def uvicorn(*options: str) -> list[str]:
    return ["-m", "uvicorn", "config.asgi:application", "--no-access-log", *options]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_workers_start_without_a_request(variables: dict[str, str], tmp_path: Path, workers: str) -> None:
    command = uvicorn(f"--port={free_port()}", f"--workers={workers}")
    with running(*command, variables=variables, log=tmp_path / "log"):
        # No request is sent to the main port.
        wait_until(lambda: {probe(variables) for _ in range(20)} == {200})
        assert probe(variables, "/health/live") == 200
    assert probe(variables) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_server_without_a_lifespan_starts_at_its_first_request(
    variables: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    command = uvicorn(f"--port={port}", "--lifespan=off")
    with running(*command, variables=variables, log=tmp_path / "log"):
        log = tmp_path / "log"
        wait_until(lambda: "Uvicorn running" in log.read_text())
        assert probe(variables, "/health/live") == 0
        get_when_ready(f"http://127.0.0.1:{port}/health/live")
        wait_until(lambda: probe(variables) == 200)


def test_a_gunicorn_worker_for_asgi_starts_without_a_request(
    variables: dict[str, str], tmp_path: Path
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    command = ["-m", "gunicorn", "--no-control-socket", "-b", bind, "--worker-class=asgi", "--preload"]
    with running(*command, "config.asgi:application", variables=variables, log=tmp_path / "log"):
        wait_until(lambda: {probe(variables) for _ in range(20)} == {200})
        assert requests.get(f"http://{bind}/api/v1/me", timeout=10).status_code == 401


def test_malformed_settings_end_the_server_and_are_named(variables: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    wrong = variables | {"DJANGO_HTTPS": "perhaps"}
    with running(*uvicorn(f"--port={free_port()}"), variables=wrong, log=log) as server:
        assert server.wait(timeout=60) == 3
    assert "DJANGO_HTTPS must be true or false." in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_taken_port_ends_the_server_with_a_sentence(variables: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = variables | {"HEALTH_PORT": str(other.getsockname()[1])}
        with running(*uvicorn(f"--port={free_port()}"), variables=taken, log=log) as server:
            assert server.wait(timeout=60) == 3
    assert re.search(r"HEALTH_PORT: port \d+ cannot be used \(.+\)\. Stop the program", log.read_text())
    assert "Traceback" not in log.read_text()


def test_what_django_cannot_read_reaches_the_application(variables: dict[str, str], tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with running(*uvicorn(f"--port={port}"), variables=variables, log=log):
        response = get_when_ready(
            f"http://127.0.0.1:{port}/api/nothing?search=canary",
            headers={"Content-Type": "text/plain; x*=bogus''%41"},
        )
        with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{port}/ws"):
            pass

    assert response.status_code == 404
    assert response.json()["errors"][0]["code"] == "not_found"
    assert "X-Request-ID" in response.headers
    assert refused.value.response.status_code == 403
    assert "canary" not in log.read_text()
    assert "Traceback" not in log.read_text()


@pytest.mark.postgresql
@pytest.mark.parametrize(("query", "count"), [("", 1), ("?pool=true", 0)])
def test_a_database_without_a_pool_is_a_warning(
    variables: dict[str, str], tmp_path: Path, query: str, count: int
) -> None:
    log = tmp_path / "log"
    database = {"DATABASE_URL": f"postgres://user@127.0.0.1:{free_port()}/app{query}"}
    with running(*uvicorn(f"--port={free_port()}"), variables=variables | database, log=log):
        wait_until(lambda: "Uvicorn running" in log.read_text())
    assert log.read_text().count("(config.W001)") == count
