"""A look-up whose SQL is compiled once: the only statement of a warm request.

Note [The prepared look-up]
Building the same queryset at each request costs more than running its statement. The time of a request, where
one with REST framework's TokenAuthentication takes 1.0 (November 2026): with `.get()` 0.9, with
`objects.raw()` and cached SQL 0.7, with the compiled statement and `Model.from_db` 0.6. A test compares the
row with the row of `.get()`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connections, models

M = TypeVar("M", bound=models.Model)


class _Joined(NamedTuple):
    """A row of another table in the same statement, and how Django sets it on the first one."""

    model: type[models.Model]
    fields: tuple[str, ...]
    columns: slice
    key: int
    set_forward: Callable[[Any, Any], None]
    set_backward: Callable[[Any, Any], None]

    def build(self, found: models.Model, *, row: Sequence[Any], using: str) -> None:
        """Build the joined row, or None without one, and set it on the first row."""
        if row[self.key] is None:
            self.set_forward(found, None)
            return
        joined = self.model.from_db(using, self.fields, row[self.columns])
        self.set_forward(found, joined)
        self.set_backward(joined, found)


class _Statement(NamedTuple):
    sql: str
    fields: frozenset[str]
    converters: dict[int, Any]
    # The columns of the row itself come first.
    joined: tuple[_Joined, ...]


class PreparedLookup(Generic[M]):
    """Fetch one row of a queryset that has one text parameter; each database has its own SQL.

    The value in the queryset's filter is a placeholder. Defer JSON columns in the queryset: they are large,
    and a second statement loads a deferred column when it is read. Rows that `select_related` names come with
    the same statement.
    """

    def __init__(self, queryset: models.QuerySet[M]) -> None:
        self._queryset = queryset.order_by()
        self._statements: dict[str, _Statement] = {}

    def fetch(self, value: str, *, using: str) -> M | None:
        """Return the row, or None. Raises django.db.Error."""
        connection = connections[using]
        # An alias may lead to another vendor after a change of the settings.
        key = f"{connection.vendor}:{using}"
        if key not in self._statements:
            self._statements[key] = self._compile(using=using)
        sql, fields, converters, joined = self._statements[key]
        with connection.cursor() as cursor:
            cursor.execute(sql, (value,))
            row = cursor.fetchone()
        if row is None:
            return None
        if converters:
            row = list(row)
            for position, (functions, expression) in converters.items():
                for convert in functions:
                    row[position] = convert(row[position], expression, connection)
        if not joined:
            return self._queryset.model.from_db(using, fields, row)
        found = self._queryset.model.from_db(using, fields, row[: len(fields)])
        for other in joined:
            other.build(found, row=row, using=using)
        return found

    def _compile(self, *, using: str) -> _Statement:
        compiler = self._queryset.using(using).query.get_compiler(using=using)
        sql, _ = compiler.as_sql()  # sets compiler.select
        select, klass_info = compiler.select or [], compiler.klass_info or {}
        expressions = [expression for expression, _, _ in select]
        own = [expressions[position] for position in klass_info["select_fields"]]
        return _Statement(
            sql,
            frozenset(expression.target.attname for expression in own),
            compiler.get_converters(expressions),
            tuple(_read_joined(info, select) for info in klass_info.get("related_klass_infos", ())),
        )


def _read_joined(info: dict[str, Any], select: Sequence[Any]) -> _Joined:
    columns = info["select_fields"]
    model, names = info["model"], [select[position][0].target.attname for position in columns]
    return _Joined(
        model=model,
        fields=tuple(names),
        columns=slice(columns[0], columns[-1] + 1),
        key=columns[names.index(model._meta.pk.attname)],
        set_forward=info["local_setter"],
        set_backward=info["remote_setter"],
    )
