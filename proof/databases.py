"""The database answers with an error, or with nothing but a lock: what clients see, and what is lost."""

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
from devclerk.people import Person
from devclerk.wire import event_object
from proof.clients import Answer, answer_of, slowest, table
from proof.rows import differences, query
from proof.site import Site, database
from proof.stage import clerk_instance
from proof.trouble import trouble_in

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
    *("new person", "changed claims", "warm", "banned", "bad token", "webhook"),
)
# Whoever has a row is served with it; nothing but what has to be written waits for better times.
EXPECTED = {
    NEW: (503, "sync_unavailable"),
    CHANGED: (200, ""),
    WARM: (200, ""),
    BANNED: (403, "user_inactive"),
    BAD: (401, "token_malformed"),
    EVENT: (503, "sync_unavailable"),
}


def a_database_that_fails_gives_503_to_whom_it_must_and_nobody_else(*, seed: int) -> Mapping[str, object]:
    """Disk full, deadlock, dead connections and more, at each write or at the commit: nothing is lost."""
    return fail_at_writes(errors=ERRORS, moments=("write", "commit"))


def fail_at_writes(*, errors: Mapping[str, str], moments: tuple[str, ...]) -> Mapping[str, object]:
    """Make the database fail in each of these ways and compare what each kind of client sees."""
    answers: list[Answer] = []
    with _stage(workers=2) as (clerk, site, address), trouble_in(address) as trouble:
        visitors = _Visitors(clerk, site)
        for kind in errors.values():
            for moment in moments:
                trouble.begin(kind, at=moment)
                answers += visitors.come()
                trouble.end()
                visitors.come_again()
                visitors.renew()
        visitors.come_again()
        wrong = [each for each in answers if (each.status, each.code) != EXPECTED[each.kind]]
        assert not wrong, table(wrong)
        assert not differences(address, clerk), differences(address, clerk)
        assert query(address, "SELECT count(*) FROM webhooks_webhookevent WHERE outcome = 'failed'") == [(0,)]
    return {"errors": ", ".join(errors), "moments": ", ".join(moments), "what clients saw": table(answers)}


def a_lock_that_does_not_come_is_503_after_five_seconds(*, seed: int) -> Mapping[str, object]:
    """A person's lock or the whole table held by somebody else: 503 after five seconds, reads unharmed."""
    figures: dict[str, object] = {}
    with _stage(workers=8) as (clerk, site, address):
        visitors = _Visitors(clerk, site)
        for name, take in LOCKS.items():
            with psycopg.connect(address) as other:
                take(other, visitors)
                answers = visitors.come()
                other.rollback()
            wrong = [each for each in answers if (each.status, each.code) != EXPECTED[each.kind]]
            assert not wrong, table(wrong)
            waited = [each for each in answers if each.kind in {NEW, EVENT, CHANGED}]
            assert all(4.5 < each.ended - each.began < 12 for each in waited), slowest(waited)
            quick = [each for each in answers if each not in waited]
            assert all(each.ended - each.began < 3 for each in quick), slowest(quick)
            visitors.come_again()
            visitors.renew()
            figures[name] = f"waited {slowest(waited)}, others {slowest(quick)}{table(answers)}"
        visitors.come_again()
        assert not differences(address, clerk), differences(address, clerk)
    return figures


class _Visitors:
    """One request of each kind at the same time, each by somebody else."""

    def __init__(self, clerk: LocalClerk, site: Site) -> None:
        self._clerk, self._site = clerk, site
        self.banned = site.mint(clerk.person("mallory"))
        site.deliver(_event(clerk, clerk.person("mallory")))
        assert site.me(self.banned).status_code == 403
        self.warm = site.mint(clerk.person("ada"))
        assert site.me(self.warm).status_code == 200
        # Claims count in whole seconds, and of two in one second the greater value: names grow from here on.
        self.changing = clerk.new_person(first_name="A")
        assert site.me(site.mint(self.changing)).status_code == 200
        self.told = clerk.new_person(first_name="A")
        assert site.deliver(_event(clerk, self.told)).status_code == 200
        self.renew()

    def renew(self) -> None:
        """Let new things happen in Clerk, of which nothing is known here."""
        self.new = self._clerk.new_person(first_name="New")
        name = f"Name {time.monotonic_ns()}"
        self.changing = self._clerk.update(self.changing, first_name=name)
        self.told = self._clerk.update(self.told, first_name=name)
        self.event = _event(self._clerk, self.told)
        self.svix_id = f"msg_{time.monotonic_ns()}"

    def come(self) -> list[Answer]:
        """Ask all at once."""
        with ThreadPoolExecutor(len(EXPECTED)) as threads:
            return list(threads.map(self._ask, EXPECTED))

    def come_again(self) -> None:
        """See that all is well again, and that what failed can be had now."""
        for kind, (status, _) in EXPECTED.items():
            answer = self._ask(kind)
            assert answer.status == (200 if status == 503 else status), table([answer])

    def _ask(self, kind: str) -> Answer:
        began = time.monotonic()
        return answer_of(kind, self._request(kind), began=began)

    def _request(self, kind: str) -> requests.Response:
        if kind == EVENT:
            return self._site.deliver(self.event, svix_id=self.svix_id)
        person = {NEW: self.new, CHANGED: self.changing}.get(kind)
        tokens = {WARM: self.warm, BANNED: self.banned, BAD: "nonsense"}
        return self._site.me(self._site.mint(person) if person else tokens[kind])


def _hold_people(other: psycopg.Connection[tuple[object, ...]], visitors: _Visitors) -> None:
    for person in (visitors.new, visitors.changing, visitors.told):
        other.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key(person.id)])


def _hold_table(other: psycopg.Connection[tuple[object, ...]], visitors: _Visitors) -> None:
    other.execute("LOCK TABLE accounts_user IN SHARE MODE")


LOCKS: Mapping[str, Callable[[psycopg.Connection[tuple[object, ...]], _Visitors], None]] = {
    "the people's locks": _hold_people,
    "the table, as CREATE INDEX does": _hold_table,
}


def _event(clerk: LocalClerk, person: Person) -> dict[str, object]:
    change = Change(type="user.updated", person=person, at=person.updated_at)
    return event_object(change, instance_id=clerk.instance_id)


@contextmanager
def _stage(*, workers: int) -> Iterator[tuple[LocalClerk, Site, str]]:
    with (
        clerk_instance() as clerk,
        database() as server,
        Site(clerk, database=server.url, workers=workers) as site,
    ):
        yield clerk, site, server.url
