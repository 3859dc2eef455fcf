"""docs/moving-users.md: its lines, run as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.db import connection
from pytest_django.live_server_helper import LiveServer

from accounts.models import CreatedVia, DeletedBy, User
from devclerk.fixtures import LocalClerk
from tests.docs.documents import ROOT, blocks
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]

PAGE = ROOT / "docs" / "moving-users.md"
MOVE, JOIN = (block.text for block in blocks(PAGE, language="python"))
[SQL] = (block.text for block in blocks(PAGE, language="sql"))
OLD = "user_2ofTheDevelopmentInstance"
VERSIONS = {"first_name": [32_503_680_000_000, 3]}  # later than any time of the new instance


def run(code: str, **names: Any) -> None:
    """Run lines of the page."""
    exec(code, names)  # noqa: S102 - what the document shows


def me(live_server: LiveServer, token: str) -> dict[str, Any]:
    """Return the answer of the API to this token."""
    headers = {"Authorization": f"Bearer {token}"}
    answer: dict[str, Any] = requests.get(f"{live_server.url}/api/v1/me", headers=headers, timeout=20).json()
    return answer


@pytest.fixture
def ids(clerk: LocalClerk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the file of the page: one user has a new id, and one has no row."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "ids.csv"
    file.write_text(f"old,new\n{OLD},{clerk.person('ada').id}\nuser_2withoutRow,user_2new\n")
    return file


@pytest.fixture
def row(ids: Path) -> User:
    """Return the row of a user of the old instance."""
    return UserFactory.create(clerk_id=OLD, first_name="Before", field_versions=VERSIONS)


@pytest.mark.parametrize(
    "is_sql", [False, pytest.param(True, marks=pytest.mark.postgresql)], ids=["orm", "sql"]
)
def test_user_of_another_instance_keeps_the_row(
    clerk: LocalClerk, row: User, live_server: LiveServer, *, is_sql: bool
) -> None:
    if is_sql:
        insert = f"INSERT INTO ids VALUES ('{OLD}', '{clerk.person('ada').id}');"  # noqa: S608 - a test
        create, update = SQL.split("-- \\copy ids FROM 'ids.csv' CSV HEADER\n")
        with connection.cursor() as cursor:
            cursor.execute(create + insert + update + "DROP TABLE ids")
    else:
        run(MOVE)
    answer = me(live_server, clerk.mint("ada"))
    assert answer["id"] == str(row.pk)
    # The values of the new instance count, whatever the times of the old one were.
    assert answer["first_name"] == clerk.person("ada").first_name
    assert User.objects.count() == 1


def test_deleted_row_of_the_old_instance_is_not_moved(clerk: LocalClerk, row: User) -> None:
    User.objects.filter(pk=row.pk).update(deleted_at=row.created_at, deleted_by=DeletedBy.CLERK)
    run(MOVE)
    row.refresh_from_db()
    assert row.clerk_id == OLD


def test_new_id_that_has_a_row_stops_the_move(clerk: LocalClerk, row: User) -> None:
    UserFactory.create(clerk_id=clerk.person("ada").id)
    with pytest.raises(ValueError, match="have a row already"):
        run(MOVE)
    row.refresh_from_db()
    assert row.clerk_id == OLD


def test_two_rows_of_a_user_are_joined(clerk: LocalClerk, live_server: LiveServer) -> None:
    token = clerk.mint("ada")
    fresh = User.objects.get(pk=me(live_server, token)["id"])
    older = UserFactory.create(clerk_id=None, username="ada", created_via=CreatedVia.LOCAL)
    older.set_password("a password of before")
    older.save()
    entry = LogEntry.objects.create(user=fresh, action_flag=1)

    run(JOIN, OLDER=older.pk, FRESH=fresh.pk)

    answer = me(live_server, token)
    assert (answer["id"], answer["email"]) == (str(older.pk), fresh.email)
    entry.refresh_from_db()
    older.refresh_from_db()
    fresh.refresh_from_db()
    assert entry.user_id == older.pk
    assert (older.created_via, older.username, older.has_usable_password()) == ("link", "ada", False)
    assert (fresh.deleted_by, fresh.clerk_id) == (DeletedBy.LOCAL, older.clerk_id)


def test_rows_of_two_clerk_users_are_not_joined(clerk: LocalClerk, live_server: LiveServer) -> None:
    first, second = UserFactory.create(clerk_id="user_2a"), UserFactory.create(clerk_id="user_2b")
    with pytest.raises(User.DoesNotExist):
        run(JOIN, OLDER=first.pk, FRESH=second.pk)
    assert User.objects.live().count() == 2
