"""Signals for observers, sent after the transaction; they never control what happens next.

`user_synced(clerk_id, source, outcome)`: a sync or a deletion of one user has ended.
`page_synced(source, outcomes)`: the same for a page of users; `outcomes` maps Clerk ids to outcomes.
`sync_failed(clerk_id, source, reason)`: something could not be stored; `clerk_id` is None for an outage.
`authentication_decided(outcome)`: the outcome is "ok" or the code of the refusal. `is_unknown_key=True` is
added for the 503 of a key about which no fetch has decided yet.
They are sent with `send_robust`, so that an exception in a receiver has no effect on the request.
"""

from __future__ import annotations

import logging
from typing import Any

from django.dispatch import Signal

from accounts.clerk.unexpected import log_unexpected

logger = logging.getLogger(__name__)


class RobustSignal(Signal):
    """A signal whose `send_robust` logs a receiver's exception by its class, and never raises.

    Django logs the text of the exception and the receiver's `__qualname__`. The text may hold values of a
    row. A `functools.partial` or an object with `__call__` has no such name: `send_robust` would raise.
    """

    def _log_robust_failure(self, receiver: Any, err: Exception) -> None:
        log_unexpected(logger, "A receiver of a signal failed", error=err)


user_synced = RobustSignal()
page_synced = RobustSignal()
sync_failed = RobustSignal()
authentication_decided = RobustSignal()
