"""The control API below /_dev/, which the commands and the sandbox call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from devclerk.directory import UnknownUser, now_ms
from devclerk.emulator import Emulator, KeysState
from devclerk.events import Change, Faults
from devclerk.users import ClerkUser
from devclerk.web import Answer, Request

USERS_SHOWN = 100
EVENT_TYPES = ("user.created", "user.updated", "user.deleted")
Body = dict[str, Any]


class Control:
    """Answers requests whose origin is checked already. An unusable body is a 400."""

    def __init__(self, emulator: Emulator, *, issuer: str) -> None:
        self._emulator = emulator
        self._issuer = issuer
        self._user_actions: Mapping[str, Callable[[ClerkUser, Body], Answer]] = {
            "token": self._mint_token,
            "update": self._update_user,
            "delete": self._delete_user,
            "send": self._send_event,
            "sign-out": self._sign_out,
        }
        self._actions: Mapping[str, Callable[[Body], Answer]] = {
            "people": self._create_user,
            "events": self._send_other_event,
            "rotate": self._rotate_keys,
            "keys": self._set_keys_state,
            "api": self._plan_api_failures,
            "frontend": self._configure_frontend,
        }

    def answer(self, request: Request) -> Answer:
        """Answer one request; an error becomes a 400 or 404."""
        try:
            if request.method == "GET":
                return self._get(request)
            if request.method == "POST":
                return self._post(request)
        except UnknownUser as error:
            return Answer.refusal(str(error), status=HTTPStatus.NOT_FOUND)
        except (TypeError, ValueError) as error:
            return Answer.refusal(
                f"That cannot be done: {str(error).removesuffix('.')}.", status=HTTPStatus.BAD_REQUEST
            )
        return _no_such_control()

    def _get(self, request: Request) -> Answer:
        if request.path == "/_dev/people":
            users = self._emulator.directory.list_users(limit=USERS_SHOWN)
            count = len(self._emulator.directory)
            return Answer.json({"count": count, "people": list(map(_user_fields, users))})
        if match := re.fullmatch(r"/_dev/deliveries/(\w+)", request.path):
            attempts = [one for one in tuple(self._emulator.deliveries.attempts) if one.svix_id == match[1]]
            return Answer.json({"attempts": [asdict(attempt) for attempt in attempts]})
        return _no_such_control()

    def _post(self, request: Request) -> Answer:
        body = request.json_object()
        if match := re.fullmatch(r"/_dev/people/([^/]+)/([\w-]+)", request.path):
            user = self._emulator.directory.find(unquote(match[1]))
            if user_action := self._user_actions.get(match[2]):
                return user_action(user, body)
        elif action := self._actions.get(request.path.removeprefix("/_dev/")):
            return action(body)
        return _no_such_control()

    def _mint_token(self, user: ClerkUser, body: Body) -> Answer:
        azp = body.pop("azp", self._issuer)
        self._emulator.token_pacer.wait(user, body.get("claims", {}))
        token = self._emulator.keyring.mint(user, issuer=self._issuer, azp=azp, **body)
        return Answer.json({"token": token})

    def _create_user(self, body: Body) -> Answer:
        faults = _pop_faults(body)
        handle = str(body.get("handle", "")).partition("@")[0]
        if not handle:
            raise ValueError("a handle is needed.")
        with suppress(UnknownUser):
            self._emulator.directory.find(handle)
            raise ValueError(f"a user is called {handle!r} already.")
        defaults = {"email": f"{handle}@example.test", "first_name": handle.title()}
        user = self._emulator.directory.create(faults=faults, **defaults | body | {"handle": handle})
        return self._answer_change(user)

    def _update_user(self, user: ClerkUser, body: Body) -> Answer:
        faults = _pop_faults(body)
        return self._answer_change(self._emulator.directory.update(user, faults=faults, **body))

    def _delete_user(self, user: ClerkUser, body: Body) -> Answer:
        self._emulator.directory.delete(user, faults=_pop_faults(body))
        return self._answer_change(user)

    def _send_event(self, user: ClerkUser, body: Body) -> Answer:
        event_type = body.get("type")
        if event_type not in EVENT_TYPES:
            raise ValueError(f"the type must be one of {', '.join(EVENT_TYPES)}.")
        change = Change(type=event_type, user=user, at=now_ms(), faults=_pop_faults(body))
        self._emulator.record_change(change)
        return self._answer_change(user)

    def _send_other_event(self, body: Body) -> Answer:
        faults, data = _pop_faults(body), body.get("data", {})
        event_type, name = str(body.get("type", "")), str(body.get("name", ""))
        if not re.fullmatch(r"\w+(\.\w+)+", event_type) or event_type.startswith("user."):
            raise ValueError(f"{event_type!r} is not sent; of users there are {', '.join(EVENT_TYPES)}.")
        if not name or not isinstance(data, dict):
            raise ValueError("a name is needed, and the data must be an object.")
        answer = self._emulator.send_other(event_type, name=name, data=data, faults=faults)
        sent = self._emulator.deliveries.url is not None and not faults.drop
        return Answer.json(answer | {"type": event_type, "sent": sent})

    def _answer_change(self, user: ClerkUser) -> Answer:
        change = next(one for one in reversed(tuple(self._emulator.changes)) if one.user.id == user.id)
        sent = self._emulator.deliveries.url is not None and not change.faults.drop
        answer = {"person": _user_fields(change.user), "type": change.type, "svix_id": change.svix_id}
        return Answer.json(answer | {"sent": sent})

    def _rotate_keys(self, body: Body) -> Answer:
        return Answer.json({"kid": self._emulator.keyring.rotate(keep_old=bool(body.get("keep_old")))})

    def _set_keys_state(self, body: Body) -> Answer:
        self._emulator.set_keys_state(KeysState(str(body.get("state"))))
        return Answer.json({"state": self._emulator.keys_state})

    def _plan_api_failures(self, body: Body) -> Answer:
        self._emulator.users_api.plan_failures(**body)
        return Answer.json({"planned": body})

    def _sign_out(self, user: ClerkUser, _: Body) -> Answer:
        return Answer.json({"ended": self._emulator.clients.end_sessions_of(user.id)})

    def _configure_frontend(self, body: Body) -> Answer:
        self._emulator.token_calls.configure(**body)
        return Answer.json({"configured": body})


def _no_such_control() -> Answer:
    return Answer.refusal("There is no such control.", status=HTTPStatus.NOT_FOUND)


def _pop_faults(body: Body) -> Faults:
    return Faults(**body.pop("faults", {}))


def _user_fields(user: ClerkUser) -> dict[str, Any]:
    fields = asdict(user)
    del fields["raw"]
    return fields
