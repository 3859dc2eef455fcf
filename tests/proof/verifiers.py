"""Other libraries that verify session tokens, behind one interface.

All have the same key, issuer, leeway and time, and the same authorized party where they support it. Libraries
that are not installed are left out: .venv has only PyJWT, .venv-proof has all (make proof creates it).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jwt
import time_machine
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.proof.cases import ISSUER, LEEWAY_SECONDS, NOW, PARTY

JAVASCRIPT = Path(__file__).parent / "javascript"
# Returns for each token whether it is accepted.
VerifyAll = Callable[[Sequence[str]], list[bool]]
PYJWT, JOSERFC, AUTHLIB = "PyJWT", "joserfc", "Authlib"
CLERK_PYTHON, CLERK_JAVASCRIPT = "Clerk (Python)", "Clerk (JavaScript)"


def installed_verifiers(pem: str) -> dict[str, VerifyAll]:
    """Return the installed verifiers by name, with this public key."""
    verifiers: dict[str, VerifyAll] = {PYJWT: _one_by_one(_pyjwt(pem))}
    if find_spec("joserfc"):
        verifiers[JOSERFC] = _one_by_one(_joserfc(pem))
    if find_spec("authlib"):
        verifiers[AUTHLIB] = _one_by_one(_authlib(pem))
    if find_spec("clerk_backend_api"):
        verifiers[CLERK_PYTHON] = _one_by_one(_clerk_python(pem))
    if shutil.which("node") and (JAVASCRIPT / "node_modules").exists():
        verifiers[CLERK_JAVASCRIPT] = _clerk_javascript(pem)
    return verifiers


def _one_by_one(verify: Callable[[str], object]) -> VerifyAll:
    def verify_all(tokens: Sequence[str]) -> list[bool]:
        # The libraries have no common argument for the time, so the clock of the process is set instead.
        with time_machine.travel(NOW, tick=False):
            return [_accepts(verify, token) for token in tokens]

    return verify_all


def _accepts(verify: Callable[[str], object], token: str) -> bool:
    try:
        verify(token)
    except Exception:  # noqa: BLE001 - any exception is a refusal
        return False
    return True


def _pyjwt(pem: str) -> Callable[[str], object]:
    key: Any = load_pem_public_key(pem.encode())
    options: Any = {"require": ["exp", "iat", "sub"], "verify_aud": False}
    return lambda token: jwt.decode(
        token, key, algorithms=["RS256"], issuer=ISSUER, leeway=LEEWAY_SECONDS, options=options
    )


def _joserfc(pem: str) -> Callable[[str], object]:
    library: Any = import_module("joserfc.jwt")
    key = import_module("joserfc.jwk").RSAKey.import_key(pem)
    # Clerk's own header fields (`cat`, `oiat`) are in no registry: unknown ones must be allowed.
    registry = import_module("joserfc.jws").JWSRegistry(strict_check_header=False, algorithms=["RS256"])
    essential: Any = {"essential": True}
    rules = library.JWTClaimsRegistry(
        leeway=LEEWAY_SECONDS, iss={**essential, "value": ISSUER}, sub=essential, exp=essential, iat=essential
    )
    return lambda token: rules.validate(library.decode(token, key, registry=registry).claims)


def _authlib(pem: str) -> Callable[[str], object]:
    with warnings.catch_warnings(record=True):  # it warns that this module is deprecated in favour of joserfc
        library = import_module("authlib.jose").JsonWebToken(["RS256"])
    essential: Any = {"essential": True}
    options = {"iss": {**essential, "value": ISSUER}, "sub": essential, "exp": essential, "iat": essential}
    return lambda token: library.decode(token, pem, claims_options=options).validate(leeway=LEEWAY_SECONDS)


def _clerk_python(pem: str) -> Callable[[str], object]:
    library = import_module("clerk_backend_api.security")
    options = import_module("clerk_backend_api.security.types").VerifyTokenOptions(
        jwt_key=pem,
        authorized_parties=[PARTY],
        clock_skew_in_ms=LEEWAY_SECONDS * 1000,
        # Other kinds of tokens would be verified by Clerk: no server listens at this address.
        api_url="http://127.0.0.1:9",
    )
    return lambda token: library.verify_token(token, options)


def _clerk_javascript(pem: str) -> VerifyAll:
    def verify_all(tokens: Sequence[str]) -> list[bool]:
        parameters = {
            "pem": pem,
            "party": PARTY,
            "skew": LEEWAY_SECONDS * 1000,
            "now": NOW * 1000,
            "tokens": tokens,
        }
        command = ["node", "verify.mjs"]  # the Node on PATH
        done = subprocess.run(
            command, cwd=JAVASCRIPT, input=json.dumps(parameters).encode(), stdout=subprocess.PIPE, check=True
        )
        accepted: list[bool] = json.loads(done.stdout)
        return accepted

    return verify_all
