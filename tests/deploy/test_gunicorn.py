"""gunicorn as the image starts it: requests in flight, the health command and the metric files."""

from __future__ import annotations

import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import requests

from tests.deploy.conftest import Serve, Site, wait_until
from tests.deploy.context import ROOT
from tests.deploy.test_image import health_command
from tests.ports import free_port
from tests.postgres import ThrowawayPostgres

pytestmark = pytest.mark.postgresql


def test_a_request_in_flight_is_answered_after_sigterm(
    serve: Serve, postgres_server: ThrowawayPostgres, sign_in: Callable[[str], dict[str, str]]
) -> None:
    site = serve(postgres_server.url)
    with ThreadPoolExecutor() as pool, psycopg.connect(postgres_server.url) as blocker:
        blocker.execute("LOCK TABLE accounts_user IN ACCESS EXCLUSIVE MODE")
        answer = pool.submit(site.status, "/api/v1/me", headers=sign_in("user_a"))
        wait_until(lambda: has_lock_waiter(postgres_server))

        site.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Handling signal: term" in site.log.read_text())
        time.sleep(1)
        assert not answer.done()
        assert site.process.poll() is None
        blocker.rollback()

        assert answer.result(timeout=10) == 200
    assert site.process.wait(timeout=10) == 0


def test_it_listens_on_ipv4_and_ipv6(tmp_path: Path) -> None:
    bind = runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))["bind"]
    port = free_port()
    command = ["gunicorn", "--no-control-socket", "--bind", bind.replace(":8000", f":{port}")]
    with subprocess.Popen(
        [sys.executable, "-m", *command, "wsgiref.simple_server:demo_app"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            for host in ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
                site = Site(server, f"http://{host}:{port}", 0, tmp_path / "log")
                wait_until(lambda site=site: site.status("/") == 200)  # type: ignore[misc]
        finally:
            server.terminate()


def has_lock_waiter(server: ThrowawayPostgres) -> bool:
    """Return whether a session waits for a lock."""
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone()
    return row is not None


def test_the_health_command_reports_liveness(serve: Serve, postgres_server: ThrowawayPostgres) -> None:
    site = serve(postgres_server.url)
    command = health_command(site.health_port)

    assert subprocess.run(command, check=False).returncode == 0
    postgres_server.stop()
    assert subprocess.run(command, check=False).returncode == 0
    site.process.terminate()
    site.process.wait(timeout=30)
    assert subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode != 0


def test_the_metric_files_of_the_last_start_are_deleted(
    serve: Serve, postgres_server: ThrowawayPostgres, tmp_path: Path
) -> None:
    (tmp_path / "series").mkdir()
    last = tmp_path / "series" / "counter_1.db"
    last.touch()

    serve(postgres_server.url)

    assert not last.exists()
    assert list((tmp_path / "series").glob("*.db"))


def test_live_answers_on_its_port_while_every_thread_waits(
    serve: Serve, postgres_server: ThrowawayPostgres, sign_in: Callable[[str], dict[str, str]]
) -> None:
    site = serve(postgres_server.url)
    with ThreadPoolExecutor(20) as pool, psycopg.connect(postgres_server.url) as blocker:
        blocker.execute("LOCK TABLE accounts_user IN ACCESS EXCLUSIVE MODE")
        answers = [pool.submit(site.status, "/api/v1/me", headers=sign_in("user_a")) for _ in range(20)]
        wait_until(lambda: has_lock_waiter(postgres_server))
        for _ in range(20):
            began = time.monotonic()
            answer = requests.get(f"http://127.0.0.1:{site.health_port}/health/live", timeout=5)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
            assert time.monotonic() - began < 0.5  # on a busy machine; the proof measures 0.1 s
        began = time.monotonic()
        assert requests.get(f"http://127.0.0.1:{site.health_port}/health/ready", timeout=5).status_code == 200
        assert time.monotonic() - began < 1.5
        blocker.rollback()
        assert {answer.result(timeout=30) for answer in answers} <= {200, 503}
