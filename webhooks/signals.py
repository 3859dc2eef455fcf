"""News about deliveries, for observers; never control flow.

`webhook_received(event_type, outcome, lag_seconds)`: an event came and was dealt with. The outcome is the
ledger's, or "duplicate"; the lag is the time from the event to its receipt.
"""

from __future__ import annotations

from accounts.signals import RobustSignal

webhook_received = RobustSignal()
