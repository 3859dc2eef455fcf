"""One call of a browser, and what the endpoints need to answer it: its client, its tokens, its cookies."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from devclerk.emulator import Emulator
from devclerk.frontend.browser import (
    COOKIE_SECONDS,
    cookie,
    cookie_suffix,
    page_origin,
    publishable_key,
    read_cookie,
)
from devclerk.frontend.clients import BrowserClient, ClientSession
from devclerk.frontend.resources import client_object, factor_ages, session_object
from devclerk.refusals import Refused
from devclerk.tokens import Fault
from devclerk.users import ClerkUser
from devclerk.web import Answer, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """The emulated instance as browsers know it. `home_url` is where they return without an address."""

    emulator: Emulator
    issuer: str
    port: int
    home_url: str = "http://localhost:3000"  # where Next.js listens

    @property
    def publishable_key(self) -> str:
        """Return the publishable key of the application."""
        return publishable_key(f"127.0.0.1:{self.port}")

    @property
    def suffix(self) -> str:
        """Return the suffix of the names of cookies."""
        return cookie_suffix(self.publishable_key)

    def find_client(self, request: Request) -> BrowserClient | None:
        """Return the client of this browser, or None."""
        return self.emulator.clients.get(read_cookie(request, f"__client_{self.suffix}"))

    def sign_in(self, request: Request, user: ClerkUser) -> BrowserClient:
        """Sign a user in to this browser. Raise `Refused` for a user that Clerk lets sign in no more."""
        if user.banned or user.deprovisioned:
            raise Refused(HTTPStatus.FORBIDDEN, "user_banned", "This user is banned and cannot sign in.")
        if user.locked:
            raise Refused(HTTPStatus.FORBIDDEN, "user_locked", "This user is locked and cannot sign in.")
        client = self.find_client(request)
        return self.emulator.clients.sign_in(client.key if client else None, user_id=user.id)

    def user_of(self, session: ClientSession) -> ClerkUser:
        """Return the user of a session. Raise `Refused` for a deleted user."""
        if user := self.emulator.directory.get(session.user_id):
            return user
        raise signed_out()

    def mint(
        self, session: ClientSession, *, azp: str, fault: str | None = None, template: bool = False
    ) -> str:
        """Return a token of a session, about its organization; that of a template names neither.

        Raise `Refused` as `user_of`. The emulator stores no organizations: the token has the role of a
        member, unless the custom claims contain an `o` of their own.
        """
        user, calls = self.user_of(session), self.emulator.token_calls
        self.emulator.token_pacer.wait(user, calls.claims)
        claims, organization = dict(calls.claims), None
        if not template:
            claims |= {"sid": session.id, "fva": list(factor_ages(session))}
            organization = active_organization(session.organization_id)
        return self.emulator.keyring.mint(
            user,
            issuer=self.issuer,
            azp=azp,
            expires=calls.lifetime,
            claims=claims,
            organization=organization,
            fault=Fault.TEMPLATE if template else fault,
        )

    def cookies(self, client: BrowserClient | None) -> tuple[str, ...]:
        """Return the cookies that a browser keeps about its client; the second says when sessions changed."""
        changed_at = str(client.updated_at // 1000) if client and client.sessions else "0"
        name, key = f"__client_{self.suffix}", client.key if client else ""
        seconds = COOKIE_SECONDS if client else 0
        return (
            cookie(name, key, seconds=seconds, http_only=True),
            *self.application_cookies("__client_uat", changed_at),
        )

    def application_cookies(self, name: str, value: str, *, seconds: int = COOKIE_SECONDS) -> tuple[str, ...]:
        """Return a cookie of the application with and without the suffix; Clerk's packages set both."""
        return tuple(cookie(one, value, seconds=seconds) for one in (f"{name}_{self.suffix}", name))


def active_organization(organization_id: str | None) -> dict[str, str] | None:
    """Return the organization that tokens name; its slug is the id without the prefix."""
    if not organization_id:
        return None
    return {"id": organization_id, "slug": organization_id.removeprefix("org_").lower()}


def signed_out() -> Refused:
    """Return the refusal of a session that has ended or never was."""
    message = "This session has ended, or belongs to another browser."
    return Refused(HTTPStatus.UNAUTHORIZED, "authentication_invalid", message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call to the Frontend API."""

    instance: Instance
    request: Request
    method: str
    base: str
    client: BrowserClient | None
    arguments: tuple[str, ...] = field(default=())

    @property
    def azp(self) -> str:
        """Return the authorized party of tokens: the origin of the page."""
        return page_origin(self.request, default=self.instance.issuer)

    @property
    def form(self) -> dict[str, str]:
        """Return the form. Raise `Refused` for a body that is none."""
        try:
            return self.request.form()
        except ValueError:
            message = "The body must be a URL-encoded form."
            raise Refused(HTTPStatus.BAD_REQUEST, "request_body_invalid", message) from None

    def require_session(self) -> tuple[BrowserClient, ClientSession]:
        """Return the client and the session that the address names. Raise `Refused`."""
        session = self.client.find_session(self.arguments[0]) if self.client else None
        if self.client is None or session is None:
            raise signed_out()
        return self.client, session

    def session_object(self, session: ClientSession) -> dict[str, Any]:
        """Return a session with its user and a fresh token. Raise `Refused` for a deleted user."""
        token = self.instance.mint(session, azp=self.azp)
        return session_object(session, user=self.instance.user_of(session), token=token)

    def client_object(self, client: BrowserClient) -> dict[str, Any]:
        """Return a client with its sessions. Raise `Refused` for a deleted user."""
        return client_object(client, list(map(self.session_object, client.sessions)))

    def answer(self, response: object, *, client: BrowserClient | None) -> Answer:
        """Return the answer to a change: the resource, and the client as it is now."""
        body = {"response": response, "client": self.client_object(client) if client else None}
        return Answer.json(body, cookies=self.instance.cookies(client))
