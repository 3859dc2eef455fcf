"""The plans that PostgreSQL makes for the statements on users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def plans() -> Iterator[list[str]]:
    """Collect the plan of each statement on users in the block, except INSERT."""
    found: list[str] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: object, context: Any) -> Any:
        if "accounts_user" in sql and not sql.startswith("INSERT"):
            with connection.cursor() as other:
                other.cursor.execute(f"EXPLAIN {sql}", params)
                found.append("\n".join(line for (line,) in other.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield found


def walks_for_an_id(plans: list[str]) -> list[str]:
    """Return the plans that scan the whole table to find users by their Clerk ids."""
    return [plan for plan in plans if "Seq Scan" in plan and "(clerk_id)::text = " in plan]
