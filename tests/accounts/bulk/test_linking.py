"""`link_users`: existing Django users are adopted when there is no doubt, and only then."""

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
from tests.accounts.plans import plans, walks_for_an_id

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clerk_settings")]
PASSWORD = "the old password"


def link_users(*arguments: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Run the command; give exit code, reason by Clerk id, and the report."""
    output, code = StringIO(), 0
    try:
        call_command("link_users", "--json", *arguments, stdout=output)
    except SystemExit as ending:
        code = int(str(ending.code))
    report = json.loads(output.getvalue())
    return code, {each["clerk_id"]: each["reason"] for each in report["decisions"]}, report


def existing(email: str = "", **fields: Any) -> User:
    """Make a user as they are before Clerk comes."""
    name = fields.pop("username", f"old-{User.objects.count()}")
    return User.objects.create_user(name, email=email or None, password=PASSWORD, **fields)


def clerk_id_of(user: User) -> str | None:
    return User.objects.get(pk=user.pk).clerk_id


def test_an_external_id_that_is_our_key_links(clerk: LocalClerk) -> None:
    old = existing("somebody.else@example.test")
    new = clerk.new_person(external_id=str(old.pk), email="new@example.test")
    assert link_users("--apply")[:2] == (0, {new.id: "by_external_id"})
    assert clerk_id_of(old) == new.id


@pytest.mark.postgresql
@pytest.mark.usefixtures("crowd")
def test_people_are_found_by_an_index(clerk: LocalClerk) -> None:
    existing("ada@example.test")
    with plans() as found:
        link_users("--apply")
    assert found
    assert walks_for_an_id(found) == []


def test_a_verified_address_links_whatever_its_case(clerk: LocalClerk) -> None:
    old = existing("Ada@Example.test")
    ada = clerk.person("ada")
    assert link_users("--apply")[:2] == (0, {ada.id: "by_verified_email"})
    assert clerk_id_of(old) == ada.id


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("mark@example.com", "mar\u212a@example.com"), ("mar\u212a@example.com", "mark@example.com")],
)
def test_a_letter_that_only_unicode_takes_for_the_same_links_nobody(
    clerk: LocalClerk, ours: str, theirs: str
) -> None:
    old = existing(ours)
    clerk.new_person(email=theirs)
    assert link_users("--apply")[:2] == (0, {})
    assert clerk_id_of(old) is None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("\u00c4da@Example.test", "\u00c4DA@example.test"), ("MAR\u212a@example.com", "mar\u212a@example.com")],
)
def test_an_address_with_other_letters_links_when_those_are_the_same(
    clerk: LocalClerk, ours: str, theirs: str
) -> None:
    old = existing(ours)
    new = clerk.new_person(email=theirs)
    assert link_users("--apply")[:2] == (0, {new.id: "by_verified_email"})
    assert clerk_id_of(old) == new.id


def test_the_old_password_does_not_outlive_the_link(clerk: LocalClerk) -> None:
    old = existing("ada@example.test")
    link_users("--apply")
    assert not User.objects.get(pk=old.pk).has_usable_password()


def test_a_linked_row_holds_what_clerk_says(clerk: LocalClerk) -> None:
    old = existing("ada@example.test", first_name="Old")
    link_users("--apply")
    row = User.objects.get(pk=old.pk)
    assert (row.first_name, row.email_verified) == ("Ada", True)


def test_without_apply_nothing_is_written(clerk: LocalClerk) -> None:
    old = existing("ada@example.test")
    before = User.objects.values().get(pk=old.pk)
    assert link_users()[:2] == (0, {clerk.person("ada").id: "by_verified_email"})
    assert User.objects.values().get(pk=old.pk) == before


def test_a_second_time_has_nothing_to_decide(clerk: LocalClerk) -> None:
    existing("ada@example.test")
    link_users("--apply")
    assert link_users("--apply")[:2] == (0, {})


def test_an_unverified_address_proves_nothing(clerk: LocalClerk) -> None:
    old = existing("alan@example.test")
    assert link_users("--apply")[:2] == (0, {})
    assert clerk_id_of(old) is None


@pytest.mark.parametrize("power", ["is_staff", "is_superuser"])
@pytest.mark.parametrize("by", ["email", "external_id"])
def test_staff_are_never_linked(clerk: LocalClerk, power: str, by: str) -> None:
    old = existing("new@example.test", **{power: True})
    new = clerk.new_person(**{by: "new@example.test" if by == "email" else str(old.pk)})
    assert link_users("--apply")[:2] == (1, {new.id: "row_is_staff"})
    assert clerk_id_of(old) is None
    assert User.objects.get(pk=old.pk).check_password(PASSWORD)


def test_two_rows_with_the_address_are_undecided(clerk: LocalClerk) -> None:
    first, second = existing("ada@example.test"), existing("ADA@example.test")
    assert link_users("--apply")[:2] == (1, {clerk.person("ada").id: "several_rows_match"})
    assert clerk_id_of(first) is clerk_id_of(second) is None


def test_two_clerk_users_with_one_verified_address_are_undecided(clerk: LocalClerk) -> None:
    old = existing("ada@example.test")
    twin = clerk.new_person(email="ada@example.test")
    assert link_users("--apply")[:2] == (
        1,
        {clerk.person("ada").id: "several_clerk_users_match", twin.id: "several_clerk_users_match"},
    )
    assert clerk_id_of(old) is None


def test_two_clerk_users_pages_apart_are_undecided_too(clerk: LocalClerk) -> None:
    clerk.make_up(600)
    existing("ada@example.test")
    clerk.new_person(email="ada@example.test")
    assert link_users("--apply")[0] == 1


def test_a_twin_who_has_a_row_already_leaves_the_other_undecided(clerk: LocalClerk) -> None:
    old = existing("ada@example.test")
    twin = clerk.new_person(email="ada@example.test")
    User.objects.create_user("twin", email="other@example.test", clerk_id=twin.id)
    code, reasons, _ = link_users("--apply")
    assert (code, reasons[clerk.person("ada").id]) == (1, "several_clerk_users_match")
    assert clerk_id_of(old) is None


def test_an_external_id_wins_against_an_address(clerk: LocalClerk) -> None:
    old = existing("ada@example.test")
    new = clerk.new_person(external_id=str(old.pk), email="new@example.test")
    code, reasons, _ = link_users("--apply")
    assert (code, reasons) == (
        1,
        {new.id: "by_external_id", clerk.person("ada").id: "several_clerk_users_match"},
    )
    assert clerk_id_of(old) == new.id


def test_a_row_of_another_clerk_user_is_never_taken(clerk: LocalClerk) -> None:
    taken = User.objects.create_user("taken", email="ada@example.test", clerk_id="user_someoneElse")
    assert link_users("--apply")[:2] == (1, {clerk.person("ada").id: "row_has_a_clerk_id"})
    assert clerk_id_of(taken) == "user_someoneElse"


def test_a_clerk_user_who_has_a_live_row_is_reported_and_not_linked(clerk: LocalClerk) -> None:
    User.objects.create_user("met", clerk_id=clerk.person("ada").id)
    old = existing("ada@example.test")
    assert link_users("--apply")[:2] == (1, {clerk.person("ada").id: "clerk_user_has_a_row"})
    assert clerk_id_of(old) is None


def test_a_clerk_user_who_was_deleted_here_is_not_brought_back(clerk: LocalClerk) -> None:
    ada = clerk.person("ada")
    delete_user(ada.id, at=ada.updated_at + 1000)
    old = existing("ada@example.test")
    assert link_users("--apply")[:2] == (1, {ada.id: "clerk_user_was_deleted_here"})
    assert clerk_id_of(old) is None


@pytest.mark.parametrize("external_id", ["", "42", "not-a-key", "{upper}", "{bare}"])
def test_an_external_id_that_is_not_our_key_means_nothing(clerk: LocalClerk, external_id: str) -> None:
    old = existing()
    clerk.new_person(
        external_id=external_id.format(upper=str(old.pk).upper() + " ", bare=f"urn:uuid:{old.pk}")
    )
    assert link_users("--apply")[:2] == (0, {})


def test_the_report_names_nobody(clerk: LocalClerk) -> None:
    existing("ada@example.test", first_name="Old")
    output = StringIO()
    call_command("link_users", "--apply", stdout=output)
    _, _, report = link_users()
    for text in (output.getvalue(), json.dumps(report)):
        assert "@" not in text
        assert "Old" not in text
        assert "Ada" not in text


def test_without_a_secret_key_it_cannot_run(clerk_settings: Settings) -> None:
    clerk_settings.CLERK_SECRET_KEY = ""
    with pytest.raises(CommandError, match="CLERK_SECRET_KEY") as ending:
        call_command("link_users")
    assert ending.value.returncode == 2
