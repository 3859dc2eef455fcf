"""Probes on HEALTH_PORT while every thread waits, and the keys of workers that were forked."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import psycopg
import requests

from tests.ports import free_port
from tests.proof.environment import clerk_instance
from tests.proof.site import Site, database, emulator_settings, wait_until

THREADS = "--worker-class=gthread --threads=8"
ASKERS = 20
LIVE_SECONDS, READY_SECONDS, SYNC_SECONDS = 0.1, 1.5, 1.5
# For the client and the way to it, on a machine of two cores that runs all of this.
OVERHEAD_SECONDS = 0.5
KEYS_SECONDS = 15.0


def a_locked_ledger_stops_no_probe_and_no_user(*, seed: int) -> Mapping[str, object]:
    """With the ledger locked and twenty askers for the sync report: probes and users are answered."""
    return lock_ledger(seconds=10)


def lock_ledger(*, seconds: float, max_late: int = 1) -> Mapping[str, object]:
    """Lock the ledger for this time, before and after a first report is kept.

    `max_late` is how many liveness probes may take longer than `LIVE_SECONDS`: a busy machine delays some.
    """
    port = free_port()
    figures: dict[str, object] = {}
    variables = {"GUNICORN_CMD_ARGS": THREADS, "HEALTH_PORT": str(port)}
    with (
        clerk_instance() as clerk,
        database() as db,
        Site(clerk, database=db.url, workers=2, **variables) as site,
    ):
        token = site.mint(clerk.person("ada"))
        for _ in range(10):  # both workers
            assert site.me(token).status_code == 200
        # The build of a report ends after six seconds, when the lock still lasts.
        for name, expected in (
            ("without a report", {"unknown", "degraded"}),
            ("with a report", {"ok", "degraded"}),
        ):
            with psycopg.connect(db.url) as other, ThreadPoolExecutor(ASKERS) as pool:
                other.execute("LOCK TABLE webhooks_webhookevent IN ACCESS EXCLUSIVE MODE")
                end = time.monotonic() + seconds
                askers = [pool.submit(_ask_until, site, end) for _ in range(ASKERS)]
                waits = _probe_until(site, token, end=end, port=port)
                answers = [answer for asker in askers for answer in asker.result()]
                other.rollback()
            slowest = {path: max(found) for path, found in waits.items()}
            late = sum(wait > LIVE_SECONDS for wait in waits["live"])
            statuses = Counter(status for status, _ in answers)
            assert statuses.keys() <= expected, statuses
            assert late <= max_late, sorted(waits["live"])
            assert slowest["live"] <= 1, slowest
            assert slowest["ready"] <= READY_SECONDS, slowest
            assert slowest["me"] <= 2, slowest
            assert max(wait for _, wait in answers) <= SYNC_SECONDS + OVERHEAD_SECONDS
            figures[name] = (
                f"{dict(statuses)}, longest {max(wait for _, wait in answers):.2f} s; "
                f"live: {len(waits['live']) - late} of {len(waits['live'])} within {LIVE_SECONDS} s; slowest "
                + ", ".join(f"{path} {wait:.3f} s" for path, wait in slowest.items())
            )
            wait_until(lambda: _reports(site) == {"ok"}, what="the report after the lock")
    return figures


def _ask_until(site: Site, end: float) -> list[tuple[str, float]]:
    answers = []
    while time.monotonic() < end:
        begin = time.monotonic()
        response = site.get("/health/sync")
        assert response.status_code == 200
        answers.append((response.json()["status"], time.monotonic() - begin))
        time.sleep(0.5)  # else the askers' own use of this process would be measured
    return answers


def _probe_until(site: Site, token: str, *, end: float, port: int) -> Mapping[str, list[float]]:
    """Return the seconds that each probe and each request of a user took."""
    waits: dict[str, list[float]] = {"live": [], "ready": [], "me": []}
    while time.monotonic() < end:
        for path in ("live", "ready"):
            begin = time.monotonic()
            status = _probe(port, path)
            waits[path].append(time.monotonic() - begin)
            assert status == b"200", f"{path}: {status!r}"
        begin = time.monotonic()
        assert site.me(token).status_code == 200
        waits["me"].append(time.monotonic() - begin)
        time.sleep(0.1)
    return waits


def _probe(port: int, path: str) -> bytes:
    """Return the status; a plain socket, because a client's own work takes longer than the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /health/%s HTTP/1.1\r\n\r\n" % path.encode())
        return connection.recv(4096).split()[1]


def _reports(site: Site) -> set[str]:
    return {site.get("/health/sync").json()["status"] for _ in range(10)}


def preloaded_workers_always_get_keys(*, seed: int) -> Mapping[str, object]:
    """Of twenty starts of `gunicorn --preload`, each ends with keys in every worker, without a request."""
    return start_preloaded(starts=20)


def start_preloaded(*, starts: int, workers: int = 4) -> Mapping[str, object]:
    """Start this often, and require that every worker is ready; only HEALTH_PORT is asked."""
    port = free_port()
    waits = []
    with clerk_instance() as clerk, database() as db:
        variables = {"GUNICORN_CMD_ARGS": "--preload", "HEALTH_PORT": str(port)}
        site = Site(clerk, database=db.url, workers=workers, **emulator_settings(clerk) | variables)
        site.manage("migrate", "-v0")
        for number in range(starts):
            begin = time.monotonic()
            site.start()
            try:
                wait_until(lambda: len(site.workers()) == workers, what="the workers")
                what = f"the keys of start {number + 1}"
                wait_until(lambda: _are_all_ready(port), seconds=KEYS_SECONDS, what=what)
            finally:
                site.kill()
            waits.append(time.monotonic() - begin)
    return {
        "starts whose workers all got their keys": f"{len(waits)} of {starts}",
        "longest from the start to the keys": f"{max(waits):.1f} s",
    }


def _are_all_ready(port: int) -> bool:
    """Return whether 40 probes in a row succeed: the kernel distributes them over the workers."""
    try:
        return all(requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).ok for _ in range(40))
    except requests.ConnectionError:
        return False
