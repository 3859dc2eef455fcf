"""A look-up whose SQL is compiled once: the one statement of a warm request.

Note [The prepared look-up]
Building the same queryset at each request costs more than running its statement. Measured as a share of a
request with REST framework's TokenAuthentication (November 2026): `.get()` 0.9, `objects.raw()` with cached
SQL 0.7, the compiled statement with `Model.from_db` 0.6. A test compares the row with the row of `.get()`.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from django.db import connections, models

M = TypeVar("M", bound=models.Model)


class PreparedLookup(Generic[M]):
    """Fetch one row of a queryset that has one text parameter; each database vendor has its own SQL.

    The value in the queryset's filter is a placeholder. Leave JSON columns out of the queryset: they are
    large, and a deferred column is loaded by a second statement when it is read.
    """

    def __init__(self, queryset: models.QuerySet[M]) -> None:
        self._queryset = queryset.order_by()
        self._statements: dict[str, _Statement[M]] = {}

    def fetch(self, value: str, *, using: str) -> M | None:
        """Return the row, or None; raise django.db.Error if the database fails."""
        vendor = connections[using].vendor
        statement = self._statements.get(vendor)
        if statement is None:
            statement = self._statements[vendor] = _Statement(self._queryset, using=using)
        return statement.fetch(value, using=using)


class _Statement(Generic[M]):
    def __init__(self, queryset: models.QuerySet[M], *, using: str) -> None:
        compiler = queryset.using(using).query.get_compiler(using=using)
        self.model = queryset.model
        self.sql, _ = compiler.as_sql()  # compiler.select is None before
        expressions = [expression for expression, _, _ in compiler.select]
        self.fields = frozenset(expression.target.attname for expression in expressions)
        self.converters = compiler.get_converters(expressions)

    def fetch(self, value: str, *, using: str) -> M | None:
        connection = connections[using]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, (value,))
            row = cursor.fetchone()
        if row is None:
            return None
        if self.converters:
            row = self._convert(list(row), connection)
        return self.model.from_db(using, self.fields, row)

    def _convert(self, row: list[Any], connection: Any) -> list[Any]:
        for position, (converters, expression) in self.converters.items():
            for converter in converters:
                row[position] = converter(row[position], expression, connection)
        return row
