"""Clerk's event envelope, read leniently: what we do not know we do not mind."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.clerk.payloads import read_payload
from accounts.clerk.times import MAX_AHEAD_MILLISECONDS, to_milliseconds

MAX_LABEL_LENGTH = 100

# Clerk sent no webhook before 2020: an earlier time is a mistake.
_EARLIEST_MILLISECONDS = 1_577_836_800_000


class MalformedEvent(Exception):
    """The body is genuine but no event: not a JSON object, or without a type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What Clerk says happened; `data` is as it came, `occurred_at` is in milliseconds."""

    type: str
    occurred_at: int
    instance_id: str | None
    data: object

    @property
    def label(self) -> str:
        """The type as the ledger and the logs may hold it: short, and free of what they cannot store."""
        return "".join(letter if letter.isprintable() else "?" for letter in self.type[:MAX_LABEL_LENGTH])


def parse_event(body: bytes, *, received_at: int) -> Event:
    """Read the envelope; `received_at` (milliseconds) stands in for a time that is missing or absurd.

    Raises `MalformedEvent`.
    """
    try:
        envelope = read_payload(body)
    except ValueError as error:
        raise MalformedEvent from error
    if not isinstance(envelope, dict):
        raise MalformedEvent
    kind = envelope.get("type")
    if not isinstance(kind, str) or not kind:
        raise MalformedEvent
    instance_id = envelope.get("instance_id")
    return Event(
        type=kind,
        occurred_at=_milliseconds(envelope.get("timestamp"), received_at=received_at),
        instance_id=instance_id if isinstance(instance_id, str) else None,
        data=envelope.get("data"),
    )


def _milliseconds(value: object, *, received_at: int) -> int:
    if not isinstance(value, int | float):
        return received_at
    moment = to_milliseconds(value)
    plausible = _EARLIEST_MILLISECONDS <= moment <= received_at + MAX_AHEAD_MILLISECONDS
    return int(moment) if plausible else received_at
