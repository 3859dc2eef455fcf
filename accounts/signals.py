"""News for observers, sent after the transaction has ended; never control flow.

`user_synced(clerk_id, source, outcome)`: a person's row was written or found in order on the cold path.
`page_synced(source, outcomes)`: the same of a page of people at once; `outcomes` maps Clerk ids.
`sync_failed(clerk_id, source, reason)`: something could not be stored; `clerk_id` is None for an outage.
`authentication_decided(outcome)`: "ok", or the code of the refusal.
Send them with `send_robust`: an observer never harms what it observes.
"""

from __future__ import annotations

from django.dispatch import Signal

user_synced = Signal()
page_synced = Signal()
sync_failed = Signal()
authentication_decided = Signal()
