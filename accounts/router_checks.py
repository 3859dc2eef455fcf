"""The system check of the database routers: all models that decide are in one database."""

from __future__ import annotations

from collections import defaultdict

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.db import router

from accounts.db import WriteDatabaseModel


@register("accounts")
def check_routers(**_: object) -> list[CheckMessage]:
    """Check that the routers name one write database, which exists, for all models that decide."""
    aliases: defaultdict[str, list[str]] = defaultdict(list)
    for model in apps.get_models():
        if issubclass(model, WriteDatabaseModel):
            aliases[router.db_for_write(model)].append(model._meta.label)
    if len(aliases) == 1 and aliases.keys() <= settings.DATABASES.keys():
        return []
    named = "; ".join(f"{alias!r}: {', '.join(labels)}" for alias, labels in sorted(aliases.items()))
    return [
        Error(
            "DATABASE_ROUTERS must name one database of DATABASES for all writes of users, webhook events,"
            f" failures and runs, and name {named}.",
            hint="Return the same alias from db_for_write for these models: an event and its effect are one"
            " transaction. Reads may have another one; these models never use it.",
            id="accounts.E016",
        )
    ]
