"""`manage.py devclerk`: run the local Clerk emulator, or control a running one."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from devclerk.client import Client, EmulatorError
from devclerk.control import EVENT_TYPES
from devclerk.key_file import KeysUnreadable
from devclerk.options import add_actions, faults_of, fields_of, frontend_body, token_body
from devclerk.serve import PortTaken, serve
from devclerk.up import StartFailed, up

CLERK_PORT = 8001
NO_ADDRESS = (
    "No webhook is sent: the emulator has no address for webhooks. Start it with `manage.py devclerk serve "
    "--webhook-url http://127.0.0.1:8000/webhooks/clerk`."
)


class Command(BaseCommand):
    """All actions but `serve` and `up` call a running emulator, which alone holds the keys."""

    help = "A local Clerk emulator, for development alone."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the actions."""
        port = os.environ.get("CLERK_PORT", "")
        add_actions(parser, clerk_port=int(port) if port.isdigit() else CLERK_PORT)

    def handle(self, *_: object, **options: Any) -> None:
        """Run one action; raise `CommandError` unless DEBUG is on, because any client gets any token."""
        if not settings.DEBUG:
            raise CommandError(
                "devclerk is for development alone and DEBUG is off: its tokens would let any client in. "
                "Turn DEBUG on for this command (a clone: `. .run/env`, or DJANGO_DEBUG=true), never in "
                "production."
            )
        try:
            if options["action"] == "serve":
                serve(options)
            elif options["action"] == "up":
                sys.exit(up(options))
            else:
                self._call(Client(options["clerk_port"]), options)
        except (EmulatorError, KeysUnreadable, PortTaken, StartFailed) as error:
            raise CommandError(str(error)) from None

    def _call(self, client: Client, options: Mapping[str, Any]) -> None:
        match options["action"]:
            case "token":
                self.stdout.write(client.mint_token(options["name"], token_body(options)))
            case "people":
                self._print_users(client.list_users())
            case "rotate":
                answer = client.change_emulator("rotate", {"keep_old": options["keep_old"]})
                self.stdout.write(f"Tokens are signed by the key {answer['kid']} from now on.")
            case "keys":
                client.change_emulator("keys", {"state": options["state"]})
                self.stdout.write(f"The JWKS endpoint is {options['state']}.")
            case "api":
                body = {name: options[name] for name in ("status", "times", "retry_after")}
                client.change_emulator("api", body)
                self.stdout.write(f"The Backend API answers {options['status']}, {options['times']} x.")
            case "sign-out":
                ended = client.change_user(options["name"], "sign-out", {})["ended"]
                self.stdout.write(f"{ended} sessions have ended.")
            case "frontend":
                answer = client.change_emulator("frontend", frontend_body(options))
                self.stdout.write(f"Tokens of browsers: {json.dumps(answer['configured'])}")
            case _:
                self._change(client, options)

    def _change(self, client: Client, options: Mapping[str, Any]) -> None:
        action, name = options["action"], options["name"]
        faults = {"faults": faults_of(options)}
        match action:
            case "create":
                answer = client.change_emulator("people", faults | {"handle": name} | fields_of(options))
            case "update":
                answer = client.change_user(name, "update", faults | fields_of(options))
            case "ban" | "unban":
                answer = client.change_user(name, "update", faults | {"banned": action == "ban"})
            case "send" if options["type"] not in EVENT_TYPES:
                body = {"type": options["type"], "name": name, "data": options["data"]}
                answer = client.change_emulator("events", faults | body)
            case "send":
                answer = client.change_user(name, "send", faults | {"type": options["type"]})
            case _:
                answer = client.change_user(name, action, faults)
        subject = f"{answer['person']['id']} ({answer['person']['handle']})" if "person" in answer else name
        self.stdout.write(f"{answer['type']} {subject}")
        self._print_attempts(client, answer, options)

    def _print_attempts(self, client: Client, answer: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        svix_id = answer["svix_id"]
        if options["drop"]:
            self.stdout.write("No webhook is sent.")
        elif not answer["sent"]:
            if options["action"] == "send":
                raise CommandError(NO_ADDRESS)
            self.stdout.write(NO_ADDRESS)
        elif options["delay"] or options["reorder"]:
            self.stdout.write(f"The webhook {svix_id} will be late, as requested.")
        else:
            none_yet = [{"status": None, "answer": "no answer yet"}]
            for attempt in client.wait_for_attempts(svix_id, count=options["duplicate"]) or none_yet:
                self.stdout.write(f"webhook {svix_id}: {attempt['status'] or ''} {attempt['answer']}".strip())

    def _print_users(self, answer: Mapping[str, Any]) -> None:
        for user in answer["people"]:
            columns = [user["handle"], user["id"], user["email"] or "-"]
            columns += ["banned"] if user["banned"] else []
            self.stdout.write("  ".join(columns))
        if answer["count"] > len(answer["people"]):
            self.stdout.write(f"... and {answer['count'] - len(answer['people'])} more")
