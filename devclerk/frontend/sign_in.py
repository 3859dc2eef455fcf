"""The sign-in page of the emulator: choose a user, without a password."""

from __future__ import annotations

import re
from html import escape
from http import HTTPStatus

from devclerk.directory import UnknownUser
from devclerk.frontend.browser import is_foreign, loopback_address, public_address
from devclerk.frontend.calls import Instance
from devclerk.frontend.handshake import return_address
from devclerk.refusals import Refused
from devclerk.sandbox import ASSETS, JAVASCRIPT
from devclerk.users import ClerkUser
from devclerk.web import Answer, Request

USERS_SHOWN = 50
# The form may lead to any application on this machine; no page may frame it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src *; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self' http://localhost:* http://127.0.0.1:* "
    "https://localhost:* https://127.0.0.1:*"
)
FILES = {
    "/sign-in.js": (ASSETS / "sign-in.js", JAVASCRIPT),
    "/sign-in.css": (ASSETS / "sign-in.css", "text/css; charset=utf-8"),
}


def sign_in_answer(instance: Instance, request: Request) -> Answer | None:
    """Return the page, the answer to its form, one of its files, or None for another address."""
    if request.path in FILES:
        file, content_type = FILES[request.path]
        return Answer(body=file.read_bytes(), content_type=content_type)
    if request.path != "/sign-in":
        return None
    if request.method == "POST":
        return _answer_form(instance, request)
    return _page(instance, request, problem="")


def _answer_form(instance: Instance, request: Request) -> Answer:
    if is_foreign(request) or request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        detail = "The sign-in page takes its own form alone."
        return Answer.refusal(detail, status=HTTPStatus.FORBIDDEN)
    try:
        return _sign_in(instance, request)
    except Refused as refused:
        return _page(instance, request, problem=refused.message, status=refused.status)
    except UnknownUser as error:
        return _page(instance, request, problem=str(error), status=HTTPStatus.NOT_FOUND)
    except ValueError:
        return Answer.refusal("The body must be a form.", status=HTTPStatus.BAD_REQUEST)


def _sign_in(instance: Instance, request: Request) -> Answer:
    form = request.form()
    query = {"redirect_url": [form.get("redirect_url") or instance.home_url]}
    asked = Request(method="GET", path=request.path, query=query)
    address = return_address(asked, base=public_address(request, port=instance.port))
    user = instance.emulator.directory.find(form.get("user", ""))
    client = instance.sign_in(request, user)
    # Without a token the application's server asks for a new one. With a token of the last session it
    # would not within the second of the sign-in, because Clerk's packages compare seconds.
    no_token = instance.application_cookies("__session", "", seconds=0)
    return Answer(
        body=b"",
        status=HTTPStatus.SEE_OTHER,
        headers={"Location": address},
        cookies=(*instance.cookies(client), *no_token),
    )


def _page(instance: Instance, request: Request, *, problem: str, status: int = HTTPStatus.OK) -> Answer:
    client = instance.find_client(request)
    signed_in = {session.user_id for session in client.sessions} if client else set()
    users = instance.emulator.directory.list_users(limit=USERS_SHOWN)
    values = {
        "%ADDRESS%": escape(_redirect_url(request)),
        "%PROBLEM%": f'<p role="alert">{escape(problem)}</p>' if problem else "",
        "%USERS%": "\n".join(_button(user, signed_in=user.id in signed_in) for user in users),
    }
    # One pass, so that no value is taken for a name.
    page = re.sub("|".join(values), lambda name: values[name[0]], (ASSETS / "sign-in.html").read_text())
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer-when-downgrade"}
    return Answer(body=page.encode(), status=status, content_type="text/html; charset=utf-8", headers=headers)


def _redirect_url(request: Request) -> str:
    """Return the address in the query, or where the visitor came from, or nothing: then the home page."""
    for text in (request.one("redirect_url"), request.headers.get("referer", "")):
        address = loopback_address(text)
        if address and "/sign-in" not in address:
            return address
    return ""


def _button(user: ClerkUser, *, signed_in: bool) -> str:
    name = " ".join(filter(None, (user.first_name, user.last_name))) or user.handle
    notes = [
        user.email or "no e-mail address",
        "banned" if user.banned else "",
        "signed in" if signed_in else "",
    ]
    return (
        f'<li><button name="user" value="{escape(user.id)}"><b>{escape(name)}</b> '
        f"<span>{escape(', '.join(filter(None, notes)))}</span></button></li>"
    )
