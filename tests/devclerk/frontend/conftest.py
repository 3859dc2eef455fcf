"""A browser without a screen: it keeps cookies and names the page that it shows."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from devclerk.fixtures import LocalClerk

APP = "http://127.0.0.1:3000"


class Browser:
    """Calls the Frontend API as clerk-js does: with cookies, and with GET and POST alone."""

    def __init__(self, clerk: LocalClerk, *, app: str = APP) -> None:
        self.clerk, self.app = clerk, app
        self.session = requests.Session()
        self.session.trust_env = False

    def call(
        self, path: str, *, method: str = "POST", headers: dict[str, str] | None = None, **form: str
    ) -> requests.Response:
        """Call the Frontend API."""
        params = {} if method in {"GET", "POST"} else {"_method": method}
        return self.session.request(
            "GET" if method == "GET" else "POST",
            f"{self.clerk.api_url}/v1/{path}",
            params=params,
            data=form or None,
            headers={"Origin": self.app} | (headers or {}),
            timeout=10,
            allow_redirects=False,
        )

    def client(self) -> Any:
        """Return the client as clerk-js fetches it, None before the first sign-in."""
        response = self.call("client", method="GET")
        assert response.status_code == 200, response.text
        return response.json()["response"]

    def sign_in(self, name: str) -> str:
        """Sign a user in and return the id of the session."""
        response = self.call("client/sign_ins", identifier=name)
        assert response.status_code == 200, response.text
        return str(response.json()["response"]["created_session_id"])

    def token(self, session_id: str) -> requests.Response:
        """Ask for a fresh token of a session."""
        return self.call(f"client/sessions/{session_id}/tokens")

    def navigate(self, path: str, **params: str) -> requests.Response:
        """Follow a link to the emulator, but not its redirect."""
        return self.session.get(self.clerk.api_url + path, params=params, timeout=10, allow_redirects=False)


@pytest.fixture
def browser(clerk: LocalClerk) -> Browser:
    return Browser(clerk)


@pytest.fixture
def other_browser(clerk: LocalClerk) -> Browser:
    return Browser(clerk)
