"""The machine and the package versions of a benchmark run."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.environment import Environment

PACKAGES = (
    "django",
    "djangorestframework",
    "psycopg",
    "cryptography",
    "pyjwt",
    "gunicorn",
    "djangorestframework-simplejwt",
    "clerk-backend-api",
    "django-clerk-users",
)


def describe(environment: Environment) -> list[str]:
    """Return a description of the machine and the versions, one line each."""
    with environment.connect() as connection:
        row = connection.execute("SELECT split_part(version(), ' on ', 1)").fetchone()
    return [
        f"{processor()}, {os.cpu_count()} cores, {_memory()}, {platform.system()} {platform.machine()}",
        f"load of the machine at the start: {os.getloadavg()[0]:.1f}",
        f"{platform.python_implementation()} {platform.python_version()}, {row[0] if row else 'PostgreSQL'}",
        ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
    ]


def processor() -> str:
    """Return the model name of the processor, or its architecture where the system has no name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
