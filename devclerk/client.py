"""HTTP client of the commands for a running emulator."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests

from devclerk.web import loopback_session

TIMEOUT_SECONDS = 20.0
DELIVERY_WAIT_SECONDS = 10.0
POLL_SECONDS = 0.05


class EmulatorError(Exception):
    """The emulator does not answer, or refuses the request. The text is for the user of the command."""


class Client:
    """Calls the control API of the emulator on this port. Every method raises `EmulatorError`."""

    def __init__(self, port: int) -> None:
        self._origin = f"http://127.0.0.1:{port}"
        self._session = loopback_session()

    def list_users(self) -> dict[str, Any]:
        """Return the number of users, and the first of them."""
        return self._call("GET", "/_dev/people")

    def mint_token(self, name: str, options: Mapping[str, Any]) -> str:
        """Return a session token of this user."""
        return str(self._call("POST", _user_path(name, "token"), body=options)["token"])

    def change_user(self, name: str, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Run an action on a user. Return the change and the id of its webhook."""
        return self._call("POST", _user_path(name, action), body=body)

    def change_emulator(self, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Run an action on the emulator itself. Return its answer."""
        return self._call("POST", f"/_dev/{action}", body=body)

    def wait_for_attempts(self, svix_id: str, *, count: int = 1) -> list[dict[str, Any]]:
        """Return the delivery attempts of an event, once there are `count` or the wait is over."""
        give_up_at = time.monotonic() + DELIVERY_WAIT_SECONDS
        while True:
            attempts = self._call("GET", f"/_dev/deliveries/{svix_id}")["attempts"]
            if len(attempts) >= count or time.monotonic() > give_up_at:
                return list(attempts)
            time.sleep(POLL_SECONDS)

    def _call(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._session.request(method, self._origin + path, json=body, timeout=TIMEOUT_SECONDS)
            answer = response.json()
        except (requests.RequestException, ValueError):
            raise EmulatorError(
                f"No emulator answers at {self._origin}: start it with `manage.py devclerk serve` (a "
                f"clone: `make run`), or name its port with --clerk-port or CLERK_PORT."
            ) from None
        if not response.ok:
            raise EmulatorError(str(answer.get("detail", f"The emulator answered {response.status_code}.")))
        return dict(answer)


def _user_path(name: str, action: str) -> str:
    return f"/_dev/people/{quote(name, safe='')}/{action}"
