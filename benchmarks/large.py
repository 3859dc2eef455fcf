"""P4 with ten million rows: warm requests, the admin, the report and `reconcile_users`, with their memory.

`python -m benchmarks.large [ROWS]` takes about an hour and ten gibibytes of disk; nothing else runs it. ROWS
is 10000000 or a size of `benchmarks.figures.FULL`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.correctness import OK, WrongAnswer
from benchmarks.environment import prepared_environment
from tests.ports import free_port
from tests.waiting import wait_until

ROWS = 10_000_000
SMALL = 1_000
SECRET_KEY = "sk_test_of_the_emulator"
ROUNDS = 5
KIBIBYTES_PER_MEBIBYTE = 1024
ADMIN = {
    "admin: list of users": "/admin/accounts/user/",
    "admin: last pages of the list": "/admin/accounts/user/?p=100",
    "admin: search by e-mail address": "/admin/accounts/user/?q=person{}@example.test",
    "admin: search by Clerk id": "/admin/accounts/user/?q=user_2madeUp{:020d}",
    "admin: search by name": "/admin/accounts/user/?q=Ada",
    "admin: search without a result": "/admin/accounts/user/?q=nothing-like-it",
}


def main(rows: int) -> None:
    """Print one line for each measurement: seconds, and the memory of the process that did only this."""
    with prepared_environment() as environment:
        growth = import_module("benchmarks.growth")
        began = time.monotonic()
        for size in (SMALL, rows):
            growth.create_database(environment, size)
        _print("rows stored", time.monotonic() - began)
        section = growth.compare_sizes(environment, sizes=(SMALL, rows), rounds=120)
        for figure in section.figures:
            sys.stdout.write(f"{figure.what}: {figure.value:.3f} (goal {figure.bound})\n")
        for name in (*ADMIN, "report", "reconcile"):
            with _emulator(rows) if name == "reconcile" else _nothing() as address:
                command = [sys.executable, "-m", "benchmarks.large", str(rows), name, address]
                subprocess.run(command, check=True)


def measure(rows: int, name: str, address: str) -> None:
    """Do one thing in this process, which uses the database of this size, and print what it took."""
    import_module("django").setup()
    actions: dict[str, Callable[[], object]] = {
        "report": _build_report,
        "reconcile": lambda: _reconcile(address),
    }
    action = actions.get(name) or _open_page(ADMIN[name].format(rows - 1))
    router = import_module("benchmarks.database_router")
    with router.use_database(str(rows)):
        before = _peak_memory()
        times = []
        for _ in range(1 if name == "reconcile" else ROUNDS):
            began = time.monotonic()
            action()
            times.append(time.monotonic() - began)
    _print(name, min(times), f"first {times[0]:.2f} s, {_peak_memory() - before:.0f} MiB more at the peak")


def _open_page(path: str) -> Callable[[], object]:
    from django.test import Client, override_settings  # noqa: PLC0415 - after the settings are ready

    from accounts.models import User  # noqa: PLC0415

    client = Client(headers={"host": "localhost"})

    def open_page() -> None:
        with override_settings(ROOT_URLCONF="config.urls"):
            if "_auth_user_id" not in client.session:
                staff = {"is_staff": True, "is_superuser": True}
                client.force_login(User.objects.get_or_create(username="operator", defaults=staff)[0])
            if client.get(path).status_code != OK:
                raise WrongAnswer(f"{path} was refused.")

    return open_page


def _build_report() -> None:
    from django.utils import timezone  # noqa: PLC0415

    import_module("health.report.build").build_report(now=timezone.now())


def _reconcile(address: str) -> None:
    from django.utils import timezone  # noqa: PLC0415

    api = import_module("accounts.clerk.api").ClerkAPI(SECRET_KEY, base_url=address)
    found = import_module("accounts.bulk.reconcile").reconcile(api, clock=timezone.now, report=lambda _: None)
    sys.stdout.write(f"{json.dumps(found.as_json())[:300]}\n")


@contextmanager
def _emulator(users: int) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "manage.py", "devclerk", "serve", "--port", str(port), "--users", str(users)]
    variables = {**os.environ, "DJANGO_DEBUG": "true", "CLERK_SECRET_KEY": SECRET_KEY}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=variables) as server:
        address = f"http://127.0.0.1:{port}"
        requests: Any = import_module("requests")

        def is_up() -> bool:
            try:
                return bool(requests.get(f"{address}/.well-known/jwks.json", timeout=2).ok)
            except requests.RequestException:
                return False

        wait_until(is_up, seconds=60)
        try:
            yield address
        finally:
            server.terminate()


@contextmanager
def _nothing() -> Iterator[str]:
    yield ""


def _peak_memory() -> float:
    # Not `ru_maxrss`, which begins with that of the parent process.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / KIBIBYTES_PER_MEBIBYTE


def _print(name: str, seconds: float, note: str = "") -> None:
    sys.stdout.write(f"{name}: {seconds:.3f} s {note}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    rows = int(sys.argv[1]) if sys.argv[1:] else ROWS
    if sys.argv[2:]:
        measure(rows, sys.argv[2], sys.argv[3])
    else:
        main(rows)
