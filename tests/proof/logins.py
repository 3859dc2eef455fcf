"""Strangers send passwords to the admin's login as fast as they can, while users call the API."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial

import requests

from tests.proof.clients import Answer, Load, Send, answer_of, format_slowest
from tests.proof.environment import clerk_instance
from tests.proof.site import Site, database

WORKERS, THREADS, CONNECTIONS = 2, 8, 16
FLOOD_SECONDS = 20.0
STAFF, PASSWORD = "helga", "a long password of staff"
# Any value that is both in the cookie and in the form passes Django's protection against CSRF.
CSRF_TOKEN = "c" * 32
SLOWEST_SECONDS, MEDIAN_SECONDS = 2.0, 0.5


def a_login_flood_leaves_live_and_me_quick(*, seed: int) -> Mapping[str, object]:
    """16 connections send wrong passwords: every probe and every warm request is 200, and quick."""
    return flood_the_login(seed=seed, seconds=FLOOD_SECONDS)


def flood_the_login(*, seed: int, seconds: float) -> Mapping[str, object]:
    """Send passwords for this time; raise AssertionError if another request fails or is slow."""
    with (
        clerk_instance() as clerk,
        database() as server,
        Site(
            clerk,
            database=server.url,
            workers=WORKERS,
            GUNICORN_CMD_ARGS=f"--threads={THREADS}",
            DJANGO_SUPERUSER_PASSWORD=PASSWORD,
        ) as site,
    ):
        created = site.manage(
            "createsuperuser", "--no-input", f"--username={STAFF}", "--email=h@example.test"
        )
        assert created.returncode == 0, created.stderr
        assert log_in(site, STAFF, PASSWORD).status_code == 302
        token = site.mint(clerk.person("ada"))
        quiet = _ask(site, token, seconds=1)
        with Load(_guesses(site), clients=CONNECTIONS, seed=seed) as flood:
            asked = _ask(site, token, seconds=seconds)
    _check(asked)
    statuses = Counter(each.status for each in flood.answers)
    assert set(statuses) == {200, 429}, statuses
    # At most 30 failures a minute for each process, in a flood that touches two windows.
    assert statuses[200] <= WORKERS * 30 * 2, statuses
    return {
        "workers, threads, connections": f"{WORKERS}, {THREADS}, {CONNECTIONS}",
        "responses to the flood": dict(statuses),
        "median of live and me without the flood": _format_median(quiet),
        "median of live and me during the flood": _format_median(asked),
        "slowest of live and me during the flood": format_slowest(asked),
    }


def log_in(site: Site, username: str, password: str) -> requests.Response:
    """Send the form of the admin's login page."""
    return requests.post(
        f"{site.url}/admin/login/",
        data={"username": username, "password": password, "csrfmiddlewaretoken": CSRF_TOKEN},
        cookies={"csrftoken": CSRF_TOKEN},
        timeout=60,
        allow_redirects=False,
    )


def _guesses(site: Site) -> Mapping[str, Send]:
    def known(rng: random.Random) -> requests.Response:
        return log_in(site, STAFF, f"guess {rng.random()}")

    def unknown(rng: random.Random) -> requests.Response:
        return log_in(site, f"user {rng.random()}", "guess")

    return {"a user of staff": known, "a name without a user": unknown}


def _ask(site: Site, token: str, *, seconds: float) -> list[Answer]:
    """Return the answers to probes and warm requests, sent one after the other for this time."""
    answers: list[Answer] = []
    sends = {"live": partial(site.get, "/health/live"), "me": partial(site.me, token)}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for kind, send in sends.items():
            began = time.monotonic()
            answers.append(answer_of(kind, send(), began=began))
    return answers


def _check(answers: list[Answer]) -> None:
    statuses = Counter(each.status for each in answers)
    assert set(statuses) == {200}, statuses
    durations = [each.ended - each.began for each in answers]
    assert max(durations) < SLOWEST_SECONDS, f"slowest {max(durations):.2f} s of {len(durations)}"
    assert statistics.median(durations) < MEDIAN_SECONDS, f"median {_format_median(answers)}"


def _format_median(answers: list[Answer]) -> str:
    return f"{statistics.median(each.ended - each.began for each in answers):.3f} s"
