"""Signals for observers, sent after the transaction; they never control what happens next.

`user_synced(clerk_id, source, outcome)`: a sync or a deletion of one user has ended.
`page_synced(source, outcomes)`: the same for a page of users; `outcomes` maps Clerk ids to outcomes.
`sync_failed(clerk_id, source, reason)`: something could not be stored; `clerk_id` is None for an outage.
`authentication_decided(outcome)`: the outcome is "ok" or the code of the refusal.
They are sent with `send_robust`, so that an exception in a receiver has no effect on the request.
"""

from __future__ import annotations

from django.dispatch import Signal

user_synced = Signal()
page_synced = Signal()
sync_failed = Signal()
authentication_decided = Signal()
