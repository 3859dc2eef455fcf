"""`link_users`: existing Django users are linked only if the match is unambiguous."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts.models import User
from accounts.sync import delete_user
from devclerk.fixtures import LocalClerk
from tests.accounts.bulk.commands import run_json
from tests.accounts.plans import find_table_scans, plans

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
PASSWORD = "the old password"


def link_users(*arguments: str) -> tuple[int, dict[str, str]]:
    """Run the command; return exit status and the reason for each Clerk id."""
    status, report = run_json("link_users", *arguments)
    return status, {decision["clerk_id"]: decision["reason"] for decision in report["decisions"]}


def create_user(email: str = "", **fields: Any) -> User:
    """Create a user of a project that does not use Clerk yet."""
    name = fields.pop("username", f"old-{User.objects.count()}")
    return User.objects.create_user(name, email=email or None, password=PASSWORD, **fields)


def get_clerk_id(user: User) -> str | None:
    return User.objects.get(pk=user.pk).clerk_id


def test_external_id_that_is_a_primary_key_links(clerk: LocalClerk) -> None:
    old = create_user("other@example.test")
    new = clerk.new_person(external_id=str(old.pk), email="new@example.test")
    assert link_users("--apply") == (0, {new.id: "by_external_id"})
    assert get_clerk_id(old) == new.id


@pytest.mark.postgresql
@pytest.mark.usefixtures("crowd")
def test_rows_are_found_by_an_index(clerk: LocalClerk) -> None:
    create_user("ada@example.test")
    with plans() as found:
        link_users("--apply")
    assert found
    assert find_table_scans(found) == []


def test_verified_address_links_in_any_case(clerk: LocalClerk) -> None:
    old = create_user("Ada@Example.test")
    ada = clerk.person("ada")
    assert link_users("--apply") == (0, {ada.id: "by_verified_email"})
    assert get_clerk_id(old) == ada.id


@pytest.mark.parametrize(
    ("local", "in_clerk"),
    [("mark@example.com", "mar\u212a@example.com"), ("mar\u212a@example.com", "mark@example.com")],
)
def test_letters_equal_only_in_unicode_do_not_link(clerk: LocalClerk, local: str, in_clerk: str) -> None:
    old = create_user(local)
    clerk.new_person(email=in_clerk)
    assert link_users("--apply") == (0, {})
    assert get_clerk_id(old) is None


@pytest.mark.parametrize(
    ("local", "in_clerk"),
    [("\u00c4da@Example.test", "\u00c4DA@example.test"), ("MAR\u212a@example.com", "mar\u212a@example.com")],
)
def test_equal_letters_beyond_ascii_link(clerk: LocalClerk, local: str, in_clerk: str) -> None:
    old = create_user(local)
    new = clerk.new_person(email=in_clerk)
    assert link_users("--apply") == (0, {new.id: "by_verified_email"})
    assert get_clerk_id(old) == new.id


def test_link_makes_the_password_unusable(clerk: LocalClerk) -> None:
    old = create_user("ada@example.test")
    link_users("--apply")
    assert not User.objects.get(pk=old.pk).has_usable_password()


def test_password_may_be_kept(clerk: LocalClerk) -> None:
    old = create_user("ada@example.test")
    link_users("--apply", "--keep-passwords")
    assert User.objects.get(pk=old.pk).check_password(PASSWORD)


def test_linked_row_has_the_values_of_clerk(clerk: LocalClerk) -> None:
    old = create_user("ada@example.test", first_name="Old")
    link_users("--apply")
    row = User.objects.get(pk=old.pk)
    assert (row.first_name, row.email_verified) == ("Ada", True)


def test_nothing_is_written_without_apply(clerk: LocalClerk) -> None:
    old = create_user("ada@example.test")
    before = User.objects.values().get(pk=old.pk)
    assert link_users() == (0, {clerk.person("ada").id: "by_verified_email"})
    assert User.objects.values().get(pk=old.pk) == before


def test_second_run_has_no_decisions(clerk: LocalClerk) -> None:
    create_user("ada@example.test")
    link_users("--apply")
    assert link_users("--apply") == (0, {})


@pytest.mark.parametrize("flags", [{}, {"is_staff": True}])
def test_unverified_address_does_not_link_and_is_named(clerk: LocalClerk, flags: dict[str, bool]) -> None:
    old = create_user("Alan@example.test", **flags)
    assert link_users("--apply") == (0, {})
    (found,) = run_json("link_users")[1]["unverified"]
    assert found == {"clerk_id": clerk.person("alan").id, "user_id": str(old.pk)}
    assert get_clerk_id(old) is None


def test_unverified_address_of_several_rows_names_each(clerk: LocalClerk) -> None:
    rows = [create_user("alan@example.test"), create_user("ALAN@example.test")]
    _, report = run_json("link_users")
    assert {each["user_id"] for each in report["unverified"]} == {str(row.pk) for row in rows}


def test_unverified_address_does_not_keep_another_clerk_user_from_the_row(clerk: LocalClerk) -> None:
    old = create_user("ada@example.test")
    clerk.new_person(email="ada@example.test", email_verified=False)
    for _ in range(2):
        assert link_users("--apply")[0] == 0
    assert get_clerk_id(old) == clerk.person("ada").id


def test_external_id_links_in_spite_of_an_unverified_address(clerk: LocalClerk) -> None:
    old = create_user("new@example.test")
    new = clerk.new_person(external_id=str(old.pk), email="new@example.test", email_verified=False)
    assert link_users("--apply") == (0, {new.id: "by_external_id"})


def test_unverified_address_of_a_clerk_user_with_a_row_needs_no_decision(clerk: LocalClerk) -> None:
    User.objects.create_user("met", clerk_id=clerk.person("alan").id)
    create_user("alan@example.test")
    mallory = clerk.person("mallory")
    clerk.update(mallory, email_verified=False)
    delete_user(mallory.id, at=mallory.updated_at + 1000)
    create_user("mallory@example.test")
    assert link_users("--apply") == (0, {})


def test_output_ends_with_the_users_for_whom_backfill_creates_a_row(clerk: LocalClerk) -> None:
    create_user("ada@example.test")
    create_user("alan@example.test")
    User.objects.create_user("met", clerk_id=clerk.person("yuki").id)
    layla = clerk.person("layla")
    delete_user(layla.id, at=layla.updated_at + 1000)
    for arguments in ([], ["--apply"]):
        output = StringIO()
        call_command("link_users", *arguments, stdout=output)
        assert "\nby_verified_email: 1\n" in output.getvalue()
        assert output.getvalue().count("  not linked: address_not_verified\n") == 1
        last = output.getvalue().splitlines()[-1]
        assert last.startswith(
            "6 users in Clerk match no user of this database: `backfill_users` creates a row"
        )
    status, report = run_json("backfill_users", "--dry-run")
    assert (status, report["created"]) == (0, 6)
    assert run_json("link_users")[1]["unmatched"] == 6


@pytest.mark.parametrize("flag", ["is_staff", "is_superuser"])
@pytest.mark.parametrize("by", ["email", "external_id"])
def test_staff_are_not_linked(clerk: LocalClerk, flag: str, by: str) -> None:
    old = create_user("new@example.test", **{flag: True})
    new = clerk.new_person(**{by: "new@example.test" if by == "email" else str(old.pk)})
    assert link_users("--apply") == (1, {new.id: "row_is_staff"})
    assert get_clerk_id(old) is None
    assert User.objects.get(pk=old.pk).check_password(PASSWORD)


def test_two_rows_with_the_address_are_undecided(clerk: LocalClerk) -> None:
    first, second = create_user("ada@example.test"), create_user("ADA@example.test")
    assert link_users("--apply") == (1, {clerk.person("ada").id: "several_rows_match"})
    assert get_clerk_id(first) is get_clerk_id(second) is None


def test_two_clerk_users_with_one_verified_address_are_undecided(clerk: LocalClerk) -> None:
    old = create_user("ada@example.test")
    twin = clerk.new_person(email="ada@example.test")
    assert link_users("--apply") == (
        1,
        {clerk.person("ada").id: "several_clerk_users_match", twin.id: "several_clerk_users_match"},
    )
    assert get_clerk_id(old) is None


def test_two_clerk_users_on_different_pages_are_undecided(clerk: LocalClerk) -> None:
    clerk.make_up(600)
    create_user("ada@example.test")
    clerk.new_person(email="ada@example.test")
    assert link_users("--apply")[0] == 1


def test_address_of_a_second_user_with_a_row_is_undecided(clerk: LocalClerk) -> None:
    old = create_user("ada@example.test")
    twin = clerk.new_person(email="ada@example.test")
    User.objects.create_user("twin", email="other@example.test", clerk_id=twin.id)
    status, reasons = link_users("--apply")
    assert (status, reasons[clerk.person("ada").id]) == (1, "several_clerk_users_match")
    assert get_clerk_id(old) is None


def test_external_id_takes_precedence_over_an_address(clerk: LocalClerk) -> None:
    old = create_user("ada@example.test")
    new = clerk.new_person(external_id=str(old.pk), email="new@example.test")
    status, reasons = link_users("--apply")
    assert (status, reasons) == (
        1,
        {new.id: "by_external_id", clerk.person("ada").id: "several_clerk_users_match"},
    )
    assert get_clerk_id(old) == new.id


def test_row_of_another_clerk_user_is_not_linked(clerk: LocalClerk) -> None:
    taken = User.objects.create_user("taken", email="ada@example.test", clerk_id="user_someoneElse")
    assert link_users("--apply") == (1, {clerk.person("ada").id: "row_has_a_clerk_id"})
    assert get_clerk_id(taken) == "user_someoneElse"


def test_clerk_user_with_a_live_row_is_undecided(clerk: LocalClerk) -> None:
    User.objects.create_user("met", clerk_id=clerk.person("ada").id)
    old = create_user("ada@example.test")
    assert link_users("--apply") == (1, {clerk.person("ada").id: "clerk_user_has_a_row"})
    assert get_clerk_id(old) is None


def test_clerk_user_with_a_deleted_row_is_undecided(clerk: LocalClerk) -> None:
    ada = clerk.person("ada")
    delete_user(ada.id, at=ada.updated_at + 1000)
    old = create_user("ada@example.test")
    assert link_users("--apply") == (1, {ada.id: "clerk_user_was_deleted_here"})
    assert get_clerk_id(old) is None


@pytest.mark.parametrize("external_id", ["", "42", "not-a-key", "{upper}", "{bare}"])
def test_other_external_ids_are_ignored(clerk: LocalClerk, external_id: str) -> None:
    old = create_user()
    clerk.new_person(
        external_id=external_id.format(upper=str(old.pk).upper() + " ", bare=f"urn:uuid:{old.pk}")
    )
    assert link_users("--apply") == (0, {})


def test_output_has_no_personal_data(clerk: LocalClerk) -> None:
    create_user("ada@example.test", first_name="Old")
    output = StringIO()
    call_command("link_users", "--apply", stdout=output)
    _, report = run_json("link_users")
    for text in (output.getvalue(), json.dumps(report)):
        assert "@" not in text
        assert "Old" not in text
        assert "Ada" not in text


def test_missing_secret_key_exits_with_2(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_SECRET_KEY = ""
    with pytest.raises(CommandError, match="CLERK_SECRET_KEY") as error:
        call_command("link_users")
    assert error.value.returncode == 2
