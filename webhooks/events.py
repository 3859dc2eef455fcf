"""The envelope of Clerk's events. Unknown keys are ignored."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.clerk.payloads import read_payload
from accounts.clerk.times import MAX_AHEAD_MILLISECONDS, to_milliseconds

MAX_LABEL_LENGTH = 100

# 2020-01-01: Clerk sent no webhooks earlier.
_EARLIEST_MILLISECONDS = 1_577_836_800_000


class MalformedEvent(Exception):
    """The signed body is not an event: it is not a JSON object, or has no type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of Clerk. `occurred_at` is in milliseconds; `data` is not validated."""

    type: str
    occurred_at: int
    instance_id: str | None
    data: object

    @property
    def label(self) -> str:
        """The type in a form that the ledger and the logs can store: short and printable."""
        return "".join(char if char.isprintable() else "?" for char in self.type[:MAX_LABEL_LENGTH])


def parse_event(body: bytes, *, received_at: int) -> Event:
    """Return the event in `body`; `received_at` (milliseconds) replaces a missing or implausible time.

    Raises MalformedEvent.
    """
    try:
        envelope = read_payload(body)
    except ValueError as error:
        raise MalformedEvent from error
    if not isinstance(envelope, dict):
        raise MalformedEvent
    event_type = envelope.get("type")
    if not isinstance(event_type, str) or not event_type:
        raise MalformedEvent
    instance_id = envelope.get("instance_id")
    return Event(
        type=event_type,
        occurred_at=_event_time(envelope.get("timestamp"), received_at=received_at),
        instance_id=instance_id if isinstance(instance_id, str) else None,
        data=envelope.get("data"),
    )


def _event_time(value: object, *, received_at: int) -> int:
    if not isinstance(value, int | float):
        return received_at
    milliseconds = to_milliseconds(value)
    is_plausible = _EARLIEST_MILLISECONDS <= milliseconds <= received_at + MAX_AHEAD_MILLISECONDS
    return int(milliseconds) if is_plausible else received_at
