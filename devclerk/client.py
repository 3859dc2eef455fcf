"""How the commands talk to the stand-in that is running."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests

TIMEOUT = 20.0
OUTCOME_SECONDS = 10.0


class Refused(Exception):
    """The stand-in is not there, or will not do that. The text is for people."""


class Client:
    """Speaks to the controls of the stand-in on this port. Every method raises `Refused`."""

    def __init__(self, port: int) -> None:
        self._origin = f"http://127.0.0.1:{port}"
        self._port = port
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy has no business on the loopback

    def people(self) -> dict[str, Any]:
        """Give the count and the first people."""
        return self._ask("GET", "/_dev/people")

    def token(self, name: str, options: Mapping[str, Any]) -> str:
        """Mint a token."""
        return str(self._ask("POST", _address(name, "token"), body=options)["token"])

    def change(self, path: str, body: Mapping[str, Any], *, name: str = "") -> dict[str, Any]:
        """Ask for a change of a person or of the stand-in itself."""
        return self._ask("POST", _address(name, path) if name else f"/_dev/{path}", body=body)

    def attempts(self, svix_id: str, *, number: int = 1) -> list[dict[str, Any]]:
        """Give the attempts to deliver an event, once there are so many or a few seconds have gone by."""
        give_up_at = time.monotonic() + OUTCOME_SECONDS
        while True:
            attempts = self._ask("GET", f"/_dev/deliveries/{svix_id}")["attempts"]
            if len(attempts) >= number or time.monotonic() > give_up_at:
                return list(attempts)
            time.sleep(0.05)

    def _ask(self, method: str, path: str, *, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._session.request(method, self._origin + path, json=body, timeout=TIMEOUT)
            answer = response.json()
        except (requests.RequestException, ValueError):
            raise Refused(
                f"No stand-in answers at {self._origin}: start it with `make run`, "
                f"or name its port with --clerk-port or CLERK_PORT."
            ) from None
        if not response.ok:
            raise Refused(str(answer.get("detail", f"The stand-in answered {response.status_code}.")))
        return dict(answer)


def _address(name: str, action: str) -> str:
    return f"/_dev/people/{quote(name, safe='')}/{action}"
