"""The checks of the databases: what the locks, short transactions and first requests rely on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections, router

from accounts.apps import AccountsConfig
from accounts.conf import is_database_malformed, settings
from accounts.db import WriteDatabaseModel, write_alias
from accounts.models import User, get_identity_model

# Whether the role owns the table, by membership too, or may create tables in its schema.
MAY_CHANGE_TABLES = """
    SELECT pg_has_role(relowner, 'MEMBER') OR has_schema_privilege(relnamespace, 'CREATE')
    FROM pg_class WHERE oid = to_regclass(quote_ident(%s))
"""

LABEL = AccountsConfig.label


@register(LABEL)
def check_database(**_: object) -> list[CheckMessage]:
    """Check the engine and the options of the write database."""
    database = settings.DATABASES.get(write_alias())
    if database is None:
        return []  # check_routers reports it
    if is_database_malformed():
        return []  # another check reports it
    is_sqlite = database["ENGINE"].endswith(".sqlite3")
    return [
        *(_check_sqlite() if is_sqlite else _check_postgresql(database)),
        *_check_autocommit(database),
        *_check_atomic_requests(database),
    ]


@register(LABEL)
def check_routers(**_: object) -> list[CheckMessage]:
    """Check that the routers name one existing write database for all models that decide."""
    aliases: defaultdict[str, list[str]] = defaultdict(list)
    for model in apps.get_models():
        # The project's own users as well: an identity and its user are one transaction.
        if issubclass(model, WriteDatabaseModel) or model is get_user_model():
            aliases[router.db_for_write(model)].append(model._meta.label)
    if len(aliases) == 1 and aliases.keys() <= settings.DATABASES.keys():
        return []
    named = "; ".join(f"{alias!r}: {', '.join(labels)}" for alias, labels in sorted(aliases.items()))
    return [
        Error(
            "DATABASE_ROUTERS must name one database of DATABASES for all writes of users, webhook events,"
            f" failures and runs, but they name {named}.",
            hint="Return the same alias from db_for_write for these models: an event and its effect are one"
            " transaction. A router may name another database for reads; these models never use it.",
            id=f"{LABEL}.E016",
        )
    ]


@register(Tags.database, deploy=True)
def check_role(*, databases: Collection[str] | None = None, **_: object) -> list[CheckMessage]:
    """Check that the role of the service cannot change the tables; `check --deploy --database` runs this."""
    alias = write_alias()
    if alias not in (databases or ()) or connections[alias].vendor != "postgresql":
        return []
    with connections[alias].cursor() as cursor:
        cursor.execute(MAY_CHANGE_TABLES, [get_identity_model()._meta.db_table])
        if cursor.fetchone() != (True,):
            return []
    return [
        Warning(
            "The database role of this process owns the tables or may create some: a fault in the service,"
            " such as an SQL injection, can change or remove them.",
            hint="Let one role migrate and another one serve: docs/operations.md, Database roles.",
            id=f"{LABEL}.W011",
        )
    ]


def _check_sqlite() -> Iterator[CheckMessage]:
    if not settings.DEBUG and not settings.ALLOW_SQLITE:
        yield Error(
            "The database is SQLite and DEBUG is off: one writer at a time, on one machine.",
            hint="Use a PostgreSQL database, or set ALLOW_SQLITE to true to accept these limits.",
            id=f"{LABEL}.E010",
        )


def _check_autocommit(database: dict[str, Any]) -> Iterator[CheckMessage]:
    if not database.get("AUTOCOMMIT", True):
        yield Error(
            "AUTOCOMMIT of the database is off: no transaction of a sync is committed.",
            hint="Remove AUTOCOMMIT from the database (autocommit from DATABASE_URL).",
            id=f"{LABEL}.E022",
        )


def _check_atomic_requests(database: dict[str, Any]) -> Iterator[CheckMessage]:
    if not database.get("ATOMIC_REQUESTS"):
        return
    what = (
        "ATOMIC_REQUESTS is on: if a view fails, the user created during authentication is rolled back and"
        " created again by the next request, and parallel first requests of a user wait until the first view"
        " ends, at most five seconds: then they are 503."
    )
    if get_user_model() is User:
        hint = "Turn it off and use transaction.atomic where a view needs it."
        yield Error(what, hint=hint, id=f"{LABEL}.E011")
    else:
        hint = "Keep views short, or decorate slow ones with transaction.non_atomic_requests."
        yield Warning(what, hint=hint, id=f"{LABEL}.W005")


def _check_postgresql(database: dict[str, Any]) -> Iterator[CheckMessage]:
    # Of the installed driver, psycopg or psycopg2; neither need be installed for SQLite.
    from django.db.backends.postgresql.psycopg_any import IsolationLevel  # noqa: PLC0415

    options = database.get("OPTIONS", {})
    level = options.get("isolation_level", IsolationLevel.READ_COMMITTED)
    if level != IsolationLevel.READ_COMMITTED or "transaction_isolation" in str(options.get("options")):
        yield Error(
            "The isolation level of the database is not READ COMMITTED:"
            " a write that has waited for its lock would still see the row as it was before.",
            hint="Remove isolation_level from the options of the database.",
            id=f"{LABEL}.E012",
        )
    if database.get("CONN_MAX_AGE", 0) == 0 and not options.get("pool"):
        yield Warning(
            "CONN_MAX_AGE is 0: each request opens a connection, which costs four times the request itself.",
            hint="Set CONN_MAX_AGE of the database to 60 seconds, or use a pool of connections.",
            id=f"{LABEL}.W004",
        )
