"""Check before the timing that a peer accepts valid credentials and refuses invalid ones."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.environment import CredentialPool, Credentials, Environment
from benchmarks.in_process import Site, clerk_id_in
from benchmarks.peers import Peer
from benchmarks.users import made_up_user
from devclerk.tokens import Fault, Keyring

OK, UNAUTHORIZED = 200, 401


class WrongAnswer(Exception):
    """A peer answers wrongly, so that its speed would mean nothing."""


def check_answers(peer: Peer, *, site: Site, environment: Environment) -> None:
    """Send valid and invalid credentials; raise WrongAnswer at the first wrong response."""
    pool = CredentialPool(environment, numbers=range(5))
    for turn in range(5):
        valid = pool[turn]
        status, body = site.get(peer.path, authorization=peer.header(valid))
        if status != OK or (peer.refuses and clerk_id_in(body) != valid.clerk_id):
            raise WrongAnswer(f"{peer.label} answered {status} to a valid credential: {body!r}")
    for what, invalid in _invalid(peer, pool[0], environment=environment):
        status, _ = site.get(peer.path, authorization=invalid)
        if peer.refuses and status != UNAUTHORIZED:
            raise WrongAnswer(f"{peer.label} answered {status} to {what}.")


def _invalid(peer: Peer, valid: Credentials, *, environment: Environment) -> Iterator[tuple[str, str]]:
    header = peer.header(valid)
    yield "a truncated credential", header[:-9]
    yield "no credential at all", header.partition(" ")[0] + " x"
    if not peer.uses_key:
        yield "an expired session", f"Bearer {environment.session_of(made_up_user(0), fault=Fault.EXPIRED)}"
        other = Environment(url=environment.url, keyring=Keyring())
        yield "a session signed by another key", f"Bearer {other.session_of(made_up_user(0))}"
