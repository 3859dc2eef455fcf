"""Two people in Clerk, the product beside it, and all that was ever said between the two."""

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

from accounts.conf import get_clerk_api
from accounts.models import DeletedBy, User
from accounts.reconcile import reconcile
from devclerk.events import Change
from devclerk.fixtures import LocalClerk
from devclerk.tokens import ABSENT
from devclerk.users import ClerkUser, new_id
from devclerk.wire import event_object
from proof.stage import empty_database
from proof.trouble import Trouble
from proof.watch import EVERYTHING, Watcher, physical, told, truth

START = 1_790_000_000.0  # seconds; the clock of all histories is moved by hand
PEOPLE = 2
LEEWAY = 5  # seconds, as set by default


@dataclass(frozen=True, slots=True)
class Token:
    """A session token that somebody was given once."""

    clerk_id: str
    text: str
    expires_at: float
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """A webhook that Clerk has made, and makes again for every delivery."""

    svix_id: str
    body: bytes
    clerk_id: str
    updated_at: int


class World:
    """What is true in Clerk, what was said of it, and how the product answers."""

    def __init__(self, clerk: LocalClerk, *, clock: Any, trouble: Trouble, seen: Counter[str]) -> None:
        self.clerk, self.clock, self.trouble, self.seen = clerk, clock, trouble, seen
        empty_database()
        clock.move_to(START)
        clerk.emulator.reset()
        for person in clerk.people:
            clerk.delete(person)
        self.watcher = Watcher()
        self.done: set[str] = set()
        self.news: list[Event] = []
        # Whose row may differ from the truth until somebody asks Clerk: deleted here, or by a false report.
        self.apart: set[str] = set()
        self.past = [
            [clerk.new_person(id=f"user_{number}", handle=f"person{number}", first_name="Ada")]
            for number in range(PEOPLE)
        ]
        for (person,) in self.past:
            self._note(person)

    # --- In Clerk ---

    @property
    def now(self) -> int:
        """The time in milliseconds, the same for Clerk and the product."""
        return int(timezone.now().timestamp() * 1000)

    def announce(self, kind: str, person: ClerkUser, *, at: int) -> Event:
        """Make a webhook of what happened; it is on its way from now on."""
        change = Change(type=kind, user=person, at=at)
        body = json.dumps(event_object(change, instance_id=self.clerk.instance_id)).encode()
        updated_at = 0 if kind == "user.deleted" else person.updated_at
        event = Event(new_id("msg"), body, person.id, updated_at)
        self.news.append(event)
        return event

    def change(self, who: int, **changes: Any) -> Event:
        """Change somebody; whoever is gone stays as he was, and the old news come once more."""
        person = self.past[who][-1]
        if self.is_alive(person):
            person = self.clerk.update(person, **changes)
            self.past[who].append(person)
            self._note(person)
        return self.announce("user.updated", person, at=person.updated_at)

    def delete(self, who: int) -> Event:
        """Delete somebody in Clerk."""
        person = self.past[who][-1]
        if self.is_alive(person):
            self.clerk.delete(person)
        return self.announce("user.deleted", person, at=self.now)

    def mint(self, who: int, *, which: int, left_out: set[str], lifetime: int) -> Token:
        """Mint a token over what was true `which` changes ago, as an edge may; `oiat` says when that was."""
        past = self.past[who]
        person = past[max(0, len(past) - 1 - which)]
        read_at = self.now if person is past[-1] else person.updated_at
        text = self.clerk.mint(
            person,
            claims=dict.fromkeys(left_out, ABSENT),
            header={"oiat": read_at // 1000},
            expires=lifetime,
        )
        claims = {name: value for name, value in person.claims().items() if name not in left_out}
        return Token(person.id, text, self.now // 1000 + lifetime, claims)

    def is_alive(self, person: ClerkUser) -> bool:
        """Tell whether Clerk knows the person."""
        return self.clerk.emulator.directory.get(person.id) is not None

    def _note(self, person: ClerkUser) -> None:
        if person.email_verified:
            self.watcher.verified.add((person.id, person.email))

    # --- Here ---

    def get(self, text: str) -> Any:
        """Ask who the bearer is."""
        return Client().get("/api/v1/me", headers={"Authorization": f"Bearer {text}"})

    def post(self, event: Event, **how: Any) -> Any:
        """Deliver an event."""
        headers, body = self.clerk.sign_webhook(event.body, svix_id=event.svix_id, **how)
        return Client().post("/webhooks/clerk", body, content_type="application/json", headers=headers)

    def row(self, clerk_id: str) -> User | None:
        """Give the person's live row."""
        return User.objects.live().filter(clerk_id=clerk_id).first()

    def is_buried(self, clerk_id: str) -> bool:
        """Tell whether the person is deleted here by Clerk's word."""
        buried = User.objects.filter(clerk_id=clerk_id, deleted_by=DeletedBy.CLERK)
        return self.row(clerk_id) is None and buried.exists()

    def deliver(self, event: Event) -> None:
        """Deliver an event, perhaps once more: then nothing happens."""
        before = physical()
        response = self.post(event)
        assert response.status_code == 200, response.content
        outcome = response.json()["outcome"]
        self.seen[f"event {outcome}"] += 1
        assert (outcome == "duplicate") == (event.svix_id in self.done)
        assert outcome != "duplicate" or physical() == before
        self.done.add(event.svix_id)
        self.apart |= {person.id for person in self.clerk.people if self.is_buried(person.id)}

    def expected(self, token: Token, *, buried: bool) -> int:
        """Give the status that is due to a token, after it was presented."""
        if self.now // 1000 > token.expires_at + LEEWAY or buried:
            return 401
        row = self.row(token.clerk_id)
        assert row is not None, "a valid token and no row"
        assert not User.objects.filter(clerk_id=token.clerk_id, deleted_by=DeletedBy.CLERK).exists()
        return 403 if row.banned else 200

    def present(self, token: Token) -> None:
        """Present a token: it gets what is due to it, and the second time nothing is written."""
        before = physical()
        buried = self.is_buried(token.clerk_id)
        response = self.get(token.text)
        expected = self.expected(token, buried=buried)
        assert response.status_code == expected, response.content
        self.seen[f"request {expected}"] += 1
        if expected == 401:
            assert physical() == before
        else:
            self.present_warm(token, status=expected)

    def present_warm(self, token: Token, *, status: int) -> None:
        """Present a token again: it writes nothing, and is one statement if it says what the row says."""
        before = physical(*EVERYTHING)
        with CaptureQueriesContext(connection) as statements:
            assert self.get(token.text).status_code == status
        assert physical(*EVERYTHING) == before
        row = self.row(token.clerk_id)
        agrees = all((value or None) == (getattr(row, name) or None) for name, value in token.claims.items())
        assert len(statements) <= (1 if agrees else 2), statements.captured_queries
        self.seen["warm request, 1 statement" if agrees else "older claims, no write"] += 1

    def let_everything_arrive(self, chance: random.Random) -> None:
        """Deliver all events in any order: whoever's latest news came has a true row."""
        self.clock.shift(0.001)
        for event in chance.sample(self.news, len(self.news)):
            self.deliver(event)
        told_of = {(event.clerk_id, event.updated_at) for event in self.news}
        for past in self.past:
            latest = past[-1]
            gone = (latest.id, 0) in told_of
            if latest.id not in self.apart and (gone or (latest.id, latest.updated_at) in told_of):
                self.must_be_true(latest)

    def compare(self) -> None:
        """Reconcile, and see that everybody's row is true."""
        self.clock.shift(3)  # an answer counts as of a second before its Date
        reconcile(get_clerk_api(), clock=timezone.now, report=lambda _: None, apply=True)
        self.clock.shift(1)
        self.seen["reconciled"] += 1
        for past in self.past:
            self.must_be_true(past[-1])
        self.apart = {clerk_id for clerk_id in self.apart if self.row(clerk_id) is None}

    def must_be_true(self, person: ClerkUser) -> None:
        """Raise AssertionError if the row is not what Clerk says, but for people deleted here."""
        row = self.row(person.id)
        if not self.is_alive(person):
            assert row is None, "a row is live of somebody whom Clerk has deleted"
        elif row is None:
            gone = User.objects.filter(clerk_id=person.id)
            assert gone, "nobody knows of somebody who signed up"
            assert all(each.deleted_by == DeletedBy.LOCAL for each in gone), "alive in Clerk, deleted here"
        else:
            assert told(row) == truth(person), f"{told(row)} and not {truth(person)}"
