"""Memory of one worker: a site without this project, with its sign-in alone, and with webhooks and health."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.clients import Request, load_on
from benchmarks.correctness import OK, WrongAnswer
from benchmarks.environment import CredentialPool, Environment
from benchmarks.figures import Effort, Section
from benchmarks.gunicorn import gunicorn

REQUESTS, CLIENTS, THREADS = 400, 8, 8
KIBIBYTES_PER_MEBIBYTE = 1024
# The values of MEMORY_SITE in benchmarks.memory_settings.
SITES = {
    "plain": "Django, REST framework and the same packages, without this project",
    "sign_in": "with `accounts`",
    "all": "with `accounts`, `webhooks` and `health`",
}


def memory(environment: Environment, effort: Effort) -> Section:
    """Return what the worker of each site holds after some hundred requests."""
    sizes = {site: _measure(site, environment=environment) for site in SITES}
    return Section(
        title=f"Memory of one worker with {THREADS} threads after {REQUESTS} requests",
        head=("site", "MiB", "more than without"),
        rows=[
            [label, f"{sizes[site]:.0f}", f"{sizes[site] - sizes['plain']:.0f}"]
            for site, label in SITES.items()
        ],
        notes=["The proportional set size, without what the processes of the server share (PSS)."],
    )


def _measure(site: str, *, environment: Environment) -> float:
    pool = CredentialPool(environment)
    requests = [Request.get("/me", authorization=f"Bearer {pool[turn].session}") for turn in range(REQUESTS)]
    variables = {"DJANGO_SETTINGS_MODULE": "benchmarks.memory_settings", "MEMORY_SITE": site}
    with gunicorn(threads=THREADS, **variables) as server, load_on(server.address, clients=CLIENTS) as load:
        statuses = {answer.status for answer in load.send(requests)}
        if statuses != {OK}:
            raise WrongAnswer(f"The site {site} answered {statuses}.")
        rollup = Path(f"/proc/{server.worker_pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss: +(\d+) kB$", rollup, re.MULTILINE)
    if found is None:
        raise WrongAnswer("The kernel does not show the memory of a process.")
    return int(found[1]) / KIBIBYTES_PER_MEBIBYTE
