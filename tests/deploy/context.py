"""What an engine is sent of this folder, and what the Dockerfile makes of it, without an engine."""

from __future__ import annotations

import os
import re
import shutil
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCKERFILES = (ROOT / "Dockerfile", ROOT / "deploy" / "pgbouncer" / "Dockerfile")
# Never sent, and too many to ask for each.
LARGE = {".git", ".venv", ".venv-latest", "node_modules"}
# Their source and destination, both below the folder that becomes /app.
COPY = re.compile(r"^COPY (?!--)(\S+) (\S+)$", re.MULTILINE)


def is_sent(path: str) -> bool:
    """Tell whether a file of this folder is part of the build context: the last rule that fits decides."""
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
    """Give what a pattern means to an engine: itself, and all that lies below."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")


def files() -> list[str]:
    """List the files of this folder, those of the large folders left out."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = set(folders) - LARGE
        found += [str(Path(folder, name).relative_to(ROOT)) for name in names]
    return found


def unpack(folder: Path) -> None:
    """Copy into `folder` what the Dockerfile copies into /app."""
    for source, destination in COPY.findall((ROOT / "Dockerfile").read_text()):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / destination, ignore=_not_sent)
        else:
            shutil.copy(ROOT / source, folder / destination)


def _not_sent(folder: str, names: list[str]) -> set[str]:
    below = Path(folder).relative_to(ROOT)
    return {name for name in names if not is_sent(f"{below / name}")}


def program(name: str) -> str:
    """Find a program that the development packages bring, beside this Python or on PATH."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found, f"{name} is missing: make test brings it into .venv."
    return found


def known_settings(*, secret: bool = False) -> set[str]:
    """Give the variables that the settings read, or the secrets among them."""
    read = re.findall(r'env\.(\w+)\(\s*"(\w+)"', (ROOT / "config" / "settings.py").read_text())
    return {name for kind, name in read if not secret or kind in {"secret", "database"}}


def gunicorn_setting(name: str) -> int:
    """Give a number of the image's gunicorn."""
    (number,) = re.findall(
        rf"^{name} = (\d+)$", (ROOT / "deploy" / "gunicorn.conf.py").read_text(), re.MULTILINE
    )
    return int(number)
