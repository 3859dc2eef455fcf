"""The controls under /_dev/: what the commands and the sandbox ask the stand-in to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from devclerk.directory import UnknownPerson, now_ms
from devclerk.events import Change, Faults
from devclerk.people import Person
from devclerk.standin import KeysState, StandIn
from devclerk.web import Answer, Request

PEOPLE_SHOWN = 100
EVENT_TYPES = ("user.created", "user.updated", "user.deleted")
Body = dict[str, Any]


class Control:
    """Answers requests whose origin has been checked already. A body that makes no sense is a 400."""

    def __init__(self, standin: StandIn, *, issuer: str) -> None:
        self._standin = standin
        self._issuer = issuer
        self._person_actions: Mapping[str, Callable[[Person, Body], Answer]] = {
            "token": self._token,
            "update": self._update,
            "delete": self._delete,
            "send": self._send,
        }
        self._actions: Mapping[str, Callable[[Body], Answer]] = {
            "people": self._create,
            "rotate": self._rotate,
            "keys": self._keys,
            "api": self._api,
        }

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        try:
            if request.method == "GET":
                return self._look(request)
            if request.method == "POST":
                return self._act(request)
        except UnknownPerson as error:
            return Answer.refusal(str(error), status=HTTPStatus.NOT_FOUND)
        except (TypeError, ValueError) as error:
            return Answer.refusal(
                f"That cannot be done: {str(error).removesuffix('.')}.", status=HTTPStatus.BAD_REQUEST
            )
        return Answer.refusal("There is no such control.", status=HTTPStatus.NOT_FOUND)

    def _look(self, request: Request) -> Answer:
        if request.path == "/_dev/people":
            people = self._standin.directory.people(limit=PEOPLE_SHOWN)
            return Answer.json({"count": len(self._standin.directory), "people": list(map(_shown, people))})
        if match := re.fullmatch(r"/_dev/deliveries/(\w+)", request.path):
            attempts = [one for one in tuple(self._standin.deliveries.attempts) if one.svix_id == match[1]]
            return Answer.json({"attempts": [asdict(attempt) for attempt in attempts]})
        return Answer.refusal("There is no such control.", status=HTTPStatus.NOT_FOUND)

    def _act(self, request: Request) -> Answer:
        body = request.json_object()
        if match := re.fullmatch(r"/_dev/people/([^/]+)/(\w+)", request.path):
            person = self._standin.directory.find(unquote(match[1]))
            if action := self._person_actions.get(match[2]):
                return action(person, body)
        elif plain := self._actions.get(request.path.removeprefix("/_dev/")):
            return plain(body)
        return Answer.refusal("There is no such control.", status=HTTPStatus.NOT_FOUND)

    def _token(self, person: Person, body: Body) -> Answer:
        azp = body.pop("azp", self._issuer)
        self._standin.stories.wait(person, body.get("claims", {}))
        token = self._standin.keyring.mint(person, issuer=self._issuer, azp=azp, **body)
        return Answer.json({"token": token})

    def _create(self, body: Body) -> Answer:
        faults = _faults(body)
        handle = str(body.get("handle", "")).partition("@")[0]
        if not handle:
            raise ValueError("a handle is needed.")
        self._refuse_taken(handle)
        made_up = {"email": f"{handle}@example.test", "first_name": handle.title()}
        person = self._standin.directory.create(faults=faults, **made_up | body | {"handle": handle})
        return self._sent(person)

    def _refuse_taken(self, handle: str) -> None:
        try:
            self._standin.directory.find(handle)
        except UnknownPerson:
            return
        raise ValueError(f"somebody is called {handle!r} already.")

    def _update(self, person: Person, body: Body) -> Answer:
        faults = _faults(body)
        return self._sent(self._standin.directory.update(person, faults=faults, **body))

    def _delete(self, person: Person, body: Body) -> Answer:
        self._standin.directory.delete(person, faults=_faults(body))
        return self._sent(person)

    def _send(self, person: Person, body: Body) -> Answer:
        kind = body.get("type")
        if kind not in EVENT_TYPES:
            raise ValueError(f"the type must be one of {', '.join(EVENT_TYPES)}.")
        # A deletion carries no time of its own, the others that of the last change.
        at = now_ms() if kind == "user.deleted" else person.updated_at
        self._standin.announce(Change(type=kind, person=person, at=at, faults=_faults(body)))
        return self._sent(person)

    def _sent(self, person: Person) -> Answer:
        change = next(one for one in reversed(tuple(self._standin.changes)) if one.person.id == person.id)
        sent = self._standin.deliveries.url is not None and not change.faults.drop
        return Answer.json(
            {"person": _shown(change.person), "type": change.type, "svix_id": change.svix_id, "sent": sent}
        )

    def _rotate(self, body: Body) -> Answer:
        return Answer.json({"kid": self._standin.keyring.rotate(keep_old=bool(body.get("keep_old")))})

    def _keys(self, body: Body) -> Answer:
        self._standin.set_keys_state(KeysState(str(body.get("state"))))
        return Answer.json({"state": self._standin.keys_state})

    def _api(self, body: Body) -> Answer:
        self._standin.users_api.fail(**body)
        return Answer.json({"planned": body})


def _faults(body: Body) -> Faults:
    return Faults(**body.pop("faults", {}))


def _shown(person: Person) -> dict[str, Any]:
    fields = asdict(person)
    del fields["raw"]
    return fields
