"""The one place that reads the environment: strictly, and without stopping at the first mistake.

A malformed value becomes a `Problem` and its default stands in, so that the system checks can name every
mistake in one go (`accounts.checks`) and `clerk_doctor` can start and explain them. A message never holds the
value: it may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, TypeVar

from config import values

T = TypeVar("T")
ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
QUOTED = re.compile(r"""(['"])(.*)\1""")


class Problem(NamedTuple):
    """A variable that cannot be used as it is, and what is wrong with its form."""

    variable: str
    message: str


class Environment:
    """Typed values by name. What is malformed stands in `problems`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.problems: list[Problem] = []

    @classmethod
    def read(cls, dotenv: Path) -> Environment:
        """Read the process environment, and below it the file `dotenv` if there is one."""
        lines, unreadable = read_dotenv(dotenv)
        environment = cls({**lines, **os.environ})
        for message in unreadable:
            environment.reject(dotenv.name, message=message)
        return environment

    def has(self, name: str) -> bool:
        """Tell whether the variable is there at all, be it empty."""
        return name in self._variables

    def text(self, name: str, *, default: str = "") -> str:
        """Give the stripped text; an empty one counts as not set."""
        return self._variables.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        """Give the text of `name`, or of the file that `name`_FILE names."""
        text, path = self.text(name), self.text(f"{name}_FILE")
        if not path:
            return text
        if text:
            self.reject(f"{name}_FILE", message=f"is set together with {name}: set one of the two")
            return text
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            self.reject(f"{name}_FILE", message="must name a UTF-8 text file that this process can read")
            return ""

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Give a boolean."""
        return self._typed(name, values.boolean, default=default)

    def integer(self, name: str, *, default: int, low: int = 0, high: int) -> int:
        """Give a whole number from `low` to `high`, both included."""
        return self._typed(name, partial(values.whole_number, low=low, high=high), default=default)

    def number(self, name: str, *, default: float, low: float = 0, high: float) -> float:
        """Give a number from `low` to `high`, both included; decimals are permitted."""
        return self._typed(name, partial(values.number, low=low, high=high), default=default)

    def words(self, name: str) -> tuple[str, ...]:
        """Give the words of a comma separated list."""
        return values.words(self.text(name))

    def url(self, name: str, *, default: str = "") -> str:
        """Give an absolute web address without a slash at its end."""
        return self._typed(name, values.url, default=default)

    def origins(self, name: str) -> tuple[str, ...]:
        """Give a list of web origins."""
        return self._typed(name, values.origins, default=())

    def hosts(self, name: str) -> tuple[str, ...]:
        """Give a list of host names."""
        return self._typed(name, values.hosts, default=())

    def database(self, name: str, *, default: str, root: Path) -> dict[str, Any]:
        """Give Django's entry for the database that a (secret) address names."""
        text = self.secret(name) or default
        try:
            return values.database(text, root=root)
        except values.Malformed as error:
            self.reject(name, message=str(error))
            return values.database(default, root=root)

    def folder(self, name: str) -> str:
        """Give a folder that this process can write to, made if it is missing; empty where it cannot be."""
        path = self.text(name)
        if not path:
            return ""
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=path).close()
        except (OSError, ValueError):
            self.reject(name, message="must name a folder that this process can write to")
            return ""
        return path

    def reject(self, name: str, *, message: str) -> None:
        """Record that `name` cannot be used. `message` continues the sentence and never holds the value."""
        self.problems.append(Problem(name, message))

    def _typed(self, name: str, convert: Callable[[str], T], *, default: T) -> T:
        text = self.text(name)
        if not text:
            return default
        try:
            return convert(text)
        except values.Malformed as error:
            self.reject(name, message=str(error))
            return default


def read_dotenv(path: Path) -> tuple[dict[str, str], list[str]]:
    """Read NAME=value lines, quotes optional, nothing expanded; give them and what is wrong with the rest."""
    if not path.exists():
        return {}, []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}, ["must be a UTF-8 text file that this process can read"]
    found, wrong = {}, []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if match := ASSIGNMENT.fullmatch(line):
            found[match[1]] = _unquoted(match[2])
        else:
            wrong.append(f"line {number} must look like NAME=value")
    return found, wrong


def _unquoted(text: str) -> str:
    quoted = QUOTED.fullmatch(text)
    return quoted[2] if quoted else text
