"""The primary stops and a standby is promoted, under load."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.postgres import ThrowawayPostgres
from tests.proof.clients import Load, format_slowest, format_table
from tests.proof.deadlines import wait_until_warm
from tests.proof.environment import clerk_instance
from tests.proof.outages import RETRY_SECONDS, build_requests
from tests.proof.rows import wait_for_consistency
from tests.proof.site import Site, database, wait_until

RECOVERY_SECONDS = 3.0


def a_promoted_standby_serves_every_request(*, seed: int) -> Mapping[str, object]:
    """A standby is not ready; promoted under load, it serves within three seconds, without a restart."""
    return promote_standby(seed=seed, workers=4)


def promote_standby(*, seed: int, workers: int) -> Mapping[str, object]:
    """Stop the primary under load and promote its standby; DATABASE_URL names both."""
    with clerk_instance(users=40, retry_schedule=RETRY_SECONDS) as clerk, _pair() as (primary, standby):
        both = (
            f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
            "?target_session_attrs=read-write"
        )
        with Site(clerk, database=both, workers=workers) as site:
            clerk.send_webhooks_to(f"{site.url}/webhooks/clerk")
            status_of_standby = _readiness(Site(clerk, database=standby.url, workers=1))
            assert status_of_standby == {"status": "database_read_only"}, status_of_standby
            with Load(build_requests(site, clerk), clients=8, seed=seed) as load:
                wait_until_warm(site, load)
                down = time.monotonic()
                primary.stop()
                time.sleep(1)
                standby.promote()
                up = time.monotonic()
                time.sleep(RECOVERY_SECONDS + 2)
            assert site.is_ready()
            wait_for_consistency(standby.url, clerk)
    answers = load.answers
    wrong = [each for each in answers if each.status not in {200, 503}]
    assert not wrong, format_table(wrong)
    late = [each for each in answers if each.status != 200 and each.began > up + RECOVERY_SECONDS]
    assert not late, f"no recovery: {format_table(late)}"
    last = max((each.ended - up for each in answers if each.status == 503), default=0.0)
    return {
        "seconds between the stop and the end of the promotion": f"{up - down:.1f}",
        "last 503 after the promotion, in seconds": f"{max(last, 0.0):.1f}",
        "slowest request": format_slowest(answers),
        "responses to the clients": format_table(answers),
    }


def _readiness(site: Site) -> object:
    site.start()
    try:
        wait_until(lambda: site.get("/health/live").status_code == 200, what="liveness")
        return site.get("/health/ready").json()
    finally:
        site.kill()


@contextmanager
def _pair() -> Iterator[tuple[ThrowawayPostgres, ThrowawayPostgres]]:
    with database() as primary:
        standby = primary.start_standby()
        try:
            yield primary, standby
        finally:
            standby.remove()
