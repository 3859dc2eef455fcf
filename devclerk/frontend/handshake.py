"""Redirects between the application and the Frontend API: the handshake of Clerk's servers, and `touch`.

A server that sees no fresh session sends the browser here. The browser returns with the cookies that its
client has now, inside a signed token or behind a nonce that the Backend API resolves once.
"""

from __future__ import annotations

import time
from dataclasses import replace
from http import HTTPStatus

from devclerk.frontend.browser import cookie, host_name, loopback_address, loopback_origin
from devclerk.frontend.calls import Call
from devclerk.frontend.clients import ClientSession
from devclerk.refusals import Refused
from devclerk.web import Answer, Request

HANDSHAKE_SECONDS = 60
TOKEN_COOKIE, NONCE_COOKIE = "__clerk_handshake", "__clerk_handshake_nonce"


def handshake(call: Call) -> Answer:
    """Send the browser back with the cookies of its active session, or with those of a signed-out browser."""
    address = return_address(call.request, base=call.base)
    directives = _directives(call, azp=loopback_origin(address) or call.azp)
    keyring = call.instance.emulator.keyring
    if call.request.one("format") == "nonce":
        name, value = NONCE_COOKIE, call.instance.emulator.clients.store_handshake(directives)
    else:
        header = {"alg": "RS256", "kid": keyring.kid, "typ": "JWT"}
        payload = {"handshake": directives, "exp": int(time.time()) + HANDSHAKE_SECONDS}
        name, value = TOKEN_COOKIE, keyring.sign(header, payload)
    result = cookie(name, value, seconds=HANDSHAKE_SECONDS, http_only=True)
    return _redirect(address, cookies=(result, *call.instance.cookies(call.client)))


def touch_client(call: Call) -> Answer:
    """Send the browser back with the cookies about its client renewed."""
    address = return_address(call.request, base=call.base)
    return _redirect(address, cookies=call.instance.cookies(call.client))


def return_address(request: Request, *, base: str) -> str:
    """Return the address to return to. Raise `Refused` for one that gets none of the cookies."""
    address = loopback_address(request.one("redirect_url"))
    if address is None:
        message = "redirect_url must be an address of this machine."
        raise Refused(HTTPStatus.BAD_REQUEST, "redirect_url_invalid", message)
    if host_name(address) != host_name(base):
        message = (
            f"The application runs on {host_name(address)} and its Clerk on {host_name(base)}: "
            f"browsers keep their cookies apart. Use one name in both addresses."
        )
        raise Refused(HTTPStatus.BAD_REQUEST, "redirect_url_invalid", message)
    return address


def _directives(call: Call, *, azp: str) -> list[str]:
    instance = call.instance
    done = [cookie(name, "", seconds=0, http_only=True) for name in (TOKEN_COOKIE, NONCE_COOKIE)]
    session = _activate(call)
    if call.client is None or session is None:
        no_session = instance.application_cookies("__session", "", seconds=0)
        return [*done, *instance.application_cookies("__client_uat", "0"), *no_session]
    token = instance.mint(session, azp=azp)
    changed_at = str(call.client.updated_at // 1000)
    return [
        *done,
        *instance.application_cookies("__client_uat", changed_at),
        *instance.application_cookies("__session", token),
    ]


def _activate(call: Call) -> ClientSession | None:
    """Return the active session, with the organization that the server asks for."""
    session = call.client.active_session if call.client else None
    if call.client is None or session is None or "organization_id" not in call.request.query:
        return session
    session = replace(session, organization_id=call.request.one("organization_id") or None)
    call.instance.emulator.clients.touch(call.client, session)
    return session


def _redirect(address: str, *, cookies: tuple[str, ...]) -> Answer:
    headers = {"Location": address}
    return Answer(body=b"", status=HTTPStatus.TEMPORARY_REDIRECT, headers=headers, cookies=cookies)
