"""Clerk's Frontend API, as far as clerk-js and Clerk's packages for React and Next.js need it.

A browser is known by a cookie. Only pages of this machine may call, and read the answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import unquote

from devclerk.directory import UnknownUser
from devclerk.frontend.browser import cors_headers, is_foreign, public_address
from devclerk.frontend.calls import Call, Instance
from devclerk.frontend.clients import ClientSession
from devclerk.frontend.handshake import handshake, touch_client
from devclerk.frontend.resources import (
    browser_user_object,
    ended_session_object,
    environment_object,
    sign_in_object,
    token_object,
)
from devclerk.refusals import PlannedFailure, Refused, failure_answer
from devclerk.web import Answer, Request

SESSION = "/v1/client/sessions/([^/]+)"
BELONGS_HERE = re.compile(r"/v1/(environment|client|me)(/.*)?")


def serves(path: str) -> bool:
    """Return whether an address belongs to the Frontend API."""
    return BELONGS_HERE.fullmatch(path) is not None


def answer_frontend(instance: Instance, request: Request) -> Answer:
    """Answer in Clerk's format, errors included."""
    if is_foreign(request):
        message = "The emulator answers pages of this machine alone."
        return Refused(HTTPStatus.FORBIDDEN, "origin_invalid", message).answer()
    if request.method == "OPTIONS":
        answer = Answer(body=b"", status=HTTPStatus.NO_CONTENT)
    else:
        try:
            answer = _route(instance, request)
        except Refused as refused:
            answer = refused.answer()
    return replace(answer, headers={**answer.headers, **cors_headers(request)})


def _route(instance: Instance, request: Request) -> Answer:
    # clerk-js sends every change as a POST that names the method.
    method = request.one("_method", request.method) if request.method == "POST" else request.method
    for wanted, pattern, respond in ROUTES:
        if wanted == method and (match := re.fullmatch(pattern, request.path)):
            call = Call(
                instance=instance,
                request=request,
                method=method,
                base=public_address(request, port=instance.port),
                client=instance.find_client(request),
                arguments=tuple(map(unquote, match.groups())),
            )
            return respond(call)
    message = f"The emulator does not serve {method} {request.path}."
    raise Refused(HTTPStatus.NOT_FOUND, "resource_not_found", message)


def _environment(call: Call) -> Answer:
    return Answer.json(
        environment_object(sign_in_url=f"{call.base}/sign-in", home_url=call.instance.home_url)
    )


def _get_client(call: Call) -> Answer:
    response = call.client_object(call.client) if call.client else None
    body = {"response": response, "client": None}
    return Answer.json(body, cookies=call.instance.cookies(call.client))


def _create_client(call: Call) -> Answer:
    client = call.client or call.instance.emulator.clients.create()
    return Answer.json(
        {"response": call.client_object(client), "client": None}, cookies=call.instance.cookies(client)
    )


def _remove_client(call: Call) -> Answer:
    if call.client:
        call.instance.emulator.clients.remove(call.client.key)
    body = {"response": {"object": "client", "deleted": True}, "client": None}
    return Answer.json(body, cookies=call.instance.cookies(None))


def _end_sessions(call: Call) -> Answer:
    if call.client is None:
        return _get_client(call)
    client = call.instance.emulator.clients.end_sessions(call.client)
    return call.answer(call.client_object(client), client=client)


def _get_session(call: Call) -> Answer:
    _, session = call.require_session()
    return Answer.json({"response": call.session_object(session), "client": None})


def _end_session(call: Call) -> Answer:
    client, session = call.require_session()
    status = {"end": "ended", "remove": "removed"}[call.arguments[1]]
    ended = ended_session_object(session, user=call.instance.user_of(session), status=status)
    return call.answer(
        ended, client=call.instance.emulator.clients.end_session(client, session_id=session.id)
    )


def _touch_session(call: Call) -> Answer:
    client, session = call.require_session()
    organization_id = call.form.get("active_organization_id", session.organization_id)
    touched = replace(session, organization_id=organization_id or None)
    client = call.instance.emulator.clients.touch(client, touched)
    return call.answer(call.session_object(touched), client=client)


def _create_token(call: Call) -> Answer:
    fault = call.instance.emulator.token_calls.take_fault()
    if fault.status:
        return failure_answer(PlannedFailure(status=fault.status, retry_after=fault.retry_after))
    _, session = call.require_session()
    # An empty or missing organization means the personal account.
    organization_id = call.form.get("organization_id", session.organization_id)
    asked = replace(session, organization_id=organization_id or None)
    return Answer.json(token_object(call.instance.mint(asked, azp=call.azp, fault=fault.fault)))


def _create_template_token(call: Call) -> Answer:
    _, session = call.require_session()
    return Answer.json(token_object(call.instance.mint(session, azp=call.azp, template=True)))


def _create_sign_in(call: Call) -> Answer:
    """Sign in the user that is named; the emulator asks for no password or code."""
    identifier = call.form.get("identifier", "")
    try:
        user = call.instance.emulator.directory.find(identifier)
    except UnknownUser:
        message = "Couldn't find your account."
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "form_identifier_not_found", message) from None
    client = call.instance.sign_in(call.request, user)
    sign_in = sign_in_object(identifier=identifier, session_id=client.active_session_id or "")
    return call.answer(sign_in, client=client)


def _get_user(call: Call) -> Answer:
    session = _named_session(call)
    return Answer.json({"response": browser_user_object(call.instance.user_of(session)), "client": None})


def _list_organizations(call: Call) -> Answer:
    """Return no memberships, invitations or suggestions: the emulator stores no organizations."""
    _named_session(call)
    return Answer.json({"response": {"data": [], "total_count": 0}, "client": None})


def _named_session(call: Call) -> ClientSession:
    _, session = replace(call, arguments=(call.request.one("_clerk_session_id"),)).require_session()
    return session


ROUTES: tuple[tuple[str, str, Callable[[Call], Answer]], ...] = (
    ("GET", "/v1/environment", _environment),
    ("PATCH", "/v1/environment", _environment),
    ("GET", "/v1/client", _get_client),
    ("PUT", "/v1/client", _create_client),
    ("DELETE", "/v1/client", _remove_client),
    ("GET", "/v1/client/handshake", handshake),
    ("GET", "/v1/client/touch", touch_client),
    ("POST", "/v1/client/sign_ins", _create_sign_in),
    ("DELETE", "/v1/client/sessions", _end_sessions),
    ("GET", SESSION, _get_session),
    ("POST", f"{SESSION}/(end|remove)", _end_session),
    ("POST", f"{SESSION}/touch", _touch_session),
    ("POST", f"{SESSION}/tokens", _create_token),
    ("POST", f"{SESSION}/tokens/([^/]+)", _create_template_token),
    ("GET", "/v1/me", _get_user),
    ("GET", "/v1/me/organization_(memberships|invitations|suggestions)", _list_organizations),
)
