"""Signals about deliveries. They notify observers; no receiver may decide anything.

`webhook_received(event_type, outcome, lag_seconds)`: an event was processed. The outcome is that of the
ledger, or "duplicate"; the lag is the time between the event and its receipt.
"""

from __future__ import annotations

from accounts.signals import RobustSignal

webhook_received = RobustSignal()
