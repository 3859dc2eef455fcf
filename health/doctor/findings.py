"""What the doctor says: one finding for each thing looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, why it matters, and what to do. No secret, no token, nothing personal."""

    level: Level
    what: str
    why: str = ""
    to_do: str = ""

    def as_json(self) -> dict[str, str]:
        """Give the finding for machines."""
        return asdict(self)


def ok(what: str, *, to_do: str = "") -> Finding:
    """Say that something is well."""
    return Finding(level=Level.OK, what=what, to_do=to_do)


def warning(what: str, *, why: str, to_do: str) -> Finding:
    """Say that something works but should not stay so."""
    return Finding(level=Level.WARNING, what=what, why=why, to_do=to_do)


def error(what: str, *, why: str, to_do: str) -> Finding:
    """Say that something does not work."""
    return Finding(level=Level.ERROR, what=what, why=why, to_do=to_do)


def worst(findings: Iterable[Finding]) -> Level:
    """Give the level of the worst finding."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.OK)
