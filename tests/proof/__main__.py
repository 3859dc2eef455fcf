"""Run the long proofs: `python -m tests.proof [NAME ...] [--seed N]`.

Each proof is a function `claim(*, seed) -> figures` that raises when its claim is false. It runs in a process
of its own, on a throwaway PostgreSQL of its own, within its time. The same seed draws the same cases. A name
may be a module (`races`) or one claim of it (`keys.a_misbehaving_key_address_harms_no_known_key`).
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module

MINUTES = 15.0
Claim = Callable[..., Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Proof:
    """The function `tests.proof.<name>`, and after how many seconds it has failed."""

    name: str
    seconds: int


# Of a quarter of an hour for all together; the limit of each is for what hangs.
PROOFS: tuple[Proof, ...] = (
    Proof("histories.every_step_keeps_the_promises", 300),
    Proof("races.twelve_threads_that_tell_one_history_leave_its_truth", 200),
    Proof("races.a_storm_of_first_requests_makes_one_row_each", 200),
    Proof("races.no_first_request_brings_back_the_deleted", 200),
    Proof("backfills.a_backfill_killed_twenty_times_ends_as_an_undisturbed_one", 300),
    Proof("backfills.two_backfills_beside_live_traffic_end_in_the_truth", 240),
    Proof("outages.a_restarted_database_gives_only_200_and_503", 240),
    Proof("outages.a_server_killed_in_the_middle_of_a_webhook_loses_nothing", 240),
    Proof("databases.a_database_that_fails_gives_503_to_whom_it_must_and_nobody_else", 200),
    Proof("databases.a_lock_that_does_not_come_is_503_after_five_seconds", 200),
    Proof("keys.a_misbehaving_key_address_harms_no_known_key", 200),
    Proof("keys.known_keys_outlive_half_an_hour_without_their_address", 150),
    Proof("canaries.no_word_of_a_stranger_or_a_person_is_written_down", 240),
    Proof("fuzz.no_altered_token_is_accepted", 180),
    Proof("fuzz.no_signed_junk_becomes_a_session", 90),
    Proof("fuzz.no_altered_token_passes_the_door", 180),
    Proof("fuzz.a_thousand_unknown_keys_make_a_handful_of_fetches", 60),
    Proof("fuzz.no_altered_delivery_has_an_effect", 240),
    Proof("guided.the_token_parser_lets_nothing_slip", 120),
    Proof("guided.the_envelope_parser_lets_nothing_slip", 120),
    Proof("differential.we_accept_only_what_all_accept", 120),
)


def main() -> int:
    """Run what was named, or everything; print what each found; give the exit status."""
    arguments = _parser().parse_args()
    if arguments.here:
        return _run_here(arguments.here, seed=arguments.seed)
    chosen = [proof for proof in PROOFS if _is_named(proof.name, names=arguments.names)]
    if not chosen:
        sys.exit(f"No such proof. There are: {', '.join(proof.name for proof in PROOFS)}")
    print(f"seed {arguments.seed}", flush=True)
    begin = time.monotonic()
    end = begin + arguments.minutes * 60
    endings = {proof.name: _run_apart(proof, seed=arguments.seed, end=end) for proof in chosen}
    print(f"\n{'':=<78}")
    for name, (good, seconds) in endings.items():
        print(f"{'PASS' if good else 'FAIL'}  {seconds:5.0f} s  {name}")
    failed = sum(not good for good, _ in endings.values())
    print(f"seed {arguments.seed}, {time.monotonic() - begin:.0f} s in all")
    print(f"{len(endings) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description="Run the long proofs.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a module, or one claim of it; all if absent"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="repeat an earlier run")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all together; else it has failed")
    parser.add_argument("--here", metavar="NAME", help=argparse.SUPPRESS)  # the process of one proof
    return parser


def _is_named(name: str, *, names: list[str]) -> bool:
    return not names or name in names or name.partition(".")[0] in names


def _run_apart(proof: Proof, *, seed: int, end: float) -> tuple[bool, float]:
    print(f"\n--- {proof.name}", flush=True)
    begin = time.monotonic()
    limit = min(proof.seconds, end - begin)
    command = [sys.executable, "-m", "tests.proof", "--here", proof.name, "--seed", str(seed)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            good = process.wait(timeout=max(0, limit)) == 0
        except subprocess.TimeoutExpired:
            good = False
            print(f"it did not end within {max(0, limit):.0f} s", flush=True)
        finally:
            with suppress(ProcessLookupError):  # nothing is left of it as a rule
                os.killpg(process.pid, signal.SIGKILL)
    seconds = time.monotonic() - begin
    print(f"{'PASS' if good else 'FAIL'} {proof.name} after {seconds:.0f} s", flush=True)
    return good, seconds


def _run_here(name: str, *, seed: int) -> int:
    # Tables are emptied and servers are killed: never somebody else's.
    os.environ.pop("TEST_DATABASE_URL", None)
    import_module("tests.environment")
    import_module("django").setup()
    import_module("django.core.management").call_command("migrate", verbosity=0)
    logging.disable(logging.CRITICAL)
    module, _, function = name.rpartition(".")
    claim: Claim = getattr(import_module(f"tests.proof.{module}"), function)
    print((claim.__doc__ or "").partition("\n")[0], flush=True)
    for figure, value in claim(seed=seed).items():
        print(f"    {figure}: {value}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
