"""The build context of the image and the files that the Dockerfile copies, without an engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCKERFILES = (ROOT / "Dockerfile", ROOT / "deploy" / "pgbouncer" / "Dockerfile")
# Never sent; too many files to check each.
LARGE = {".git", ".venv", ".venv-latest", "node_modules"}
# The command that copies from the build context, in /sent, into /app.
COPY = re.compile(r"^COPY \. /sent\n(?:#.*\n)*RUN ((?:.*\\\n)*.*)$", re.MULTILINE)


def is_sent(path: str) -> bool:
    """Return whether a file is part of the build context: the last matching rule decides."""
    sent = True
    for rule, expression in _rules():
        if expression.fullmatch(path):
            sent = rule.startswith("!")
    return sent


@cache
def _rules() -> list[tuple[str, re.Pattern[str]]]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [(rule, _expression(rule.lstrip("!"))) for rule in rules]


def _expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern: it matches a path and everything below it."""
    translations = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(translations.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")


def files(root: Path = ROOT) -> list[str]:
    """Return the files of a clone without those of the large folders."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = set(folders) - LARGE
        found += [str(Path(folder, name).relative_to(root)) for name in names]
    return found


def unpack(folder: Path, *, root: Path = ROOT) -> None:
    """Fill `folder` as the Dockerfile fills /app: send the files of a clone and run the same command."""
    (command,) = COPY.findall((ROOT / "Dockerfile").read_text())
    with tempfile.TemporaryDirectory() as sent:
        for path in filter(is_sent, files(root)):
            (Path(sent) / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, Path(sent) / path)
        lines = command.replace("/sent", sent)
        subprocess.run(["sh", "-euc", lines], cwd=folder, check=True)  # noqa: S607 - any sh


def program(name: str) -> str:
    """Return the path of a program of the development packages, next to this Python or on PATH."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found, f"{name} is missing: make test installs it into .venv."
    return found


def known_settings(*, secret: bool = False) -> set[str]:
    """Return the variables that the settings read, or only the secrets among them."""
    read = re.findall(r'env\.(\w+)\(\s*"(\w+)"', (ROOT / "config" / "settings.py").read_text())
    return {name for kind, name in read if not secret or kind in {"secret", "database"}}


def image_health_port() -> int:
    """Return HEALTH_PORT as the image sets it."""
    (port,) = re.findall(r"\bHEALTH_PORT=(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return int(port)


def gunicorn_setting(name: str) -> int:
    """Return a number from the gunicorn configuration of the image."""
    (number,) = re.findall(
        rf"^{name} = (\d+)$", (ROOT / "deploy" / "gunicorn.conf.py").read_text(), re.MULTILINE
    )
    return int(number)
