"""`manage.py devclerk`: run the local stand-in for Clerk, and tell a running one what to do."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devclerk.client import Client, Refused
from devclerk.guards import OutsideDebug, require_debug
from devclerk.options import add_actions, faults_of, fields_of, token_body
from devclerk.serve import PortTaken, serve
from devclerk.up import StartFailed, up

CLERK_PORT = 8001


class Command(BaseCommand):
    """Everything but `serve` and `up` asks a stand-in that is running, which alone holds the keys."""

    help = "A local stand-in for Clerk, for development alone."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the actions."""
        port = os.environ.get("CLERK_PORT", "")
        add_actions(parser, clerk_port=int(port) if port.isdigit() else CLERK_PORT)

    def handle(self, *_: object, **options: Any) -> None:
        """Do one action."""
        try:
            require_debug()
            if options["action"] == "serve":
                serve(options)
            elif options["action"] == "up":
                sys.exit(up(options))
            else:
                self._ask(Client(options["clerk_port"]), options)
        except (OutsideDebug, PortTaken, Refused, StartFailed) as error:
            raise CommandError(str(error)) from None

    def _ask(self, client: Client, options: Mapping[str, Any]) -> None:
        match options["action"]:
            case "token":
                self.stdout.write(client.token(options["name"], token_body(options)))
            case "people":
                self._list(client.people())
            case "rotate":
                answer = client.change("rotate", {"keep_old": options["keep_old"]})
                self.stdout.write(f"Tokens are signed by the key {answer['kid']} from now on.")
            case "keys":
                client.change("keys", {"state": options["state"]})
                self.stdout.write(f"The address of the keys is {options['state']}.")
            case "api":
                body = {name: options[name] for name in ("status", "times", "retry_after")}
                client.change("api", body)
                self.stdout.write(f"The Backend API answers {options['status']}, {options['times']} x.")
            case _:
                self._change(client, options)

    def _change(self, client: Client, options: Mapping[str, Any]) -> None:
        action, name = options["action"], options["name"]
        faults = {"faults": faults_of(options)}
        match action:
            case "create":
                answer = client.change("people", faults | {"handle": name} | fields_of(options))
            case "update":
                answer = client.change("update", faults | fields_of(options), name=name)
            case "ban" | "unban":
                answer = client.change("update", faults | {"banned": action == "ban"}, name=name)
            case "send":
                answer = client.change("send", faults | {"type": options["type"]}, name=name)
            case _:
                answer = client.change(action, faults, name=name)
        self.stdout.write(f"{answer['type']} {answer['person']['id']} ({answer['person']['handle']})")
        late = bool(options["delay"] or options["reorder"])
        self._report(client, answer, late=late, copies=options["duplicate"])

    def _report(self, client: Client, answer: Mapping[str, Any], *, late: bool, copies: int) -> None:
        svix_id = answer["svix_id"]
        if not answer["sent"]:
            self.stdout.write("No webhook is sent.")
        elif late:
            self.stdout.write(f"The webhook {svix_id} is on its way, late as ordered.")
        else:
            nothing = [{"status": None, "answer": "no answer yet"}]
            for attempt in client.attempts(svix_id, number=copies) or nothing:
                self.stdout.write(f"webhook {svix_id}: {attempt['status'] or ''} {attempt['answer']}".strip())

    def _list(self, answer: Mapping[str, Any]) -> None:
        for person in answer["people"]:
            words = [person["handle"], person["id"], person["email"] or "-"]
            words += ["banned"] if person["banned"] else []
            self.stdout.write("  ".join(words))
        if answer["count"] > len(answer["people"]):
            self.stdout.write(f"... and {answer['count'] - len(answer['people'])} more")
