"""Other people's verifiers, each asked the same question in its own words.

All get the same key, issuer, leeway and moment, and, where they know the word, the same authorised party.
What is not installed is not asked: .venv has PyJWT alone, .venv-proof all of them (make proof creates it).
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

from tests.proof.cases import ISSUER, LEEWAY, NOW, PARTY

JAVASCRIPT = Path(__file__).parent / "javascript"
# Tells of each token whether it is accepted.
Judge = Callable[[Sequence[str]], list[bool]]
PYJWT, JOSERFC, AUTHLIB = "PyJWT", "joserfc", "Authlib"
CLERK_PYTHON, CLERK_JAVASCRIPT = "Clerk (Python)", "Clerk (JavaScript)"


def judges(pem: str) -> dict[str, Judge]:
    """Return the judges that are here, by name, with this public key."""
    made: dict[str, Judge] = {PYJWT: _one_by_one(_pyjwt(pem))}
    if find_spec("joserfc"):
        made[JOSERFC] = _one_by_one(_joserfc(pem))
    if find_spec("authlib"):
        made[AUTHLIB] = _one_by_one(_authlib(pem))
    if find_spec("clerk_backend_api"):
        made[CLERK_PYTHON] = _one_by_one(_clerk_python(pem))
    if shutil.which("node") and (JAVASCRIPT / "node_modules").exists():
        made[CLERK_JAVASCRIPT] = _clerk_javascript(pem)
    return made


def _one_by_one(ask: Callable[[str], object]) -> Judge:
    def judge(tokens: Sequence[str]) -> list[bool]:
        # No judge can be told the time alike: the clock of the process stands still instead.
        with time_machine.travel(NOW, tick=False):
            return [_accepts(ask, token) for token in tokens]

    return judge


def _accepts(ask: Callable[[str], object], token: str) -> bool:
    try:
        ask(token)
    except Exception:  # noqa: BLE001 - whatever it raises, it did not accept
        return False
    return True


def _pyjwt(pem: str) -> Callable[[str], object]:
    key: Any = load_pem_public_key(pem.encode())
    options: Any = {"require": ["exp", "iat", "sub"], "verify_aud": False}
    return lambda token: jwt.decode(
        token, key, algorithms=["RS256"], issuer=ISSUER, leeway=LEEWAY, options=options
    )


def _joserfc(pem: str) -> Callable[[str], object]:
    library: Any = import_module("joserfc.jwt")
    key = import_module("joserfc.jwk").RSAKey.import_key(pem)
    # Clerk's own header fields (`cat`, `oiat`) are in no registry: unknown ones must be allowed.
    registry = import_module("joserfc.jws").JWSRegistry(strict_check_header=False, algorithms=["RS256"])
    essential: Any = {"essential": True}
    rules = library.JWTClaimsRegistry(
        leeway=LEEWAY, iss={**essential, "value": ISSUER}, sub=essential, exp=essential, iat=essential
    )
    return lambda token: rules.validate(library.decode(token, key, registry=registry).claims)


def _authlib(pem: str) -> Callable[[str], object]:
    with warnings.catch_warnings(record=True):  # it says that this part of it has become joserfc
        library = import_module("authlib.jose").JsonWebToken(["RS256"])
    essential: Any = {"essential": True}
    options = {"iss": {**essential, "value": ISSUER}, "sub": essential, "exp": essential, "iat": essential}
    return lambda token: library.decode(token, pem, claims_options=options).validate(leeway=LEEWAY)


def _clerk_python(pem: str) -> Callable[[str], object]:
    library = import_module("clerk_backend_api.security")
    options = import_module("clerk_backend_api.security.types").VerifyTokenOptions(
        jwt_key=pem,
        authorized_parties=[PARTY],
        clock_skew_in_ms=LEEWAY * 1000,
        # Other kinds of token would be asked of Clerk: here nobody answers.
        api_url="http://127.0.0.1:9",
    )
    return lambda token: library.verify_token(token, options)


def _clerk_javascript(pem: str) -> Judge:
    def judge(tokens: Sequence[str]) -> list[bool]:
        question = {"pem": pem, "party": PARTY, "skew": LEEWAY * 1000, "now": NOW * 1000, "tokens": tokens}
        command = ["node", "verify.mjs"]  # a name on PATH: whichever Node is here
        answer = subprocess.run(
            command, cwd=JAVASCRIPT, input=json.dumps(question).encode(), stdout=subprocess.PIPE, check=True
        )
        accepted: list[bool] = json.loads(answer.stdout)
        return accepted

    return judge
