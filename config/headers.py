"""Headers that cannot be read, removed before Django sees the request.

Django reads Content-Type while it builds the request, before any middleware: what it stumbles over there is
answered by the server, without an id or the envelope, and logged with the address. The escapes of a cookie
can spell a NUL, which PostgreSQL refuses as the key of a session.
"""

from __future__ import annotations

import codecs
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.http import parse_cookie
from django.utils.http import parse_header_parameters

# These read any bytes. Django would read the query of the address by any codec, base64 and punycode included.
CHARSETS = frozenset({"utf-8", "ascii", "iso8859-1"})

# What an ASGI server passes: the request, and the functions that receive and send its messages.
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


def readable(application: WSGIApplication) -> WSGIApplication:
    """Wrap the application: a Content-Type or Cookie that cannot be read counts as not sent."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        content_type = environ.get("CONTENT_TYPE")
        if content_type and not _is_content_type(content_type):
            del environ["CONTENT_TYPE"]
        cookie = environ.get("HTTP_COOKIE")
        if cookie and _spells_nul(cookie):
            del environ["HTTP_COOKIE"]
        return application(environ, start_response)

    return answer


def readable_asgi(application: ASGIApplication) -> ASGIApplication:
    """Wrap an ASGI application in the same way."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        unreadable = set()
        content_types, cookies = _values(headers, b"content-type"), _values(headers, b"cookie")
        if content_types and not _is_content_type(",".join(content_types)):
            unreadable.add(b"content-type")
        # Django 6 joins several headers by "; ", Django 5 by a comma.
        if cookies and (_spells_nul("; ".join(cookies)) or _spells_nul(",".join(cookies))):
            unreadable.add(b"cookie")
        if unreadable:
            scope = {**scope, "headers": [each for each in headers if each[0] not in unreadable]}
        await application(scope, receive, send)

    return answer


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for each, value in headers if each == name]


def _is_content_type(header: str) -> bool:
    try:
        charset = parse_header_parameters(header)[1].get("charset", "utf-8")
        return codecs.lookup(charset).name in CHARSETS
    except (ValueError, LookupError):
        return False


def _spells_nul(cookie: str) -> bool:
    # Without a backslash there is no escape: nearly always.
    return "\\" in cookie and any("\0" in text for pair in parse_cookie(cookie).items() for text in pair)
