"""By how much this machine's clock differs from Clerk's, from the answers of the key address."""

from __future__ import annotations

from accounts.clerk.jwks import KeyDocument
from accounts.clerk.times import parse_http_date

# A Date has whole seconds, and is from any moment of a fetch of at most two seconds: together 1.5 s.
TOLERANCE_SECONDS = 2.0
# Longer than the tolerance: a Date that stands still cannot agree with itself.
CONFIRM_SECONDS = 3.0
RECHECK_SECONDS = 60.0
# A machine with such a clock accepts no certificate; a server with such a Date is wrong itself.
MAX_SKEW_SECONDS = 365 * 86_400.0
MAX_AGE_DIGITS = 9


class ClockSkew:
    """The skew beyond `leeway` and two seconds, once two fetches in a row agree about it. Has one writer."""

    def __init__(self, *, leeway: float) -> None:
        self._limit = leeway + TOLERANCE_SECONDS
        self._last: float | None = None
        self.seconds: float | None = None

    @property
    def recheck_seconds(self) -> float | None:
        """Return after how many seconds to measure again, because the clock seems or is known to be wrong."""
        if self._last is None:
            return None
        return CONFIRM_SECONDS if self.seconds is None else RECHECK_SECONDS

    def record(self, ahead: float | None) -> None:
        """Record the measurement of a fetch; None (the answer had no usable time) changes nothing."""
        if ahead is None:
            return
        beyond = abs(ahead) > self._limit
        agrees = self._last is not None and abs(ahead - self._last) <= TOLERANCE_SECONDS
        self.seconds = ahead if beyond and agrees else None
        self._last = ahead if beyond else None


def measure_clock(document: KeyDocument, *, requested_at: float) -> float | None:
    """Return by how many seconds our clock, which read `requested_at`, is ahead; None if that is unknown.

    A cache may send the Date of the origin or its own, so an answer of some Age was true at a moment between
    Date and Date plus Age: of the possible differences the smallest counts.
    """
    date, age = parse_http_date(document.date), _parse_age(document.age)
    if date is None or age is None:
        return None
    most = requested_at + document.seconds / 2 - (date + 0.5)
    ahead = max(most - age, 0.0) or min(most, 0.0)
    return ahead if abs(ahead) <= MAX_SKEW_SECONDS else None


def _parse_age(header: str | None) -> float | None:
    if header is None:
        return 0.0
    text = header.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= MAX_AGE_DIGITS else None
