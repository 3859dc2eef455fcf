"""What the tests of a project's own handlers share: an event, a fault that a test can end, rows written."""

from __future__ import annotations

from django.contrib.auth.models import Group

TYPE = "organization.created"
DATA = {"id": "org_1", "name": "Acme"}


class Trouble:
    """A handler's fault that a test can end."""

    is_on = True


def groups() -> list[str]:
    """Return the names of the groups that handlers have written."""
    return [group.name for group in Group.objects.order_by("pk")]
