"""P4: the warm request beside the number of rows, in databases of different sizes, in turns."""

from __future__ import annotations

from functools import partial

from benchmarks.contenders import contenders
from benchmarks.figures import Effort, Figure, Section, microseconds
from benchmarks.ground import PEOPLE, Ground, Wallet
from benchmarks.in_process import Site
from benchmarks.measure import ratio, take_turns
from benchmarks.people import insert_people
from benchmarks.rooms import in_room

REPEAT = 20
ASKERS = 200  # spread over the whole table


def growth(ground: Ground, effort: Effort) -> Section:
    """Ask databases of each size in turns."""
    for size in effort.sizes:
        _make_room(ground, size)
    site = Site()
    wallets = {str(size): Wallet(ground, numbers=range(0, size, size // ASKERS)) for size in effort.sizes}

    def refresh() -> None:
        for wallet in wallets.values():
            wallet.refresh()

    actions = {name: partial(_ask, site, name, wallet) for name, wallet in wallets.items()}
    take_turns(actions, rounds=1, repeat=ASKERS, before_round=refresh)  # to warm up
    series = take_turns(actions, rounds=effort.growth_rounds, repeat=REPEAT, before_round=refresh)
    smallest, largest = (series[str(size)] for size in (effort.sizes[0], effort.sizes[-1]))
    return Section(
        title="Warm request beside the size of the table",
        figures=[
            Figure(
                goal="P4",
                what=f"warm request with {effort.sizes[-1]:,} rows beside one with {effort.sizes[0]:,}",
                value=ratio(largest, smallest),
                at_most=1.10,
            )
        ],
        head=("rows", "p50 us", "p99 us", f"of {effort.sizes[0]:,}"),
        rows=[
            [f"{int(name):,}", microseconds(own.p50), microseconds(own.p99), f"{ratio(own, smallest):.2f}"]
            for name, own in series.items()
        ],
    )


def _make_room(ground: Ground, size: int) -> None:
    """Copy the database with its thousand people, and add the others."""
    from django.db import connections  # noqa: PLC0415 - after the settings are ready

    connections.close_all()  # a template may have no guests
    with ground.connect("template1") as beside:
        beside.execute(f"CREATE DATABASE people_{size} TEMPLATE postgres".encode())
    with ground.connect(f"people_{size}") as beside:
        beside.execute("DROP INDEX peers_find_people")
        insert_people(beside, start=PEOPLE, stop=size)
        beside.execute("VACUUM ANALYZE")


def _ask(site: Site, room: str, wallet: Wallet, turn: int) -> None:
    ours = contenders()[0]
    with in_room(room):
        site.get(ours.path, authorization=ours.header(wallet[turn]))
