"""docs/permissions.md: its view works, and its tables are what the code does."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import pytest
from rest_framework.test import APIRequestFactory

from accounts import permissions
from accounts.clerk.reverification import NAMED, parse_reverification
from accounts.clerk.session import SessionContents
from accounts.permissions import ReverificationRequired, SessionPermission
from devclerk.fixtures import LocalClerk
from tests.docs.documents import ROOT, blocks, first_cells, rows_of_table, section, words

PERMISSIONS = ROOT / "docs/permissions.md"


@pytest.mark.django_db
@pytest.mark.usefixtures("clerk_settings")
def test_the_view_shown_works(clerk: LocalClerk) -> None:
    (block,) = blocks(PERMISSIONS, language="python")
    names: dict[str, Any] = {}
    exec(block.text, names)  # noqa: S102 - the document is ours
    view = names["Reports"].as_view()
    acme = {"slug": "acme", "permissions": ["reports:read"]}

    def status(**options: Any) -> int:
        token = clerk.mint("ada", **options)
        request = APIRequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})
        return int(view(request).status_code)

    assert (status(organization=acme), status(organization="acme"), status()) == (200, 403, 403)


def test_each_class_is_listed_with_its_code() -> None:
    rows = [row for row in rows_of_table(section(PERMISSIONS, "The classes")) if row[0] != "class"]
    built = {
        row[0]: eval(row[0].strip("`"), vars(permissions).copy())  # noqa: S307 - the document is ours
        for row in rows
    }
    public = {
        name
        for name, value in vars(permissions).items()
        if inspect.getmodule(value) is permissions and re.match("Has|Recently", name)
    }

    assert {re.match(r"`(\w+)", cell)[1] for cell in built} == public  # type: ignore[index]
    for row in rows:
        assert issubclass(built[row[0]], SessionPermission)
        assert row[2] == f"`{built[row[0]].code}`"


def test_each_attribute_of_the_session_is_listed() -> None:
    listed = words("\n".join(first_cells(section(PERMISSIONS, "The session"))), form=r"[a-z_]+")
    decoded = {name for name in vars(SessionContents) if not name.startswith("_")}

    assert listed - {"attribute"} == decoded | {"actor", "payload"}


def test_each_level_is_listed_with_its_factor_and_minutes() -> None:
    rows = [row for row in rows_of_table(section(PERMISSIONS, "Recent verification")) if row[0] != "level"]
    factors = {"both": "multi_factor", "the second": "second_factor"}

    shown = {row[0].strip("`"): (factors[row[1]], int(re.sub(r"\D", "", row[2]))) for row in rows}
    assert shown == dict(NAMED)


def test_the_body_shown_is_the_body() -> None:
    (block,) = blocks(PERMISSIONS, language="json")
    shown = json.loads(block.text)
    refusal = ReverificationRequired(parse_reverification("strict").hint)

    assert shown["clerk_error"] == refusal.hint
    assert shown["errors"][0]["code"] == refusal.get_codes()
