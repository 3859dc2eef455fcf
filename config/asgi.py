"""The application for an ASGI server such as uvicorn."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from config.headers import Receive, Scope, Send, readable_asgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_answer = readable_asgi(get_asgi_application())

from django.conf import settings  # noqa: E402 - after the settings are named
from django.core.checks import CheckMessage, Warning, register  # noqa: E402

from accounts.db import write_alias  # noqa: E402 - it imports models
from config.startup import startup  # noqa: E402 - it imports models


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request; a process starts what `config.startup` describes before its first one.

    A server that runs no lifespan starts it with the first request. WebSockets are refused.
    """
    startup.ensure_started()
    if scope["type"] == "lifespan":
        await _confirm_lifespan(receive, send)
    elif scope["type"] == "websocket":
        # Django would raise, and the server would log a traceback for each attempt.
        await send({"type": "websocket.close"})
    else:
        await _answer(scope, receive, send)


async def _confirm_lifespan(receive: Receive, send: Send) -> None:
    """Confirm the start and the end of the server."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


@register
def check_pool(**_: object) -> list[CheckMessage]:
    """Check that threads share connections: Django runs each request of an ASGI server in a new thread."""
    database = settings.DATABASES.get(write_alias(), {})
    if not database.get("ENGINE", "").endswith(".postgresql") or database.get("OPTIONS", {}).get("pool"):
        return []
    return [
        Warning(
            "DATABASE_URL asks for no pool: under an ASGI server each request opens a connection of its own,"
            " and many requests at once exceed the limit of the database.",
            hint="Add ?pool=true to DATABASE_URL: docs/operations.md, ASGI.",
            id="config.W001",
        )
    ]


startup.register()
