"""The user of an identity and the identity of a user, their rights, and the users that may be linked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from secrets import token_urlsafe
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower

from accounts.adapter.columns import get_email_column
from accounts.db import retry_on_dead_connection, write_alias
from accounts.models import CreatedVia, get_identity_model, is_user_model, opaque_username


def get_user(identity: Any) -> Any:
    """Return the user of an identity, or None if it has none. Raises django.db.Error."""
    if is_user_model():
        return identity
    if identity.user_id is None:
        return None
    if not type(identity)._meta.get_field("user").is_cached(identity):
        # `identity.user` would ask the read router.
        identity.user = users().filter(pk=identity.user_id).first()
    return identity.user


def get_identity(user: Any) -> Any:
    """Return the identity of a user, or None. Raises django.db.Error."""
    if is_user_model():
        return user
    relation = get_identity_model()._meta.get_field("user").remote_field
    if not relation.is_cached(user):
        # `user.clerk_account` would ask the read router.
        relation.set_cached_value(user, get_identity_model().objects.filter(user_id=user.pk).first())
    return relation.get_cached_value(user)


def has_user(identity: Any) -> bool:
    """Return whether the identity has a user; a live one without counts as deleted locally."""
    return is_user_model() or identity.user_id is not None


def is_active(identity: Any) -> bool:
    """Return whether neither the identity nor its user is deactivated. Raises django.db.Error."""
    return bool(identity.is_active and getattr(get_user(identity), "is_active", True))


def may_sign_in(identity: Any) -> bool:
    """Return whether the identity is neither banned nor deactivated. Raises django.db.Error."""
    return not identity.banned and is_active(identity)


def is_staff(user: Any) -> bool:
    """Return whether the user is staff or superuser; in some projects these are methods, or missing."""
    flags = [getattr(user, name, False) for name in ("is_staff", "is_superuser")]
    return any(flag() if callable(flag) else flag for flag in flags)


def has_rights(user: Any) -> bool:
    """Return whether the user is staff or superuser, or has groups or permissions.

    This takes at most one statement, on the write database: a lagging replica could hide a permission. A
    group without permissions counts. Raises django.db.Error.
    """
    if is_staff(user):
        return True
    has_any = Q()
    for relation in user._meta.many_to_many:
        if relation.name in {"groups", "user_permissions"}:
            has_any |= Q(**{f"{relation.name}__isnull": False})
    return bool(has_any) and retry_on_dead_connection(users().filter(has_any, pk=user.pk).exists)


def new_identity(clerk_id: str, *, created_via: CreatedVia) -> Any:
    """Build the unsaved identity of a Clerk id, without access to the database."""
    model = get_identity_model()
    identity = model(clerk_id=clerk_id, created_via=created_via)
    if is_user_model():
        # Like `set_unusable_password`, but with one random draw: its own take a third of the time of a page.
        identity.password = UNUSABLE_PASSWORD_PREFIX + token_urlsafe(30)
        if model.USERNAME_FIELD != "email":
            setattr(identity, model.USERNAME_FIELD, opaque_username())
    return identity


def find_users_by_key(keys: Collection[Any]) -> dict[Any, Any]:
    """Return the users with these primary keys, each with its identity. Raises django.db.Error."""
    return _with_identity(users()).in_bulk(keys)


def find_users_by_address(addresses: Iterable[str]) -> list[tuple[Any, str]]:
    """Return the users with one of these e-mail addresses, in any case of letters, and the address of each.

    The database decides what is the same letter. Users whose identity is deleted are left out. Raises
    django.db.Error.
    """
    column = get_email_column()
    if column is None:
        return []
    is_not_deleted = "deleted_at__isnull" if is_user_model() else "clerk_account__deleted_at__isnull"
    wanted = [Lower(Value(address)) for address in addresses]
    found = _with_identity(users()).filter(**{is_not_deleted: True}).annotate(lower_address=Lower(column))
    return [(user, getattr(user, column) or "") for user in found.filter(lower_address__in=wanted)]


def lock_user(key: Any) -> Any:
    """Return the user with this primary key, locked until the transaction ends, or None.

    Raises django.db.Error.
    """
    # `key` may be None, which finds no row in this form.
    return users().select_for_update().filter(pk__in=[key]).first()


def users() -> QuerySet[Any]:
    """Return all users, without a manager of the project, on the write database."""
    found: QuerySet[Any] = get_user_model()._base_manager.using(write_alias())  # noqa: SLF001 - documented
    return found


def _with_identity(found: QuerySet[Any]) -> QuerySet[Any]:
    return found if is_user_model() else found.select_related("clerk_account")
