"""The check that keeps the emulator out of production."""

from __future__ import annotations

from django.conf import settings


class DebugRequired(Exception):
    """DEBUG is off. The text is for the user of the command."""


def require_debug() -> None:
    """Raise `DebugRequired` unless DEBUG is on: the emulator lets any client sign in as any user."""
    if not settings.DEBUG:
        raise DebugRequired(
            "devclerk is for development alone and DJANGO_DEBUG is off: its tokens would let any client in. "
            "Set DJANGO_DEBUG=true for this command (`make run` writes it to .run/env), never in production."
        )
