"""Coverage-guided fuzzing of the two parsers that read what strangers send: `python -m tests.proof.guided NAME`.

atheris measures which lines an input reaches and breeds from those that reach new ones. What raises anything
but a refusal, or gives a value that the contract does not know, ends the run with the input that did it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.proof.cases import ISSUER, NOW, PARTY

SECONDS = 60
ENDING = re.compile(rb"Done (\d+) runs in (\d+) second|#(\d+)\s+DONE\s+cov: (\d+)")
LABEL_LENGTH = 100


def the_token_parser_lets_nothing_slip(*, seed: int, seconds: int = SECONDS) -> Mapping[str, object]:
    """Whatever bytes stand in a token, the verifier refuses it with a code or gives a session."""
    return _bred("tokens", seed=seed, seconds=seconds)


def the_envelope_parser_lets_nothing_slip(*, seed: int, seconds: int = SECONDS) -> Mapping[str, object]:
    """Whatever bytes a signed event has, it is malformed, rejected, or asks for something on one person."""
    return _bred("envelopes", seed=seed, seconds=seconds)


def _bred(name: str, *, seed: int, seconds: int) -> Mapping[str, object]:
    if not find_spec("atheris"):
        return {"not run": "atheris is not installed (make proof installs it)"}
    with tempfile.TemporaryDirectory(prefix="guided-") as folder:
        for number, text in enumerate(SEEDS[name]):
            (Path(folder) / str(number)).write_bytes(text)
        options = [f"-max_total_time={seconds}", f"-seed={seed % 2**31 + 1}", "-max_len=2048", "-timeout=10"]
        command = [
            sys.executable,
            "-m",
            "tests.proof.guided",
            name,
            *options,
            f"-artifact_prefix={folder}/",
            folder,
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        bred = len(list(Path(folder).iterdir())) - len(SEEDS[name])
    found = [each for groups in ENDING.findall(done.stdout) for each in groups if each]
    assert done.returncode == 0, done.stdout[-3000:].decode(errors="replace")
    runs, coverage = int(found[0]), int(found[1])
    return {"inputs tried": runs, "branches reached": coverage, "inputs that reached something new": bred}


class _OpenKeys:
    """Takes every signature for good: what is behind it must hold for whatever Clerk could ever sign."""

    def candidates(self, kid: object) -> Sequence[Any]:
        return (self,)

    def verify(self, *_: object) -> None:
        """Say nothing, which means yes."""

    def judged(self, *, good: bool) -> None:
        """Nothing follows."""


def _tokens() -> Callable[[bytes], None]:
    profiles: Any = import_module("accounts.clerk.profiles")
    module: Any = import_module("accounts.clerk.tokens")
    mapping = profiles.parse_claims_map(profiles.DEFAULT_CLAIMS)
    verifier = module.SessionVerifier(_OpenKeys(), ISSUER, authorized_parties=(PARTY,))
    base64url: Any = import_module("base64").urlsafe_b64encode

    def segment(part: bytes) -> str:
        return str(base64url(part).rstrip(b"=").decode())

    def judge(data: bytes) -> None:
        # Up to the first line end it is a header, behind it a payload; without one it is the token itself.
        header, line, payload = data.partition(b"\n")
        token = f"{segment(header)}.{segment(payload)}.AA" if line else data.decode("latin-1")
        try:
            # Without the net of `verify`, which makes a refusal of anything that it did not expect.
            claims = verifier._session(*verifier._opened(token), now=NOW)
        except module.InvalidToken:
            return
        assert re.fullmatch(r"user_[A-Za-z0-9]{1,59}", claims.user_id)
        assert claims.expires_at > NOW - 6
        assert claims.session_id.isprintable()
        _check_values(profiles.profile_from_claims(claims, mapping=mapping))

    return judge


def _envelopes() -> Callable[[bytes], None]:
    events: Any = import_module("webhooks.events")
    profiles: Any = import_module("accounts.clerk.profiles")

    def judge(data: bytes) -> None:
        try:
            event = events.parse_event(data, received_at=NOW * 1000)
        except events.MalformedEvent:
            return
        assert len(event.label) <= LABEL_LENGTH
        assert event.label.isprintable()
        assert 0 < event.occurred_at <= NOW * 1000 + 300_000
        try:
            profile = profiles.profile_from_user(
                event.data, source=profiles.Source.WEBHOOK, observed_at=event.occurred_at, now=NOW * 1000
            )
        except profiles.UnusableProfile:
            return
        assert 0 < profile.at <= NOW * 1000 + 300_000
        _check_values(profile)

    return judge


def _check_values(profile: Any) -> None:
    """What a profile holds, the row can hold."""
    for value in profile.values.values():
        assert value is None or isinstance(value, bool | str)
        if isinstance(value, str):
            assert len(value) <= 2048
            value.encode()
            assert "\x00" not in value


_HEADER = b'{"alg":"RS256","kid":"ins_1","typ":"JWT","cat":"cl_B7d4PD111AAA","oiat":%d}' % NOW
_CLAIMS = {
    "iss": ISSUER,
    "azp": PARTY,
    "sub": "user_a",
    "sid": "sess_1",
    "iat": NOW,
    "exp": NOW + 60,
    "nbf": NOW,
}
_PERSON = {
    "id": "user_a",
    "first_name": "A",
    "banned": False,
    "updated_at": NOW * 1000,
    "image_url": "https://x",
}
_ADDRESS = {"id": "idn_1", "email_address": "a@b", "verification": {"status": "verified"}}
_EVENT = {"type": "user.updated", "timestamp": NOW * 1000, "object": "event", "instance_id": "ins_1"}
SEEDS: Mapping[str, Sequence[bytes]] = {
    "tokens": (
        b"e30.e30.AA",
        b"ak_x",
        _HEADER + b"\n" + json.dumps(_CLAIMS).encode(),
        _HEADER
        + b"\n"
        + json.dumps({**_CLAIMS, "act": {"sub": "user_b"}, "sts": "active", "email": "a@b"}).encode(),
    ),
    "envelopes": (
        b"{}",
        json.dumps({**_EVENT, "data": {"id": "user_a", "deleted": True}}).encode(),
        json.dumps(
            {
                **_EVENT,
                "data": {**_PERSON, "primary_email_address_id": "idn_1", "email_addresses": [_ADDRESS]},
            }
        ).encode(),
    ),
}
TARGETS: Mapping[str, Callable[[], Callable[[bytes], None]]] = {"tokens": _tokens, "envelopes": _envelopes}


def main() -> None:
    """Breed inputs for one target until the time is over."""
    atheris: Any = import_module("atheris")
    # What is imported in here is measured: our two rooms, not what they stand on.
    with atheris.instrument_imports(include=["accounts.clerk", "webhooks.events"]):
        target = TARGETS[sys.argv[1]]()
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
