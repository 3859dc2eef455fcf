"""The fields of Clerk as the admin shows them. Users choose their names, so no text is shown as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.clerk.fields import COLUMNS
from accounts.clerk.texts import replace_hidden
from accounts.models import AbstractClerkIdentity

EMPTY = "-"


def show_text(text: str) -> SafeString:
    """Return the text as HTML that neither hides characters nor reorders the text around it."""
    return format_html("<bdi>{}</bdi>", replace_hidden(text))


@admin.display(description="Further fields")
def extra(identity: AbstractClerkIdentity) -> SafeString | str:
    """Return the fields of the column `extra`, also those that CLERK_EXTRA_FIELDS does not name any more."""
    rows = ((name, show_text(_describe(value))) for name, value in sorted(identity.extra.items()))
    return format_html_join("", "<div>{}: {}</div>", rows) or EMPTY


def _describe(value: object) -> str:
    if value is None:
        return EMPTY
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _show(name: str) -> str | Callable[[Any], SafeString | str]:
    """Return what shows a column: its name if it is no text."""
    column: Any = AbstractClerkIdentity._meta.get_field(name)
    if column.get_internal_type() == "BooleanField":
        return name

    @admin.display(description=column.verbose_name)
    def show(identity: AbstractClerkIdentity) -> SafeString | str:
        text = getattr(identity, name)
        return show_text(text) if text else EMPTY

    show.__name__ = name  # the CSS class of the row
    return show


OWNED_FIELDS = (*map(_show, COLUMNS), extra)
