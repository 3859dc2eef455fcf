"""Coverage-guided fuzzing of the parsers of untrusted input: `python -m tests.proof.guided NAME`.

atheris measures the lines that an input reaches, and mutates inputs that reach new ones. An exception other
than a refusal, or a value outside the contract, ends the run with the input that caused it.
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

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tests.proof.cases import ISSUER, NOW, PARTY

SECONDS = 60
ENDING = re.compile(rb"Done (\d+) runs in (\d+) second|#(\d+)\s+DONE\s+cov: (\d+)")
MAX_LABEL_LENGTH = 100


def the_token_parser_raises_only_refusals(*, seed: int, seconds: int = SECONDS) -> Mapping[str, object]:
    """For any bytes in a token the verifier raises a refusal with a code or returns a session."""
    return _run_fuzzer("tokens", seed=seed, seconds=seconds)


def the_envelope_parser_raises_only_refusals(*, seed: int, seconds: int = SECONDS) -> Mapping[str, object]:
    """Any bytes in a signed event are malformed, rejected, or an event of one user."""
    return _run_fuzzer("envelopes", seed=seed, seconds=seconds)


def _run_fuzzer(name: str, *, seed: int, seconds: int) -> Mapping[str, object]:
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
        new_inputs = len(list(Path(folder).iterdir())) - len(SEEDS[name])
    found = [each for groups in ENDING.findall(done.stdout) for each in groups if each]
    assert done.returncode == 0, done.stdout[-3000:].decode(errors="replace")
    runs, coverage = int(found[0]), int(found[1])
    return {
        "inputs tried": runs,
        "branches reached": coverage,
        "inputs that reached new branches": new_inputs,
    }


class _AcceptingKeys:
    """Accept every signature, so that the payload parser is fuzzed with everything that could be signed."""

    def get_keys(self, kid: object) -> Sequence[Any]:
        return (self,)

    def verify(self, *_: object) -> None:
        """Accept the signature."""

    def record_result(self, *, good: bool) -> None:
        """Ignore the result."""

    def status(self) -> Any:
        """Return a state without a measured clock."""
        keys: Any = import_module("accounts.clerk.keys")  # late: what is fuzzed is instrumented at its import
        return keys.KeysStatus(mode="accepting", held=True)


RSAPublicKey.register(_AcceptingKeys)  # the verifier accepts no other kind of key


def _tokens() -> Callable[[bytes], None]:
    profiles: Any = import_module("accounts.clerk.profiles")
    module: Any = import_module("accounts.clerk.tokens")
    jws: Any = import_module("accounts.clerk.jws")
    mapping = profiles.parse_claims_map(profiles.DEFAULT_CLAIMS)
    verifier = module.SessionVerifier(_AcceptingKeys(), ISSUER, authorized_parties=(PARTY,))
    base64url: Any = import_module("base64").urlsafe_b64encode

    def segment(part: bytes) -> str:
        return str(base64url(part).rstrip(b"=").decode())

    def check(data: bytes) -> None:
        # Up to the first line end the data is a header, then a payload; without a line end it is the token.
        header, line, payload = data.partition(b"\n")
        token = f"{segment(header)}.{segment(payload)}.AA" if line else data.decode("latin-1")
        try:
            # Without `verify`, which turns unexpected exceptions into refusals.
            header, payload = verifier._verify_signature(token)
            claims = verifier._check_claims(header, jws.decode_object(payload), now=NOW)
        except module.InvalidToken:
            return
        assert re.fullmatch(r"user_[A-Za-z0-9]{1,59}", claims.user_id)
        assert claims.expires_at > NOW - 6
        assert claims.session_id.isprintable()
        _check_values(profiles.profile_from_claims(claims, mapping=mapping))

    return check


def _envelopes() -> Callable[[bytes], None]:
    events: Any = import_module("webhooks.events")
    profiles: Any = import_module("accounts.clerk.profiles")

    def check(data: bytes) -> None:
        try:
            event = events.parse_event(data, received_at=NOW * 1000)
        except events.MalformedEvent:
            return
        assert len(event.label) <= MAX_LABEL_LENGTH
        assert event.label.isprintable()
        assert 0 < event.occurred_at <= NOW * 1000 + 300_000
        try:
            profile = profiles.profile_from_user(
                event.data,
                source=profiles.Source.WEBHOOK,
                observed_at=event.occurred_at,
                now=NOW * 1000,
                extra_fields=tuple(profiles.EXTRA),
            )
        except profiles.UnusableProfile:
            return
        assert 0 < profile.at <= NOW * 1000 + 300_000
        _check_values(profile)

    return check


def _check_values(profile: Any) -> None:
    """Check that the row can store each value of the profile; raise AssertionError otherwise."""
    for value in profile.values.values():
        assert value is None or isinstance(value, bool | str | dict)
        if isinstance(value, dict):
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
            assert "\\u0000" not in text.replace("\\\\", "")
            assert len(text.encode()) <= 2 * 16_384
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
_USER = {
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
                "data": {**_USER, "primary_email_address_id": "idn_1", "email_addresses": [_ADDRESS]},
            }
        ).encode(),
    ),
}
TARGETS: Mapping[str, Callable[[], Callable[[bytes], None]]] = {"tokens": _tokens, "envelopes": _envelopes}


def main() -> None:
    """Fuzz one target until the time limit."""
    atheris: Any = import_module("atheris")
    # The coverage of these modules is measured, not that of their dependencies.
    with atheris.instrument_imports(include=["accounts.clerk", "webhooks.events"]):
        target = TARGETS[sys.argv[1]]()
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
