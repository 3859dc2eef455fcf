"""Examine the database: whether it answers, takes writes and is migrated, and else why not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from django.db import DatabaseError, connections

from accounts.conf import is_database_malformed
from accounts.db import write_alias
from accounts.models import SyncRun
from health.checks import NotReady, database_check
from health.doctor.findings import Finding, error, ok
from health.report import reasons

NO_SIGN_IN = "No user can sign in."


class Cause(NamedTuple):
    """Why a connection failed, recognized by a part of the error's text; that text itself is never shown."""

    pattern: str
    what: str
    to_do: str


CAUSES = (
    Cause(
        "password authentication failed|no password supplied",
        "it refuses the password",
        "Correct user and password in DATABASE_URL; special characters are percent-encoded.",
    ),
    Cause("role .* does not exist", "it has no such user", "Correct the user in DATABASE_URL, or create it."),
    Cause(
        "database .* does not exist|no such database",  # the latter of PgBouncer
        "the server has no such database",
        "Correct the name at the end of DATABASE_URL, or create the database.",
    ),
    Cause(
        "no pg_hba.conf entry",
        "it does not admit this user from this machine",
        "Add a line to pg_hba.conf of the server, or sslmode=require to DATABASE_URL if it demands TLS.",
    ),
    Cause(
        "Connection refused|No such file or directory",
        "nothing listens at this host and port",
        "Start the server, or correct host and port in DATABASE_URL.",
    ),
    Cause(
        "translate host name|resolve host|Name or service not known|Temporary failure in name resolution",
        "its host has no address",
        "Correct the host in DATABASE_URL, or the name server of this machine.",
    ),
    Cause(
        "timeout expired|timed out|No route to host|Network is unreachable",
        "its host does not answer",
        "Check the network and the firewall between this machine and the database.",
    ),
    Cause(
        "SSL|certificate",
        "no encrypted connection can be made",
        "Compare sslmode and sslrootcert in DATABASE_URL with what the server offers.",
    ),
    Cause(
        "unrecognized configuration parameter|unsupported startup parameter",
        "it does not know an option of DATABASE_URL",
        "Remove the option; a pooler such as PgBouncer accepts few of them.",
    ),
    Cause(
        "too many clients|connection slots|max_client_conn",
        "it has no connection left",
        "Lower the number of workers or of pooled connections, or raise max_connections.",
    ),
    Cause(
        "or later is required",
        "it is older than this release of Django supports",
        "Upgrade the database; README.md names the oldest release.",
    ),
    Cause(
        "unable to open database file|readonly database",
        "the file cannot be opened or written",
        "Create the folder of the SQLite file, and let this user write to it.",
    ),
)


def examine_database() -> Iterator[Finding]:
    """Ask the database as the readiness probe does, and name the class of its error."""
    if is_database_malformed():
        yield ok("The database was not examined, because DATABASE_URL is malformed: see above.")
        return
    try:
        database_check.run()
    except NotReady as refusal:
        yield _explain(refusal)
        return
    yield ok(f"The database answers ({_get_version()}) and is migrated.")


def _explain(refusal: NotReady) -> Finding:
    failure = refusal.__cause__
    if failure is None:  # an answer of the database, or none in time
        reason = reasons.DATABASE[refusal.status]
        return error(reason.detail, why=NO_SIGN_IN, to_do=reason.next_step)
    name = type(failure.__cause__ or failure).__name__
    text = str(failure)
    for cause in CAUSES:
        if re.search(cause.pattern, text):
            what = f"The database cannot be used ({name}): {cause.what}."
            return error(what, why=NO_SIGN_IN, to_do=cause.to_do)
    to_do = "Read the log of the database, and compare DATABASE_URL with its form in .env.example."
    return error(f"The database cannot be used ({name}).", why=NO_SIGN_IN, to_do=to_do)


def _get_version() -> str:
    connection = connections[write_alias()]
    try:
        version = ".".join(map(str, connection.get_database_version()))
    except (DatabaseError, NotImplementedError):
        return connection.display_name
    return f"{connection.display_name} {version}"


def examine_backfill() -> Finding:
    """Return whether a backfill has finished; raise DatabaseError."""
    done = SyncRun.objects.filter(kind=SyncRun.Kind.BACKFILL, status=SyncRun.Status.DONE)
    if done.exists():
        return ok("A backfill has finished.")
    return ok(
        "No backfill has finished: users from before this database arrive with their first request.",
        to_do="Run `manage.py backfill_users` to create all users in this database.",
    )
