"""The database answers nothing: its processes are stopped, or a table is locked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psycopg

from tests.pgbouncer import ThrowawayPgBouncer, find_pgbouncer
from tests.postgres import ThrowawayPostgres
from tests.proof.clients import Answer, Load, format_slowest, format_table
from tests.proof.environment import clerk_instance
from tests.proof.outages import build_requests
from tests.proof.rows import wait_for_consistency
from tests.proof.site import Site, database, wait_until

CLIENTS, USERS, WORKERS = 12, 40, 2
# More threads than clients: one is always free for the liveness probe.
THREADS = {"GUNICORN_CMD_ARGS": "--threads=16"}
RETRY_SECONDS = (0.3,) * 200
LIMIT_SECONDS, RECOVERY_SECONDS = 6.0, 3.0
# Sixteen busy threads and twelve clients share the processors with the probe.
LIVE_SECONDS = 1.0
# The last extension that the import of svix loads. It takes half a second, and seconds on a busy machine.
OF_SVIX = "_wrappers"


def a_stopped_server_costs_a_request_six_seconds(*, seed: int) -> Mapping[str, object]:
    """PostgreSQL stopped by SIGSTOP: 200 or 503 within six seconds, then 503 at once, recovery in three."""
    return stop_server(seed=seed, seconds=12, kinds=("direct",))


def a_stopped_server_behind_a_pool_costs_the_same(*, seed: int) -> Mapping[str, object]:
    """The same with Django's pool of connections, behind PgBouncer, and under uvicorn."""
    return stop_server(seed=seed, seconds=10, kinds=("pool", "PgBouncer", "uvicorn"))


def stop_server(*, seed: int, seconds: float, kinds: tuple[str, ...]) -> Mapping[str, object]:
    """Stop the server for this time under load, with each kind of connection."""
    figures: dict[str, object] = {}
    for kind in kinds:
        if kind == "PgBouncer" and find_pgbouncer() is None:
            figures[kind] = "not measured: pgbouncer is not installed"
            continue
        with database() as server, _address(server, kind=kind) as address:
            figures[kind] = _disturb(
                server,
                address,
                seed=seed,
                seconds=seconds,
                begin=server.freeze,
                end=server.thaw,
                asgi="config.asgi:application" if kind == "uvicorn" else "",
            )
    return figures


def a_locked_table_costs_a_request_six_seconds(*, seed: int) -> Mapping[str, object]:
    """The users or the ledger locked, as by a migration behind a dump: the rest is not affected."""
    return lock_tables(seed=seed, seconds=9, tables=("accounts_user", "webhooks_webhookevent"))


def lock_tables(*, seed: int, seconds: float, tables: tuple[str, ...]) -> Mapping[str, object]:
    """Lock each table for this time under load."""
    figures: dict[str, object] = {}
    for table in tables:
        with database() as server, psycopg.connect(server.url) as other:

            def lock(other: psycopg.Connection[tuple[object, ...]] = other, table: str = table) -> None:
                other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())

            figures[table] = _disturb(
                server,
                server.url,
                seed=seed,
                seconds=seconds,
                begin=lock,
                end=other.rollback,
                unaffected=() if table == "accounts_user" else ("warm", "first request", "changed claims"),
            )
    return figures


def _disturb(
    server: ThrowawayPostgres,
    address: str,
    *,
    seed: int,
    seconds: float,
    begin: Callable[[], None],
    end: Callable[[], None],
    unaffected: tuple[str, ...] = (),
    asgi: str = "",
) -> str:
    with (
        clerk_instance(users=USERS, retry_schedule=RETRY_SECONDS) as clerk,
        Site(clerk, database=address, workers=WORKERS, asgi=asgi, **THREADS) as site,
    ):
        clerk.send_webhooks_to(f"{site.url}/webhooks/clerk")
        with Load(build_requests(site, clerk), clients=CLIENTS, seed=seed) as load:
            wait_until_warm(site, load)
            begin()
            down = time.monotonic()
            live = _time_probes(site, until=down + seconds)
            end()
            up = time.monotonic()
            time.sleep(RECOVERY_SECONDS + 3)
        answers = load.answers
        wait_for_consistency(server.url, clerk)
    during = [each for each in answers if each.ended > down and each.began < up]
    late = [each for each in during if each.began > down + LIMIT_SECONDS and each.ended < up]
    _check(answers, during=during, down=down, up=up)
    assert max(live) < LIVE_SECONDS, f"the liveness probe waited {max(live):.2f} s"
    failed = [each for each in answers if each.kind in unaffected and each.status != 200]
    assert not failed, format_table(failed)
    slowest = max(each.ended - max(each.began, down) for each in during)
    refused = sum(each.status == 503 and each.ended - each.began < 0.5 for each in late)
    last = max((each.ended - up for each in answers if each.status == 503), default=0.0)
    return (
        f"slowest {slowest:.2f} s, liveness {max(live):.3f} s, refused at once {refused}, "
        f"last 503 {max(last, 0.0):.1f} s afterwards{format_table(during)}"
    )


def wait_until_warm(site: Site, load: Load) -> None:
    """Wait until each worker has loaded what its first webhook loads, and webhooks are quick."""
    wait_until(lambda: site.has_loaded(OF_SVIX), what="a webhook in each worker")
    loaded_at = time.monotonic()

    def are_quick() -> bool:
        webhooks = [each for each in load.answers if each.kind == "webhook" and each.began > loaded_at]
        return len(webhooks) > CLIENTS and all(
            each.status == 200 and each.ended - each.began < 1 for each in webhooks[-CLIENTS:]
        )

    wait_until(are_quick, what="quick webhooks")


def _check(answers: list[Answer], *, during: list[Answer], down: float, up: float) -> None:
    wrong = [each for each in answers if each.status not in {200, 503}]
    assert not wrong, format_table(wrong)
    assert any(each.status == 503 for each in during), "the disturbance affected no request"
    # A client may have waited for a processor before.
    slow = [each for each in during if each.ended - max(each.began, down) > LIMIT_SECONDS]
    assert not slow, f"{format_slowest(slow)}{format_table(slow)}"
    failed_late = [each for each in answers if each.status != 200 and each.began > up + RECOVERY_SECONDS]
    assert not failed_late, f"no recovery: {format_table(failed_late)}"


def _time_probes(site: Site, *, until: float) -> list[float]:
    """Request the liveness probe every tenth of a second; return the durations."""
    durations = []
    while (began := time.monotonic()) < until:
        assert site.get("/health/live").status_code == 200
        durations.append(time.monotonic() - began)
        time.sleep(0.1)
    return durations


@contextmanager
def _address(server: ThrowawayPostgres, *, kind: str) -> Iterator[str]:
    program = find_pgbouncer()
    if kind == "PgBouncer" and program is not None:
        pooler = ThrowawayPgBouncer(server, program=program)
        yield pooler.url
        pooler.remove()
        return
    yield f"{server.url}?pool=true" if kind == "pool" else server.url
