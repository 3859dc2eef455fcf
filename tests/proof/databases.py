"""Database errors and locks that are held: the responses to clients, and that no event is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import requests

from accounts.db import lock_key
from devclerk.events import Change
from devclerk.fixtures import LocalClerk
from devclerk.users import ClerkUser
from devclerk.wire import event_object
from tests.proof.clients import Answer, answer_of, format_slowest, format_table
from tests.proof.database_faults import inject_faults
from tests.proof.environment import clerk_instance
from tests.proof.rows import differences, query
from tests.proof.site import Site, database

ERRORS = {
    "disk full": "53100",
    "out of memory": "53200",
    "too many connections": "53300",
    "deadlock": "40P01",
    "serialization failure": "40001",
    "statement cancelled": "57014",
    "read only": "25006",
    "input/output error": "58030",
    "data corrupted": "XX001",
    "internal error": "XX000",
    "connection dies": "die",
}
NEW, CHANGED, WARM, BANNED, BAD, EVENT = (
    *("new user", "changed claims", "warm", "banned", "bad token", "webhook"),
)
# Users with a row are served from it; only requests that need a write are refused.
EXPECTED = {
    NEW: (503, "sync_unavailable"),
    CHANGED: (200, ""),
    WARM: (200, ""),
    BANNED: (403, "user_inactive"),
    BAD: (401, "token_malformed"),
    EVENT: (503, "sync_unavailable"),
}


def a_database_that_fails_at_writes_gives_503_only_to_writes(*, seed: int) -> Mapping[str, object]:
    """Disk full, deadlock, lost connections and more, at each write or at the commit: no event is lost."""
    return fail_at_writes(errors=ERRORS, moments=("write", "commit"))


def fail_at_writes(*, errors: Mapping[str, str], moments: tuple[str, ...]) -> Mapping[str, object]:
    """Fail with each of these errors; raise AssertionError if a kind of request is answered otherwise."""
    answers: list[Answer] = []
    with _running_site(workers=2) as (clerk, site, address), inject_faults(address) as faults:
        callers = _Callers(clerk, site)
        for kind in errors.values():
            for moment in moments:
                faults.begin(kind, at=moment)
                answers += callers.send_all()
                faults.end()
                callers.send_all_after_recovery()
                callers.renew()
        callers.send_all_after_recovery()
        wrong = [each for each in answers if (each.status, each.code) != EXPECTED[each.kind]]
        assert not wrong, format_table(wrong)
        assert not differences(address, clerk), differences(address, clerk)
        assert query(address, "SELECT count(*) FROM webhooks_webhookevent WHERE outcome = 'failed'") == [(0,)]
    return {
        "errors": ", ".join(errors),
        "moments": ", ".join(moments),
        "responses to clients": format_table(answers),
    }


def a_lock_held_elsewhere_is_503_after_five_seconds(*, seed: int) -> Mapping[str, object]:
    """With the lock of a user or the table held elsewhere: 503 after five seconds, reads are not affected."""
    figures: dict[str, object] = {}
    with _running_site(workers=8) as (clerk, site, address):
        callers = _Callers(clerk, site)
        for name, acquire in LOCKS.items():
            with psycopg.connect(address) as other:
                acquire(other, callers)
                answers = callers.send_all()
                other.rollback()
            wrong = [each for each in answers if (each.status, each.code) != EXPECTED[each.kind]]
            assert not wrong, format_table(wrong)
            waited = [each for each in answers if each.kind in {NEW, EVENT, CHANGED}]
            assert all(4.5 < each.ended - each.began < 12 for each in waited), format_slowest(waited)
            quick = [each for each in answers if each not in waited]
            assert all(each.ended - each.began < 3 for each in quick), format_slowest(quick)
            callers.send_all_after_recovery()
            callers.renew()
            figures[name] = (
                f"waited {format_slowest(waited)}, others {format_slowest(quick)}{format_table(answers)}"
            )
        callers.send_all_after_recovery()
        assert not differences(address, clerk), differences(address, clerk)
    return figures


class _Callers:
    """One concurrent request of each kind, each by another user."""

    def __init__(self, clerk: LocalClerk, site: Site) -> None:
        self._clerk, self._site = clerk, site
        self.banned = site.mint(clerk.person("mallory"))
        site.deliver(_event(clerk, clerk.person("mallory")))
        assert site.me(self.banned).status_code == 403
        self.warm = site.mint(clerk.person("ada"))
        assert site.me(self.warm).status_code == 200
        # Versions of claims are whole seconds, and equal versions take the greater value: names increase.
        self.changing = clerk.new_person(first_name="A")
        assert site.me(site.mint(self.changing)).status_code == 200
        self.notified = clerk.new_person(first_name="A")
        assert site.deliver(_event(clerk, self.notified)).status_code == 200
        self.renew()

    def renew(self) -> None:
        """Create and change users in Clerk, without an effect in this database."""
        self.new = self._clerk.new_person(first_name="New")
        name = f"Name {time.monotonic_ns()}"
        self.changing = self._clerk.update(self.changing, first_name=name)
        self.notified = self._clerk.update(self.notified, first_name=name)
        self.event = _event(self._clerk, self.notified)
        self.svix_id = f"msg_{time.monotonic_ns()}"

    def send_all(self) -> list[Answer]:
        """Send one request of each kind concurrently."""
        with ThreadPoolExecutor(len(EXPECTED)) as threads:
            return list(threads.map(self._send, EXPECTED))

    def send_all_after_recovery(self) -> None:
        """Check that requests that failed succeed now; raise AssertionError otherwise."""
        for kind, (status, _) in EXPECTED.items():
            answer = self._send(kind)
            assert answer.status == (200 if status == 503 else status), format_table([answer])

    def _send(self, kind: str) -> Answer:
        began = time.monotonic()
        return answer_of(kind, self._request(kind), began=began)

    def _request(self, kind: str) -> requests.Response:
        if kind == EVENT:
            return self._site.deliver(self.event, svix_id=self.svix_id)
        user = {NEW: self.new, CHANGED: self.changing}.get(kind)
        tokens = {WARM: self.warm, BANNED: self.banned, BAD: "nonsense"}
        return self._site.me(self._site.mint(user) if user else tokens[kind])


def _hold_user_locks(other: psycopg.Connection[tuple[object, ...]], callers: _Callers) -> None:
    for user in (callers.new, callers.changing, callers.notified):
        other.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(user.id)])


def _hold_table(other: psycopg.Connection[tuple[object, ...]], callers: _Callers) -> None:
    other.execute("LOCK TABLE accounts_user IN SHARE MODE")


LOCKS: Mapping[str, Callable[[psycopg.Connection[tuple[object, ...]], _Callers], None]] = {
    "the locks of the users": _hold_user_locks,
    "the table, as CREATE INDEX does": _hold_table,
}


def _event(clerk: LocalClerk, user: ClerkUser) -> dict[str, object]:
    change = Change(type="user.updated", user=user, at=user.updated_at)
    return event_object(change, instance_id=clerk.instance_id)


@contextmanager
def _running_site(*, workers: int) -> Iterator[tuple[LocalClerk, Site, str]]:
    with (
        clerk_instance() as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers) as site,
    ):
        yield clerk, site, server.url
