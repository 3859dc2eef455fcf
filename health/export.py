"""All that is stored about one user, as one document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import router
from django.db.models import Q

from accounts.adapter import find_column, get_rights_relations, get_user, get_user_fields
from accounts.bulk.sessions import find_sessions
from accounts.db import write_alias
from accounts.models import get_identity_model, is_user_model
from accounts.sync import get_rows
from health.models import SyncFailure
from webhooks.models import WebhookEvent

# A hash of the password is no data that helps the user, and helps whom it should not.
SECRETS = frozenset({"password"})


def build_export(clerk_id: str) -> dict[str, Any] | None:
    """Return what is stored about a user of Clerk, or None if it is nothing. Raises django.db.Error."""
    rows = get_rows(clerk_id)
    events = [_columns(row) for row in WebhookEvent.objects.filter(clerk_id=clerk_id).order_by("pk")]
    failures = [_columns(row) for row in SyncFailure.objects.filter(clerk_id=clerk_id).order_by("pk")]
    if not (rows or events or failures):
        return None
    users = [user for row in rows if (user := get_user(row)) is not None]
    return {
        "clerk_id": clerk_id,
        "rows": [_columns(row) for row in rows],
        "users": [_describe_user(user) for user in users],
        "webhook_events": events,
        "sync_failures": failures,
        "admin_history": _read_history(rows, users),
    }


def _columns(row: Any) -> dict[str, Any]:
    """Return the columns of a row, without the password."""
    fields = row._meta.concrete_fields
    return {field.attname: getattr(row, field.attname) for field in fields if field.attname not in SECRETS}


def _describe_user(user: Any) -> dict[str, Any]:
    """Return the rights and sessions of a user, and of a user of the project the columns that Clerk feeds."""
    described: dict[str, Any] = {"pk": str(user.pk), "has_password": user.has_usable_password()}
    if not is_user_model():
        columns = ["last_login", *get_user_fields().values()]
        described |= {column: getattr(user, column) for column in columns if find_column(column)}
    for name in get_rights_relations():
        described[name] = [str(held) for held in getattr(user, name).using(write_alias())]
    sessions = find_sessions({str(user.pk)})
    return described | {"sessions": [{"expires_at": session.expire_date} for session in sessions]}


def _read_history(rows: Iterable[Any], users: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what the admin's history holds about the user, and what the user did in the admin."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    kinds = ContentType.objects.db_manager(router.db_for_write(ContentType))
    about = Q(content_type=kinds.get_for_model(get_identity_model()), object_id__in=_keys(rows))
    for user in users:
        about |= Q(content_type=kinds.get_for_model(type(user)), object_id=str(user.pk))
    history = apps.get_model("admin", "LogEntry").objects
    found = [_columns(entry) for entry in history.filter(about).order_by("pk")]
    done = history.filter(~about, user__in=[user.pk for user in users]).order_by("pk")
    # The name in an entry about another user is that of the other one.
    return found + [_columns(entry) | {"object_repr": None} for entry in done]


def _keys(rows: Iterable[Any]) -> list[str]:
    return [str(row.pk) for row in rows]
