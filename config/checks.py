"""System checks of the clone's own settings; those of a project that installs the packages are its own."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

from accounts.conf import get_malformed_variables


@register("config")
def check_hosts(**_: object) -> Iterator[CheckMessage]:
    """Check which hosts are served outside debug."""
    if settings.DEBUG or "DJANGO_ALLOWED_HOSTS" in get_malformed_variables():
        return
    if not settings.ALLOWED_HOSTS:
        yield Warning(
            "DJANGO_ALLOWED_HOSTS is empty: every request is answered with 400, deliveries of Clerk too.",
            hint="List the host names of this API, such as api.example.com, separated by commas.",
            id="config.W002",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "DJANGO_ALLOWED_HOSTS contains *: a client chooses the host in links that the admin builds.",
            hint="List the host names of this API instead, such as api.example.com.",
            id="config.W003",
        )
