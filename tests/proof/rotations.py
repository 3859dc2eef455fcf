"""Clerk rotates its key while strangers send tokens with unknown keys: what clients see meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from http import HTTPStatus

import requests

from devclerk.fixtures import LocalClerk
from devclerk.tokens import Fault
from tests.proof.clients import Load, Send, format_slowest, format_table
from tests.proof.environment import clerk_instance
from tests.proof.site import MONITORING, Site, database, emulator_settings

FORGED, KNOWN, NEW = "forged key", "known key", "new key"
FORGED_BEFORE = 8  # for each worker
MAX_SECONDS_TO_NEW_KEY = 15.0


def a_rotation_under_forged_keys_refuses_no_new_token(*, seed: int) -> Mapping[str, object]:
    """After forged key ids and among more of them, tokens of a new key are never 401 and soon 200."""
    return rotate_under_noise(seed=seed, workers=4, seconds=25, rotations=2)


def rotate_under_noise(*, seed: int, workers: int, seconds: float, rotations: int) -> Mapping[str, object]:
    """Rotate the key this often, with forged ids before and in these seconds after each rotation."""
    figures: dict[str, object] = {}
    with (
        clerk_instance() as clerk,
        database() as db,
        Site(clerk, database=db.url, workers=workers, **emulator_settings(clerk)) as site,
    ):
        began, fetches_before = time.monotonic(), clerk.key_requests
        for number in range(rotations):
            figures[f"rotation {number + 1}"] = _rotate(site, clerk, seed=seed, seconds=seconds)
        fetches, lasted = clerk.key_requests - fetches_before, time.monotonic() - began
        limit = workers * (4 + lasted / 10 + 1)
        assert fetches <= limit, f"{fetches} fetches in {lasted:.0f} s by {workers} workers"
        report = site.get("/health/sync", headers=MONITORING).json()
        assert (report["status"], report["failures"]["open"]) == ("ok", 0), report
        series = site.get("/metrics", headers=MONITORING).text  # of one worker
        assert 'outcome="unknown_key"' in series
        assert 'outcome="keys_unavailable"' not in series
    return figures | {"fetches": f"{fetches} by {workers} workers in {lasted:.0f} s"}


def _rotate(site: Site, clerk: LocalClerk, *, seed: int, seconds: float) -> str:
    user = clerk.person("ada")
    known = site.mint(user)
    assert site.me(known).status_code == HTTPStatus.OK

    def send_forged(rng: random.Random) -> requests.Response:
        return site.me(site.mint(user, fault=Fault.UNKNOWN_KID))

    before: dict[str, Send] = {FORGED: send_forged, KNOWN: lambda _: site.me(known)}
    for _ in range(FORGED_BEFORE * len(site.workers())):
        send_forged(random.Random(seed))  # noqa: S311 - not used
    clerk.rotate_keys(keep_old=True)
    new = site.mint(user)
    rotated_at = time.monotonic()
    with Load(before | {NEW: lambda _: site.me(new)}, clients=6, seed=seed) as load:
        time.sleep(seconds)
    seen = {(each.kind, each.status, each.code) for each in load.answers}
    unknown = {(FORGED, 401, "token_unknown_key"), (FORGED, 503, "keys_unavailable")}
    assert seen <= {*unknown, (KNOWN, 200, ""), (NEW, 200, ""), (NEW, 503, "keys_unavailable")}, format_table(
        load.answers
    )
    new_ones = [each for each in load.answers if each.kind == NEW]
    refused = [each.began - rotated_at for each in new_ones if each.status != HTTPStatus.OK]
    assert any(each.status == HTTPStatus.OK for each in new_ones)
    last_refusal = max(refused, default=0.0)
    assert last_refusal <= MAX_SECONDS_TO_NEW_KEY, (
        f"503 for a new key {last_refusal:.1f} s after the rotation"
    )
    slowest = format_slowest(each for each in load.answers if each.kind == KNOWN)
    return (
        f"last 503 for the new key after {last_refusal:.1f} s; slowest request with a known key {slowest}"
        f"{format_table(load.answers)}"
    )
