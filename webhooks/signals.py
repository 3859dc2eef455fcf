"""News about deliveries, for observers: nothing is decided by who listens."""

from __future__ import annotations

from django.dispatch import Signal

# event_type: str; outcome: str, "duplicate" too; lag_seconds: float, from the event's time to its receipt
webhook_received = Signal()
