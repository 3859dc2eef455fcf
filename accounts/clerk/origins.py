"""Origins of frontends, as a browser sends them in `Origin`; Clerk copies them into the claim `azp`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

# A page on this machine. No other machine can serve one: browsers resolve `localhost` and the names below it
# to loopback (RFC 6761). Anchored at both ends also for `re.match`.
LOOPBACK_ORIGIN = r"https?://(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?\Z"

_PORT = r"(?::(?P<port>[1-9][0-9]{0,4}))?"
# Browsers convert the host of a web page to lower case and Punycode.
_WEB_PAGE = re.compile(
    rf"(?P<scheme>https?)://(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\]){_PORT}"
)
# The host of another scheme keeps its case: safari-web-extension:// has a UUID in upper case.
_OTHER_PAGE = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[A-Za-z0-9._~-]+){_PORT}")
# A host whose last label begins with a digit is an IPv4 address for a browser, never a name (URL standard).
_ADDRESS = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?|\[.*\]")
_ISSUER = re.compile(r"(?P<origin>https?://[^/]+)(?P<path>(?:/[A-Za-z0-9._~-]+)*)")
# Clerk's Backend API issues no session tokens.
_BACKEND_APIS = frozenset({"https://api.clerk.com", "https://api.clerk.dev"})
# Browsers send no origin with these schemes (URL standard, special schemes; a page of `file` sends `null`).
_NEVER_SENT = frozenset({"http", "https", "ws", "wss", "ftp", "file"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535


def is_origin(text: str) -> bool:
    """Return whether a browser can send this text as an origin of its own; `null` and wildcards are none."""
    web, other = _WEB_PAGE.fullmatch(text), _OTHER_PAGE.fullmatch(text)
    found = web or other
    if found is None or (not web and found["scheme"] in _NEVER_SENT):
        return False
    if web and not _is_written_by_browsers(web["host"]):
        return False
    port = int(found["port"] or 0)
    # Browsers leave the default port out.
    return port <= _LAST_PORT and port != _DEFAULT_PORTS.get(found["scheme"])


def _is_written_by_browsers(host: str) -> bool:
    """Return whether a browser writes this host so: 127.1, 10.0.0.01 and [0:0::1] are none."""
    if not _ADDRESS.fullmatch(host):
        return True
    try:
        return host.strip("[]") == ipaddress.ip_address(host.strip("[]")).compressed
    except ValueError:
        return False


def is_issuer(text: str) -> bool:
    """Return whether Clerk can write this text into `iss`: the address of an instance, or of its proxy.

    The claim is compared as text: upper case, a default port, a slash at the end or a query never match, nor
    does the address of the keys or of the Backend API.
    """
    found = _ISSUER.fullmatch(text)
    if found is None or found["origin"] in _BACKEND_APIS:
        return False
    return is_origin(found["origin"]) and not found["path"].endswith(".json")


@dataclass(frozen=True, slots=True)
class OriginsAndLoopback(Collection[str]):
    """The given origins; `in` is also true for every loopback origin. For development alone."""

    origins: Collection[str]

    def __contains__(self, origin: object) -> bool:
        return origin in self.origins or (
            isinstance(origin, str) and re.match(LOOPBACK_ORIGIN, origin) is not None
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.origins)

    def __len__(self) -> int:
        return len(self.origins)
