"""Asked before anybody is timed: does it let the right people in, as themselves, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders import Contender
from benchmarks.ground import Credentials, Ground, Wallet
from benchmarks.in_process import Site, clerk_id_in
from benchmarks.people import person
from devclerk.tokens import Fault, Keyring

OK, UNAUTHORIZED = 200, 401


class WrongAnswer(Exception):
    """A contender does not do its work, so that its speed would say nothing."""


def judge(contender: Contender, *, site: Site, ground: Ground) -> None:
    """Let several people in as themselves, and nobody with a broken credential; raises WrongAnswer."""
    wallet = Wallet(ground, numbers=range(5))
    for turn in range(5):
        good = wallet[turn]
        status, body = site.get(contender.path, authorization=contender.header(good))
        if status != OK or (contender.refuses and clerk_id_in(body) != good.clerk_id):
            raise WrongAnswer(f"{contender.label} answered {status} to a good credential: {body!r}")
    for what, bad in _broken(contender, wallet[0], ground=ground):
        status, _ = site.get(contender.path, authorization=bad)
        if contender.refuses and status != UNAUTHORIZED:
            raise WrongAnswer(f"{contender.label} answered {status} to {what}.")


def _broken(contender: Contender, good: Credentials, *, ground: Ground) -> Iterator[tuple[str, str]]:
    header = contender.header(good)
    yield "a credential that breaks off", header[:-9]
    yield "no credential at all", header.partition(" ")[0] + " x"
    if not contender.by_key:
        yield "an expired session", f"Bearer {ground.session_of(person(0), fault=Fault.EXPIRED)}"
        stranger = Ground(url=ground.url, keyring=Keyring())
        yield "a session signed by a stranger", f"Bearer {stranger.session_of(person(0))}"
