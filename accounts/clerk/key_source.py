"""What a verifier needs to know about its keys, wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


class KeysUnavailable(Exception):
    """There is no usable key now; try again after `retry_after` seconds."""

    retry_after = 5
    is_unexpected = False  # whether the key source failed in a way that was not foreseen, and was logged
    is_unknown_key = False  # whether keys are held, and only this one, which anyone can make up, is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysStatus:
    """The state of the keys, for the health report and for a token that is refused by its times.

    `clock_skew_seconds`: by how much this machine's clock is ahead (behind: negative), None if unknown.
    """

    mode: str
    age_seconds: float | None = None
    held: bool = False
    last_error: str | None = None
    fetches: Mapping[str, int] = field(default_factory=dict)
    suspect_rotation: bool = False
    clock_skew_seconds: float | None = None


class KeySource(Protocol):
    """Where a verifier gets its keys."""

    def get_keys(self, kid: object) -> Sequence[RSAPublicKey]:
        """Return the keys to try, none for an unknown id; raise KeysUnavailable if no key can be had now."""

    def status(self) -> KeysStatus:
        """Return the state of the keys."""

    def start(self) -> None:
        """Start to load keys before the first request."""

    def record_result(self, *, good: bool) -> None:
        """Count a good signature of a token that is valid now, or a bad one that names our issuer."""
