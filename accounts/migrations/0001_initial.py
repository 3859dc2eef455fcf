from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import django.contrib.auth.validators
import django.utils.timezone
from django.db import migrations, models

from accounts.apps import AccountsConfig

if TYPE_CHECKING:
    from django.apps.registry import Apps
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# For searches by how a word begins: the ORM cannot say an operator class that only PostgreSQL has.
SEARCHED = ("email", "first_name", "last_name")


def add_prefix_indexes(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if table := _get_table(apps, schema_editor):
        for column in SEARCHED:
            schema_editor.execute(
                f"CREATE INDEX people_by_{column}_prefix ON {table} (lower({column}) text_pattern_ops)"
            )


def remove_prefix_indexes(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if _get_table(apps, schema_editor):
        for column in SEARCHED:
            schema_editor.execute(f"DROP INDEX people_by_{column}_prefix")


def _get_table(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> str:
    """Return the quoted name of the table of users, or "" if there are no such indexes."""
    model = apps.get_model(AccountsConfig.label, "User")
    if model._meta.swapped or schema_editor.connection.vendor != "postgresql":
        return ""
    return schema_editor.quote_name(model._meta.db_table)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="SyncRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("backfill", "Backfill"), ("reconcile", "Reconcile")], max_length=16
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("interrupted", "Interrupted"),
                        ],
                        default="running",
                        max_length=16,
                    ),
                ),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("cursor", models.CharField(blank=True, default="", max_length=64)),
                ("counts", models.JSONField(blank=True, default=dict)),
                ("error", models.CharField(blank=True, default="", max_length=255)),
            ],
            options={
                "indexes": [models.Index(fields=["kind", "-started_at"], name="runs_by_kind_and_start")],
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                (
                    "date_joined",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined"),
                ),
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("clerk_id", models.CharField(blank=True, editable=False, max_length=64, null=True)),
                ("email", models.EmailField(blank=True, max_length=254, null=True)),
                ("email_verified", models.BooleanField(default=False)),
                ("first_name", models.CharField(blank=True, default="", max_length=255)),
                ("last_name", models.CharField(blank=True, default="", max_length=255)),
                ("image_url", models.CharField(blank=True, default="", max_length=2048)),
                ("banned", models.BooleanField(default=False)),
                (
                    "created_at",
                    models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False),
                ),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "deleted_by",
                    models.CharField(
                        blank=True,
                        choices=[("clerk", "Clerk"), ("local", "Local")],
                        default="",
                        editable=False,
                        max_length=8,
                    ),
                ),
                ("restored_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "created_via",
                    models.CharField(
                        choices=[
                            ("request", "Request"),
                            ("webhook", "Webhook"),
                            ("backfill", "Backfill"),
                            ("local", "Local"),
                        ],
                        default="local",
                        editable=False,
                        max_length=8,
                    ),
                ),
                ("field_versions", models.JSONField(blank=True, default=dict, editable=False)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "swappable": "AUTH_USER_MODEL",
                "indexes": [
                    models.Index(
                        condition=models.Q(("deleted_at__isnull", False)),
                        fields=["clerk_id"],
                        name="deleted_rows_by_clerk_id",
                    ),
                    models.Index(
                        condition=models.Q(("deleted_at__isnull", False)),
                        fields=["deleted_by", "-created_at"],
                        name="deleted_rows_by_whom",
                    ),
                    models.Index(
                        condition=models.Q(("banned", True), ("is_active", False), _connector="OR"),
                        fields=["-created_at"],
                        name="blocked_rows",
                    ),
                    models.Index(
                        condition=models.Q(("is_staff", True)),
                        fields=["-created_at"],
                        name="staff_rows",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("deleted_at__isnull", True)),
                        fields=("clerk_id",),
                        name="one_live_row_per_clerk_id",
                    )
                ],
            },
        ),
        migrations.RunPython(add_prefix_indexes, remove_prefix_indexes),
    ]
