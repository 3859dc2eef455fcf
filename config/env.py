"""The only reader of the environment. It is strict and collects all errors instead of stopping at the first.

A malformed value becomes a `Problem` and its default is used, so that the system checks name every problem
at once (`accounts.checks`) and `clerk_doctor` starts and explains them. A message never contains the value:
it may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, TypeVar

from config import database, values

T = TypeVar("T")
ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
QUOTED = re.compile(r"""(['"])(.*)\1""")


class Problem(NamedTuple):
    """A variable with an unusable value, and the form that it should have."""

    variable: str
    message: str


class Environment:
    """Typed values by name. No method raises: a malformed value is recorded in `problems`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._read: set[str] = set()
        self._secrets: set[str] = set()
        self.problems: list[Problem] = []

    @classmethod
    def read(cls, dotenv: Path) -> Environment:
        """Read the process environment and, with less priority, the file `dotenv` if it exists."""
        lines, unreadable = read_dotenv(dotenv)
        environment = cls({**lines, **os.environ})
        for message in unreadable:
            environment.reject(dotenv.name, message=message)
        return environment

    def has(self, name: str) -> bool:
        """Return whether the variable is set, even to an empty value."""
        return name in self._variables

    def text(self, name: str, *, default: str = "") -> str:
        """Return the stripped text; an empty one counts as not set."""
        self._read.add(name)
        return self._variables.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        """Return the text of `name`, or of the file that `name`_FILE names."""
        self._secrets |= {name, f"{name}_FILE"}
        text, path = self.text(name), self.text(f"{name}_FILE")
        if not path:
            return text
        if text:
            self.reject(f"{name}_FILE", message=f"is set together with {name}: set one of the two")
            return text
        try:
            content = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            self.reject(f"{name}_FILE", message="must name a UTF-8 text file that this process can read")
            return ""
        if not content:
            self.reject(f"{name}_FILE", message="must name a file with the value, and that file is empty")
        return content

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        return self._typed(name, values.boolean, default=default)

    def integer(self, name: str, *, default: int, low: int = 0, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return self._typed(name, partial(values.whole_number, low=low, high=high), default=default)

    def number(self, name: str, *, default: float, low: float = 0, high: float) -> float:
        """Return a number from `low` to `high`, both included; decimals are permitted."""
        return self._typed(name, partial(values.number, low=low, high=high), default=default)

    def comma_separated(self, name: str) -> tuple[str, ...]:
        """Return the items of a comma separated list."""
        return values.comma_separated(self.text(name))

    def url(self, name: str, *, default: str = "") -> str:
        """Return an absolute web address without a trailing slash."""
        return self._typed(name, values.url, default=default)

    def urls(self, name: str) -> tuple[str, ...]:
        """Return the absolute web addresses of a comma separated list, each without a trailing slash."""
        return self._typed(name, values.urls, default=())

    def prefix(self, name: str) -> str:
        """Return a path without a trailing slash; empty for the root."""
        return self._typed(name, values.path_prefix, default="")

    def origins(self, name: str) -> tuple[str, ...]:
        """Return the origins of a comma separated list."""
        return self._typed(name, values.origins, default=())

    def hosts(self, name: str) -> tuple[str, ...]:
        """Return the host names of a comma separated list."""
        return self._typed(name, values.hosts, default=())

    def header(self, name: str) -> str:
        """Return the name of a header; empty if it is not set."""
        return self._typed(name, values.header, default="")

    def database(self, name: str, *, default: str, root: Path) -> dict[str, Any]:
        """Return Django's entry for the database of a (secret) address."""
        text = self.secret(name) or default
        try:
            return database.parse(text, root=root)
        except values.Malformed as error:
            self.reject(name, message=str(error))
            return database.parse(default, root=root)

    def folder(self, name: str) -> str:
        """Return a writable folder, created if it is missing; empty if that is not possible."""
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

    def reject_unread_files(self) -> None:
        """Record each `X_FILE` that is set although only the variable `X` itself is read."""
        for name in sorted(self._read - self._secrets):
            if self.text(f"{name}_FILE"):
                self.reject(f"{name}_FILE", message=f"is not read, only secrets are: set {name} itself")

    def reject(self, name: str, *, message: str) -> None:
        """Record that `name` cannot be used. `message` continues the sentence and omits the value."""
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
    """Read NAME=value lines, without expansion; quotes are optional. Return the values and the problems."""
    if not path.exists():
        return {}, []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}, ["must be a UTF-8 text file that this process can read"]
    found, problems = {}, []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if match := ASSIGNMENT.fullmatch(line):
            quoted = QUOTED.fullmatch(match[2])
            found[match[1]] = quoted[2] if quoted else match[2]
        else:
            problems.append(f"line {number} must look like NAME=value")
    return found, problems
