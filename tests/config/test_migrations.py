"""`.ci/migrations`, the check of `make check` that keeps the last release working on the new tables."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import models
from django.db.migrations import (
    AddConstraint,
    AddField,
    AlterField,
    AlterModelTable,
    CreateModel,
    DeleteModel,
    Migration,
    RemoveConstraint,
    RemoveField,
    RenameField,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

PROJECT = Path(__file__).parent.parent.parent
CHECK: dict[str, Any] = runpy.run_path(str(PROJECT / ".ci" / "migrations"))
NEW_UNIQUE = models.UniqueConstraint(fields=["email"], name="one_email")
LEDGER = "webhooks_webhookevent"
UPSERT = models.UniqueConstraint(fields=["svix_id"], name="one_row_per_webhook_event")

# What one release may do.
COMPATIBLE: dict[str, tuple[str, Sequence[Operation]]] = {
    "a column with a database default": (
        "accounts",
        [AddField("user", "locale", models.CharField(max_length=35, default="", db_default=""))],
    ),
    "a nullable column": ("accounts", [AddField("user", "seen_at", models.DateTimeField(null=True))]),
    "a nullable unique column": (
        "accounts",
        [AddField("user", "tax_id", models.TextField(null=True, unique=True))],
    ),
    "a nullable column with a unique constraint": (
        "accounts",
        [
            AddField("user", "tax_id", models.TextField(null=True)),
            AddConstraint("user", models.UniqueConstraint(fields=["tax_id"], name="one_tax_id")),
        ],
    ),
    "a new table": (
        "webhooks",
        [
            CreateModel(
                "Note",
                [("id", models.BigAutoField(primary_key=True)), ("text", models.TextField(unique=True))],
            )
        ],
    ),
    "a wider text": (
        "accounts",
        [AlterField("user", "first_name", models.CharField(max_length=300))],
    ),
    "a text without a limit": (
        "accounts",
        [AlterField("user", "first_name", models.TextField(default="", blank=True))],
    ),
    "a column that the models forget and the database keeps": (
        "accounts",
        [
            AlterField("user", "image_url", models.CharField(max_length=2048, default="", db_default="")),
            SeparateDatabaseAndState(state_operations=[RemoveField("user", "image_url")]),
        ],
    ),
    "a constraint that only the models have": (
        "accounts",
        [SeparateDatabaseAndState(state_operations=[AddConstraint("user", NEW_UNIQUE)])],
    ),
    "choices, which the database does not know": (
        "webhooks",
        [AlterField("webhookevent", "outcome", models.CharField(max_length=10, choices=[("new", "New")]))],
    ),
}
# What breaks the last release, and the sentence that names it.
BREAKING: dict[str, tuple[str, Sequence[Operation], str]] = {
    "a column with a Python default only": (
        "accounts",
        [AddField("user", "locale", models.CharField(max_length=35, default=""))],
        "accounts_user.locale is new and NOT NULL without db_default: INSERTs of the last release fail.",
    ),
    "a column that the models forget and that has no default": (
        "health",
        [
            AddField("syncfailure", "note", models.TextField(default="")),
            SeparateDatabaseAndState(state_operations=[RemoveField("syncfailure", "note")]),
        ],
        "health_syncfailure.note is new and NOT NULL without db_default: INSERTs of the last release fail.",
    ),
    "a unique column with a default": (
        "accounts",
        [AddField("user", "number", models.IntegerField(unique=True, db_default=0))],
        "accounts_user.number is new and unique: all rows of the last release get the same default.",
    ),
    "a removed column": (
        "accounts",
        [RemoveField("user", "image_url")],
        "accounts_user.image_url is removed or renamed, and the last release reads and writes it.",
    ),
    "a renamed column": (
        "webhooks",
        [RenameField("webhookevent", "error_code", "code")],
        "webhooks_webhookevent.error_code is removed or renamed, and the last release reads and writes it.",
    ),
    "a removed table": (
        "accounts",
        [DeleteModel("SyncRun")],
        "the table accounts_syncrun is removed or renamed, and the last release uses it.",
    ),
    "a renamed table": (
        "accounts",
        [SeparateDatabaseAndState(database_operations=[AlterModelTable("syncrun", "runs")])],
        "the table accounts_syncrun is removed or renamed, and the last release uses it.",
    ),
    "a removed table of a relation": (
        "accounts",
        [RemoveField("user", "groups")],
        "the table accounts_user_groups is removed or renamed, and the last release uses it.",
    ),
    "another type": (
        "health",
        [AlterField("syncfailure", "count", models.TextField(default="1"))],
        'health_syncfailure.count changes its type from bigint "count" >= 0 to text.',
    ),
    "a shorter text": (
        "accounts",
        [AlterField("user", "first_name", models.CharField(max_length=64))],
        "accounts_user.first_name changes its type from varchar(255) to varchar(64).",
    ),
    "NOT NULL": (
        "accounts",
        [AlterField("user", "email", models.EmailField(max_length=254, default="", db_default=""))],
        "accounts_user.email becomes NOT NULL, and the last release may write NULL.",
    ),
    "a unique column": (
        "accounts",
        [AlterField("user", "email", models.EmailField(max_length=254, null=True, unique=True))],
        "accounts_user.email becomes unique.",
    ),
    "a column that is no longer unique": (
        "accounts",
        [AlterField("user", "username", models.CharField(max_length=150))],
        "accounts_user.username is not unique any more: an upsert may need it.",
    ),
    "a unique constraint": (
        "accounts",
        [AddConstraint("user", NEW_UNIQUE)],
        "accounts_user: the constraint one_email is new: rows of the last release may violate it.",
    ),
    "a check constraint": (
        "accounts",
        [AddConstraint("user", models.CheckConstraint(condition=~models.Q(email=""), name="no_empty_email"))],
        "accounts_user: the constraint no_empty_email is new: rows of the last release may violate it.",
    ),
    "a unique constraint that treats NULLs as equal": (
        "accounts",
        [
            AddField("user", "tax_id", models.TextField(null=True)),
            AddConstraint(
                "user", models.UniqueConstraint(fields=["tax_id"], name="one_tax_id", nulls_distinct=False)
            ),
        ],
        "accounts_user: the constraint one_tax_id is new: rows of the last release may violate it.",
    ),
    "the constraint of an upsert": (
        "webhooks",
        [RemoveConstraint("webhookevent", UPSERT.name)],
        f"{LEDGER}: the unique constraint {UPSERT.name} is removed or changed: an upsert may need it.",
    ),
}


def migration(app: str, operations: Sequence[Operation], *, name: str = "9998_example") -> Migration:
    """Return a migration with these operations."""
    built = Migration(name, app)
    built.operations = operations  # type: ignore[misc] # Django itself sets it on instances
    return built


def findings(app: str, operations: Sequence[Operation], *, after: list[Migration] | None = None) -> list[str]:
    """Return what the check finds if these operations follow a release of today's models.

    The release also has the migrations of `after`.
    """
    loader = MigrationLoader(None)
    models_of_release = loader.project_state()
    for released in after or []:
        released.mutate_state(models_of_release, preserve=False)
    new = migration(app, operations, name="9999_example")
    found: list[str] = CHECK["findings"](
        CHECK["read_tables"](models_of_release), [*CHECK["plan"](loader), *(after or [])], [new]
    )
    return found


@pytest.mark.parametrize("kind", COMPATIBLE)
def test_change_that_the_last_release_survives_is_accepted(kind: str) -> None:
    assert findings(*COMPATIBLE[kind]) == []


@pytest.mark.parametrize("kind", BREAKING)
def test_change_that_breaks_the_last_release_is_refused(kind: str) -> None:
    app, operations, sentence = BREAKING[kind]

    assert findings(app, operations)[0] == f"{app}.9999_example: {sentence}"


# What two releases may do: the first changes the models, the second the database.
SECOND: dict[str, Sequence[Operation]] = {
    "a column that the models forget and the database keeps": [
        SeparateDatabaseAndState(
            state_operations=[AddField("user", "image_url", models.CharField(max_length=2048, db_default=""))]
        ),
        RemoveField("user", "image_url"),
    ],
    "a constraint that only the models have": [
        SeparateDatabaseAndState(state_operations=[RemoveConstraint("user", "one_email")]),
        AddConstraint("user", NEW_UNIQUE),
    ],
}


@pytest.mark.parametrize("kind", SECOND)
def test_second_of_two_releases_is_accepted(kind: str) -> None:
    assert findings("accounts", SECOND[kind], after=[migration(*COMPATIBLE[kind])]) == []


def test_default_that_the_last_release_relies_on_must_stay() -> None:
    released = migration(*COMPATIBLE["a column with a database default"])
    without = AlterField("user", "locale", models.CharField(max_length=35, default=""))

    (found,) = findings("accounts", [without], after=[released])

    assert found.endswith("accounts_user.locale loses its db_default, which the last release relies on.")


def test_change_that_a_later_migration_takes_back_is_accepted() -> None:
    rename = [RenameField("user", "banned", "blocked"), RenameField("user", "blocked", "banned")]

    assert findings("accounts", rename) == []


def test_sql_of_your_own_is_listed_as_not_compared() -> None:
    operations = [SeparateDatabaseAndState(database_operations=[RunSQL("SELECT 1")])]

    assert list(CHECK["opaque"]([migration("accounts", operations)])) == [
        "not compared: accounts.9998_example, Raw SQL operation"
    ]
