"""The sandbox: a frontend on the emulator's own origin that uses the real TypeScript client."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from devclerk.web import Answer

ASSETS = Path(__file__).parent / "assets"
JAVASCRIPT = "text/javascript; charset=utf-8"
FILES = {
    "/sandbox.js": (ASSETS / "sandbox.js", JAVASCRIPT),
    "/sandbox.css": (ASSETS / "sandbox.css", "text/css; charset=utf-8"),
    "/client.js": (ASSETS / "client.js", JAVASCRIPT),  # `make client` generates it
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
    return Answer(body=file.read_bytes(), content_type=content_type)
