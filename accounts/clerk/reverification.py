"""How recently a user must have proved their identity; source: clerk/javascript, `authorization.ts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from accounts.clerk.session import FactorAges

FACTORS = ("first_factor", "second_factor", "multi_factor")
# Clerk's names for common requirements: the factors, and the age in minutes that they must be below.
NAMED: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "strict_mfa": ("multi_factor", 10),
        "strict": ("second_factor", 10),
        "moderate": ("second_factor", 60),
        "lax": ("second_factor", 1_440),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverification:
    """A requirement; `level` is one of FACTORS. `name` is Clerk's name for it, if it has one."""

    level: str
    minutes: int
    name: str | None = None

    @property
    def hint(self) -> dict[str, Any]:
        """Return what Clerk's frontend hook expects in the body of a 403, below `clerk_error`."""
        wanted = self.name or {"level": self.level, "afterMinutes": self.minutes}
        return {"type": "forbidden", "reason": "reverification-error", "metadata": {"reverification": wanted}}

    def is_met_by(self, ages: FactorAges | None) -> bool:
        """Return whether the factors were verified recently enough.

        As in Clerk's packages, the first factor alone decides if no second factor is enrolled.
        """
        first, second = ages or (None, None)
        if self.level == "first_factor" or second is None:
            return self._is_fresh(first)
        if self.level == "second_factor":
            return self._is_fresh(second)
        return self._is_fresh(first) and self._is_fresh(second)

    def _is_fresh(self, age: float | None) -> bool:
        return age is not None and age < self.minutes


def parse_reverification(level: str | tuple[str, int]) -> Reverification:
    """Return the requirement of one of Clerk's names, or of a pair of a level and minutes.

    Raises ValueError for an unknown name or level, and for minutes that are not a positive whole number.
    """
    if isinstance(level, str) and level in NAMED:
        factors, minutes = NAMED[level]
        return Reverification(level=factors, minutes=minutes, name=level)
    if isinstance(level, tuple) and len(level) == 2:  # noqa: PLR2004 - a pair
        factors, minutes = level
        if factors in FACTORS and type(minutes) is int and minutes > 0:
            return Reverification(level=factors, minutes=minutes)
    raise ValueError(
        f"{level!r} is no reverification level: use one of {', '.join(NAMED)}, "
        f"or a pair of {', '.join(FACTORS)} and minutes."
    )
