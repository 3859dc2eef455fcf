"""Run the stand-in alone, until a signal ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from devclerk.server import Server
from devclerk.standin import StandIn


class PortTaken(Exception):
    """The port cannot be used. The text is for people."""


def serve(options: Mapping[str, Any]) -> None:
    """Serve until SIGINT or SIGTERM. Secrets come from the settings, or are made and printed."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    secrets = settings.CLERK_WEBHOOK_SIGNING_SECRET
    standin = StandIn(
        users=options["users"],
        secret_key=settings.CLERK_SECRET_KEY or None,
        webhook_secret=secrets[0] if secrets else None,
        webhook_url=options["webhook_url"],
        retry_schedule=options["retry_schedule"],
    )
    with _server(standin, port=options["clerk_port"]) as server:
        print(_greeting(server), flush=True)  # noqa: T201 - what the command is for
        stop.wait()


def _server(standin: StandIn, *, port: int) -> Server:
    try:
        return Server(standin, port=port)
    except OSError as error:
        standin.close()
        raise PortTaken(
            f"Port {port} cannot be used ({error.strerror}): stop what listens there or name another --port."
        ) from None


def _greeting(server: Server) -> str:
    lines = [
        f"devclerk answers at {server.origin} with {len(server.standin.directory)} people.",
        f"CLERK_ISSUER={server.origin}",
        f"CLERK_JWKS_URL={server.origin}/.well-known/jwks.json",
        f"CLERK_API_URL={server.origin}",
    ]
    if not settings.CLERK_SECRET_KEY:
        lines.append(f"CLERK_SECRET_KEY={server.standin.secret_key}")
    if not settings.CLERK_WEBHOOK_SIGNING_SECRET:
        lines.append(f"CLERK_WEBHOOK_SIGNING_SECRET={server.standin.deliveries.secret}")
    return "\n".join(lines)
