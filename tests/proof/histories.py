"""Histories: everything that can happen to two people, in every order that hypothesis can think of."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from itertools import count
from typing import Any, ClassVar

import hypothesis
import time_machine
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.conf import get_clerk_api
from accounts.models import User
from accounts.pages import ProfilePage, iter_pages, store_page
from accounts.sync import delete_locally
from devclerk.tokens import Fault
from tests.proof.stage import clerk_instance, trusted
from tests.proof.trouble import trouble_in
from tests.proof.watch import EVERYTHING, physical
from tests.proof.world import PEOPLE, START, Event, Token, World
from tests.webhooks.trouble import address

LIVED = 2  # changes of somebody before the first deletion: afterwards little can happen
OFTEN = 4  # pieces of news between two times that everything is set right: else little can be wrong
SECONDS = 75  # after that no further twenty histories are begun
CHANGES = st.one_of(
    st.fixed_dictionaries({"first_name": st.sampled_from(["Ada", "Bea"])}),
    st.fixed_dictionaries({"first_name": st.sampled_from([None, "Ada"])}),
    st.fixed_dictionaries({"last_name": st.sampled_from([None, "King", "Voss"])}),
    st.fixed_dictionaries({"email": st.sampled_from([None, "a@x.test", "b@x.test"])}),
    st.fixed_dictionaries({"email_verified": st.booleans()}),
    st.fixed_dictionaries(
        {"email": st.sampled_from(["a@x.test", "b@x.test"]), "email_verified": st.booleans()}
    ),
    st.fixed_dictionaries({"image_url": st.sampled_from(["", "https://img.example.test/1.png"])}),
)
CLAIMS = ("email", "email_verified", "first_name", "last_name", "image_url")
# Crashes: the transaction fails at its end, or the connection dies there.
CRASHES = st.sampled_from(["40001", "53100", "die"])
FORGED = (Fault.ALG_NONE, Fault.HS256, Fault.WRONG_ISSUER, Fault.WRONG_AZP, Fault.TEMPLATE, Fault.MACHINE)


class Histories(RuleBasedStateMachine):
    """Requests, webhooks, pages, deletions, crashes, in any order; `begin` gives each history its world."""

    begin: ClassVar[Mapping[str, Any]]

    tokens: Bundle[Token] = Bundle("tokens")
    events: Bundle[Event] = Bundle("events")
    pages: Bundle[list[ProfilePage]] = Bundle("pages")
    people = st.integers(0, PEOPLE - 1)

    def __init__(self) -> None:
        super().__init__()
        self.world = World(**self.begin)
        self.seen = self.world.seen
        self.compared_at = 0

    # --- In Clerk ---

    @initialize(target=events)
    def somebody_signs_up(self) -> Event:
        first = self.world.past[0][0]
        return self.world.announce("user.created", first, at=first.created_at)

    @initialize(target=tokens)
    def somebody_signs_in(self) -> Token:
        return self.world.mint(0, which=0, left_out=set(), lifetime=60)

    @rule(milliseconds=st.one_of(st.integers(1, 5_000), st.sampled_from([30_000, 400_000])))
    def time_goes_by(self, milliseconds: int) -> None:
        self.world.clock.shift(milliseconds / 1000)

    @rule(target=events, who=people)
    def sign_up(self, who: int) -> Event:
        first = self.world.past[who][0]
        return self.world.announce("user.created", first, at=first.created_at)

    @rule(target=events, who=people, changes=CHANGES)
    def change_a_profile(self, who: int, changes: dict[str, Any]) -> Event:
        return self.world.change(who, **changes)

    @rule(target=events, who=people, banned=st.booleans())
    def ban_or_unban(self, who: int, banned: bool) -> Event:  # noqa: FBT001 - hypothesis gives it by name
        return self.world.change(who, banned=banned)

    @precondition(lambda self: max(map(len, self.world.past)) > LIVED)
    @rule(target=events, who=people)
    def delete(self, who: int) -> Event:
        return self.world.delete(who)

    @precondition(lambda self: max(map(len, self.world.past)) > LIVED)
    @rule(target=events, who=people)
    def report_a_deletion_that_never_was(self, who: int) -> Event:
        return self.world.announce("user.deleted", self.world.past[who][-1], at=self.world.now)

    @rule(
        target=tokens,
        who=people,
        which=st.integers(0, 2),
        left_out=st.sets(st.sampled_from(CLAIMS)),
        lifetime=st.sampled_from([60, 3600]),
    )
    def mint_a_token(self, who: int, which: int, left_out: set[str], lifetime: int) -> Token:
        return self.world.mint(who, which=which, left_out=left_out, lifetime=lifetime)

    # --- Here ---

    @rule(target=tokens, who=people)
    def visit(self, who: int) -> Token:
        token = self.world.mint(who, which=0, left_out=set(), lifetime=3600)
        self.world.present(token)
        return token

    @precondition(lambda self: max(map(len, self.world.past)) > LIVED)
    @rule(target=events, who=people)
    def be_deleted_and_come_back(self, who: int) -> Event:
        token = self.world.mint(who, which=0, left_out=set(), lifetime=3600)
        event = self.world.delete(who)
        self.world.deliver(event)
        self.world.present(token)
        return event

    @rule(token=tokens)
    def present(self, token: Token) -> None:
        self.world.present(token)

    @rule(token=tokens, crash=CRASHES)
    def present_and_crash(self, token: Token, crash: str) -> None:
        before = physical()
        self.world.trouble.begin(crash, at="commit")
        response = self.world.get(token.text)
        self.world.trouble.end()
        assert response.status_code in {200, 401, 403, 503}
        self.seen[f"crashed request {response.status_code}"] += 1
        assert physical() == before
        assert response.status_code != 503 or self.world.row(token.clerk_id) is None

    @rule()
    def deliver_the_latest(self) -> None:
        self.world.deliver(self.world.news[-1])

    @rule(event=events)
    def deliver(self, event: Event) -> None:
        self.world.deliver(event)

    @rule(event=events, crash=CRASHES)
    def deliver_and_crash(self, event: Event, crash: str) -> None:
        before = physical()
        self.world.trouble.begin(crash, at="commit")
        response = self.world.post(event)
        self.world.trouble.end()
        assert response.status_code == 503, response.content
        self.seen["crashed event 503"] += 1
        assert physical() == before

    @rule(target=pages)
    def fetch_a_page(self) -> list[ProfilePage]:
        return list(iter_pages(get_clerk_api(), clock=timezone.now))

    @rule(pages=pages)
    def store_a_page(self, pages: list[ProfilePage]) -> None:
        for page in pages:
            result = store_page(page, source="backfill")
            assert not result.failed
            self.seen.update(f"page {outcome}" for outcome in result.outcomes.values())

    @rule(who=people)
    def delete_here(self, who: int) -> None:
        row = User.objects.by_clerk_id(self.world.past[who][-1].id)
        if row is not None:
            delete_locally(row)
            self.world.apart.add(str(row.clerk_id))

    @rule(event=events, token=tokens, fault=st.sampled_from(FORGED))
    def try_a_forgery(self, event: Event, token: Token, fault: Fault) -> None:
        before = physical(*EVERYTHING)
        forged = self.world.clerk.mint(self.world.past[0][0], fault=fault)
        for text in (forged, token.text[:-8] + "AAAAAAAA", token.text.rpartition(".")[0]):
            assert self.world.get(text).status_code == 401
        assert self.world.post(event, secret="whsec_" + "A" * 32).status_code == 400
        assert self.world.post(event, at=self.world.now / 1000 - 301).status_code == 400
        assert physical(*EVERYTHING) == before
        self.seen["forgery 401, 400"] += 1

    @precondition(lambda self: len(self.world.news) >= len(self.world.done) + OFTEN)
    @rule(chance=st.randoms(use_true_random=False))
    def everything_arrives(self, chance: random.Random) -> None:
        self.world.let_everything_arrive(chance)

    @precondition(lambda self: len(self.world.news) >= self.compared_at + OFTEN)
    @rule()
    def reconcile(self) -> None:
        self.world.compare()
        self.compared_at = len(self.world.news)

    @invariant()
    def every_promise_holds(self) -> None:
        self.seen["steps"] += 1
        self.world.watcher.look()

    def teardown(self) -> None:
        self.world.let_everything_arrive(random.Random(len(self.world.news)))  # noqa: S311 - repeatable
        self.world.compare()
        self.world.watcher.look()
        self.seen["histories"] += 1


def run_histories(*, seed: int, number: int, steps: int) -> Counter[str]:
    """Run so many histories of so many steps and return what happened in them, and how often."""
    seen: Counter[str] = Counter()
    with (
        clerk_instance() as clerk,
        trusted(clerk),
        trouble_in(address()) as trouble,
        time_machine.travel(START, tick=False) as clock,
    ):
        begin = {"clerk": clerk, "clock": clock, "trouble": trouble, "seen": seen}
        machine = hypothesis.seed(seed)(type("Histories", (Histories,), {"begin": begin}))
        settings = hypothesis.settings(
            max_examples=number,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        run_state_machine_as_test(machine, settings=settings)
    return seen


def every_step_keeps_the_promises(*, seed: int) -> Mapping[str, object]:
    """Whatever happens in whatever order: one live row, no way back from a deletion, at last the truth."""
    seen: Counter[str] = Counter()
    begin = time.monotonic()
    for part in count(seed):
        seen += run_histories(seed=part, number=20, steps=50)
        if time.monotonic() - begin > SECONDS:
            break
    return dict(sorted(seen.items(), key=lambda each: -each[1]))
