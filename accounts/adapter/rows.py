"""The user of an identity and the identity of a user, their rights, and the users that may be linked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from secrets import token_urlsafe
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import Permission
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
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
    return _has_flag(user, "is_staff") or is_superuser(user)


def is_superuser(user: Any) -> bool:
    """Return whether the user is a superuser; in some projects this is a method, or missing."""
    return _has_flag(user, "is_superuser")


def has_rights(user: Any) -> bool:
    """Return whether the user is staff or superuser, or has groups or permissions.

    This takes at most one statement, on the write database: a lagging replica could hide a permission. A
    group without permissions counts. Raises django.db.Error.
    """
    if is_staff(user):
        return True
    has_any = Q()
    for name in get_rights_relations():
        has_any |= Q(**{f"{name}__isnull": False})
    return bool(has_any) and retry_on_dead_connection(users().filter(has_any, pk=user.pk).exists)


def has_more_rights(user: Any, *, than: Any) -> bool:
    """Return whether the user has a right that the operator `than` does not have; a superuser has all.

    Rights count also while the user is deactivated or deleted, and so does a group without permissions. Read
    from the write database. Raises django.db.Error.
    """
    if user is None or is_superuser(than):
        return False
    if is_superuser(user) or (_has_flag(user, "is_staff") and not _has_flag(than, "is_staff")):
        return True
    return bool(_read_rights(user) - _read_rights(than))


def get_rights_relations() -> list[str]:
    """Return the names of the user model's relations to groups and permissions."""
    relations = {"groups", "user_permissions"}
    return [field.name for field in get_user_model()._meta.many_to_many if field.name in relations]


def clear_rights(keys: Collection[Any]) -> None:
    """Remove these users from all groups, and take their own permissions. Raises django.db.Error."""
    for field in _rights_fields():
        held = field.remote_field.through._base_manager.using(write_alias())  # noqa: SLF001 - documented
        held.filter(**{f"{field.m2m_field_name()}__in": list(keys)}).delete()


def has_rights_relation() -> Q:
    """Return the condition for users that have a group or a permission of their own."""
    condition = Q()
    for field in _rights_fields():
        held = field.remote_field.through._base_manager.using(write_alias())  # noqa: SLF001 - documented
        condition |= Q(Exists(held.filter(**{field.m2m_field_name(): OuterRef("pk")})))
    return condition


def _rights_fields() -> list[Any]:
    return [get_user_model()._meta.get_field(name) for name in get_rights_relations()]


def _read_rights(user: Any) -> set[tuple[str, Any]]:
    """Return the groups of a user, and the permissions of the user and of these groups."""
    alias, held = write_alias(), get_rights_relations()
    groups = list(user.groups.using(alias).values_list("pk", flat=True)) if "groups" in held else []
    permissions = list(Permission.objects.using(alias).filter(group__in=groups).values_list("pk", flat=True))
    if "user_permissions" in held:
        permissions += user.user_permissions.using(alias).values_list("pk", flat=True)
    return {("group", key) for key in groups} | {("permission", key) for key in permissions}


def _has_flag(user: Any, name: str) -> bool:
    flag = getattr(user, name, False)
    return bool(flag() if callable(flag) else flag)


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
