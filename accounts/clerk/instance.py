"""Whether the secret key belongs to the Clerk instance whose keys verify tokens.

Note [The key of another instance]
With the secret key of another instance every user of this database looks deleted in Clerk, and the users of
the other instance look missing in this database. Instances share no signing key. So one public key in common
shows that both are the same instance, also during a rotation. Keys are compared by modulus and exponent: the
same `kid` proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from math import inf

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from accounts.clerk.api import ClerkAPI
from accounts.clerk.jwks import FetchFailed, usable_keys

KEEP_SECONDS = 300.0


class InstanceUnconfirmed(Exception):
    """The secret key belongs to another instance, or that cannot be checked. The text holds no secret."""

    def __init__(self, what: str, *, next_step: str) -> None:
        super().__init__(f"{what} Nothing was written. {next_step}")
        self.what, self.next_step = what, next_step


def compare_instances(api: ClerkAPI, *, verifying_keys: Collection[RSAPublicKey]) -> None:
    """Raise InstanceUnconfirmed unless the secret key's instance publishes one of the keys.

    The reason is in Note [The key of another instance]. Also raises ClerkAPIError.
    """
    if not verifying_keys:
        raise InstanceUnconfirmed(
            "There are no keys that verify tokens, so the instance of CLERK_SECRET_KEY cannot be checked.",
            next_step="Set CLERK_PUBLISHABLE_KEY, or CLERK_JWT_KEY.",
        )
    try:
        published = usable_keys({"keys": api.get_jwks()})
    except FetchFailed:
        raise InstanceUnconfirmed(
            "The Backend API lists no usable key for CLERK_SECRET_KEY, so its instance cannot be checked.",
            next_step="Check CLERK_API_URL and CLERK_SECRET_KEY, then try again.",
        ) from None
    numbers = {key.public_numbers() for key in published.values()}
    if numbers.isdisjoint(key.public_numbers() for key in verifying_keys):
        raise InstanceUnconfirmed(
            "CLERK_SECRET_KEY belongs to another instance than the public keys that verify tokens.",
            next_step=(
                "Copy CLERK_PUBLISHABLE_KEY (or CLERK_JWT_KEY) and CLERK_SECRET_KEY from the same page of"
                " Clerk's dashboard, API keys."
            ),
        )


class InstanceGuard:
    """Confirms that a secret key belongs to the right instance, and keeps the confirmation for five minutes.

    `verifying_keys` returns the keys that verify tokens; it raises FetchFailed, or ValueError with a sentence
    for the operator. `clock` counts seconds.
    """

    def __init__(
        self,
        verifying_keys: Callable[[], Collection[RSAPublicKey]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verifying_keys, self._clock = verifying_keys, clock
        self._confirmed_at = -inf

    def confirm(self, api: ClerkAPI, *, accept_kept: bool = False) -> None:
        """Raise InstanceUnconfirmed unless the secret key of `api` belongs to the instance of the keys.

        With `accept_kept` a confirmation of the last five minutes is enough; a refusal is never kept. Also
        raises ClerkAPIError.
        """
        if accept_kept and self._clock() - self._confirmed_at < KEEP_SECONDS:
            return
        self._confirmed_at = -inf
        compare_instances(api, verifying_keys=self._read_verifying_keys())
        self._confirmed_at = self._clock()

    def _read_verifying_keys(self) -> Collection[RSAPublicKey]:
        what = "The keys that verify tokens cannot be read, so the secret key's instance cannot be checked"
        try:
            return self._verifying_keys()
        except FetchFailed as failure:
            what += f" (CLERK_JWKS_URL: {failure.reason.replace('_', ' ')})"
            raise InstanceUnconfirmed(f"{what}.", next_step=failure.next_step) from None
        except ValueError as refusal:
            raise InstanceUnconfirmed(f"{what}.", next_step=str(refusal)) from None
