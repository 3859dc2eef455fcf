"""P4: the warm request in databases of different sizes, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from benchmarks.database_router import use_database
from benchmarks.environment import USERS, CredentialPool, Environment
from benchmarks.figures import Effort, Figure, Section, microseconds
from benchmarks.in_process import Site
from benchmarks.measure import ratio, take_turns
from benchmarks.peers import installed_peers
from benchmarks.users import insert_users

REPEAT = 20
BATCH_ROWS = 1_000_000
CALLERS = 200  # spread over the whole table


def growth(environment: Environment, effort: Effort) -> Section:
    """Send warm requests to the databases of each size in turns."""
    for size in effort.sizes:
        create_database(environment, size)
    return compare_sizes(environment, sizes=effort.sizes, rounds=effort.growth_rounds)


def compare_sizes(environment: Environment, *, sizes: Sequence[int], rounds: int) -> Section:
    """Compare the databases of these sizes, the smallest first."""
    site = Site()
    pools = {
        str(size): CredentialPool(environment, numbers=range(0, size, size // CALLERS)) for size in sizes
    }

    def refresh() -> None:
        for pool in pools.values():
            pool.refresh()

    actions = {name: partial(_send, site, name, pool) for name, pool in pools.items()}
    take_turns(actions, rounds=1, repeat=CALLERS, before_round=refresh)  # to warm up
    series = take_turns(actions, rounds=rounds, repeat=REPEAT, before_round=refresh)
    smallest, largest = (series[str(size)] for size in (sizes[0], sizes[-1]))
    return Section(
        title="Warm request by the size of the table",
        figures=[
            Figure(
                goal="P4",
                what=f"warm request with {sizes[-1]:,} rows relative to one with {sizes[0]:,}",
                value=ratio(largest, smallest),
                at_most=1.10,
            )
        ],
        head=("rows", "p50 us", "p99 us", f"of {sizes[0]:,}"),
        rows=[
            [f"{int(name):,}", microseconds(own.p50), microseconds(own.p99), f"{ratio(own, smallest):.2f}"]
            for name, own in series.items()
        ],
    )


def create_database(environment: Environment, size: int) -> None:
    """Copy the database with its thousand users and add users up to `size`."""
    from django.db import connections  # noqa: PLC0415 - after the settings are ready

    connections.close_all()  # a template database must have no connections
    with environment.connect("template1") as connection:
        connection.execute(f"CREATE DATABASE users_{size} TEMPLATE postgres".encode())
    with environment.connect(f"users_{size}") as connection:
        connection.execute("DROP INDEX peers_clerk_id")
        for start in range(USERS, size, BATCH_ROWS):
            insert_users(connection, start=start, stop=min(start + BATCH_ROWS, size))
        connection.execute("VACUUM ANALYZE")


def _send(site: Site, alias: str, pool: CredentialPool, turn: int) -> None:
    ours = installed_peers()[0]
    with use_database(alias):
        site.get(ours.path, authorization=ours.header(pool[turn]))
