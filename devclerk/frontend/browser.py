"""What the emulator accepts from a browser and stores there: origins, addresses and cookies of this machine.

Browsers share the cookies of a host name over all its ports, but not between `localhost` and `127.0.0.1`.
"""

from __future__ import annotations

import base64
import hashlib
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit, urlunsplit

from devclerk.web import Request

LOOPBACK_NAMES = ("127.0.0.1", "localhost")
COOKIE_SECONDS = 365 * 86_400
SUFFIX_LENGTH = 8
# The characters that an address may contain as they are (RFC 3986)
ADDRESS_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"


def publishable_key(host: str) -> str:
    """Return the production-style publishable key of the instance at this host, such as 127.0.0.1:8001."""
    return "pk_live_" + base64.b64encode(f"{host}$".encode()).decode().rstrip("=")


def cookie_suffix(key: str) -> str:
    """Return the suffix that Clerk's packages add to names of cookies, so that instances do not mix."""
    digest = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).decode()[:SUFFIX_LENGTH]


def loopback_address(text: str) -> str | None:
    """Return an http or https address on this machine, fit for a header, or None for any other text."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError for an invalid one
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or parts.hostname not in LOOPBACK_NAMES or "@" in parts.netloc:
        return None
    return quote(urlunsplit(parts), safe=ADDRESS_CHARACTERS)


def loopback_origin(text: str) -> str | None:
    """Return the origin of an address on this machine, or None for any other text."""
    address = loopback_address(text)
    if address is None:
        return None
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def is_foreign(request: Request) -> bool:
    """Return whether a page of another machine sent the request."""
    origin = request.headers.get("origin")
    return origin is not None and loopback_origin(origin) is None


def cors_headers(request: Request) -> dict[str, str]:
    """Return the headers that let the page of a loopback origin read the answer, with its cookies."""
    origin = loopback_origin(request.headers.get("origin", ""))
    if origin is None:
        return {"Vary": "Origin"}
    headers = {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Retry-After",
    }
    if request.method == "OPTIONS":
        headers["Access-Control-Allow-Methods"] = "GET, POST, PUT, PATCH, DELETE"
        headers["Access-Control-Allow-Headers"] = "authorization, content-type"
    return headers


def page_origin(request: Request, *, default: str) -> str:
    """Return the origin of the page that sent the request: the authorized party of its tokens."""
    for name in ("origin", "referer"):
        if origin := loopback_origin(request.headers.get(name, "")):
            return origin
    return default


def public_address(request: Request, *, port: int) -> str:
    """Return the address of the emulator as the browser knows it, which may be a path of the application."""
    if proxied := loopback_address(request.headers.get("clerk-proxy-url", "")):
        return proxied.rstrip("/")
    if forwarded := loopback_address("http://" + request.headers.get("x-forwarded-host", "")):
        return f"http://{host_name(forwarded)}:{port}"
    return f"http://{request.headers['host']}"


def host_name(address: str) -> str:
    """Return the host name of an address."""
    return urlsplit(address).hostname or ""


def read_cookie(request: Request, name: str) -> str | None:
    """Return the value of a cookie, or None."""
    for pair in request.headers.get("cookie", "").split(";"):
        try:
            cookie = SimpleCookie(pair.strip())
        except CookieError:
            continue
        if name in cookie:
            return cookie[name].value
    return None


def cookie(name: str, value: str, *, seconds: int = COOKIE_SECONDS, http_only: bool = False) -> str:
    """Return a Set-Cookie header; no `seconds` delete the cookie. Scripts read it unless `http_only`."""
    flags = "; HttpOnly" if http_only else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; SameSite=Lax{flags}"
