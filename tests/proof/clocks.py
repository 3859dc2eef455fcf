"""This machine's clock and Clerk's differ: what clients and the report see."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from devclerk.fixtures import LocalClerk
from devclerk.tokens import LIFETIME_SECONDS, Fault
from tests.accounts.clerk.keyserver import dated, serving
from tests.proof.environment import clerk_instance
from tests.proof.site import MONITORING, Site, database, emulator_settings, wait_until

TOKENS = 20
REPORTS_PER_WORKER = 8  # gunicorn gives a request to any worker


def a_wrong_clock_is_reported_and_refuses_no_valid_token(*, seed: int) -> Mapping[str, object]:
    """With our clock wrong, the report names it, and tokens valid by Clerk's clock are 503, not 401."""
    return shift_clocks(shifts=(8, 30, -70, 3_600), workers=2)


def shift_clocks(*, shifts: Sequence[float], workers: int) -> Mapping[str, object]:
    """Let Clerk's clock be ahead of ours by each of these seconds, and then agree again."""
    figures: dict[str, object] = {}
    with clerk_instance() as clerk, database() as db:
        keys = clerk.emulator.keyring.jwks()
        for shift in shifts:
            with serving(dated(keys, ahead=shift)) as server:
                variables = emulator_settings(clerk) | {"CLERK_JWKS_URL": server.url}
                with Site(clerk, database=db.url, workers=workers, **variables) as site:
                    wrong = _observe_wrong_clock(site, clerk, shift=shift, workers=workers)
                    server.behave = dated(keys)
                    figures[f"Clerk's clock {shift:+.0f} s"] = f"{wrong}; {_observe_right_clock(site, clerk)}"
    return figures


def _observe_wrong_clock(site: Site, clerk: LocalClerk, *, shift: float, workers: int) -> str:
    def do_all_workers_know() -> bool:
        reports = [_read_report(site) for _ in range(REPORTS_PER_WORKER * workers)]
        return all(codes == ["clock_skew"] for codes, _ in reports)

    seconds = wait_until(do_all_workers_know, seconds=30, what="clock_skew in every report")
    _, skew = _read_report(site)
    assert skew is not None
    assert abs(skew + shift) <= 2, f"measured {skew} s, and the difference is {-shift} s"
    valid, expired = Counter[str](), Counter[str]()
    for _ in range(TOKENS):
        valid[_ask(site, clerk, minted_at=time.time() + shift)] += 1
        expired[_ask(site, clerk, minted_at=time.time() + shift - 2 * LIFETIME_SECONDS)] += 1
    assert valid == {"503 sync_unavailable": TOKENS}, valid
    # Expired by Clerk's clock; by ours it may be one of the future.
    assert set(expired) <= {"401 token_expired", "401 token_not_active_yet"}, expired
    return f"known to all workers {seconds:.1f} s after the start as {skew:+.1f} s; new tokens {dict(valid)}"


def _observe_right_clock(site: Site, clerk: LocalClerk) -> str:
    def is_right() -> bool:
        # A worker measures once a minute while its clock is wrong; an unknown key makes it fetch at once.
        site.me(site.mint("user_ada", fault=Fault.UNKNOWN_KID))
        return all(codes == [] for codes, _ in (_read_report(site) for _ in range(REPORTS_PER_WORKER)))

    seconds = wait_until(is_right, what="the end of clock_skew")
    answers = Counter(_ask(site, clerk, minted_at=time.time()) for _ in range(TOKENS))
    assert answers == {"200": TOKENS}, answers
    return f"corrected: {answers['200']} x 200 after {seconds:.1f} s"


def _read_report(site: Site) -> tuple[list[str], float | None]:
    report = site.get("/health/sync", headers=MONITORING).json()
    return [reason["code"] for reason in report["reasons"]], report["keys"]["clock_skew_seconds"]


def _ask(site: Site, clerk: LocalClerk, *, minted_at: float) -> str:
    response = site.me(site.mint(clerk.person("ada"), now=minted_at, expires=LIFETIME_SECONDS))
    code = response.json()["errors"][0]["code"] if response.status_code >= 400 else ""
    return f"{response.status_code} {code}".strip()
