from __future__ import annotations

from typing import TYPE_CHECKING

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
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
                f"CREATE INDEX clerk_accounts_by_{column}_prefix ON {table} (lower({column}) text_pattern_ops)"
            )


def remove_prefix_indexes(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if _get_table(apps, schema_editor):
        for column in SEARCHED:
            schema_editor.execute(f"DROP INDEX clerk_accounts_by_{column}_prefix")


def _get_table(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> str:
    """Return the quoted name of the table of accounts, or "" if there are no such indexes."""
    model = apps.get_model(AccountsConfig.label, "ClerkAccount")
    if model._meta.swapped or schema_editor.connection.vendor != "postgresql":
        return ""
    return schema_editor.quote_name(model._meta.db_table)


class Migration(migrations.Migration):
    dependencies = [
        (AccountsConfig.label, "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="created_via",
            field=models.CharField(
                choices=[
                    ("request", "Request"),
                    ("webhook", "Webhook"),
                    ("backfill", "Backfill"),
                    ("link", "Link"),
                    ("local", "Local"),
                ],
                default="local",
                editable=False,
                max_length=8,
            ),
        ),
        migrations.CreateModel(
            name="ClerkAccount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
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
                            ("link", "Link"),
                            ("local", "Local"),
                        ],
                        default="local",
                        editable=False,
                        max_length=8,
                    ),
                ),
                ("field_versions", models.JSONField(blank=True, default=dict, editable=False)),
                ("is_active", models.BooleanField(default=True)),
                ("is_staff", models.BooleanField(default=False, editable=False)),
                (
                    "user",
                    models.OneToOneField(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="clerk_account",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "swappable": "CLERK_IDENTITY_MODEL",
                "indexes": [
                    models.Index(
                        condition=models.Q(("deleted_at__isnull", False)),
                        fields=["clerk_id"],
                        name="deleted_accounts_by_clerk_id",
                    ),
                    models.Index(
                        condition=models.Q(("deleted_at__isnull", False)),
                        fields=["deleted_by", "-created_at"],
                        name="deleted_accounts_by_whom",
                    ),
                    models.Index(
                        condition=models.Q(("banned", True), ("is_active", False), _connector="OR"),
                        fields=["-created_at"],
                        name="blocked_accounts",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("deleted_at__isnull", True)),
                        fields=("clerk_id",),
                        name="one_live_account_per_clerk_id",
                    )
                ],
            },
        ),
        migrations.RunPython(add_prefix_indexes, remove_prefix_indexes),
    ]
