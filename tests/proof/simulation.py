"""Two users in Clerk, the product, and all tokens and webhooks that were created for them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.bulk.reconcile import reconcile
from accounts.clerk.fields import is_equal
from accounts.clerk.profiles import DEFAULT_CLAIMS
from accounts.conf import get_clerk_api
from accounts.models import DeletedBy
from devclerk.events import Change
from devclerk.fixtures import LocalClerk
from devclerk.tokens import ABSENT
from devclerk.users import ClerkUser, new_id
from devclerk.wire import event_object
from tests.proof.database_faults import FaultInjector
from tests.proof.environment import empty_database
from tests.proof.invariants import ALL_TABLES, InvariantChecker, expected_values, row_values, row_versions
from tests.proof.tables import Identity, live_identities

START = 1_790_000_000.0  # seconds; the clock of all histories is advanced by their steps
USERS = 2
LEEWAY_SECONDS = 5  # the default setting
# Further fields: two that claims feed as well, and one that only webhooks and pages have.
EXTRA_FIELDS = ("phone_number", "public_metadata", "locale")
FED = f"{DEFAULT_CLAIMS},phone_number=phone_number,public_metadata=public_metadata"


@dataclass(frozen=True, slots=True)
class Token:
    """A session token that was issued to a user."""

    clerk_id: str
    text: str
    expires_at: float
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """A webhook event, which is signed again for every delivery."""

    svix_id: str
    body: bytes
    clerk_id: str
    updated_at: int


def expected_extra(user: ClerkUser) -> dict[str, Any]:
    """Return the column `extra` that the row of a user in Clerk must have."""
    return {
        "phone_number": user.phone_number if user.phone_number_verified else None,
        "public_metadata": user.public_metadata,
        "locale": user.locale,
    }


class Simulation:
    """The users in Clerk, their issued tokens and events, and the checks of the responses of the product."""

    def __init__(self, clerk: LocalClerk, *, clock: Any, faults: FaultInjector, seen: Counter[str]) -> None:
        self.clerk, self.clock, self.faults, self.seen = clerk, clock, faults, seen
        empty_database()
        clock.move_to(START)
        clerk.emulator.reset()
        for user in clerk.people:
            clerk.delete(user)
        self.invariants = InvariantChecker()
        self.delivered: set[str] = set()
        self.events: list[Event] = []
        # Their rows may differ from Clerk until a reconciliation: deleted locally, or by a false event.
        self.not_comparable: set[str] = set()
        self.states = [
            [clerk.new_person(id=f"user_{number}", handle=f"user{number}", first_name="Ada")]
            for number in range(USERS)
        ]
        for (user,) in self.states:
            self._record_verified(user)

    # --- Operations in Clerk ---

    @property
    def now(self) -> int:
        """Return the time in milliseconds, the same for Clerk and the product."""
        return int(timezone.now().timestamp() * 1000)

    def announce(self, kind: str, user: ClerkUser, *, at: int) -> Event:
        """Create a webhook event, which can be delivered from now on."""
        change = Change(type=kind, user=user, at=at)
        body = json.dumps(event_object(change, instance_id=self.clerk.instance_id)).encode()
        updated_at = 0 if kind == "user.deleted" else user.updated_at
        event = Event(new_id("msg"), body, user.id, updated_at)
        self.events.append(event)
        return event

    def change(self, index: int, **changes: Any) -> Event:
        """Change a user and return the event; a deleted user stays unchanged."""
        user = self.states[index][-1]
        if self.is_alive(user):
            user = self.clerk.update(user, **changes)
            self.states[index].append(user)
            self._record_verified(user)
        return self.announce("user.updated", user, at=user.updated_at)

    def delete(self, index: int) -> Event:
        """Delete a user in Clerk and return the event."""
        user = self.states[index][-1]
        if self.is_alive(user):
            self.clerk.delete(user)
        return self.announce("user.deleted", user, at=self.now)

    def mint(self, index: int, *, changes_ago: int, omitted: set[str], lifetime: int) -> Token:
        """Mint a token with the state of `changes_ago` changes ago; `oiat` is the time of that state."""
        states = self.states[index]
        user = states[max(0, len(states) - 1 - changes_ago)]
        read_at = self.now if user is states[-1] else user.updated_at
        sent = user.claims() | {"public_metadata": user.public_metadata}
        text = self.clerk.mint(
            user,
            claims=sent | dict.fromkeys(omitted, ABSENT),
            header={"oiat": read_at // 1000},
            expires=lifetime,
        )
        claims = {
            name: value for name, value in sent.items() if name not in {*omitted, "phone_number_verified"}
        }
        if not user.phone_number_verified and "phone_number" in claims:
            claims["phone_number"] = None
        return Token(user.id, text, self.now // 1000 + lifetime, claims)

    def is_alive(self, user: ClerkUser) -> bool:
        """Return whether the user exists in Clerk."""
        return self.clerk.emulator.directory.get(user.id) is not None

    def _record_verified(self, user: ClerkUser) -> None:
        if user.email_verified:
            self.invariants.verified.add((user.id, user.email))

    # --- Operations on the product ---

    def get(self, text: str) -> Any:
        """Send a request with this token."""
        return Client().get("/api/v1/me", headers={"Authorization": f"Bearer {text}"})

    def post(self, event: Event, **how: Any) -> Any:
        """Send a signed webhook request."""
        headers, body = self.clerk.sign_webhook(event.body, svix_id=event.svix_id, **how)
        return Client().post("/webhooks/clerk", body, content_type="application/json", headers=headers)

    def row(self, clerk_id: str) -> Any:
        """Return the live row of the user, or None."""
        return live_identities().filter(clerk_id=clerk_id).first()

    def is_deleted_by_clerk(self, clerk_id: str) -> bool:
        """Return whether the user is deleted in this database because of Clerk."""
        deleted = Identity.objects.filter(clerk_id=clerk_id, deleted_by=DeletedBy.CLERK)
        return self.row(clerk_id) is None and deleted.exists()

    def deliver(self, event: Event) -> None:
        """Deliver an event; check that a repeated delivery has no effect."""
        before = row_versions()
        response = self.post(event)
        assert response.status_code == 200, response.content
        outcome = response.json()["outcome"]
        self.seen[f"event {outcome}"] += 1
        assert (outcome == "duplicate") == (event.svix_id in self.delivered)
        assert outcome != "duplicate" or row_versions() == before
        self.delivered.add(event.svix_id)
        self.not_comparable |= {user.id for user in self.clerk.people if self.is_deleted_by_clerk(user.id)}

    def expected(self, token: Token, *, was_deleted: bool) -> int:
        """Return the expected status of a token that was just presented."""
        if self.now // 1000 >= token.expires_at + LEEWAY_SECONDS or was_deleted:
            return 401
        row = self.row(token.clerk_id)
        assert row is not None, "a valid token and no row"
        assert not Identity.objects.filter(clerk_id=token.clerk_id, deleted_by=DeletedBy.CLERK).exists()
        return 403 if row.banned else 200

    def present(self, token: Token) -> None:
        """Send a token; check the status, and that a second request writes nothing."""
        before = row_versions()
        was_deleted = self.is_deleted_by_clerk(token.clerk_id)
        response = self.get(token.text)
        expected = self.expected(token, was_deleted=was_deleted)
        assert response.status_code == expected, response.content
        self.seen[f"request {expected}"] += 1
        if expected == 401:
            assert row_versions() == before
        else:
            self.present_warm(token, status=expected)

    def present_warm(self, token: Token, *, status: int) -> None:
        """Send a token again; check that it writes nothing, in one statement if the claims equal the row."""
        before = row_versions(*ALL_TABLES)
        with CaptureQueriesContext(connection) as statements:
            assert self.get(token.text).status_code == status
        assert row_versions(*ALL_TABLES) == before
        row = self.row(token.clerk_id)
        assert row is not None
        claims_equal_row = all(
            is_equal(value, row.extra.get(name))
            if name in EXTRA_FIELDS
            else (value or None) == (getattr(row, name) or None)
            for name, value in token.claims.items()
        )
        assert len(statements) <= (1 if claims_equal_row else 2), statements.captured_queries
        self.seen["warm request, 1 statement" if claims_equal_row else "older claims, no write"] += 1

    def deliver_all(self, rng: random.Random) -> None:
        """Deliver all events in random order; check the row of each user whose latest event is among them."""
        self.clock.shift(0.001)
        for event in rng.sample(self.events, len(self.events)):
            self.deliver(event)
        reported = {(event.clerk_id, event.updated_at) for event in self.events}
        for states in self.states:
            latest = states[-1]
            is_deleted = (latest.id, 0) in reported
            if latest.id not in self.not_comparable and (
                is_deleted or (latest.id, latest.updated_at) in reported
            ):
                self.check_row(latest)

    def compare(self) -> None:
        """Reconcile, and check that every row equals the user in Clerk."""
        self.clock.shift(3)  # an API response holds at its Date minus one second
        reconcile(
            get_clerk_api(accept_kept=True),
            clock=timezone.now,
            report=lambda _: None,
            apply=True,
            allow_mass_deletion=True,  # of two users
        )
        self.clock.shift(1)
        self.seen["reconciled"] += 1
        for states in self.states:
            self.check_row(states[-1])
        self.not_comparable = {clerk_id for clerk_id in self.not_comparable if self.row(clerk_id) is None}

    def check_row(self, user: ClerkUser) -> None:
        """Raise AssertionError if the row differs from Clerk, except for users deleted in this database."""
        row = self.row(user.id)
        if not self.is_alive(user):
            assert row is None, "a live row of a user that Clerk has deleted"
        elif row is None:
            deleted = Identity.objects.filter(clerk_id=user.id)
            assert deleted, "no row of a user that signed up"
            # An account that is not deleted has lost its user, which counts as deleted locally.
            assert all(each.deleted_at is None or each.deleted_by == DeletedBy.LOCAL for each in deleted), (
                "deleted, but not in Clerk"
            )
        else:
            assert row_values(row) == expected_values(user), f"{row_values(row)}, not {expected_values(user)}"
            assert is_equal(row.extra, expected_extra(user)), f"{row.extra}, not {expected_extra(user)}"
