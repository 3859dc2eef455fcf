"""The probes' own listener: its answers, and clients that try to hold it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from api.middleware import choose_request_id
from health.listener import HEAD_SECONDS, MAX_CONNECTIONS, MAX_HEAD_BYTES, Listener, PortTaken
from health.models import SyncFailure
from health.recorder import PAUSE_SECONDS, recorder
from tests.clock import Clock
from tests.health.conftest import Away
from tests.health.test_probes import silent_server
from tests.waiting import wait_until

TOKEN = "a token of the monitoring"
STATUSES = {"/health/live": 200, "/health/ready": 200, "/metrics": 200, "/health/sync": 404, "/": 404}
Get = Callable[..., requests.Response]


@pytest.fixture
def port(transactional_db: None, settings: Settings) -> Iterator[int]:
    """Open a listener on a free port."""
    settings.HEALTH_TOKEN = TOKEN
    listener = Listener(0, choose_request_id=choose_request_id)
    listener.start()
    yield listener.port
    listener.close()


@pytest.fixture
def get(port: int) -> Get:
    def send(path: str, method: str = "GET", **how: object) -> requests.Response:
        return requests.request(method, f"http://127.0.0.1:{port}{path}", timeout=5, **how)  # type: ignore[arg-type]

    return send


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", STATUSES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_each_answer_has_the_headers_of_the_main_port(get: Get, path: str, method: str) -> None:
    response = get(path, method, headers=bearer(TOKEN) | {"X-Request-ID": "probe-1"})
    assert response.status_code == STATUSES[path]
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Vary"] == "Authorization"
    assert response.headers["X-Request-ID"] == "probe-1"
    assert response.headers["Connection"] == "close"
    if method == "HEAD":
        assert response.content == b""


def test_live_and_ready_answer_ok(get: Get) -> None:
    assert get("/health/live?from=kubelet").json() == {"status": "ok"}
    assert get("/health/ready").json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(get: Get, path: str, method: str) -> None:
    response = get(path, method, headers=bearer(TOKEN), data=b"x" * 5000)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "headers", [{}, bearer("wrong"), bearer(""), {"Authorization": TOKEN}, {"Cookie": "sessionid=any"}]
)
def test_metrics_take_the_health_token_alone(get: Get, headers: dict[str, str]) -> None:
    response = get("/metrics", headers=headers)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "clerk_" not in response.text
    assert "clerk_authentications" in get("/metrics", headers=bearer(TOKEN)).text


def test_without_a_health_token_no_client_gets_the_metrics(get: Get, settings: Settings) -> None:
    settings.HEALTH_TOKEN = ""
    assert get("/metrics", headers=bearer("")).status_code == 401


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /health/live\r\n\r\n", 400),
        (b"GET health/live HTTP/1.1\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /health/l\xffve HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"x" * 2 * MAX_HEAD_BYTES, 431),
        (b"GET /health/live HTTP/1.1\r\nX: " + b"x" * 2 * MAX_HEAD_BYTES, 431),
        (b"GET /health/live HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_a_head_that_cannot_be_read_is_refused(port: int, head: bytes, status: int) -> None:
    with connect(port) as client:
        client.sendall(head)
        assert receive_all(client).startswith(b"HTTP/1.1 %d " % status)


@contextmanager
def connect(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        yield client


def receive_all(client: socket.socket) -> bytes:
    received = b""
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionResetError:  # the listener has not read everything that was sent
        pass
    return received


def test_slow_clients_are_dropped_and_further_connections_are_closed(port: int, get: Get) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(port)) for _ in range(MAX_CONNECTIONS)]
        begin = time.monotonic()
        wait_until(lambda: count_probe_threads() == MAX_CONNECTIONS)
        with connect(port) as further:
            assert receive_all(further) == b""
        assert time.monotonic() - begin < HEAD_SECONDS

        # Each byte would renew the timeout of a socket.
        while count_probe_threads():
            assert time.monotonic() - begin < HEAD_SECONDS + 1
            for client in slow:
                with suppress(OSError):  # it is closed already
                    client.send(b"G")
            time.sleep(0.1)
        assert get("/health/live").status_code == 200


def count_probe_threads() -> int:
    return sum(thread.name == "health-probe" for thread in threading.enumerate())


@pytest.mark.postgresql
def test_live_answers_at_once_while_readiness_waits_for_the_database(get: Get, away: Away) -> None:
    with away(), silent_server() as port, ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
        connection.settings_dict["PORT"] = str(port)
        begin = time.monotonic()
        waiting = [pool.submit(get, "/health/ready") for _ in range(MAX_CONNECTIONS - 1)]
        time.sleep(0.2)
        asked = time.monotonic()
        assert get("/health/live").status_code == 200
        assert time.monotonic() - asked < 0.5
        assert {each.result(5).json()["status"] for each in waiting} == {"database_unavailable"}
        assert time.monotonic() - begin < 1.5


@pytest.mark.postgresql
def test_pending_failures_are_written_after_a_good_probe(get: Get, away: Away, recorder_clock: Clock) -> None:
    with away():
        recorder.record(clerk_id=None, source="request", reason="database_error", at=timezone.now())
        assert get("/health/ready").status_code == 503
    recorder_clock.now += PAUSE_SECONDS
    assert get("/health/ready").status_code == 200
    wait_until(SyncFailure.objects.exists)


def test_a_port_of_another_program_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"HEALTH_PORT: port {port} cannot be used"):
            Listener(port, choose_request_id=choose_request_id)


def test_workers_share_the_port_and_each_is_reached() -> None:
    first = Listener(0, choose_request_id=lambda _: "first")
    second = Listener(first.port, choose_request_id=lambda _: "second")
    first.start()
    second.start()
    try:
        address = f"http://127.0.0.1:{first.port}/health/live"
        seen = {requests.get(address, timeout=5).headers["X-Request-ID"] for _ in range(60)}
    finally:
        first.close()
        second.close()
    assert seen == {"first", "second"}


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_it_answers_on_ipv6_too(port: int) -> None:
    try:
        client = socket.create_connection(("::1", port), timeout=5)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    with client:
        client.sendall(b"GET /health/live HTTP/1.1\r\n\r\n")
        assert b'{"status": "ok"}' in receive_all(client)


def test_a_connection_leaves_no_file_descriptor(get: Get) -> None:
    before = count_descriptors(get)
    for _ in range(50):
        assert get("/health/live").status_code == 200
    assert count_descriptors(get) <= before + 1


def count_descriptors(get: Get) -> int:
    """Return how many are open when no connection is served."""
    get("/health/live")
    wait_until(lambda: count_probe_threads() == 0)
    return sum(1 for _ in Path("/dev/fd").iterdir())
