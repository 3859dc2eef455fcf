"""What a page of ours must not do: fail, or speak to strangers."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, Response, Route

PORTRAIT = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect width="8" height="8" fill="teal"/></svg>'
)


class Watch:
    """Notes in `trouble` what goes wrong in its pages: scripts, answers of 500 and more, other addresses."""

    def __init__(self, *origins: str) -> None:
        self.trouble: list[str] = []
        self._origins = origins

    def over(self, context: BrowserContext) -> Page:
        """Open a page of this browser under watch."""
        context.route("**/*", self._route)
        page = context.new_page()
        page.on("pageerror", self._note_error)
        page.on("console", self._note_complaint)
        page.on("response", self._note_failure)
        return page

    def _route(self, route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.netloc == "img.example.test":  # pictures of people, as Clerk would serve them
            route.fulfill(body=PORTRAIT, content_type="image/svg+xml")
        elif f"{address.scheme}://{address.netloc}" in self._origins:
            route.continue_()
        else:
            self.trouble.append(f"asked for {route.request.url}")
            route.abort()

    def _note_error(self, error: Error) -> None:
        self.trouble.append(f"script: {error}")

    def _note_complaint(self, message: ConsoleMessage) -> None:
        # An answer of 4xx is one too; whether it should have come, a test says.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.trouble.append(message.text)

    def _note_failure(self, response: Response) -> None:
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.trouble.append(f"{response.status} {response.url}")
