"""The findings of the doctor, one for each thing that it examines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found, why it matters and what to do, without secrets, tokens or personal data."""

    level: Level
    what: str
    why: str = ""
    to_do: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding as JSON has it."""
        return asdict(self)


def ok(what: str, *, to_do: str = "") -> Finding:
    """Return a finding about something that works."""
    return Finding(level=Level.OK, what=what, to_do=to_do)


def warning(what: str, *, why: str, to_do: str) -> Finding:
    """Return a finding about something that works but should be changed."""
    return Finding(level=Level.WARNING, what=what, why=why, to_do=to_do)


def error(what: str, *, why: str, to_do: str) -> Finding:
    """Return a finding about something that does not work."""
    return Finding(level=Level.ERROR, what=what, why=why, to_do=to_do)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the level of the most severe finding."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.OK)
