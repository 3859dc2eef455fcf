from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import ClerkAccount, CreatedVia
from tests.accounts.bulk.commands import get_found, run_json
from tests.foreign.cases.conftest import Project
from tests.foreign.shop.models import Profile

pytestmark = pytest.mark.django_db(transaction=True)


def link(*arguments: str) -> tuple[int, dict[str, str]]:
    """Run the command; return exit status and the reason for each Clerk id."""
    status, report = run_json("link_users", *arguments)
    return status, {decision["clerk_id"]: decision["reason"] for decision in report["decisions"]}


def test_link_by_verified_address(project: Project) -> None:
    old = project.new_user("Ada@example.test")
    ada = project.clerk.person("ada")
    assert link() == (0, {ada.id: "by_verified_email"})
    assert ClerkAccount.objects.count() == 0
    assert link("--apply") == (0, {ada.id: "by_verified_email"})
    account = ClerkAccount.objects.get()
    assert (account.user_id, account.created_via) == (old.pk, CreatedVia.LINK)
    assert not project.users.get(pk=old.pk).has_usable_password()
    assert project.get("ada").json()["user"] == old.pk
    assert link("--apply") == (0, {})


def test_link_fills_empty_columns_only(project: Project) -> None:
    old = project.new_user("ada@example.test", **{project.name_column: ""})
    other = project.new_user("yuki@example.test", **{project.name_column: "Own name"})
    link("--apply")
    names = dict(project.users.values_list("pk", project.name_column))
    assert (names[old.pk], names[other.pk]) == ("Ada", "Own name")


def test_password_may_be_kept(project: Project) -> None:
    old = project.new_user("ada@example.test")
    link("--apply", "--keep-passwords")
    assert project.users.get(pk=old.pk).check_password("the old password")


def test_staff_are_never_linked(project: Project) -> None:
    project.new_user("ada@example.test", **project.staff())
    assert link("--apply") == (1, {project.clerk.person("ada").id: "row_is_staff"})


def test_integer_in_external_id_proves_nothing_alone(project: Project) -> None:
    old = project.new_user("old@example.test")
    new = project.clerk.new_person(email="new@example.test", external_id=str(old.pk))
    huge = project.clerk.new_person(email="huge@example.test", external_id="9" * 40)
    assert link("--apply") == (0, {})
    assert link("--apply", "--external-id-is-pk") == (0, {new.id: "by_external_id"})
    assert ClerkAccount.objects.get().user_id == old.pk
    assert huge.id not in ClerkAccount.objects.values_list("clerk_id", flat=True)


def test_integer_in_external_id_links_if_the_address_agrees(project: Project) -> None:
    old = project.new_user("new@example.test")
    new = project.clerk.new_person(email="new@example.test", external_id=str(old.pk))
    assert link("--apply") == (0, {new.id: "by_external_id"})


def test_two_clerk_users_for_one_user_are_undecided(project: Project) -> None:
    old = project.new_user("old@example.test")
    twins = [
        project.clerk.new_person(email=f"twin{number}@example.test", external_id=str(old.pk))
        for number in (1, 2)
    ]
    wanted = {twin.id: "several_clerk_users_match" for twin in twins}
    assert link("--apply", "--external-id-is-pk") == (1, wanted)
    assert ClerkAccount.objects.count() == 0


def test_user_with_an_account_is_not_linked_again(project: Project) -> None:
    project.get("ada")
    new = project.clerk.new_person(email="ada@example.test")
    project.clerk.delete("ada")
    assert link("--apply") == (1, {new.id: "row_has_a_clerk_id"})


def test_backfill_creates_each_user_with_its_profile(project: Project) -> None:
    status, counts = run_json("backfill_users")
    live = ClerkAccount.objects.live()
    assert status == 0, counts
    assert live.count() == project.users.count() == Profile.objects.count() == len(project.clerk.people)
    assert live.filter(user=None).count() == 0
    _, second = run_json("backfill_users", "--restart")
    assert second.get("unchanged") == len(project.clerk.people), second


def test_page_leaves_an_account_without_a_user_to_the_next_sign_in(project: Project) -> None:
    project.get("ada")
    project.user_of("ada").delete()
    project.clerk.update("ada", first_name="Augusta")
    _, counts = run_json("backfill_users")
    assert counts["stale"] == 1
    assert not ClerkAccount.objects.filter(first_name="Augusta").exists()
    assert project.get("ada").status_code == 200


def test_reconcile_finds_and_fixes_differences(project: Project) -> None:
    run_json("backfill_users")
    project.clerk.update("ada", first_name="Augusta")
    project.clerk.delete("yuki")
    status, report = run_json("reconcile_users")
    assert (status, get_found(report)) == (1, {"stale_here": 1, "deleted_in_clerk": 1})
    status, report = run_json("reconcile_users", "--apply")
    assert (status, report["drift_left"]) == (0, 0)
    assert getattr(project.user_of("ada"), project.name_column) == "Augusta"


def test_scrub_erases_only_users_that_we_created(project: Project) -> None:
    linked = project.new_user("ada@example.test")
    link("--apply")
    project.get("yuki")
    ours = project.user_of("yuki")
    for who in ("ada", "yuki"):
        project.send("user.deleted", project.clerk.person(who))
    ClerkAccount.objects.update(deleted_at=timezone.now() - timedelta(days=9))
    output = StringIO()
    call_command("scrub_deleted_users", "--older-than", "5", stdout=output)
    assert "2 rows lost" in output.getvalue()
    assert "1 users were kept" in output.getvalue()
    assert project.users.get(pk=linked.pk).email == "ada@example.test"
    scrubbed = project.users.get(pk=ours.pk)
    assert "yuki" not in str(scrubbed.email)
    assert getattr(scrubbed, project.name_column) == ""
    assert set(ClerkAccount.objects.values_list("email", "first_name")) == {(None, "")}


def test_report_and_doctor_run(project: Project) -> None:
    project.get("ada")
    status, report = run_json("sync_health")
    assert (status, report["people"]) == (0, {"live": 1, "without_profile": 0})
    _, findings = run_json("clerk_doctor")
    assert not [each for each in findings["findings"] if each["level"] == "error"]
