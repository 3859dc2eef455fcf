"""The findings of the doctor, one for each thing that it examines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding, in ascending order."""

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
    return max((finding.level for finding in findings), key=list(Level).index, default=Level.OK)
