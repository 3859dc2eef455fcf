"""Checks on each page: no error, no request to another origin."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, Response, Route

IMAGE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="teal"/></svg>'
)


class Watch:
    """Records in `problems`: script errors, answers with 500 or more, requests to other origins."""

    def __init__(self, *origins: str) -> None:
        self.problems: list[str] = []
        self._origins = origins

    def open_page(self, context: BrowserContext) -> Page:
        """Open a watched page in this context."""
        context.route("**/*", self._route)
        page = context.new_page()
        page.on("pageerror", self._record_error)
        page.on("console", self._record_message)
        page.on("response", self._record_response)
        return page

    def _route(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.netloc == "img.example.test":  # images of users, which Clerk would serve
            route.fulfill(body=IMAGE, content_type="image/svg+xml")
        elif f"{address.scheme}://{address.netloc}" in self._origins:
            route.continue_()
        else:
            self.problems.append(f"requested {route.request.url}")
            route.abort()

    def _record_error(self, error: Error) -> None:
        self.problems.append(f"script: {error}")

    def _record_message(self, message: ConsoleMessage) -> None:
        # A 4xx is such a message, too; the tests check those.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def _record_response(self, response: Response) -> None:
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.problems.append(f"{response.status} {response.url}")
