"""Run the long proofs: `python -m tests.proof [NAME ...] [--seed N]`.

A proof is a function `claim(*, seed) -> figures` that raises an exception if its claim is false. It has its
own process, throwaway PostgreSQL and time limit; three run at a time. The same seed generates the same cases.
A name is a module (`races`) or one claim of it (`keys.a_misbehaving_jwks_address_affects_no_known_key`).
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module

DEFAULT_MINUTES = 15.0
# How many proofs run at a time: most of them wait.
LANES = 4
Claim = Callable[..., Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Proof:
    """The function `tests.proof.<name>` and its time limit in seconds; `settings` of its process.

    A proof that measures how soon something is answered runs alone. A very long one runs only if it is named.
    """

    name: str
    seconds: int
    alone: bool = False
    only_if_named: bool = False
    settings: str = "config.settings"


# A project with users of its own, each with a `ClerkAccount`.
MEMBER_SITE = "tests.proof.member_site.settings"
# All of them take a quarter of an hour together; the single limits stop a proof that hangs. First those that
# measure deadlines, then the longest, which uses a whole processor.
PROOFS: tuple[Proof, ...] = (
    Proof("deadlines.a_stopped_server_costs_a_request_six_seconds", 120),
    Proof("deadlines.a_stopped_server_behind_a_pool_costs_the_same", 220),
    Proof("deadlines.a_locked_table_costs_a_request_six_seconds", 150),
    Proof("outages.a_restarted_database_gives_only_200_and_503", 240),
    Proof("outages.a_restarted_database_under_uvicorn_gives_only_200_and_503", 200),
    Proof("outages.a_server_killed_during_a_webhook_loses_nothing", 240),
    Proof("adoption.each_project_adopts_the_wheel", 600),
    Proof("histories.every_step_keeps_the_invariants", 300),
    Proof("races.twelve_threads_applying_one_history_end_in_the_true_row", 200),
    Proof("races.concurrent_first_requests_create_one_row_each", 200),
    Proof("races.concurrent_first_requests_under_uvicorn_create_one_row_each", 200),
    Proof("races.no_first_request_revives_a_deleted_user", 200),
    Proof("backfills.a_backfill_killed_twenty_times_ends_like_an_undisturbed_one", 300),
    Proof("backfills.two_backfills_with_live_traffic_end_in_the_true_rows", 240),
    Proof("databases.a_database_that_fails_at_writes_gives_503_only_to_writes", 200),
    Proof("databases.a_lock_held_elsewhere_is_503_after_five_seconds", 200),
    Proof("failovers.a_promoted_standby_serves_every_request", 90, alone=True),
    Proof("probes.a_locked_ledger_stops_no_probe_and_no_user", 90, alone=True),
    Proof("probes.preloaded_workers_always_get_keys", 150),
    Proof("keys.a_misbehaving_jwks_address_affects_no_known_key", 200),
    Proof("keys.known_keys_are_served_half_an_hour_without_the_jwks_address", 150),
    Proof("logins.a_login_flood_leaves_live_and_me_quick", 120, alone=True),
    Proof("versions.the_last_release_serves_on_the_newest_tables", 180),
    Proof("versions.this_version_waits_for_its_migrations", 120),
    Proof("rotations.a_rotation_under_forged_keys_refuses_no_new_token", 150),
    Proof("clocks.a_wrong_clock_is_reported_and_refuses_no_valid_token", 150),
    Proof("canaries.no_input_is_logged_stored_or_returned", 240),
    Proof("fuzz.no_altered_token_is_accepted", 180),
    Proof("fuzz.no_invalid_signed_claims_are_accepted", 90),
    Proof("fuzz.no_altered_token_is_accepted_over_http", 180),
    Proof("fuzz.a_thousand_unknown_keys_cause_at_most_four_fetches", 60),
    Proof("fuzz.no_altered_delivery_has_an_effect", 240),
    Proof("guided.the_token_parser_raises_only_refusals", 120),
    Proof("guided.the_envelope_parser_raises_only_refusals", 120),
    Proof("differential.we_accept_only_what_all_accept", 120),
    Proof("members.every_step_keeps_the_invariants", 200, settings=MEMBER_SITE),
    Proof("members.twelve_threads_applying_one_history_end_in_the_true_rows", 150, settings=MEMBER_SITE),
    Proof("members.concurrent_first_requests_create_one_user_each", 150, settings=MEMBER_SITE),
    Proof("members.no_first_request_revives_a_deleted_user", 150, settings=MEMBER_SITE),
    Proof("members.a_backfill_killed_six_times_ends_like_an_undisturbed_one", 200, settings=MEMBER_SITE),
    Proof("members.a_restarted_database_gives_only_200_and_503", 150, settings=MEMBER_SITE),
    Proof("members.a_server_killed_during_a_webhook_loses_nothing", 200, settings=MEMBER_SITE),
    Proof("members.a_database_that_fails_at_writes_gives_503_only_to_writes", 200, settings=MEMBER_SITE),
    Proof("members.short_forms_of_all_hold", 240, only_if_named=True, settings=MEMBER_SITE),
    Proof("soaks.memory_stays_flat", 800, only_if_named=True),
)


def main() -> int:
    """Run the named proofs, or all; print their figures and return the exit status."""
    arguments = _parser().parse_args()
    if arguments.in_process:
        return _run_in_process(arguments.in_process, seed=arguments.seed)
    chosen = [proof for proof in PROOFS if _is_chosen(proof, names=arguments.names)]
    if not chosen:
        sys.exit(f"There is no such proof. The proofs are: {', '.join(proof.name for proof in PROOFS)}")
    print(f"seed {arguments.seed}", flush=True)
    begin = time.monotonic()
    end = begin + arguments.minutes * 60
    run = partial(_run_in_subprocess, seed=arguments.seed, end=end)
    results = {proof.name: run(proof) for proof in chosen if proof.alone}
    others = [proof for proof in chosen if not proof.alone]
    with ThreadPoolExecutor(LANES) as lanes:
        results |= zip((proof.name for proof in others), lanes.map(run, others), strict=True)
    print(f"\n{'':=<78}")
    for name, (passed, seconds) in results.items():
        print(f"{'PASS' if passed else 'FAIL'}  {seconds:5.0f} s  {name}")
    failed = sum(not passed for passed, _ in results.values())
    print(f"seed {arguments.seed}, {time.monotonic() - begin:.0f} s in all")
    print(f"{len(results) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description="Run the long proofs.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a module or one of its claims; all if absent"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="repeat an earlier run")
    parser.add_argument(
        "--minutes", type=float, default=DEFAULT_MINUTES, help="the time limit of all proofs together"
    )
    parser.add_argument(
        "--in-process", metavar="NAME", help=argparse.SUPPRESS
    )  # used for the process of one proof
    return parser


def _is_chosen(proof: Proof, *, names: list[str]) -> bool:
    if not names:
        return not proof.only_if_named
    return proof.name in names or proof.name.partition(".")[0] in names


def _run_in_subprocess(proof: Proof, *, seed: int, end: float) -> tuple[bool, float]:
    begin = time.monotonic()
    limit = max(0, min(proof.seconds, end - begin))
    command = [sys.executable, "-m", "tests.proof", "--in-process", proof.name, "--seed", str(seed)]
    with subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit)
            passed = process.returncode == 0
        except subprocess.TimeoutExpired:
            output, passed = f"not finished within {limit:.0f} s\n", False
        finally:
            with suppress(ProcessLookupError):  # usually no process of the group is left
                os.killpg(process.pid, signal.SIGKILL)
    seconds = time.monotonic() - begin
    verdict = "PASS" if passed else "FAIL"
    print(f"\n--- {proof.name}\n{output}{verdict} {proof.name} after {seconds:.0f} s", flush=True)
    return passed, seconds


def _run_in_process(name: str, *, seed: int) -> int:
    # Proofs empty tables and kill servers: so TEST_DATABASE_URL is not used.
    os.environ.pop("TEST_DATABASE_URL", None)
    import_module("tests.environment")
    os.environ["DJANGO_SETTINGS_MODULE"] = next(proof.settings for proof in PROOFS if proof.name == name)
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
