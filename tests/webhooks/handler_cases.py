"""What the tests of a project's own handlers share: an event, a fault that a test can end, rows written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.models import Group

from webhooks.registry import registry

TYPE = "organization.created"
DATA = {"id": "org_1", "name": "Acme"}


class Trouble:
    """A handler's fault that a test can end."""

    is_on = True


@contextmanager
def temporary_handlers() -> Iterator[None]:
    """Forget the handlers that are registered in the block."""
    kept = {event_type: dict(handlers) for event_type, handlers in registry._handlers.items()}
    try:
        yield
    finally:
        registry._handlers.clear()
        registry._handlers.update(kept)


def groups() -> list[str]:
    """Return the names of the groups that handlers have written."""
    return [group.name for group in Group.objects.order_by("pk")]
