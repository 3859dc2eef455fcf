"""News for observers, sent after the transaction has ended; never control flow.

`user_synced(clerk_id, source, outcome)`: a person's row was written or found in order on the cold path.
`page_synced(source, outcomes)`: the same of a page of people at once; `outcomes` maps Clerk ids.
`sync_failed(clerk_id, source, reason)`: something could not be stored; `clerk_id` is None for an outage.
`authentication_decided(outcome)`: "ok", or the code of the refusal.
Send them with `send_robust`: an observer never harms what it observes.
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
