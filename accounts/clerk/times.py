"""Times that Clerk sends: their unit, and how far they may be ahead of this machine's clock."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

# A later time would freeze the row: no other version could be greater until then.
MAX_AHEAD_SECONDS = 300
MAX_AHEAD_MILLISECONDS = MAX_AHEAD_SECONDS * 1000
# Clerk sends milliseconds in most places, seconds in some: a larger number is milliseconds (seconds of 5138).
MAX_SECONDS = 100_000_000_000


def plausible_milliseconds(moment: object, *, now: int) -> int | None:
    """Return `moment` if it is a time in ms, at most five minutes ahead of `now`, else None."""
    if isinstance(moment, float) and moment.is_integer():
        moment = int(moment)
    if isinstance(moment, bool) or not isinstance(moment, int):
        return None
    return moment if MAX_SECONDS < moment <= now + MAX_AHEAD_MILLISECONDS else None


def to_milliseconds(moment: float) -> float:
    """Convert a time to ms if its size shows that it is in seconds."""
    return moment if moment > MAX_SECONDS else moment * 1000


def parse_http_date(text: str | None) -> float | None:
    """Return the epoch seconds of an HTTP date; None if it is missing, malformed or without a time zone."""
    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return None if date.tzinfo is None else date.timestamp()
