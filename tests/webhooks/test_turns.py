"""Deliveries for a user whose lock another session holds: one of them waits, the others do not."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import psycopg
import pytest
from django.db import connections

from accounts.db import lock_key
from accounts.models import User
from accounts.signals import sync_failed
from tests.clock import Clock
from tests.webhooks.conftest import RecordSignal
from tests.webhooks.deliveries import code_of, deliver, envelope, outcome_of, user_data
from tests.webhooks.trouble import address
from webhooks.turns import MAX_TURN_SECONDS, TurnNotFree, Turns

THREADS = 24


def deliver_update(number: int) -> str:
    """Deliver an event for one user and return "ok" or the code of the refusal."""
    try:
        response = deliver(envelope("user.updated", user_data(first_name=f"Ada {number}")))
        return "ok" if response.status_code == 200 else code_of(response)
    finally:
        connections.close_all()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_one_delivery_waits_for_a_lock_and_the_others_are_refused(record_signal: RecordSignal) -> None:
    failures = record_signal(sync_failed)
    with psycopg.connect(address()) as other, ThreadPoolExecutor(THREADS) as threads:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("user_1")])
        waiting: set[Future[str]] = {threads.submit(deliver_update, number) for number in range(THREADS)}
        refused: list[str] = []
        while len(waiting) > 1:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            refused += [future.result() for future in done]
        # Another user needs no free lock.
        assert outcome_of(envelope("user.created", user_data(id="user_2"))) == "created"
        other.rollback()
        (last,) = waiting
        assert last.result() == "ok"
    assert refused == ["sync_unavailable"] * (THREADS - 1)
    assert [failure["reason"] for failure in failures] == ["lock_timeout"] * (THREADS - 1)
    assert User.objects.filter(clerk_id="user_1").count() == 1


def test_turns_of_different_keys_overlap() -> None:
    turns = Turns()
    with turns.take("a"), turns.take("b"):
        pass


def test_turn_that_is_too_long_is_not_waited_for() -> None:
    clock = Clock()
    turns = Turns(clock=clock)
    with turns.take("a"):
        clock.now += MAX_TURN_SECONDS
        with pytest.raises(TurnNotFree), turns.take("a"):
            pytest.fail("two turns at a time")
    with turns.take("a"):
        pass


def test_turn_ends_with_an_exception() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="no"), turns.take("a"):
        raise ValueError("no")
    with turns.take("a"):
        pass


def test_waiting_threads_get_their_turns_one_after_the_other() -> None:
    turns, running, most, count = Turns(), 0, 0, threading.Lock()

    def run(_: int) -> None:
        nonlocal running, most
        with turns.take("a"):
            with count:
                running += 1
                most = max(most, running)
            with count:
                running -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(run, range(200)))
    assert most == 1
