"""Histories: all operations on two users, in the orders that hypothesis generates."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any, ClassVar

import hypothesis
import time_machine
from django.test import override_settings
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

from accounts.bulk.pages import ProfilePage, iter_pages, store_page
from accounts.conf import get_clerk_api
from accounts.models import is_user_model
from accounts.sync import delete_locally
from devclerk.tokens import Fault
from tests.proof.database_faults import inject_faults
from tests.proof.environment import clerk_instance, emulator_trusted
from tests.proof.invariants import ALL_TABLES, row_versions
from tests.proof.simulation import EXTRA_FIELDS, FED, START, USERS, Event, Simulation, Token
from tests.webhooks.trouble import address

CHANGES_BEFORE_DELETION = 2  # of one user: after a deletion few operations have an effect
EVENTS_BETWEEN_COMPARISONS = 4  # with fewer, few rows can differ
LAST_START_SECONDS = 75  # no further twenty histories are started afterwards
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
    st.fixed_dictionaries({"phone_number": st.sampled_from([None, "+491", "+492"])}),
    st.fixed_dictionaries({"phone_number_verified": st.booleans()}),
    st.fixed_dictionaries(
        {"public_metadata": st.sampled_from([{}, {"a": 1}, {"a": True}, {"b": [1.5, None]}])}
    ),
    st.fixed_dictionaries({"locale": st.sampled_from([None, "en", "fr"])}),
)
CLAIMS = (
    "email",
    "email_verified",
    "first_name",
    "last_name",
    "image_url",
    "phone_number",
    "public_metadata",
)
# The transaction fails at its commit, or the connection dies there.
CRASHES = st.sampled_from(["40001", "53100", "die"])
FORGED = (Fault.ALG_NONE, Fault.HS256, Fault.WRONG_ISSUER, Fault.WRONG_AZP, Fault.TEMPLATE, Fault.MACHINE)


class Histories(RuleBasedStateMachine):
    """Requests, webhooks, pages, deletions, crashes in any order; `begin` has the arguments of Simulation."""

    begin: ClassVar[Mapping[str, Any]]

    tokens: Bundle[Token] = Bundle("tokens")
    events: Bundle[Event] = Bundle("events")
    pages: Bundle[list[ProfilePage]] = Bundle("pages")
    users = st.integers(0, USERS - 1)

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation(**self.begin)
        self.seen = self.simulation.seen
        self.compared_at = 0

    # --- Operations in Clerk ---

    @initialize(target=events)
    def first_sign_up(self) -> Event:
        first = self.simulation.states[0][0]
        return self.simulation.announce("user.created", first, at=first.created_at)

    @initialize(target=tokens)
    def first_sign_in(self) -> Token:
        return self.simulation.mint(0, changes_ago=0, omitted=set(), lifetime=60)

    @rule(milliseconds=st.one_of(st.integers(1, 5_000), st.sampled_from([30_000, 400_000])))
    def advance_time(self, milliseconds: int) -> None:
        self.simulation.clock.shift(milliseconds / 1000)

    @rule(target=events, index=users)
    def sign_up(self, index: int) -> Event:
        first = self.simulation.states[index][0]
        return self.simulation.announce("user.created", first, at=first.created_at)

    @rule(target=events, index=users, changes=CHANGES)
    def change_a_profile(self, index: int, changes: dict[str, Any]) -> Event:
        return self.simulation.change(index, **changes)

    @rule(target=events, index=users, banned=st.booleans())
    def ban_or_unban(self, index: int, banned: bool) -> Event:  # noqa: FBT001 - hypothesis passes it by name
        return self.simulation.change(index, banned=banned)

    @precondition(lambda self: max(map(len, self.simulation.states)) > CHANGES_BEFORE_DELETION)
    @rule(target=events, index=users)
    def delete(self, index: int) -> Event:
        return self.simulation.delete(index)

    @precondition(lambda self: max(map(len, self.simulation.states)) > CHANGES_BEFORE_DELETION)
    @rule(target=events, index=users)
    def send_a_false_deletion_event(self, index: int) -> Event:
        return self.simulation.announce(
            "user.deleted", self.simulation.states[index][-1], at=self.simulation.now
        )

    @rule(
        target=tokens,
        index=users,
        changes_ago=st.integers(0, 2),
        omitted=st.sets(st.sampled_from(CLAIMS)),
        lifetime=st.sampled_from([60, 3600]),
    )
    def mint_a_token(self, index: int, changes_ago: int, omitted: set[str], lifetime: int) -> Token:
        return self.simulation.mint(index, changes_ago=changes_ago, omitted=omitted, lifetime=lifetime)

    # --- Operations on the product ---

    @rule(target=tokens, index=users)
    def send_request(self, index: int) -> Token:
        token = self.simulation.mint(index, changes_ago=0, omitted=set(), lifetime=3600)
        self.simulation.present(token)
        return token

    @precondition(lambda self: max(map(len, self.simulation.states)) > CHANGES_BEFORE_DELETION)
    @rule(target=events, index=users)
    def delete_and_send_request(self, index: int) -> Event:
        token = self.simulation.mint(index, changes_ago=0, omitted=set(), lifetime=3600)
        event = self.simulation.delete(index)
        self.simulation.deliver(event)
        self.simulation.present(token)
        return event

    @rule(token=tokens)
    def present(self, token: Token) -> None:
        self.simulation.present(token)

    @rule(token=tokens, crash=CRASHES)
    def present_and_crash(self, token: Token, crash: str) -> None:
        before = row_versions()
        self.simulation.faults.begin(crash, at="commit")
        response = self.simulation.get(token.text)
        self.simulation.faults.end()
        assert response.status_code in {200, 401, 403, 503}
        self.seen[f"crashed request {response.status_code}"] += 1
        assert row_versions() == before
        assert response.status_code != 503 or self.simulation.row(token.clerk_id) is None

    @rule()
    def deliver_latest_event(self) -> None:
        self.simulation.deliver(self.simulation.events[-1])

    @rule(event=events)
    def deliver(self, event: Event) -> None:
        self.simulation.deliver(event)

    @rule(event=events, crash=CRASHES)
    def deliver_and_crash(self, event: Event, crash: str) -> None:
        before = row_versions()
        self.simulation.faults.begin(crash, at="commit")
        response = self.simulation.post(event)
        self.simulation.faults.end()
        assert response.status_code == 503, response.content
        self.seen["crashed event 503"] += 1
        assert row_versions() == before

    @rule(target=pages)
    def fetch_a_page(self) -> list[ProfilePage]:
        return list(iter_pages(get_clerk_api(accept_kept=True), clock=timezone.now))

    @rule(pages=pages)
    def store_a_page(self, pages: list[ProfilePage]) -> None:
        for page in pages:
            result = store_page(page, source="backfill")
            assert not result.failed
            self.seen.update(f"page {outcome}" for outcome in result.outcomes.values())

    @rule(index=users)
    def delete_in_this_database(self, index: int) -> None:
        row = self.simulation.row(self.simulation.states[index][-1].id)
        if row is not None:
            delete_locally(row)
            self.simulation.not_comparable.add(str(row.clerk_id))

    @precondition(lambda _: not is_user_model())
    @rule(index=users)
    def delete_the_user_of_the_project(self, index: int) -> None:
        row = self.simulation.row(self.simulation.states[index][-1].id)
        if row is not None:
            row.user.delete()
            self.simulation.invariants.without_user.add(row.pk)
            self.simulation.not_comparable.add(str(row.clerk_id))
            self.seen["user deleted by the project"] += 1

    @rule(event=events, token=tokens, fault=st.sampled_from(FORGED))
    def try_a_forgery(self, event: Event, token: Token, fault: Fault) -> None:
        before = row_versions(*ALL_TABLES)
        forged = self.simulation.clerk.mint(self.simulation.states[0][0], fault=fault)
        for text in (forged, token.text[:-8] + "AAAAAAAA", token.text.rpartition(".")[0]):
            assert self.simulation.get(text).status_code == 401
        assert self.simulation.post(event, secret="whsec_" + "A" * 32).status_code == 400
        assert self.simulation.post(event, at=self.simulation.now / 1000 - 301).status_code == 400
        assert row_versions(*ALL_TABLES) == before
        self.seen["forgery 401, 400"] += 1

    @precondition(
        lambda self: (
            len(self.simulation.events) >= len(self.simulation.delivered) + EVENTS_BETWEEN_COMPARISONS
        )
    )
    @rule(rng=st.randoms(use_true_random=False))
    def deliver_all_events(self, rng: random.Random) -> None:
        self.simulation.deliver_all(rng)

    @precondition(lambda self: len(self.simulation.events) >= self.compared_at + EVENTS_BETWEEN_COMPARISONS)
    @rule()
    def reconcile(self) -> None:
        self.simulation.compare()
        self.compared_at = len(self.simulation.events)

    @invariant()
    def all_invariants_hold(self) -> None:
        self.seen["steps"] += 1
        self.simulation.invariants.check()

    def teardown(self) -> None:
        self.simulation.deliver_all(random.Random(len(self.simulation.events)))  # noqa: S311 - repeatable
        self.simulation.compare()
        self.simulation.invariants.check()
        self.seen["histories"] += 1


@contextmanager
def simulated_clerk() -> Iterator[Mapping[str, Any]]:
    """Yield the arguments of `Simulation`; time stands still unless its clock is moved."""
    with (
        clerk_instance() as clerk,
        emulator_trusted(clerk),
        inject_faults(address()) as faults,
        time_machine.travel(START, tick=False) as clock,
        override_settings(CLERK_EXTRA_FIELDS=EXTRA_FIELDS, CLERK_CLAIMS=FED),
    ):
        yield {"clerk": clerk, "clock": clock, "faults": faults, "seen": Counter()}


def run_histories(*, seed: int, number: int, steps: int) -> Counter[str]:
    """Run histories of this number of steps; return how often each operation and outcome occurred."""
    with simulated_clerk() as begin:
        machine = hypothesis.seed(seed)(type("Histories", (Histories,), {"begin": begin}))
        settings = hypothesis.settings(
            max_examples=number,
            stateful_step_count=steps,
            # No shrinking: it takes longer than the time limit of the proof, which then shows no cause.
            phases=[hypothesis.Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        run_state_machine_as_test(machine, settings=settings)
    seen: Counter[str] = begin["seen"]
    return seen


def every_step_keeps_the_invariants(*, seed: int) -> Mapping[str, object]:
    """In any order of operations: one live row, no revival of deleted users, and true rows at the end."""
    return repeat_histories(seed=seed, seconds=LAST_START_SECONDS)


def repeat_histories(*, seed: int, seconds: float) -> Mapping[str, object]:
    """Run histories, twenty at a time, as long as the last twenty start within these seconds."""
    seen: Counter[str] = Counter()
    begin = time.monotonic()
    for part in count(seed):
        seen += run_histories(seed=part, number=20, steps=50)
        if time.monotonic() - begin > seconds:
            break
    return dict(sorted(seen.items(), key=lambda each: -each[1]))
