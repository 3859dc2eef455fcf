"""Run the emulator alone, until a signal ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from devclerk.emulator import Emulator
from devclerk.server import Server


class PortTaken(Exception):
    """The port cannot be used. The text is for the user of the command."""


def serve(options: Mapping[str, Any]) -> None:
    """Serve until SIGINT or SIGTERM. Secrets come from the settings; else they are generated and printed.

    Raise `PortTaken`, and `KeysUnreadable` for the file of the keys.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    emulator = Emulator(
        users=options["users"],
        secret_key=_get_secrets("CLERK_SECRET_KEY")[0] or None,
        webhook_secret=_get_secrets("CLERK_WEBHOOK_SIGNING_SECRET")[0] or None,
        webhook_url=options["webhook_url"],
        retry_schedule=options["retry_schedule"],
        keys_file=options["keys_file"],
    )
    port = options["clerk_port"]
    try:
        server = Server(emulator, port=port, node_modules=options["node_modules"])
    except OSError as error:
        emulator.close()
        raise PortTaken(
            f"Port {port} cannot be used ({error.strerror}): "
            f"stop the program that uses it, or choose another --port."
        ) from None
    with server:
        print(_greeting(server), flush=True)  # noqa: T201 - the output of a command
        stop.wait()


def _get_secrets(name: str) -> Sequence[str]:
    """Return the values of a setting, a text with commas or a list; an empty text if there is none."""
    value = getattr(settings, name, "")
    return value.split(",") if isinstance(value, str) else tuple(value) or ("",)


def _greeting(server: Server) -> str:
    lines = [
        f"devclerk answers at {server.origin} with {len(server.emulator.directory)} users.",
        f"CLERK_ISSUER={server.origin}",
        f"CLERK_JWKS_URL={server.origin}/.well-known/jwks.json",
        f"CLERK_API_URL={server.origin}",
        f"NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY={server.instance.publishable_key}",
    ]
    if not _get_secrets("CLERK_SECRET_KEY")[0]:
        lines.append(f"CLERK_SECRET_KEY={server.emulator.secret_key}")
    if not _get_secrets("CLERK_WEBHOOK_SIGNING_SECRET")[0]:
        lines.append(f"CLERK_WEBHOOK_SIGNING_SECRET={server.emulator.deliveries.secret}")
    return "\n".join(lines)
