"""The codes of refused tokens, and how a test gets one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from accounts.clerk.tokens import InvalidToken, SessionVerifier
from tests.accounts.clerk.conftest import NOW

Build = Callable[..., SessionVerifier]
MALFORMED, TYPE, ALGORITHM = "token_malformed", "token_type_mismatch", "token_invalid_algorithm"
KEY, SIGNATURE, CLAIMS = "token_unknown_key", "token_invalid_signature", "token_invalid_claims"
PARTIES, ISSUERS, AUDIENCE = (
    "token_invalid_authorized_party",
    "token_invalid_issuer",
    "token_invalid_audience",
)
EXPIRED, NOT_YET, FUTURE = "token_expired", "token_not_active_yet", "token_iat_in_the_future"


# All details of a refused token that a log line may have.
DETAIL = re.compile(r"(expired -?\d+ s ago|begins in \d+ s|issued in \d+ s)?")


def refusal(verifier: SessionVerifier, token: Any, *, now: float = NOW) -> str:
    """Return the code of the refusal; its texts must hold nothing of the token."""
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(token, now=now)
    assert DETAIL.fullmatch(caught.value.detail)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


def encoded(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
