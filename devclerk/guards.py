"""What keeps the stand-in out of production, as far as the settings can tell."""

from __future__ import annotations

from django.conf import settings


class OutsideDebug(Exception):
    """DEBUG is off. The text is for people."""


def require_debug() -> None:
    """Raise `OutsideDebug` unless DEBUG is on: whoever reaches the stand-in can sign in as anybody."""
    if not settings.DEBUG:
        raise OutsideDebug(
            "devclerk is for development alone and DJANGO_DEBUG is off: its tokens would let anybody in. "
            "Set DJANGO_DEBUG=true for this command (`make run` writes it to .run/env), never in production."
        )
