"""`export_user` prints the account, and of the project's user only what Clerk feeds."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command

from accounts.models import ClerkAccount
from tests.foreign.cases.conftest import Project

pytestmark = pytest.mark.django_db(transaction=True)


def test_export_holds_the_account_and_the_mapped_columns(project: Project) -> None:
    project.get("ada")
    output = StringIO()
    call_command("export_user", project.clerk.person("ada").id, stdout=output)
    document = json.loads(output.getvalue())
    (account,) = document["rows"]
    assert account.keys() == {field.attname for field in ClerkAccount._meta.concrete_fields}
    (user,) = document["users"]
    assert (user["email"], user[project.name_column]) == ("ada@example.test", "Ada")
    assert user["pk"] == str(project.user_of("ada").pk)
    assert "username" not in user
