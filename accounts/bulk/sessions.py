"""The sessions of users, where Django keeps them in the database: one per sign-in to the admin."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from typing import Any

from django.apps import apps
from django.contrib.auth import SESSION_KEY

from accounts.conf import settings


def find_sessions(keys: Collection[str]) -> Iterator[Any]:
    """Yield the stored sessions of the users with these primary keys, as text. Raises django.db.Error.

    A session names its user only in its encoded data, so all of them are read.
    """
    engine = import_module(settings.SESSION_ENGINE)
    if not keys or not apps.is_installed("django.contrib.sessions"):
        return
    if hasattr(engine.SessionStore, "get_model_class"):
        for session in engine.SessionStore.get_model_class()._default_manager.iterator():  # noqa: SLF001
            if session.get_decoded().get(SESSION_KEY) in keys:
                yield session


def delete_sessions(keys: Collection[str]) -> None:
    """Delete the sessions of the users with these primary keys. Raises django.db.Error."""
    engine = import_module(settings.SESSION_ENGINE)
    for session in list(find_sessions(keys)):
        engine.SessionStore(session.session_key).delete()
