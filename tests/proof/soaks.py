"""Memory, threads and file descriptors of the workers under ten minutes of mixed load."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import requests

from devclerk.fixtures import LocalClerk
from tests.proof.clients import Load, Send, format_table
from tests.proof.environment import clerk_instance
from tests.proof.outages import build_requests
from tests.proof.site import MONITORING, Site, database

WORKERS, THREADS, CLIENTS, USERS = 2, 8, 6, 40
SAMPLE_SECONDS = 1.0
# The first quarter of the time is for what is filled once. The rest is noise of the allocator.
MAX_GROWTH = 0.03


@dataclass(frozen=True, slots=True)
class Sample:
    """What all workers use together: memory of their own in bytes, threads, file descriptors."""

    memory: int
    threads: int
    files: int


def memory_stays_flat(*, seed: int) -> Mapping[str, object]:
    """Ten minutes of warm, first, changed, forged and refused requests, webhooks and reports: flat memory."""
    return soak(seed=seed, seconds=600)


def soak(*, seed: int, seconds: float, max_growth: float = MAX_GROWTH) -> Mapping[str, object]:
    """Measure the workers for this time; the last quarter is compared with the second one."""
    with (
        clerk_instance(users=USERS) as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=WORKERS, GUNICORN_CMD_ARGS=f"--threads={THREADS}") as site,
    ):
        workers = site.workers()
        with Load(_build_requests(site, clerk), clients=CLIENTS, seed=seed) as load:
            samples = _take_samples(workers, seconds=seconds)
        assert site.workers() == workers, "a worker was replaced"
        answers = load.answers
    unexpected = [each for each in answers if each.status not in {200, 401}]
    assert not unexpected, format_table(unexpected)
    quarter = len(samples) // 4
    before, after = samples[quarter : 2 * quarter], samples[-quarter:]
    growth = mean(each.memory for each in after) / mean(each.memory for each in before) - 1
    assert growth <= max_growth, f"{growth:.1%} more memory: {_format_memory(samples)}"
    # A thread starts, and opens its connection to the database, with its first request, which may come late.
    noise = WORKERS * THREADS
    for name in ("threads", "files"):
        most_before = max(getattr(each, name) for each in before)
        most_after = max(getattr(each, name) for each in after)
        assert most_after <= most_before + noise, f"{name}: {most_before}, then {most_after}"
    return {
        "minutes, requests": f"{seconds / 60:.0f}, {len(answers):,}",
        "memory of the workers, by tenths of the time": _format_memory(samples),
        "growth from the second to the last quarter": f"{growth:.1%}",
        "threads, file descriptors at the end": f"{samples[-1].threads}, {samples[-1].files}",
        "responses to the clients": format_table(answers),
    }


def _build_requests(site: Site, clerk: LocalClerk) -> Mapping[str, Send]:
    known = site.mint(clerk.people[-1])

    def forged(rng: random.Random) -> requests.Response:
        head, payload, signature = known.split(".")
        altered = rng.choice("ABCD") + signature[1:]
        return site.me(known if altered == signature else f"{head}.{payload}.{altered}")

    def malformed(rng: random.Random) -> requests.Response:
        return site.me(rng.randbytes(200).hex())

    def report(_: random.Random) -> requests.Response:
        return site.get("/health/sync", headers=MONITORING)

    def metrics(_: random.Random) -> requests.Response:
        return site.get("/metrics", headers=MONITORING)

    rare = {"forged": forged, "malformed": malformed, "report": report, "metrics": metrics}
    return {**build_requests(site, clerk), **rare}


def _take_samples(workers: Sequence[int], *, seconds: float) -> list[Sample]:
    samples, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        samples.append(
            Sample(
                memory=sum(_read_memory(pid) for pid in workers),
                threads=sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in workers),
                files=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in workers),
            )
        )
        time.sleep(SAMPLE_SECONDS)
    return samples


def _read_memory(pid: int) -> int:
    """Return the bytes that a process shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def _format_memory(samples: Sequence[Sample]) -> str:
    tenth = max(1, len(samples) // 10)
    means = [mean(each.memory for each in samples[at : at + tenth]) for at in range(0, len(samples), tenth)]
    return ", ".join(f"{each / 2**20:.0f}" for each in means[:10]) + " MiB"
