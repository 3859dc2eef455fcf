"""The sandbox: a frontend on the emulator's own origin that uses the real TypeScript client."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from devclerk.web import Answer

ASSETS = Path(__file__).parent / "assets"
# Built by `make client`; without it the address answers 404.
CLIENT = Path(__file__).parent.parent / "clients" / "typescript" / "dist" / "browser.js"
JAVASCRIPT = "text/javascript; charset=utf-8"
FILES = {
    "/sandbox.js": (ASSETS / "sandbox.js", JAVASCRIPT),
    "/sandbox.css": (ASSETS / "sandbox.css", "text/css; charset=utf-8"),
    "/client.js": (CLIENT, JAVASCRIPT),
}
# Scripts run from this server alone, and requests go to it and the API. Images may come from anywhere.
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src *; connect-src 'self' {api}"


def sandbox_answer(path: str, *, webhook_url: str | None) -> Answer | None:
    """Return the page, one of its files, or None for another path. The API is the origin of `webhook_url`."""
    if path == "/sandbox":
        address = urlsplit(webhook_url or "")
        api = f"{address.scheme}://{address.netloc}" if address.netloc else ""
        page = (ASSETS / "sandbox.html").read_text().replace("%API%", escape(api))
        policy = {"Content-Security-Policy": POLICY.format(api=api)}
        return Answer(body=page.encode(), content_type="text/html; charset=utf-8", headers=policy)
    if path not in FILES:
        return None
    file, content_type = FILES[path]
    if not file.exists():
        return Answer.refusal("Not built: run `make client`.", status=HTTPStatus.NOT_FOUND)
    return Answer(body=file.read_bytes(), content_type=content_type)
