"""The command line of `manage.py devclerk`."""

from __future__ import annotations

import json
import os
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from devclerk.claims import ACTOR_KINDS
from devclerk.control import EVENT_TYPES
from devclerk.emulator import KeysState
from devclerk.tokens import LIFETIME_SECONDS, Fault
from devclerk.webhooks import REORDER_SECONDS, RETRY_SCHEDULE_SECONDS

FIELDS = (
    *("first_name", "last_name", "email", "image_url", "external_id"),
    *("username", "phone_number", "locale", "timezone"),
)
OTHER_FIELDS = ("email_verified", "phone_number_verified", "public_metadata")
RUN_FOLDER = Path(".run")
TOKEN_OPTIONS = (
    *("expires", "age", "azp", "fault", "actor", "actor_kind"),
    *("features", "plans", "factor_ages"),
)
ORGANIZATION_OPTIONS = {"slug": "organization", "role": "role", "permissions": "permissions"}
FAULTS = ("reorder", "drop", "bad_signature", "stale")
NAME_HELP = "a handle such as ada, a user id or an e-mail address"
LONGEST_SECONDS = 400 * 86_400


def add_actions(parser: ArgumentParser, *, clerk_port: int) -> None:
    """Add every action; `clerk_port` is the default port of the emulator."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def add(name: str, purpose: str) -> ArgumentParser:
        action = actions.add_parser(name, help=purpose, description=purpose)
        if name != "serve":
            action.add_argument("--clerk-port", type=_port, default=clerk_port, help="port of the emulator")
        return action

    serve = add("serve", "Run the emulator until Ctrl-C.")
    serve.add_argument("--port", dest="clerk_port", type=_port, default=clerk_port)
    _add_emulator(serve)
    serve.add_argument("--keys-file", type=Path, help="file that keeps the keys; without it they are new")
    serve.add_argument("--webhook-url", help="address for webhooks; without it none is sent")
    up = add("up", "Run the API and the emulator together until Ctrl-C.")
    up.add_argument("--port", type=_port, default=8000, help="port of the API")
    up.add_argument("--run-folder", type=Path, default=RUN_FOLDER, help="keeps keys, secrets and settings")
    _add_emulator(up)
    _add_token(add("token", "Print a session token."))
    for name, purpose in (("create", "Create a user."), ("update", "Change a user.")):
        action = add(name, purpose)
        _add_fields(action)
        _add_user(action)
    for name in ("delete", "ban", "unban"):
        _add_user(add(name, f"{name.title()} a user."))
    send = add("send", "Send a webhook without a change.")
    send.add_argument(
        "type", metavar="TYPE", help=f"{', '.join(EVENT_TYPES)}, or another one such as organization.created"
    )
    _add_user(send, name_help=f"{NAME_HELP}; for other types the slug of an organization, or an id")
    send.add_argument(
        "--data",
        type=_json_object,
        default={},
        metavar="JSON",
        help="added to the data of an event that is not about a user",
    )
    rotate = add("rotate", "Sign with a new key from now on.")
    rotate.add_argument("--keep-old", action="store_true", help="keep the old key in the set")
    add("keys", "Set the state of the JWKS endpoint.").add_argument(
        "state", choices=[str(state) for state in KeysState]
    )
    api = add("api", "Answer the next calls to the Backend API with an error.")
    api.add_argument("status", type=_number(int, low=400, high=599))
    api.add_argument("--times", type=_number(int, low=1, high=10_000), default=1)
    api.add_argument("--retry-after", type=_number(int, low=0, high=86_400), help="seconds")
    add("sign-out", "End the sessions of a user in all browsers.").add_argument("name", help=NAME_HELP)
    _add_frontend(
        add("frontend", "Set how browsers get tokens: lifetime, claims, and faults of the next ones.")
    )
    add("people", "List the users.")


def token_body(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a request for a token."""
    body = {name: options[name] for name in TOKEN_OPTIONS} | {"version": options["token_version"]}
    organization = {field: options[name] for field, name in ORGANIZATION_OPTIONS.items() if options[name]}
    body["organization"] = organization or None
    named = {name: value for name, value in body.items() if value is not None}
    return named | {"claims": dict(options["claim"])}


def frontend_body(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a request that changes how browsers get tokens."""
    names = ("lifetime", "status", "retry_after", "delay", "fault")
    body = {name: options[name] for name in names if options[name] is not None}
    if options["claim"] is not None:
        body["claims"] = dict(options["claim"])
    planned = body.keys() & {"status", "delay", "fault"}
    return body | ({"times": options["times"]} if planned else {})


def fields_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user fields that the options name; an empty value means None."""
    named = {name: options[name] for name in (*FIELDS, *OTHER_FIELDS) if options[name] is not None}
    return {name: None if value == "" and name != "image_url" else value for name, value in named.items()}


def faults_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the faults of the webhook that the options name."""
    faults = {name: True for name in FAULTS if options[name]}
    return {"copies": options["duplicate"], "delay": options["delay"], **faults}


def _add_emulator(parser: ArgumentParser) -> None:
    parser.add_argument("--users", type=_number(int, low=0, high=10_000_000), default=0, metavar="N")
    parser.add_argument(
        "--node-modules",
        type=Path,
        default=os.environ.get("CLERK_NODE_MODULES") or None,
        help="folder with @clerk/clerk-js, which browsers load from the emulator",
    )
    parser.add_argument(
        "--retry-schedule",
        type=_schedule,
        default=RETRY_SCHEDULE_SECONDS,
        metavar="S,S,...",
        help="seconds from a failed delivery to the next; Svix takes up to ten hours",
    )


def _add_token(parser: ArgumentParser) -> None:
    parser.add_argument("name", help=NAME_HELP)
    parser.add_argument(
        "--expires", type=_number(float), default=LIFETIME_SECONDS, metavar="S", help="seconds from now"
    )
    parser.add_argument("--age", type=_number(float), metavar="S", help="age of the claims in seconds")
    parser.add_argument("--azp", help="another origin than the emulator's; empty: none")
    parser.add_argument("--actor", metavar="ID", help="who acts for the user")
    parser.add_argument("--actor-kind", choices=ACTOR_KINDS, help="without --actor: a new id")
    parser.add_argument("--organization", metavar="SLUG", help="the active organization")
    parser.add_argument("--role", help="in the organization; without it: member")
    parser.add_argument(
        "--permission",
        dest="permissions",
        action="append",
        metavar="FEATURE:NAME",
        help="such as reports:read",
    )
    parser.add_argument(
        "--feature", dest="features", action="append", metavar="SCOPE:SLUG", help="such as u:beta"
    )
    parser.add_argument("--plan", dest="plans", action="append", metavar="SCOPE:SLUG", help="such as o:pro")
    parser.add_argument(
        "--factor-age",
        dest="factor_ages",
        type=_factor_ages,
        metavar="M,M",
        help="minutes since the first and the second factor were verified; -1: not enrolled",
    )
    parser.add_argument("--token-version", type=int, choices=(1, 2), help="1: the older format")
    parser.add_argument("--claim", type=_claim, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--fault", choices=[str(fault) for fault in Fault])


def _add_frontend(parser: ArgumentParser) -> None:
    parser.add_argument("--lifetime", type=_number(float, low=1), metavar="S", help="of tokens, in seconds")
    parser.add_argument("--claim", type=_claim, action="append", metavar="NAME=VALUE", help="in later tokens")
    faults = parser.add_argument_group("faults of the next calls for a token")
    faults.add_argument("--status", type=_number(int, low=400, high=599))
    faults.add_argument("--retry-after", type=_number(int, low=0, high=86_400), help="seconds, with --status")
    faults.add_argument("--delay", type=_number(float), metavar="S")
    faults.add_argument("--fault", choices=[str(fault) for fault in Fault])
    faults.add_argument("--times", type=_number(int, low=1, high=10_000), default=1)


def _add_fields(parser: ArgumentParser) -> None:
    for name in FIELDS:
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, help="empty: none")
    verified = parser.add_mutually_exclusive_group()
    verified.add_argument("--verified", dest="email_verified", action="store_true", default=None)
    verified.add_argument("--unverified", dest="email_verified", action="store_false", default=None)
    phone = parser.add_mutually_exclusive_group()
    phone.add_argument("--phone-verified", dest="phone_number_verified", action="store_true", default=None)
    phone.add_argument("--phone-unverified", dest="phone_number_verified", action="store_false", default=None)
    parser.add_argument("--public-metadata", type=_json_object, metavar="JSON", help="replaces all of it")


def _add_user(parser: ArgumentParser, *, name_help: str = NAME_HELP) -> None:
    parser.add_argument("name", help=name_help)
    group = parser.add_argument_group("faults of the webhook")
    group.add_argument("--duplicate", type=_number(int, low=1, high=1000), default=1, metavar="N")
    group.add_argument(
        "--reorder", action="store_true", help=f"after the next event, or {REORDER_SECONDS:.0f} s late"
    )
    group.add_argument("--delay", type=_number(float), default=0.0, metavar="S")
    group.add_argument("--drop", action="store_true", help="never sent")
    group.add_argument("--bad-signature", action="store_true")
    group.add_argument("--stale", action="store_true", help="signed ten minutes ago")


def _number(
    kind: Callable[[str], float], *, low: float = 0, high: float = LONGEST_SECONDS
) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise ArgumentTypeError(f"must be from {low} to {high}")
        return value

    return number


_port = _number(int, low=1, high=65_535)


def _schedule(text: str) -> tuple[float, ...]:
    return tuple(_number(float)(part) for part in text.split(","))


def _factor_ages(text: str) -> tuple[float, ...]:
    ages = tuple(_number(int, low=-1)(part) for part in text.split(","))
    if len(ages) != 2:  # noqa: PLR2004 - the first and the second factor
        raise ArgumentTypeError("must look like 3,-1")
    return ages


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ArgumentTypeError('must be a JSON object such as {"plan": "pro"}')
    return value


def _claim(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError("must look like NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
