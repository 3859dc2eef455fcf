"""`manage.py devclerk` with a running emulator."""

from __future__ import annotations

import io
import time

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from devclerk.fixtures import LocalClerk
from devclerk.frontend.token_calls import TokenFault
from tests.devclerk.receiver import Receiver
from tests.devclerk.runs import Run, claims_of


def test_an_update_shows_in_the_next_token(run: Run) -> None:
    run("update", "ada", "--first-name", "Augusta", "--email", "augusta@example.test", "--unverified")
    claims = claims_of(run("token", "ada"))
    assert (claims["first_name"], claims["email"]) == ("Augusta", "augusta@example.test")
    assert claims["email_verified"] is False
    assert claims["last_name"] == "Lovelace"


def test_further_fields_are_sent(run: Run, clerk: LocalClerk, receiver: Receiver) -> None:
    texts = ["--username", "ada", "--phone-number", "+491701234567", "--phone-unverified"]
    more = ["--locale", "en-GB", "--timezone", "Europe/London", "--public-metadata", '{"plan": "pro"}']
    run("update", "ada", *texts, *more)
    user = receiver.wait(1)[0].event["data"]
    (phone,) = user["phone_numbers"]
    assert (phone["phone_number"], phone["verification"]["status"]) == ("+491701234567", "unverified")
    assert user["primary_phone_number_id"] == phone["id"]
    assert [user[name] for name in ("username", "locale", "timezone")] == ["ada", "en-GB", "Europe/London"]
    assert user["public_metadata"] == {"plan": "pro"}
    claims = claims_of(run("token", "ada"))
    assert (claims["username"], claims["phone_number"]) == ("ada", "+491701234567")
    assert claims["phone_number_verified"] is False
    run("update", "ada", "--phone-number", "", "--username", "", "--public-metadata", "{}")
    user = receiver.wait(2)[1].event["data"]
    assert (user["phone_numbers"], user["primary_phone_number_id"]) == ([], None)
    assert (user["username"], user["public_metadata"]) == (None, {})
    assert "phone_number" not in claims_of(run("token", "ada"))


@pytest.mark.parametrize("text", ["", "pro", "[1]", "{"])
def test_metadata_that_is_no_object_is_refused(run: Run, text: str) -> None:
    with pytest.raises(CommandError, match="must be a JSON object"):
        run("update", "ada", "--public-metadata", text)


def test_an_empty_field_is_none(run: Run, clerk: LocalClerk) -> None:
    run("update", "ada", "--email", "", "--last-name", "")
    assert (clerk.person("ada").email, clerk.person("ada").last_name) == (None, None)


def test_users_are_created_banned_and_deleted(run: Run, clerk: LocalClerk) -> None:
    run("create", "bob", "--last-name", "Berg")
    bob = clerk.person("bob")
    assert (bob.first_name, bob.last_name, bob.email) == ("Bob", "Berg", "bob@example.test")
    run("ban", "bob")
    assert clerk.person("bob").banned
    run("unban", "bob")
    assert not clerk.person("bob").banned
    run("delete", "bob")
    assert [change.type for change in clerk.emulator.changes] == [
        *("user.created", "user.updated", "user.updated", "user.deleted")
    ]
    with pytest.raises(CommandError, match="No user is called 'bob'"):
        run("token", "bob")


def test_a_change_prints_the_answer_to_its_webhook(run: Run, receiver: Receiver) -> None:
    printed = run("update", "ada", "--first-name", "Augusta")
    assert f"webhook {receiver.wait(1)[0].svix_id}: 200 noted" in printed


def test_a_webhook_has_the_requested_faults(run: Run, receiver: Receiver) -> None:
    printed = run("send", "user.updated", "ada", "--duplicate", "5")
    assert printed.count(": 200 noted") == 5
    assert len({received.svix_id for received in receiver.wait(5)}) == 1


@pytest.mark.parametrize("event_type", ["user.created", "user.updated", "user.deleted"])
def test_send_changes_nothing(run: Run, clerk: LocalClerk, receiver: Receiver, event_type: str) -> None:
    before = clerk.person("ada")
    run("send", event_type, "ada")
    assert receiver.wait(1)[0].event["type"] == event_type
    assert clerk.person("ada") == before


@pytest.mark.parametrize(
    ("event_type", "name"),
    [
        *((event_type, "ada") for event_type in ("user.created", "user.updated", "user.deleted")),
        *(("organization.created", "acme"), ("session.ended", "sess_1")),
    ],
)
def test_the_time_of_a_sent_event_is_now(
    run: Run, clerk: LocalClerk, receiver: Receiver, event_type: str, name: str
) -> None:
    before = time.time_ns() // 1_000_000
    run("send", event_type, name, "--duplicate", "2")
    for delivery in receiver.wait(2):
        assert before <= delivery.event["timestamp"] <= time.time_ns() // 1_000_000


def test_the_user_of_a_sent_event_keeps_its_times(run: Run, clerk: LocalClerk, receiver: Receiver) -> None:
    run("send", "user.updated", "ada")
    assert receiver.wait(1)[0].event["data"]["updated_at"] == clerk.person("ada").updated_at


@pytest.mark.parametrize(("event_type", "name"), [("user.updated", "ada"), ("organization.created", "acme")])
def test_send_fails_without_an_address_for_webhooks(run: Run, event_type: str, name: str) -> None:
    with pytest.raises(CommandError, match=r"No webhook is sent: .* --webhook-url http://") as caught:
        run("send", event_type, name)
    assert caught.value.returncode == 1


@pytest.mark.parametrize("action", ["create", "update", "ban", "unban", "delete"])
def test_a_change_names_the_option_for_webhooks(run: Run, action: str) -> None:
    printed = run(action, "bob" if action == "create" else "ada")
    assert "No webhook is sent: " in printed
    assert "--webhook-url http://" in printed


def test_other_events_are_sent_with_the_data_of_an_organization(run: Run, receiver: Receiver) -> None:
    printed = run("send", "organization.created", "acme", "--duplicate", "5", "--data", '{"name": "ACME"}')
    assert printed.startswith("organization.created acme\n")
    assert printed.count(": 200 noted") == 5
    received = receiver.wait(5)
    assert len({one.svix_id for one in received}) == 1
    event = received[0].event
    assert (event["object"], event["type"], event["instance_id"][:4]) == (
        *("event", "organization.created", "ins_"),
    )
    data = event["data"]
    assert (data["id"], data["slug"], data["name"]) == ("org_acme", "acme", "ACME")
    assert data["updated_at"] == event["timestamp"]


@pytest.mark.parametrize(
    ("event_type", "name", "data"),
    [
        ("organization.deleted", "org_acme", {"object": "organization", "id": "org_acme", "deleted": True}),
        (
            "organizationMembership.updated",
            "orgmem_1",
            {"object": "organization_membership", "id": "orgmem_1"},
        ),
        ("session.ended", "sess_1", {"object": "session", "id": "sess_1"}),
    ],
)
def test_other_events_have_the_object_and_its_id(
    run: Run, receiver: Receiver, event_type: str, name: str, data: dict[str, object]
) -> None:
    run("send", event_type, name)
    assert receiver.wait(1)[0].event["data"].items() >= data.items()


@pytest.mark.parametrize("action", [["update"], ["send", "user.updated"]])
def test_a_dropped_webhook_is_reported(run: Run, receiver: Receiver, action: list[str]) -> None:
    assert "No webhook is sent.\n" in run(*action, "ada", "--drop")
    assert receiver.received == []


@pytest.mark.parametrize("fault", [["--delay", "60"], ["--reorder"]])
def test_the_command_does_not_wait_for_a_late_webhook(run: Run, receiver: Receiver, fault: list[str]) -> None:
    assert "will be late, as requested" in run("update", "ada", *fault)
    assert receiver.received == []


def test_rotate_signs_with_another_key(run: Run, clerk: LocalClerk) -> None:
    before = clerk.kid
    assert clerk.kid not in run("rotate")
    assert clerk.kid != before


def test_the_state_of_keys_and_api_can_be_set(run: Run, clerk: LocalClerk) -> None:
    run("keys", "down")
    assert clerk.emulator.keys_state == "down"
    run("keys", "up")
    assert clerk.emulator.keys_state == "up"
    run("api", "429", "--times", "2", "--retry-after", "1")
    assert [failure.status for failure in clerk.emulator.users_api._planned_failures] == [429, 429]


def test_tokens_of_browsers_can_be_set(run: Run, clerk: LocalClerk) -> None:
    calls = clerk.emulator.token_calls
    run("frontend", "--lifetime", "20", "--claim", "plan=pro", "--claim", "seats=3")
    assert (calls.lifetime, calls.claims) == (20, {"plan": "pro", "seats": 3})
    assert calls.take_fault() == TokenFault()
    run("frontend", "--status", "503", "--retry-after", "2", "--times", "2")
    run("frontend", "--fault", "expired", "--delay", "0.01")
    assert [calls.take_fault() for _ in range(4)] == [
        TokenFault(status=503, retry_after=2),
        TokenFault(status=503, retry_after=2),
        TokenFault(fault="expired", delay=0.01),
        TokenFault(),
    ]
    assert (calls.lifetime, calls.claims) == (20, {"plan": "pro", "seats": 3})


def test_the_sessions_of_a_user_are_ended_and_counted(run: Run, clerk: LocalClerk) -> None:
    clients = clerk.emulator.clients
    for name in ("ada", "grace"):
        browser = clients.sign_in(None, user_id=clerk.person(name).id)
        clients.sign_in(browser.key, user_id=clerk.person("yuki").id)
    assert run("sign-out", "yuki") == "2 sessions have ended.\n"
    assert run("sign-out", "ada") == "1 sessions have ended.\n"
    assert run("sign-out", "ada") == "0 sessions have ended.\n"


def test_people_lists_users_and_counts_the_rest(run: Run, clerk: LocalClerk) -> None:
    clerk.make_up(200)
    printed = run("people")
    assert "ada@example.test" in printed
    assert "109 more" in printed


@pytest.mark.parametrize(
    "arguments", [["token"], ["update"], ["delete"], ["ban"], ["unban"], ["send", "user.updated"]]
)
def test_an_unknown_name_is_one_sentence(run: Run, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=r"^No user is called 'unknown': use a handle") as caught:
        run(*arguments, "unknown")
    assert caught.value.returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["token", "ada", "--claim", "x"],
        ["token", "ada", "--fault", "typo"],
        ["token", "ada", "--expires", "x"],
        ["token", "ada", "--expires", "nan"],
        ["token", "ada", "--factor-age", "3"],
        ["token", "ada", "--factor-age", "3,-2"],
        ["token", "ada", "--factor-age", "3,4,5"],
        ["token", "ada", "--actor-kind", "robot"],
        ["token", "ada", "--token-version", "3"],
        ["token", "ada", "--feature", "beta"],
        ["send", "user.danced", "ada"],
        ["send", "organization", "acme"],
        ["send", "organization.created", ""],
        ["send", "organization.created", "acme", "--data", "[]"],
        ["send", "organization.created", "acme", "--data", "{"],
        ["update", "ada", "--duplicate", "0"],
        ["keys", "sideways"],
        ["dance"],
        [],
    ],
)
def test_invalid_arguments_are_refused(run: Run, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)


def test_without_an_emulator_the_error_says_how_to_start_one(settings: Settings) -> None:
    settings.DEBUG = True
    with pytest.raises(CommandError, match=r"start it with `manage.py devclerk serve`"):
        call_command("devclerk", "token", "ada", "--clerk-port", "9")


def test_another_server_on_the_port_is_an_error(settings: Settings, httpserver: HTTPServer) -> None:
    settings.DEBUG = True
    httpserver.expect_request("/_dev/people").respond_with_data("<html>")
    with pytest.raises(CommandError, match="No emulator answers"):
        call_command("devclerk", "people", "--clerk-port", str(httpserver.port))


def test_the_port_comes_from_the_environment(
    clerk: LocalClerk, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    monkeypatch.setenv("CLERK_PORT", clerk.issuer.rpartition(":")[2])
    printed = io.StringIO()
    call_command("devclerk", "people", stdout=printed)
    assert clerk.person("ada").id in printed.getvalue()
